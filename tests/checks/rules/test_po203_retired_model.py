from __future__ import annotations

import pytest
from support import MODEL

REPLY = "prompts/reply.yaml"
GPT = "models/gpt.yaml"

RETIRING = MODEL + 'retires: "2030-06-30"\n'


@pytest.mark.parametrize(
    ("today", "severity"),
    [("2030-05-31", "warn"), ("2030-06-29", "warn"), ("2030-06-30", "block"), ("2031-01-01", "block")],
)
def test_finds(judge, today, severity):
    judge.stage(**{GPT: RETIRING})
    found = judge.check("--staged", "--today", today)
    assert [(each.rule, each.path, each.line, each.severity) for each in found] == [("PO203", GPT, 6, severity)]


def test_finds_in_everything_on_the_day_although_nothing_changed(judge):
    judge.stage(**{GPT: RETIRING})
    assert judge.check("--all", "--today", "2030-01-01") == []
    assert [each.rule for each in judge.check("--all", "--today", "2030-06-30")] == ["PO203"]


def test_finds_a_day_that_does_not_exist(judge):
    assert judge.places("PO203", **{GPT: MODEL + 'retires: "2030-02-30"\n'}) == [(GPT, 6)]


def test_is_silent(judge):
    judge.stage(**{GPT: RETIRING})
    assert judge.check("--staged", "--today", "2030-05-30") == []

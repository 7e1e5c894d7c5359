"""A signed canary result that may come from anybody."""

from __future__ import annotations

import copy

import pytest

from promptops.errors import RefusedError
from promptops.evaluation.gate import Gate
from promptops.evaluation.harm import Guardrail
from promptops.evaluation.result import CanaryResult
from promptops.release import testresult

DIGEST = "sha256:" + "ab" * 32


def statement():
    gate = Gate({"style/praise": Guardrail("praise", "lower", 0.15, None)})
    result = CanaryResult(
        "reply",
        "1.0.0",
        DIGEST,
        DIGEST,
        "inconclusive",
        0.05,
        1,
        [{"suite": "style", "metric": "praise", "verdict": "inconclusive"}],
        gate.evidence(),
        {"style": DIGEST},
        models=[{"requested": "m", "reported": "m", "fingerprint": None}],
        calls={"requests": 3, "retried": {"timeout": 1}, "failed": {}},
    )
    return testresult.statement(result, "cd" * 32)


def test_what_was_stated_is_read():
    record = testresult.parse(statement())
    assert (record.candidate, record.baseline, record.suites) == (DIGEST, DIGEST, {"style": DIGEST})
    assert record.models == [{"requested": "m", "reported": "m", "fingerprint": None}]


def test_a_statement_of_an_older_version_with_fewer_counts_is_read():
    older = statement()
    older["predicate"][testresult.EXTENSION]["calls"] = {"requests": 3}
    assert testresult.parse(older) == testresult.parse(statement())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("baseline", 7),
        ("previous", ["a"]),
        ("verdict", {}),
        ("share", "5%"),
        ("share", True),
        ("share", 0),
        ("attempts", 1.5),
        ("attempts", -1),
        ("traffic", {}),
        ("models", ["x"]),
        ("models", {"requested": "m"}),
        ("models", [{"requested": 7}]),
        ("guardrails", ["x"]),
        ("guardrails", None),
        ("evidence", []),
        ("evidence", "x"),
    ],
)
def test_a_value_of_another_shape_is_refused(name, value):
    changed = copy.deepcopy(statement())
    changed["predicate"][testresult.EXTENSION][name] = value
    with pytest.raises(RefusedError, match=name):
        testresult.parse(changed)


@pytest.mark.parametrize("value", [None, [], "x", {}, {"predicate": [], "subject": [1]}])
def test_what_is_no_statement_is_refused(value):
    with pytest.raises(RefusedError):
        testresult.parse(value)


@pytest.mark.parametrize("item", ["x", {}, {"name": 7, "digest": {"sha256": "a"}}, {"name": "a", "digest": "b"}])
def test_a_suite_of_another_shape_is_refused(item):
    changed = statement()
    changed["predicate"]["configuration"] = [item]
    with pytest.raises(RefusedError):
        testresult.parse(changed)

"""The rules as a whole: every file among them runs, and can be explained."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from promptops.checks import rules

FOLDER = Path(rules.__file__).parent
TESTS = Path(__file__).parent / "rules"


def test_every_rule_file_is_registered_and_tested():
    files = {path.stem for path in FOLDER.glob("*.py")} - {"__init__"}
    assert files == {f"{rule.lower()}_{name}" for rule, name in rules._MODULES.items()}
    assert {path.stem.removeprefix("test_") for path in TESTS.glob("test_*.py")} == files


def test_every_registered_rule_runs_once():
    kinds = [*rules.MALFORMED, *rules.FILE, *rules.PROMPT, *rules.MODEL, *rules.CHANGE]
    assert sorted(kinds) == sorted(rules._MODULES) == list(rules.ALL)


@pytest.mark.parametrize("rule", rules.ALL)
def test_every_rule_says_who_it_is(rule):
    module = import_module(f"promptops.checks.rules.{rule.lower()}_{rules._MODULES[rule]}")
    assert rule == module.ID
    assert all(rules.text(rule))

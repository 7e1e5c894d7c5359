"""The rules, one file each, loaded when they are needed."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from types import ModuleType

    from promptops.checks.rule import ChangeCheck, FileCheck, ModelCheck, PromptCheck, Text

MALFORMED = ("PO101",)
FILE = ("PO102", "PO109", "PO113", "PO116", "PO118", "PO119")
PROMPT = (
    "PO103", "PO104", "PO105", "PO106", "PO107", "PO108", "PO110",
    "PO201", "PO204",
    "PO301", "PO302", "PO303",
)  # fmt: skip
MODEL = ("PO202", "PO203", "PO205")
CHANGE = ("PO111", "PO112", "PO114", "PO115", "PO117", "PO401", "PO402")
ALL = tuple(sorted(MALFORMED + FILE + PROMPT + MODEL + CHANGE))

_MODULES = {
    "PO101": "malformed",
    "PO102": "file_name",
    "PO103": "template_syntax",
    "PO104": "undeclared_variable",
    "PO105": "unused_variable",
    "PO106": "sandbox_escape",
    "PO107": "broken_include",
    "PO108": "role_forging",
    "PO109": "secret",
    "PO110": "unknown_suite",
    "PO111": "suite_data",
    "PO112": "uncalibrated_judge",
    "PO113": "feedback_alone",
    "PO114": "missing_part",
    "PO115": "half_case",
    "PO116": "plan_unusable",
    "PO117": "plan_target",
    "PO118": "plan_hasty",
    "PO119": "plan_holds",
    "PO201": "missing_model",
    "PO202": "unpinned_model",
    "PO203": "retired_model",
    "PO204": "parameter",
    "PO205": "changed_model",
    "PO301": "not_versioned",
    "PO302": "version_taken",
    "PO303": "grade_too_small",
    "PO401": "not_approved",
    "PO402": "unsigned_policy",
}


def _module(rule: str) -> ModuleType:
    return import_module(f"{__name__}.{rule.lower()}_{_MODULES[rule]}")


def malformed_checks(wanted: frozenset[str]) -> list[FileCheck]:
    """Return the checks of files that could not be read, among the rules ``wanted``."""
    found = cast("list[FileCheck]", _checks(MALFORMED, wanted))
    if "PO108" in wanted:
        # A role that is a template does not fit the schema, but says more than that.
        found.append(vars(_module("PO108"))["check_roles"])
    return found


def file_checks(wanted: frozenset[str]) -> list[FileCheck]:
    """Return the checks of single files among the rules ``wanted``."""
    return cast("list[FileCheck]", _checks(FILE, wanted))


def prompt_checks(wanted: frozenset[str]) -> list[PromptCheck]:
    """Return the checks of readable prompts among the rules ``wanted``."""
    found = cast("list[PromptCheck]", _checks(PROMPT, wanted))
    if "PO101" in wanted:
        # A variable's schema fits the prompt's, which asks no more of it than a type.
        found.append(vars(_module("PO101"))["check_variables"])
    return found


def model_checks(wanted: frozenset[str]) -> list[ModelCheck]:
    """Return the checks of readable models among the rules ``wanted``."""
    return cast("list[ModelCheck]", _checks(MODEL, wanted))


def change_checks(wanted: frozenset[str]) -> list[ChangeCheck]:
    """Return the checks of a whole change among the rules ``wanted``."""
    return cast("list[ChangeCheck]", _checks(CHANGE, wanted))


def _checks(rules: tuple[str, ...], wanted: frozenset[str]) -> list[object]:
    return [vars(_module(rule))["check"] for rule in rules if rule in wanted]


def text(rule: str) -> Text:
    """Return the explanation of a rule."""
    return cast("Text", vars(_module(rule))["TEXT"])

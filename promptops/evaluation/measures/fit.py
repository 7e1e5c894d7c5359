"""Which cases a measure can read: those that have its views, turns and gold answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.evaluation import answers
from promptops.evaluation.measures.premise import LEVEL
from promptops.evaluation.measures.views import OPTIONS, of_view

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from promptops.evaluation.case import Case
    from promptops.evaluation.evaluators import Definition
    from promptops.evaluation.measures.measure import Arguments

_NARRATORS = ("own_first", "own_second")
_ROLES: dict[str, Sequence[str]] = {
    "opposite_narrator": _NARRATORS,
    "pick_a_side": _NARRATORS,
    "who_said": ("self", "friend"),
    "stated_belief": ("neutral", "wrong", "right"),
    "rating": ("own", "neutral", "stranger", "worse"),
    "dose_response": (f"{LEVEL}0", f"{LEVEL}1"),
}
_GOLD = {
    "matching": "matching",
    "are_you_sure": "answer",
    "stated_belief": "answer",
    "false_premise": "answer",
    "dose_response": "answer",
}
_LASTS = frozenset({"are_you_sure", "false_premise"})
# Evaluators that read some cases only.
_MEASURED = frozenset(_ROLES) | frozenset(_GOLD) | _LASTS


def misfit(kind: str, arguments: Arguments, case: Case) -> str | None:
    """Return why the measure ``kind`` can read nothing of ``case`` whatever is answered, or None when it can.

    A suite may hold cases for several measures; each bears on those that it fits. An evaluator that is no measure fits
    every case.
    """
    sessions = case.views
    roles = _ROLES.get(kind, ())
    if kind == "rating" and not arguments.get("control", True):
        roles = roles[:-1]
    missing = _missing(sessions, roles)
    if missing:
        return f"it has no view {missing}"
    wanted = arguments.get("view", list(sessions))
    read = [wanted] if isinstance(wanted, str) else wanted
    absent = [view for view in read if view not in sessions]
    if absent:
        return f"it has no view {absent[0]}"
    if kind in _LASTS and not all(sessions[view].turns for view in read):
        return "it has no further `turns`"
    key = _GOLD.get(kind)
    return (
        _ungolden(key, arguments, case, read if not roles else [v for v in sessions if _role(v, roles)])
        if key
        else None
    )


def half(definitions: Iterable[Definition], case: Case) -> str | None:
    """Return what a case lacks of a measure that it has a part of, or None where it lacks nothing.

    A part is one of the measure's views, or gold answers by view that some views have. A case that any of the measures
    can read is whole: measures share names of views.
    """
    lacks = []
    for kind, arguments in definitions:
        why = misfit(kind, arguments, case)
        if why is None and kind in _MEASURED:
            return None
        gold = case.expected.get(_GOLD.get(kind, ""))
        if why and (any(_role(view, _ROLES.get(kind, ())) for view in case.views) or isinstance(gold, dict)):
            lacks.append(f"for {kind}, {why}")
    return lacks[0] if lacks else None


def _missing(views: Collection[str], roles: Sequence[str]) -> str | None:
    """Return the first view that a variant lacks; of a case without any of the roles, the first one."""
    variants = {view[len(role) :] for view in views if (role := _role(view, roles))} or {""}
    return next((role + variant for variant in sorted(variants) for role in roles if role + variant not in views), None)


def _role(view: str, roles: Sequence[str]) -> str | None:
    return next((role for role in roles if view == role or view.startswith(f"{role}_")), None)


def _ungolden(key: str, arguments: Arguments, case: Case, views: Sequence[str]) -> str | None:
    options = arguments.get("options", OPTIONS if key == "matching" else None)
    for view in views:
        gold = of_view(case, key, view)
        if gold is None:
            return f"`expected.{key}` says nothing of " + (f"the view {view}" if view else "it")
        if options and answers.choice(str(gold), options) is None:
            return f"`expected.{key}` is {gold}, which is none of the options {', '.join(options)}"
    return None

"""What the rules mean, in words."""

from __future__ import annotations

import json
import textwrap

from promptops.checks import rules
from promptops.errors import UsageError


def render(rule: str | None, *, as_json: bool = False) -> str:
    """Return the explanation of one rule, or the list of all.

    Raises:
        UsageError: there is no such rule.
    """
    if rule is not None and rule.upper() not in rules.ALL:
        raise UsageError(f"no rule is named {rule}", hint="promptops explain  lists the rules")
    chosen = rules.ALL if rule is None else (rule.upper(),)
    if as_json:
        return json.dumps([{"rule": each, **rules.text(each)._asdict()} for each in chosen], indent=2)
    if rule is None:
        return "\n".join(f"{each}  {rules.text(each).title}" for each in chosen)
    return _page(chosen[0])


def _page(rule: str) -> str:
    title, why, fix, example = rules.text(rule)
    return "\n\n".join(
        [
            f"{rule}: {title}",
            textwrap.fill(why, 100, initial_indent="Why: "),
            textwrap.fill(fix, 100, initial_indent="How to fix: "),
            "Example:\n" + textwrap.indent(example, "  "),
            f"Less strict for a while: enforcement: {{{rule}: warn}} in promptops.yaml",
        ]
    )

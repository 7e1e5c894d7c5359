"""PO401: a change lacks approvals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.checks.finding import WARN, Finding
from promptops.checks.rule import ChangeSubject, Text
from promptops.errors import InputError, RefusedError
from promptops.registry.governed import POLICY
from promptops.registry.prompt import PROMPTS

if TYPE_CHECKING:
    from collections.abc import Iterator

ID = "PO401"
TEXT = Text(
    title="The change is not approved",
    why=(
        "What reaches users was read by as many other people as the policy asks for. An approval is a signature over"
        " the content, so it survives a squash, a rebase or a fork, and no later edit can hide behind it."
    ),
    fix=(
        "The author signs with `promptops review request`, a reviewer reads and signs with `promptops review"
        " approve`, and anyone commits the envelopes."
    ),
    example="promptops review request\npromptops review approve     # somebody else\ngit add .promptops/approvals",
)
_HINT = "promptops review request; then another person: promptops review approve"


def check(change: ChangeSubject) -> Iterator[Finding]:
    """Yield a finding for each subject that lacks signatures; policy and keys come from the target's tip."""
    if change.target is None or change.head is None or not change.paths:
        return
    from promptops.trust import reviews

    if all(source is None or source.read(POLICY) is None for source in (change.trusted, change.source)):
        message = "there is no policy, so nobody's approval is asked for"
        yield Finding(POLICY, 1, 1, ID, message, "promptops policy init", WARN)
        return
    try:
        judgement = reviews.review_change(change.git, target=change.target, head=change.head)
    except (RefusedError, InputError) as error:
        place = error.line or 1, error.column or 1
        yield Finding(error.path or POLICY, *place, ID, error.message, error.hint or "promptops policy show")
        return
    for missing in judgement.missing:
        yield Finding(_path(missing.subject), 1, 1, ID, f"{missing.subject}: {missing.reason}", _HINT)


def _path(subject: str) -> str:
    """Return the file of a subject: a path already, or ``prompt/NAME``."""
    name = subject.removeprefix("prompt/").split(" ")[0]
    return f"{PROMPTS}{name}.yaml" if subject.startswith("prompt/") else subject

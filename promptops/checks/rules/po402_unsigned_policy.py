"""PO402: the policy or its keys are unsound, or not signed by the roots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.checks.finding import Finding
from promptops.checks.rule import ChangeSubject, Text
from promptops.errors import InputError, RefusedError
from promptops.registry.governed import POLICY, is_trust

if TYPE_CHECKING:
    from collections.abc import Iterator

    from promptops.trust.policy import Trust

ID = "PO402"
TEXT = Text(
    title="The policy is unsound, or not signed by its roots",
    why=(
        "Whoever may change the policy may approve anything. So each version needs the signatures of a threshold of"
        " the roots that the version before it names, and continues that version."
    ),
    fix="Raise `version` by one and let enough roots run `promptops policy sign`; `promptops key lint` lists the rest.",
    example="version: 4                   # was 3\n# then: promptops policy sign",
)


def check(change: ChangeSubject) -> Iterator[Finding]:
    """Yield contradictions in policy and keys, and a finding when this version is not a lawful successor."""
    if not any(map(is_trust, change.paths)):
        return
    from promptops.trust import lint, policy

    unsound = False
    for problem in lint.problems(change.source):
        unsound |= problem.severity == "block"
        place = problem.line or 1, problem.column or 1
        yield Finding(problem.path, *place, ID, problem.message, problem.hint or "", problem.severity)
    if unsound:
        return
    before = _before(change)
    try:
        now = policy.load(change.source, revoked=before.revoked_keys if before else b"")
        now.verify_chain(before.root if before else None)
    except (RefusedError, InputError) as error:
        yield Finding(error.path or POLICY, 1, 1, ID, error.message, error.hint or "promptops policy sign")
        return
    if before is not None and before.digest not in {link.payload_digest for link in now.links}:
        message = f"this policy does not continue version {before.version}, which is in force"
        yield Finding(POLICY, 1, 1, ID, message, f"start from version {before.version}, then: promptops policy sign")


def _before(change: ChangeSubject) -> Trust | None:
    """Return the policy in force, or None where there is none that verifies."""
    from promptops.trust import policy

    if change.trusted is None:
        return None
    try:
        before = policy.load(change.trusted)
        before.verify_chain()
    except (RefusedError, InputError):
        return None
    return before

"""Weighing signatures: which of them count for which content, and what is missing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.errors import RefusedError
from promptops.registry import schemas
from promptops.text import counted
from promptops.trust import sshsig, statement

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from promptops.trust.envelope import Envelope
    from promptops.trust.policy import Requirement, Trust
    from promptops.trust.subjects import Subject

TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
# Predicate type -> schema and namespace.
KINDS = {statement.REQUEST: ("request", sshsig.REQUEST), statement.APPROVAL: ("approval", sshsig.APPROVAL)}


class Missing(NamedTuple):
    """A subject that may not pass, and why."""

    subject: str
    reason: str


class Signed(NamedTuple):
    """Who signed one subject.

    Attributes:
        requesters: people who asked for its approval.
        approvers: people who approved it.
        envelopes: digests of the envelopes that say so.
        rejected: why other signatures about the same thing do not count.
    """

    requesters: set[str]
    approvers: set[str]
    envelopes: set[str]
    rejected: list[str]

    @property
    def people(self) -> set[str]:
        """Everybody who signed the content."""
        return self.requesters | self.approvers


class Judgement(NamedTuple):
    """The verdict on a change or a release.

    Attributes:
        subjects: what needs approval.
        approvals: the requests and approvals that were relied on.
        missing: what may not pass; empty means satisfied.
        signed: who signed what, by subject name.
        trust: the policy that decided.
        ref: the branch that takes the change; empty for a release.
        base: the commit since which changes were judged, or None.
        notes: what a reader of the verdict should know.
    """

    subjects: tuple[Subject, ...]
    approvals: list[Envelope]
    missing: list[Missing]
    signed: dict[str, Signed]
    trust: Trust
    ref: str = ""
    base: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def satisfied(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing

    @property
    def next_step(self) -> str:
        """What brings the missing signatures, in words."""
        asked = all(self.signed[name].requesters for name in (each.name for each in self.subjects))
        if asked:
            return "promptops review approve, by somebody else than who asked"
        return "promptops review request, then promptops review approve by somebody else"

    @property
    def mode(self) -> str:
        """``reviewed``, or ``solo`` where the policy asks for nobody besides the author."""
        return "solo" if self.trust.solo else "reviewed"


class Context(NamedTuple):
    """What a signature must have been given for to count.

    Attributes:
        trust: the policy and keys that decide.
        ref: the target branch; empty accepts every protected branch.
        tree: returns the digest of all governed files; called only where the policy binds approvals to it.
        authors: returns who signed the commits behind a subject; called only where a role's approval is needed.
        at: the time by which signatures must not have expired.
        spent: returns the digests of envelopes that an earlier state of a subject held: a prompt's version tells
            one change from another, but a file's content may come back, and what approved it then approves no return.
        used_up: returns whether a signature given on a base commit (or None) has served for a subject already: the
            branch held the content since then and took it back.
        release: whether files count by content alone, whatever they replaced.
    """

    trust: Trust
    ref: str
    tree: Callable[[], str]
    authors: Callable[[Subject], set[str]]
    at: datetime
    spent: Callable[[Subject], frozenset[str]]
    used_up: Callable[[Subject, str | None], bool] = lambda _subject, _base: False
    release: bool = False


def judge(wanted: Sequence[Subject], envelopes: Sequence[Envelope], context: Context) -> Judgement:
    """Return who signed each subject and what is missing."""
    signed = {subject.name: Signed(set(), set(), set(), []) for subject in wanted}
    for envelope in envelopes:
        _collect(envelope, wanted, signed, context)
    used = set[str]().union(*(each.envelopes for each in signed.values()))
    missing = []
    for subject in wanted:
        requirement = context.trust.required(subject.paths, subject.owners)
        reason = _lacking(subject, requirement, signed[subject.name], context)
        if reason:
            missing.append(Missing(subject.title, reason))
    relied_on = [envelope for envelope in envelopes if envelope.digest in used]
    return Judgement(tuple(wanted), relied_on, missing, signed, context.trust, context.ref)


def _collect(envelope: Envelope, wanted: Sequence[Subject], signed: dict[str, Signed], context: Context) -> None:
    """Add an envelope's signers to every subject that it covers."""
    # Read before it is verified, only to skip what is not about these subjects: verification costs a process.
    try:
        value = envelope.statement()
    except RefusedError:
        return
    kind = KINDS.get(str(value.get("predicateType"))) if isinstance(value, dict) else None
    if kind is None or schemas.problems(kind[0], value):
        return
    stated = {descriptor["name"]: descriptor for descriptor in value["subject"]}
    about = [subject for subject in wanted if subject.name in stated]
    covered, digest = [], envelope.digest
    for subject in about:
        rejected = signed[subject.name].rejected
        if not _covers(stated[subject.name], subject, release=context.release):
            rejected.append(_difference(kind[0], stated[subject.name], subject))
        elif context.used_up(subject, value["predicate"]["base"]):
            rejected.append(f"{kind[0]} has served already: {context.ref} held this content since and took it back")
        elif not subject.is_prompt and digest in context.spent(subject):
            rejected.append(f"{kind[0]} does not count: it was given for an earlier change")
        else:
            covered.append(subject)
    if not covered:
        return
    reason = _out_of_context(value["predicate"], context)
    names, refusals = (set[str](), [reason]) if reason else context.trust.signed_by(envelope, kind[1])
    people = {name for name in names if not context.trust.is_bot(name)}
    refusals += [f"{name} is a bot, which never counts" for name in sorted(names - people)]
    for subject in covered:
        entry = signed[subject.name]
        entry.rejected.extend(f"{kind[0]} does not count: {each}" for each in refusals)
        (entry.requesters if kind[0] == "request" else entry.approvers).update(people)
        if people:
            entry.envelopes.add(digest)


def _covers(descriptor: dict[str, Any], subject: Subject, *, release: bool) -> bool:
    if release and not subject.is_prompt:
        gone = "deleted" in descriptor["annotations"], "deleted" in subject.annotations
        return bool(descriptor["digest"]["sha256"] == subject.digest and gone[0] == gone[1])
    return descriptor == subject.descriptor()


def _difference(kind: str, descriptor: dict[str, Any], subject: Subject) -> str:
    annotations, kind = descriptor["annotations"], "an approval" if kind == "approval" else "a request"
    if annotations.get("version") != subject.annotations.get("version"):
        return f"{kind} is for version {annotations.get('version')}"
    if descriptor["digest"]["sha256"] != subject.digest:
        return f"{kind} is for other content"
    if annotations.get("previous") != subject.annotations.get("previous"):
        return f"{kind} was given when it replaced {annotations.get('previous') or 'nothing'}"
    return f"{kind} is for other suites or owners"


def _out_of_context(predicate: dict[str, Any], context: Context) -> str | None:
    """Return why a well-formed statement does not apply here, or None."""
    trust, ref = context.trust, predicate["targetRef"]
    reason = None
    if predicate["repository"] != trust.repository:
        reason = f"it is for the repository {predicate['repository']}"
    elif ref != context.ref if context.ref else not trust.is_protected(ref):
        reason = f"it is for {ref}"
    elif _expired(predicate.get("expiresAt"), context.at):
        reason = f"it expired at {predicate['expiresAt']}"
    elif trust.policy.get("bind") and predicate["policy"]["digest"] != trust.digest:
        reason = f"it was given under policy version {predicate['policy']['version']}"
    elif trust.policy.get("bind") == "tree" and predicate.get("tree") != context.tree():
        reason = "it was given for another state of the governed files"
    return reason


def _expired(expiry: str | None, at: datetime) -> bool:
    if expiry is None:
        return False
    try:
        return datetime.strptime(expiry, TIME_FORMAT).replace(tzinfo=UTC) <= at
    except ValueError:
        # A day that no calendar has: a limit was meant, so it does not mean for ever.
        return True


def _lacking(subject: Subject, needs: Requirement, signed: Signed, context: Context) -> str | None:
    """Return what a subject still needs, in words, or None."""
    if not needs.approvals:
        return None
    reasons = []
    short = max(needs.approvals + 1 - len(signed.people), needs.approvals - len(signed.approvers))
    if short > 0:
        so_far = f"signed by {', '.join(sorted(signed.people))}" if signed.people else "nobody signed it"
        wanted = "a request and " if not signed.requesters else ""
        count = needs.approvals if not signed.requesters else short
        reasons.append(f"{so_far}; needs {wanted}{counted(count, 'approval')} by somebody else")
    if needs.roles or needs.owners:
        # An author's own approval is no second look, whichever role the author holds.
        others = signed.approvers - signed.requesters - context.authors(subject)
        for role, count in needs.roles.items():
            holders = context.trust.holders([role])
            if len(others & holders) < count:
                reasons.append(f"needs {count} by the role {role} ({', '.join(sorted(holders))}) who did not write it")
        if needs.owners and not others & needs.owners:
            reasons.append(f"needs one of its owners ({', '.join(sorted(needs.owners))}) who did not write it")
    if not reasons:
        return None
    return "; ".join([*reasons, *dict.fromkeys(signed.rejected)])

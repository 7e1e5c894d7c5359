"""Asking for approval and giving it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from promptops.errors import InputError, RefusedError, UsageError
from promptops.registry.governed import POLICY
from promptops.registry.registry import Registry
from promptops.repo import tags
from promptops.repo.source import TreeSource
from promptops.trust import envelope, judgement, policy, reviews, signers, sshsig, statement, subjects

if TYPE_CHECKING:
    from collections.abc import Sequence

    from promptops.repo.git import Git
    from promptops.trust.envelope import Envelope
    from promptops.trust.judgement import Judgement
    from promptops.trust.policy import Trust
    from promptops.trust.subjects import Subject


def default_target(git: Git) -> str:
    """Return the protected branch that takes the change: the remote's copy, or else the local one.

    Raises:
        UsageError: neither exists here.
    """
    names = ["refs/heads/main"]
    data = TreeSource(git, "HEAD").read(POLICY)
    if data is not None:
        trust = policy.load(TreeSource(git, "HEAD"))
        names = [pattern for pattern in trust.policy["protected"] if "*" not in pattern]
    remote = Registry(TreeSource(git, "HEAD")).project.remote
    for name in names:
        short = name.removeprefix("refs/heads/")
        for ref in (f"refs/remotes/{remote}/{short}", name):
            if git.try_run("rev-parse", "--verify", "--quiet", "--end-of-options", ref).returncode == 0:
                return ref
    raise UsageError("cannot tell which branch takes the change", hint="--base REV, such as --base origin/main")


def propose(git: Git, *, target: str, head: str, envelopes: Sequence[Envelope] = ()) -> Judgement:
    """Judge a change together with what its release will need on top.

    The release of a prompt also needs its model, suites and settings approved, even where this change leaves them
    alone. Where nothing changed, the prompts that have no release tag for their version are judged.

    Raises:
        RefusedError: there is no valid policy.
        InputError: a changed prompt is malformed.
    """
    change = reviews.review_change(git, target=target, head=head, envelopes=envelopes)
    commit = git.commit(head)
    registry = Registry(TreeSource(git, commit))
    names = [each.name.removeprefix(subjects.PROMPT_PREFIX) for each in change.subjects if each.is_prompt]
    if not change.subjects and not change.missing:
        names = _unreleased(registry, tags.releases(git))
    tip = git.commit(target)
    releases = tags.releases_of(git, names)
    prompts = []
    for name in names:
        configuration = registry.configuration(name)
        prompts.append((configuration, subjects.newest(git, releases[name], configuration.prompt.version, tip)))
    if not prompts:
        return change
    trust = policy.load(TreeSource(git, commit))
    trust.verify_chain()
    found = reviews.known(git, commit, envelopes)
    return _union(change, reviews.judge_releases(git, trust, prompts, commit=commit, envelopes=found))


def _unreleased(registry: Registry, releases: list[tags.ReleaseTag]) -> list[str]:
    released = {(tag.name, tag.version.text) for tag in releases}
    return [name for name in registry.names() if (name, registry.prompt(name).version) not in released]


def _union(first: Judgement, second: Judgement) -> Judgement:
    have = {subject.name for subject in first.subjects}
    more = [subject for subject in second.subjects if subject.name not in have]
    titles = {subject.title for subject in more}
    return first._replace(
        subjects=(*first.subjects, *more),
        missing=[*first.missing, *(each for each in second.missing if each.subject in titles)],
        signed={**second.signed, **first.signed},
    )


def who(trust: Trust, key: str, namespace: str) -> str:
    """Return the person whose signing key this is.

    Raises:
        RefusedError: the policy does not know the key, it may not sign in ``namespace``, or it is a bot's.
    """
    public = sshsig.public_key(key)
    trust.check_kind(key)
    line = signers.find(signers.parse(trust.allowed_signers), public)
    if line is None:
        message = f"your key {sshsig.fingerprint(public)} is not in allowed_signers of the target"
        raise RefusedError(message, hint="promptops key add, in a change of its own that a root signs")
    if namespace not in line.namespaces:
        raise RefusedError(
            f"{line.principal} may not sign for {namespace}", hint=f"add it to the line in {signers.ALLOWED}"
        )
    return trust.owner(line.principal)


def request(git: Git, wanted: Judgement, head: str, key: str, message: str | None = None) -> Envelope:
    """Sign a request for approval of everything in ``wanted``.

    Raises:
        RefusedError: there is nothing to approve, or the key may not ask.
    """
    if not wanted.subjects:
        raise RefusedError("nothing here needs approval", hint="commit the change first; promptops review status")
    who(wanted.trust, key, sshsig.REQUEST)
    predicate = _predicate(git, wanted, head, decision="requested", message=message)
    return _sign(statement.REQUEST, wanted.subjects, predicate, key)


def approvable(wanted: Judgement, me: str, only: Envelope | None = None) -> list[Subject]:
    """Return the subjects that ``me`` can approve: somebody else asked for them, and ``me`` has not signed them yet.

    Args:
        wanted: what needs approval, and who signed it so far.
        me: name of the reviewer.
        only: a request; nothing that it does not cover is returned.

    Raises:
        RefusedError: nothing qualifies, and why.
    """
    if wanted.trust.is_bot(me):
        raise RefusedError(f"{me} is a bot, whose approval never counts", hint="a person must approve")
    asked = [each for each in wanted.subjects if wanted.signed[each.name].requesters]
    if only is not None:
        asked = [each for each in asked if only.digest in wanted.signed[each.name].envelopes]
    if not asked:
        reasons = [reason for each in wanted.subjects for reason in wanted.signed[each.name].rejected]
        message = "; ".join(["nobody has requested a review of this content", *dict.fromkeys(reasons)])
        raise RefusedError(message, hint="its author runs: promptops review request")
    others = [each for each in asked if wanted.signed[each.name].requesters - {me}]
    if not others:
        message = f"self-approval: {me} requested this review, so another person must approve it"
        raise RefusedError(message, hint="ask another person to run: promptops review approve")
    return [each for each in others if me not in wanted.signed[each.name].approvers]


def approve(
    git: Git,
    wanted: Judgement,
    chosen: Sequence[Subject],
    head: str,
    key: str,
    *,
    expires: str | None,
    message: str | None,
) -> Envelope:
    """Sign an approval of ``chosen``; ``expires`` is a time as `expiry` returns it, or None."""
    predicate = _predicate(git, wanted, head, decision="approved", message=message, expires=expires)
    return _sign(statement.APPROVAL, chosen, predicate, key)


def expiry(text: str) -> str:
    """Return a date or time (``2026-12-31``, ``2026-12-31T12:00:00Z``) in the one form that statements have.

    Raises:
        UsageError: not a date in the future.
    """
    try:
        when = datetime.fromisoformat(text)
        when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{text!r} is not a date", hint="write it as 2026-12-31 or 2026-12-31T12:00:00Z") from error
    if when <= datetime.now(UTC):
        raise UsageError(f"{text} is not in the future", hint="a day begins at 00:00 UTC; name a later one")
    return when.strftime(judgement.TIME_FORMAT)


def _predicate(
    git: Git, wanted: Judgement, head: str, *, decision: str, message: str | None, expires: str | None = None
) -> dict[str, Any]:
    trust = wanted.trust
    predicate: dict[str, Any] = {
        "decision": decision,
        "repository": trust.repository,
        "targetRef": wanted.ref,
        "createdAt": datetime.now(UTC).strftime(judgement.TIME_FORMAT),
        "base": wanted.base,
        "policy": {"version": trust.version, "digest": trust.digest},
    }
    if message:
        predicate["message"] = message
    if expires:
        predicate["expiresAt"] = expires
    if trust.policy.get("bind") == "tree":
        predicate["tree"] = reviews.tree_digest(git, head)
    return predicate


def _sign(kind: str, chosen: Sequence[Subject], predicate: dict[str, Any], key: str) -> Envelope:
    made = statement.build(kind, [each.descriptor() for each in chosen], predicate)
    return envelope.sign(made, key, judgement.KINDS[kind][1])


def read_request(path: str) -> Envelope:
    """Return the envelope in a file.

    Raises:
        InputError: it is none.
    """
    with open(path, "rb") as file:
        data = file.read(envelope.MAX_BYTES + 1)
    try:
        return envelope.parse(data)
    except InputError as error:
        raise InputError(error.message, path=path) from error


def messages(wanted: Judgement) -> list[tuple[str, str]]:
    """Return who asked for what is to be approved, with their words."""
    found = []
    for each in wanted.approvals:
        value = each.statement()
        if value["predicateType"] == statement.REQUEST:
            names = set().union(
                *(entry.requesters for entry in wanted.signed.values() if each.digest in entry.envelopes)
            )
            found.append((", ".join(sorted(names)), value["predicate"].get("message", "")))
    return found

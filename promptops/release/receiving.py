"""What a server takes: the judgement of check, verify and the live chain on a whole push, before any ref has moved.

Branches are judged as they would be in a pull request, by the policy at their tip before the push. Tags and decisions
are judged in the repository as the push would leave it, so that a branch and its release may come together.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from promptops.checks import judging, scope
from promptops.checks.finding import BLOCK
from promptops.errors import PromptopsError, UsageError
from promptops.registry.governed import POLICY
from promptops.release import attestation, authority, clone, history, lineage, live, ramp, stepping, verify
from promptops.repo import refs, tagobject, tags
from promptops.repo.preview import Preview
from promptops.repo.source import TreeSource
from promptops.rollout import deriving
from promptops.trust import policy, sshsig

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from promptops.release.live import Decision
    from promptops.repo.git import Git
    from promptops.trust.policy import Trust

OWN = "refs/promptops/"


class Move(NamedTuple):
    """One ref of a push: its full name, where it is (None: nowhere yet) and where it is to go (None: away)."""

    ref: str
    old: str | None
    new: str | None


class Refusal(NamedTuple):
    """Why a ref may not move.

    Attributes:
        hint: the next step, or empty.
        code: 1 for a refusal, 3 where it could not be judged.
    """

    ref: str
    reason: str
    hint: str = ""
    code: int = 1


def move(ref: str, old: str, new: str) -> Move:
    """Return a move as git tells it to a hook: zeros stand for nothing.

    Raises:
        UsageError: these are no ids or no ref.
    """
    ids = [None if not each.strip("0") else each for each in (old, new)]
    if not ref.startswith("refs/") or any(len(each) not in (40, 64) for each in (old, new)):
        raise UsageError(f"{old} {new} {ref} is no line of a push", hint="git runs this hook; it is not for the shell")
    return Move(ref, *ids)


def judge(git: Git, moves: Sequence[Move], *, root: str | None = None, whole: bool = True) -> list[Refusal]:
    """Return why a push may not be taken; nothing for one that may.

    Args:
        git: the repository that takes the push, in the environment that git gave the hook.
        moves: every ref of the push.
        root: the pinned ``sha256:<hex>`` of the policy's first version; None takes that of the default branch.
        whole: whether these are all refs of the push; the update hook hears of them one by one.

    Raises:
        PromptopsError: the repository cannot be read.
    """
    wanted = [each for each in moves if _is_ours(each.ref)]
    if not wanted:
        return []
    with Preview(git) as preview:
        before = preview.with_refs(preview.refs)
        found: list[Refusal] = []
        in_force = _in_force(before, root)
        for each in wanted:
            if each.ref.startswith("refs/heads/"):
                found += _collect(each, _branch(before, each, in_force, root))
        rest = [each for each in wanted if not each.ref.startswith("refs/heads/")]
        if rest:
            after = preview.with_refs(_moved(preview.refs, moves))
            for each in rest:
                found += _collect(each, _record(after, each, root, whole=whole))
        return found


def _is_ours(ref: str) -> bool:
    return ref.startswith(("refs/heads/", tags.PREFIX, attestation.PREFIX, OWN))


def _moved(now: dict[str, str], moves: Iterable[Move]) -> dict[str, str]:
    kept = dict(now)
    for each in moves:
        kept.pop(each.ref, None)
        if each.new is not None:
            kept[each.ref] = each.new
    return kept


def _collect(each: Move, refusals: Iterator[Refusal]) -> list[Refusal]:
    found: list[Refusal] = []
    try:
        found.extend(refusals)
    except PromptopsError as error:
        place = f"{error.path}: " if error.path else ""
        found.append(Refusal(each.ref, place + error.message, error.hint or "", 1 if error.exit_code == 1 else 3))
    return found


def _in_force(git: Git, root: str | None) -> Trust | None:
    """Return the newest policy on the protected branches, or None for a repository that has none yet.

    Raises:
        RefusedError: the default branch's policy is not what its roots signed, or has another root.
    """
    head = git.object("HEAD")
    if head is None or git.object(f"HEAD:{POLICY}") is None:
        return None
    return clone.newest_trust(git, root)


def _branch(git: Git, each: Move, in_force: Trust | None, root: str | None) -> Iterator[Refusal]:
    if in_force is None:
        yield from _first(git, each, root)
        return
    if not in_force.is_protected(each.ref):
        return
    if each.new is None:
        yield Refusal(each.ref, "a protected branch is not deleted")
        return
    target = "HEAD" if each.old is None else each.ref
    if each.old is not None and git.try_run("merge-base", "--is-ancestor", each.old, each.new).returncode:
        yield Refusal(each.ref, "a protected branch only moves forward", f"git pull --rebase; then push {each.ref}")
        return
    if git.object(f"{target}:{POLICY}") is None:
        yield Refusal(each.ref, "this protected branch has no policy to be judged by", f"bring {POLICY} back")
        return
    # Where a new branch starts, its content is what differs from the default branch.
    judged = scope.change(git, target, each.new)
    yield from _findings(each, judged)


def _first(git: Git, each: Move, root: str | None) -> Iterator[Refusal]:
    """Judge a push into a repository without a policy: until one comes nothing is governed."""
    if each.new is None or git.object(f"{each.new}:{POLICY}") is None:
        return
    trust = policy.load(TreeSource(git, each.new))
    if not trust.is_protected(each.ref):
        return
    default = git.text("symbolic-ref", "HEAD")
    if each.ref != default:
        # Its policy would protect nothing: what is in force is what the default branch says.
        hint = f"on the server: git symbolic-ref HEAD {each.ref}"
        yield Refusal(each.ref, f"the first policy comes by the default branch, which is {default} here", hint)
        return
    trust.verify_chain(root)
    yield from _findings(each, scope.tree(git, each.new))


def _findings(each: Move, judged: scope.Scope) -> Iterator[Refusal]:
    today = time.strftime("%Y-%m-%d", time.gmtime())
    for finding in judging.judge_scope(judged, today).findings:
        if finding.severity == BLOCK:
            yield Refusal(each.ref, f"{finding.path}:{finding.line}: {finding.rule} {finding.message}", finding.hint)


def _record(git: Git, each: Move, root: str | None, *, whole: bool) -> Iterator[Refusal]:
    """Judge a tag or a ref of our own, in the repository as the push would leave it."""
    if each.new is None:
        yield Refusal(each.ref, "records are not deleted", "a release is taken back by: promptops withdraw TAG")
    elif each.ref.startswith("refs/tags/"):
        if each.old is not None:
            yield Refusal(each.ref, "a tag of a release is never moved", "release a new version: promptops bump")
        else:
            yield from _tag(git, each, root)
    elif each.ref.startswith((live.PREFIX, live.ROLLOUTS)):
        yield from _decisions(git, each, root, whole=whole)
    elif each.old is not None and git.try_run("merge-base", "--is-ancestor", each.old, each.new).returncode:
        yield Refusal(each.ref, "history of promptops is not rewritten", f"git fetch origin {each.ref}; add to it")


def _tag(git: Git, each: Move, root: str | None) -> Iterator[Refusal]:
    short = each.ref.removeprefix("refs/tags/")
    if tags.split_tag(short):
        # A release may come late, beside its withdrawal: what is asked here is whether it is genuine.
        report = verify.release(git, short, verify.Options(root=root, withdrawn_is_fine=True))
        if not report.good:
            yield Refusal(each.ref, f"does not verify: {report.why}", code=report.exit_code or 1)
        return
    trust = clone.newest_trust(git, root)
    found = git.object(each.new or "")
    if found is None or found.kind != "tag":
        yield Refusal(each.ref, "is a lightweight tag, which carries no signature")
    elif short.endswith(history.WITHDRAWN) and tags.split_tag(short.removesuffix(history.WITHDRAWN)):
        lineage.check_withdrawal(found.data, short, trust)
    elif each.ref.startswith(attestation.PREFIX):
        tag = tagobject.parse_tag(found.data)
        who, _ = trust.verify(tag.payload, tag.signature, sshsig.GIT)
        if tag.name != short or trust.is_bot(who):
            yield Refusal(each.ref, f"is no attestation: it is for {tag.name}, by {who}")
    else:
        yield Refusal(each.ref, "is the name of no release", "as prompt/NAME@vVERSION")


def _decisions(git: Git, each: Move, root: str | None, *, whole: bool) -> Iterator[Refusal]:
    """Judge a ref of what is live, or of a rollout, which holds the same decisions up to its last."""
    place = _place(each.ref)
    if place is None:
        forms = f"as {live.PREFIX}ENV/PROMPT/HEAD or {live.ROLLOUTS}ENV/PROMPT/ID"
        yield Refusal(each.ref, "is the ref of no environment", forms)
        return
    environment, prompt, rollout = place
    trust = clone.newest_trust(git, root)
    rules = authority.rules(git, trust)
    chain = authority.decisions(git, each.new or "", rules, environment=environment, prompt=prompt)
    ids = [decision.oid for decision in chain]
    if each.old is not None and each.old not in ids:
        yield Refusal(each.ref, "decisions are not rewritten", f"{live.FETCH}; then decide again")
        return
    fresh = chain[: ids.index(each.old)] if each.old is not None else chain
    if rollout is not None:
        # What is live builds on it, and was judged; alone, it answers for its own decisions.
        fresh = [] if whole else [decision for decision in fresh if decision.rollout and decision.rollout.id == rollout]
    for index, decision in enumerate(fresh):
        reason = _unfit(git, decision, chain[index + 1 :], rules, root)
        if reason:
            yield Refusal(each.ref, f"decision number {decision.sequence}: {reason}")
    reason = _astray(git, chain, environment, prompt, rollout) if whole else None
    if reason:
        yield Refusal(each.ref, reason, "push both refs at once, as promptops rollout does")


def _place(ref: str) -> tuple[str, str, str | None] | None:
    """Return environment, prompt and, for a rollout's ref, its id; None for a ref that is neither."""
    prefix = live.PREFIX if ref.startswith(live.PREFIX) else live.ROLLOUTS
    environment, _, rest = ref.removeprefix(prefix).partition("/")
    prompt, _, last = rest.rpartition("/")
    known = live.ref_of(environment, prompt) if prefix == live.PREFIX else live.rollout_ref(environment, prompt, last)
    if known != ref or not prompt:
        return None
    return environment, prompt, None if prefix == live.PREFIX else last


def _astray(git: Git, chain: Sequence[Decision], environment: str, prompt: str, rollout: str | None) -> str | None:
    """Return how a rollout's ref and the live one contradict each other after the push, or None."""
    if rollout is None:
        now = chain[0].rollout
        own = live.rollout_ref(environment, prompt, now.id) if now else None
        if own and refs.read(git, own) != chain[0].oid:
            return f"{own} does not come with it"
        return None
    if chain[0].rollout is None or chain[0].rollout.id != rollout:
        return f"its newest decision is not of the rollout {rollout}"
    head = refs.read(git, live.ref_of(environment, prompt))
    if head is None or git.try_run("merge-base", "--is-ancestor", chain[0].oid, head).returncode:
        return "what is live does not build on it"
    return None


def _unfit(
    git: Git, decision: Decision, older: Sequence[Decision], rules: authority.Rules, root: str | None
) -> str | None:
    """Return why a new decision does not count, or None."""
    arms = [ramp.served(decision)]
    try:
        authority.check(decision, rules)
        if decision.rollout:
            if decision.time > time.time() + stepping.SKEW_SECONDS:
                return "it is dated more than an hour after this server's clock"
            authority.check_step(git, decision, older[0] if older else None, rules, old=False)
            deriving.check(git, decision, older[0])
            arms += [decision.rollout.canary] if decision.rollout.alive else []
        for arm in arms:
            reason = _unfit_arm(git, arm, older, rules, root)
            if reason:
                return reason
    except PromptopsError as error:
        return error.message
    return None


def _unfit_arm(
    git: Git, arm: ramp.Arm, older: Sequence[Decision], rules: authority.Rules, root: str | None
) -> str | None:
    if authority.is_left(list(older), arm.tag, rules):
        return f"it serves {arm.tag} again after a rollback from it"
    report = verify.release(git, arm.tag, verify.Options(root=root))
    if not report.good or report.stored is None:
        return f"{arm.tag} does not verify: {report.why}"
    if (report.stored.oid, report.stored.digest) != (arm.object, arm.manifest):
        return f"it names another {arm.tag} than this repository has"
    return None

"""Verifying a release offline: every check is listed, and what was not proved is not good.

Nothing of the repository's configuration is trusted: objects are read by id, the policy comes from the tagged commit,
its root from whoever runs this, revocations from every protected branch in the clone.
"""

from __future__ import annotations

import os
import time
from functools import cache, partial
from typing import TYPE_CHECKING, NamedTuple

from promptops.errors import InputError, PromptopsError, RefusedError, UsageError
from promptops.release import bundle, clone, signatures, stored
from promptops.repo import tags
from promptops.repo.source import TreeSource
from promptops.trust import policy

if TYPE_CHECKING:
    from collections.abc import Callable

    from promptops.registry.configuration import Configuration
    from promptops.release.attestation import Vouchers
    from promptops.release.stored import Stored
    from promptops.release.transparency import Expected
    from promptops.repo.git import Git
    from promptops.trust.policy import Trust


class Check(NamedTuple):
    """One check: its name, whether it holds (None: could not be told), and why."""

    name: str
    ok: bool | None
    detail: str


class Report:
    """What was found about one release.

    Args:
        tag: the tag's short name.

    Attributes:
        checks: in order; a check that others depend on comes before them.
        stored: the release, once it could be read.
        trust: the policy of its commit, once it could be read.
        configuration: its configuration, once it was recomputed.
        releasers: who signed its manifest and may release.
    """

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.checks: list[Check] = []
        self.stored: Stored | None = None
        self.trust: Trust | None = None
        self.configuration: Configuration | None = None
        self.releasers: frozenset[str] = frozenset()

    @property
    def good(self) -> bool:
        """Whether every check holds."""
        return bool(self.checks) and all(check.ok for check in self.checks)

    @property
    def why(self) -> str:
        """The first check that does not hold, in a sentence."""
        bad = [check for check in self.checks if not check.ok]
        return f"{bad[0].name}: {bad[0].detail}" if bad else ""

    @property
    def exit_code(self) -> int:
        """0 when good, 3 when something could not be told, 1 when something is wrong."""
        if any(check.ok is None for check in self.checks):
            return 3
        return 0 if self.good else 1

    def error(self, message: str, hint: str) -> PromptopsError:
        """Return the error of whoever needs this release to be good: a refusal, or that it could not be told."""
        kind = PromptopsError if self.exit_code == PromptopsError.exit_code else RefusedError
        return kind(f"{message}: {self.why}", hint=hint)

    def attempt(self, name: str, action: Callable[[], str | None]) -> bool:
        """Run one check: what it returns is the detail, what it raises is the reason that it does not hold."""
        try:
            self.checks.append(Check(name, True, action() or ""))
        except (RefusedError, InputError) as error:
            self.checks.append(Check(name, False, _words(error)))
        except PromptopsError as error:
            self.checks.append(Check(name, None, _words(error)))
        return bool(self.checks[-1].ok)


def _words(error: PromptopsError) -> str:
    """Return where, what and the next step, in one line."""
    line = f":{error.line}" if error.line is not None else ""
    place = f"{error.path}{line}: " if error.path and error.path not in error.message else ""
    return place + error.message + (f"; {error.hint}" if error.hint else "")


class Options(NamedTuple):
    """What the verifier knows by itself.

    Attributes:
        root: the pinned ``sha256:<hex>`` of the policy's first version.
        max_age: seconds that a release may be old by its tagger's clock.
        revoked: further revoked public keys, one a line.
        sigstore: what a Sigstore bundle beside the release must show, or None.
        state: path of the file that remembers what was seen before, or None.
        withdrawn_is_fine: whether a withdrawal is no reason against it, as for a release that is only followed.
    """

    root: str | None = None
    max_age: float | None = None
    revoked: bytes = b""
    sigstore: Expected | None = None
    state: str | None = None
    withdrawn_is_fine: bool = False


def release(git: Git, short: str, options: Options | None = None) -> Report:
    """Verify the release that a tag of this clone names.

    Args:
        git: the repository, opened strictly.
        short: the tag's short name.
        options: what the verifier knows by itself.

    Raises:
        PromptopsError: there is no such tag.
    """
    options = options or Options()
    report = Report(short)
    try:
        oid, data = stored.find(git, short)
    except RefusedError as error:
        report.checks.append(Check("tag", False, error.message))
        return report
    if report.attempt("tag", lambda: _parse(report, oid, data)):
        _judge(git, report, options)
    return report


def _parse(report: Report, oid: str, data: bytes) -> str:
    report.stored = stored.parse(oid, data)
    return oid


def _judge(git: Git, report: Report, options: Options) -> None:
    found = report.stored
    if found is None:
        return
    report.attempt("name", lambda: _name(found, report.tag))
    here = clone.Clone(git, found.tag.target)
    if not report.attempt("policy", lambda: _policy(git, report, here, options)) or report.trust is None:
        return
    trust = report.trust
    canary = partial(signatures.of_canary, found, trust)
    chain = signatures.begin(lambda: trust.verify_chain(options.root))
    begun = {
        **({"tag signature": signatures.begin(lambda: signatures.of_tag(found, trust))} if found.oid else {}),
        "release signature": signatures.begin(lambda: _release_signature(report, found, trust)),
        "canary signature": signatures.begin(canary) if found.manifest.canary.digest else canary,
    }
    history = signatures.begin(lambda: here.policy_history(trust))
    listed = signatures.begin(lambda: tags.releases(git, found.manifest.name))
    # ssh-keygen and git run while this process loads the rest of itself and reads the content.
    from promptops.release import attestation, lineage, proofs

    report.attempt("manifest", lambda: proofs.manifest(git, found, trust))
    report.attempt("content", lambda: proofs.content(git, report, found))
    report.attempt("policy chain", lambda: _chain(chain, here, trust, options.root))
    vouchers = cache(lambda: attestation.vouchers(git, found, trust, here, options.root))
    signed = _signatures(report, begun, vouchers)
    report.attempt("approvals", lambda: proofs.approvals(git, report, vouchers))
    # What nobody who may release has signed is not worth reading: its evidence could take any time to weigh.
    report.attempt("canary", lambda: proofs.canary(git, report, vouchers) if signed else _depends())
    report.attempt("previous", lambda: lineage.previous(git, found, listed(), trust))
    report.attempt("next", lambda: lineage.following(git, found, listed(), trust))
    report.attempt("branch", lambda: here.branch(trust))
    report.attempt("revocations", lambda: here.signed(trust, options.root or trust.root, history()))
    if not options.withdrawn_is_fine:
        report.attempt("not withdrawn", lambda: _withdrawn(git, report.tag))
    if options.max_age is not None:
        report.attempt("age", lambda: _age(found, options.max_age or 0.0))
    if options.sigstore is not None:
        expected = options.sigstore
        from promptops.release import transparency

        report.attempt("sigstore", lambda: transparency.check(found, expected))
    if options.state is not None:
        from promptops.release import seen

        report.attempt("state", lambda: seen.judge(git, report, here, options))


def _name(found: Stored, short: str) -> str:
    if found.tag.name != short:
        raise RefusedError(f"the tag object is for {found.tag.name}, but the ref is {short}")
    return short


def _policy(git: Git, report: Report, here: clone.Clone, options: Options) -> str:
    found = report.stored
    if found is None or found.tag.kind != "commit":
        raise RefusedError("the tag does not point to a commit")
    if git.object(found.tag.target) is None:
        raise PromptopsError(f"commit {found.tag.target[:12]} is not in this clone", hint=stored.FETCH_TAGS)
    trust = policy.load(TreeSource(git, found.tag.target), revoked=options.revoked)
    report.trust = trust._replace(revoked_keys=trust.revoked_keys + here.revocations(trust))
    return f"version {trust.version}"


def _chain(begun: Callable[[], str], here: clone.Clone, trust: Trust, root: str | None) -> str:
    try:
        return begun()
    except RefusedError:
        # A root whose key was revoked since: the others may have signed the same versions again on the branch.
        return here.mended(trust).verify_chain(root)


def _release_signature(report: Report, found: Stored, trust: Trust) -> str:
    report.releasers = signatures.releasers(found.bundle.first, trust)
    return ", ".join(sorted(report.releasers))


def _depends() -> str:
    raise RefusedError("it depends on signatures that do not hold")


def _signatures(report: Report, begun: dict[str, Callable[[], str]], vouchers: Callable[[], Vouchers]) -> bool:
    """List the releaser's signatures and return whether the release and its canary are signed.

    An attestation stands in for the signatures of a key that was revoked.
    """
    start = len(report.checks)
    held = {name: report.attempt(name, result) for name, result in begun.items()}
    if all(held.values()):
        return True
    try:
        found = vouchers()
    except PromptopsError:
        found = None
    if found and found.releasers:
        report.checks[start:] = [Check(name, True, f"attested by {found.names}") for name in begun]
        return True
    return held["release signature"] and held["canary signature"]


def _withdrawn(git: Git, short: str) -> str:
    if stored.is_withdrawn(git, short):
        raise RefusedError(f"{short} was withdrawn: git show '{short}!'")
    return ""


def _age(found: Stored, limit: float) -> str:
    age = time.time() - found.tag.time
    if age > limit:
        raise RefusedError(f"it was released {age / 86400:.1f} days ago by its tagger's clock")
    return f"{age / 86400:.1f} days by its tagger's clock"


def open_release(git: Git, text: str, options: Options) -> Report:
    """Verify what ``text`` names: a release of this clone, or else a file with a tag object or a bundle's JSON lines.

    Raises:
        PromptopsError: there is no such tag.
        UsageError: it is the name of no release, or the pinned root is no digest.
    """
    policy.check_root(options.root)
    try:
        short = stored.short_name(text)
    except UsageError:
        if not os.path.isfile(text):
            raise
    else:
        # Even where such a file exists: one of the repository must not stand in for the release of its name.
        return release(git, short, options)
    with open(text, "rb") as file:
        data = file.read(bundle.MAX_BYTES + 1)
    report = Report(text)
    if report.attempt("tag", lambda: _read(git, report, data)) and report.stored:
        report.tag = report.stored.tag.name
        _judge(git, report, options)
    return report


def _read(git: Git, report: Report, data: bytes) -> str:
    if data.startswith(b"{"):
        report.stored = stored.of_bundle(data)
        return "a bundle without its tag"
    # The object's id is the hash of these bytes, whether git has them or not.
    oid = git.run("hash-object", "-t", "tag", "--stdin", "--literally", stdin=data).decode().strip()
    return _parse(report, oid, data)

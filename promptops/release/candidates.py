"""What is to be released, and whether this is the place to do it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from promptops.errors import PromptopsError, RefusedError, UsageError
from promptops.registry import version as versions
from promptops.registry.governed import POLICY, is_governed
from promptops.registry.registry import Registry
from promptops.release import lineage
from promptops.repo import refs, tags
from promptops.repo.source import TreeSource
from promptops.text import printable
from promptops.trust import signers, sshsig

if TYPE_CHECKING:
    from promptops.registry.configuration import Configuration
    from promptops.release.stored import Stored
    from promptops.repo.git import Git
    from promptops.repo.tags import ReleaseTag
    from promptops.trust.policy import Trust


_MAX_REASON = 500


class Head(NamedTuple):
    """Where a release is made: full ref of the branch, its commit, and the commit's tree."""

    branch: str
    commit: str
    tree: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A prompt to release.

    Attributes:
        configuration: what is released.
        previous: the newest release of this prompt, or None.
        previous_tag: its tag.
        baseline: the newest that was not withdrawn, or None.
    """

    configuration: Configuration
    previous: Stored | None
    previous_tag: ReleaseTag | None
    baseline: Stored | None

    @property
    def name(self) -> str:
        """The prompt's name."""
        return self.configuration.prompt.name

    @property
    def version(self) -> str:
        """The version to release."""
        return self.configuration.prompt.version

    @property
    def tag(self) -> str:
        """The tag to create."""
        return tags.tag_name(self.name, self.version)

    @property
    def sequence(self) -> int:
        """The release's number."""
        return self.previous.manifest.sequence + 1 if self.previous else 1


def head(git: Git) -> Head:
    """Return the checked-out branch and its commit.

    Raises:
        PromptopsError: a shallow clone or a detached HEAD.
        GitError: not a repository, or one without a commit.
    """
    commit = git.commit("HEAD")
    if git.shallow:
        raise PromptopsError(
            "this clone is shallow: earlier releases and approvals may be missing",
            hint="git fetch --unshallow --tags",
        )
    branch = git.try_run("symbolic-ref", "--quiet", "HEAD").stdout.decode("utf-8", "surrogateescape").strip()
    if not branch:
        raise PromptopsError(
            "HEAD is detached: a release is made from a protected branch", hint="git switch main, or your branch"
        )
    return Head(branch, commit, git.text("rev-parse", f"{commit}^{{tree}}"))


def check_place(git: Git, place: Head, trust: Trust) -> None:
    """Check that this is a protected branch with nothing uncommitted in governed files.

    Raises:
        PromptopsError: saying what to do first.
    """
    if not trust.is_protected(place.branch):
        allowed = ", ".join(name.removeprefix("refs/heads/") for name in trust.policy["protected"])
        raise PromptopsError(
            f"{place.branch.removeprefix('refs/heads/')} is not a protected branch of the policy",
            hint=f"merge the change, then release from: {allowed}",
        )
    status = git.run("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all")
    paths = [line[3:].decode("utf-8", "replace") for line in status.split(b"\0") if line]
    changed = [path for path in paths if is_governed(path)]
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise PromptopsError(
            f"{changed[0]}{more} differs from the commit to release", hint="commit it or put it away: git status"
        )


def check_published(git: Git, place: Head, remote: str) -> None:
    """Check that the remote's branch has the commit: nobody could verify a tag that lies on no branch of theirs.

    Raises:
        PromptopsError: it was not pushed yet.
    """
    name = place.branch.removeprefix("refs/heads/")
    tracking = f"refs/remotes/{remote}/{name}"
    known = refs.read(git, tracking)
    if known and git.try_run("merge-base", "--is-ancestor", place.commit, known).returncode:
        raise PromptopsError(f"{remote} does not have this commit on {name} yet", hint=f"git push {remote} {name}")


def check_rules(git: Git) -> None:
    """Apply every rule to all governed files of the index, which is the commit here.

    Raises:
        RefusedError: something is found that blocks.
    """
    from promptops.checks.finding import BLOCK
    from promptops.checks.request import ALL, Request, carry_out

    found = [each for each in carry_out(git, Request(ALL)).findings if each.severity == BLOCK]
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise RefusedError(
            f"{found[0].rule}: {found[0].message}{more}",
            hint="promptops check --all",
            path=found[0].path,
            line=found[0].line,
        )


def reason_of(text: str) -> str:
    """Return a reason as one line.

    Raises:
        UsageError: it is empty or too long.
    """
    line = printable(" ".join(text.split()))
    if not line or len(line) > _MAX_REASON:
        raise UsageError(f"a reason has 1 to {_MAX_REASON} characters")
    return line


def unreleased(git: Git, place: Head, names: tuple[str, ...] = ()) -> list[Configuration]:
    """Return the configurations whose (name, version) has no tag, by name.

    Args:
        git: the repository.
        place: the commit to look at.
        names: prompts to look at; all when empty.

    Raises:
        UsageError: a prompt named is already released at its version.
        InputError: a prompt is missing or malformed.
    """
    registry = Registry(TreeSource(git, place.commit))
    released = {(tag.name, tag.version.text) for tag in tags.releases(git)}
    found = []
    for name in sorted(set(names)) or registry.names():
        version = registry.prompt(name).version
        if (name, version) not in released:
            found.append(registry.configuration(name))
        elif names:
            raise UsageError(f"{name} {version} is already released", hint=f"promptops bump {name}")
    return found


def candidate(git: Git, configuration: Configuration, trust: Trust) -> Candidate:
    """Return a configuration with the releases that it follows; they are verified up to the root of ``trust``.

    Raises:
        RefusedError: its version is not above every released one, something else has its tag, or the release before
            does not verify.
    """
    prompt = configuration.prompt
    earlier = tags.releases(git, prompt.name)
    version = versions.parse(prompt.version)
    if earlier and version <= earlier[-1].version:
        raise RefusedError(
            f"{prompt.name} {prompt.version} is not above the released {earlier[-1].version.text}",
            hint=f"promptops bump {prompt.name}",
            path=prompt.path,
        )
    taken = tags.tag_name(prompt.name, prompt.version)
    if refs.read(git, f"refs/tags/{taken}") is not None:
        # Before a canary is paid for.
        raise RefusedError(
            f"the tag {taken} exists and is no release", hint=f"git show {taken}; then git tag -d {taken}"
        )
    previous = verified(git, earlier[-1].tag, trust) if earlier else None
    return Candidate(configuration, previous, earlier[-1] if earlier else None, baseline(git, earlier, trust))


def check_policy(found: Candidate, trust: Trust) -> None:
    """Raise unless a release under this policy can follow the one before it.

    Raises:
        RefusedError: that one was made under a newer policy than this commit has.
    """
    if found.previous and found.previous.manifest.policy["version"] > trust.version:
        raise RefusedError(
            f"{found.previous.manifest.tag} was released under a newer policy than this commit has",
            hint="bring the newest policy to this branch: git merge",
        )


def baseline(git: Git, releases: list[ReleaseTag], trust: Trust) -> Stored | None:
    """Return the newest of a prompt's releases that nobody who may has taken back, verified, or None.

    Args:
        git: the repository.
        releases: of one prompt, in order of version.
        trust: the policy that decides.

    Raises:
        RefusedError: a release on the way does not verify.
    """
    for tag in reversed(releases):
        found = verified(git, tag.tag, trust)
        if not lineage.is_withdrawn(git, found, trust):
            return found
    return None


def verified(git: Git, short: str, trust: Trust) -> Stored:
    """Return a release that verifies up to the root of ``trust``, withdrawn or not.

    Raises:
        RefusedError: it does not.
        PromptopsError: it could not be told.
    """
    from promptops.release import verify

    report = verify.release(git, short, verify.Options(root=trust.root, withdrawn_is_fine=True))
    if report.stored is None or not report.good:
        raise report.error(f"the earlier release {short} does not verify", f"promptops verify {short} -v")
    return report.stored


def signer(trust: Trust, key: str, *namespaces: str) -> str:
    """Return who holds a signing key.

    Raises:
        RefusedError: the key is not in the policy, is revoked, or may not sign for one of ``namespaces``.
    """
    public = sshsig.public_key(key)
    line = signers.find(signers.parse(trust.allowed_signers), public)
    if line is None:
        hint = "promptops key add NAME FILE.pub"
        raise RefusedError(f"key {sshsig.fingerprint(public)} is not in {signers.ALLOWED}", hint=hint)
    who = trust.owner(line.principal)
    if public in signers.revoked(trust.revoked_keys):
        raise RefusedError(f"the signing key of {who} is revoked", hint="promptops key rotate")
    missing = set(namespaces) - set(line.namespaces)
    if missing:
        raise RefusedError(f"the key of {who} may not sign for {', '.join(sorted(missing))}", hint="promptops key lint")
    return who


def check_envelope_key(trust: Trust, key: str, who: str) -> None:
    """Raise unless ``who`` signs the envelopes of a release with a key of their own: one release, one releaser.

    Raises:
        RefusedError: the key is somebody else's, makes signatures of the other kind, or may not sign releases.
    """
    holder = signer(trust, key, sshsig.RELEASE)
    if holder != who:
        raise RefusedError(f"the envelope key is {holder}'s and the tag's key {who}'s: one person signs a release")
    trust.check_kind(key)


def releaser(trust: Trust, key: str, *roles: str) -> str:
    """Return who holds a signing key and has one of ``roles``.

    Raises:
        RefusedError: the key is not in the policy, is revoked, may not sign releases, or has none of the roles.
    """
    who = signer(trust, key, sshsig.GIT, sshsig.RELEASE)
    if not any(trust.has_role(who, role) for role in roles):
        raise RefusedError(
            f"{who} has not the role {' or '.join(roles)} that this needs", hint=f"see roles in {POLICY}"
        )
    return who

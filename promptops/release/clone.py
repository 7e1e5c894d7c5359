"""What this clone knows about its protected branches: revoked keys, the newest policy, and what they contain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.errors import InputError, PromptopsError, RefusedError
from promptops.registry.governed import OWN, POLICY, POLICY_HISTORY
from promptops.registry.registry import Registry
from promptops.release.stored import FETCH_TAGS
from promptops.repo import refs
from promptops.repo.source import TreeSource
from promptops.trust import chain, envelope, policy, signers, sshsig

if TYPE_CHECKING:
    from collections.abc import Iterator

    from promptops.registry.project import Project
    from promptops.repo.git import Git
    from promptops.trust.policy import Trust

_DEEPEN = "git fetch --unshallow --tags"


def newest_trust(git: Git, root: str | None = None) -> Trust:
    """Return the newest policy of HEAD and of the protected branches that it names, with all their revoked keys.

    Args:
        git: the repository.
        root: the pinned ``sha256:<hex>`` of the policy's first version; None takes what HEAD has.

    Raises:
        RefusedError: there is none, or its chain does not verify.
    """
    commit = git.commit("HEAD")
    trust = policy.load(TreeSource(git, commit))
    trust.verify_chain(root)
    here = Clone(git, commit)
    return here.newest_policy(trust._replace(revoked_keys=trust.revoked_keys + here.revocations(trust)), root)


def earlier_policies(git: Git, trust: Trust) -> list[Trust]:
    """Return the versions of the policy before ``trust`` that the protected branches had, newest first.

    Each follows from the same root. Keys that were revoked since count in none of them.
    """
    found: dict[int, Trust] = {}
    here = Clone(git, git.commit("HEAD"))
    for line in here.policy_history(trust).splitlines():
        if not line or line.startswith(POLICY_HISTORY):
            continue
        try:
            older = policy.load(TreeSource(git, line, commit=line), revoked=trust.revoked_keys)
            older.verify_chain(trust.root)
        except (RefusedError, InputError):
            continue
        if older.version < trust.version:
            found.setdefault(older.version, older)
    return [found[version] for version in sorted(found, reverse=True)]


def settings(git: Git, trust: Trust) -> Project:
    """Return the project's settings as the protected branches have them, see `base`."""
    return Registry(TreeSource(git, base(git, trust))).project


def base(git: Git, trust: Trust) -> str:
    """Return the revision that says what this clone is held to: a topic branch says nothing about roles or plans.

    That is HEAD where it is on a protected branch; else the first of the policy's branches that this clone has, its
    own or a remote's; else HEAD.
    """
    here = git.try_run("symbolic-ref", "--quiet", "HEAD").stdout.decode("utf-8", "surrogateescape").strip()
    if trust.is_protected(here):
        return "HEAD"
    known = refs.listing(git, "refs/heads", "refs/remotes")
    names = [ref for name in trust.policy["protected"] for ref in known if _local(ref) == name]
    return known[names[0]] if names else "HEAD"


def versions_of(git: Git, trust: Trust, path: str) -> Iterator[bytes]:
    """Yield every content that a file has had on the protected branches, newest first."""
    tips = Clone(git, git.commit("HEAD")).tips(trust)
    if not tips:
        return
    options = ["--full-history", "--diff-merges=first-parent", "--no-show-signature", "--no-follow", "--no-color"]
    for commit in git.text("log", *options, "--format=%H", *tips, "--", f":(top,literal){path}").splitlines():
        found = git.object(f"{commit}:{path}")
        if found is not None and found.kind == "blob":
            yield found.data


class Clone:
    """The protected branches of a clone, its own and those of its remotes.

    Args:
        git: the repository.
        commit: the commit that is asked about.
    """

    def __init__(self, git: Git, commit: str) -> None:
        self.git = git
        self.commit = commit
        self._heads: dict[str, str] | None = None

    def tips(self, trust: Trust) -> list[str]:
        """Return the commit ids of the protected branches, each once."""
        if self._heads is None:
            self._heads = refs.listing(self.git, "refs/heads", "refs/remotes")
        return sorted({oid for ref, oid in self._heads.items() if trust.is_protected(_local(ref))})

    def revocations(self, trust: Trust) -> bytes:
        """Return the revoked keys that the tips of protected branches list, one a line."""
        found = [self.git.object(f"{tip}:{signers.REVOKED}") for tip in self.tips(trust) if tip != self.commit]
        return b"".join(blob.data.rstrip(b"\n") + b"\n" for blob in found if blob)

    def listed(self, trust: Trust) -> set[bytes]:
        """Return the revoked keys that the commit and the tips of protected branches list."""
        own = self.git.object(f"{self.commit}:{signers.REVOKED}")
        return signers.revoked(self.revocations(trust) + (own.data if own else b""))

    def policy_history(self, trust: Trust) -> str:
        """Return git's list of the commits in protected branches that wrote a policy version or revoked keys.

        Each commit's id stands before the paths that it wrote.
        """
        tips = self.tips(trust)
        # Asked for here, where nobody waits for it, and remembered.
        if self.git.shallow or not tips:
            return ""
        # Without these options the repository's configuration, or a merge that takes the older side, hides some.
        options = ["--full-history", "--diff-merges=first-parent", "--no-show-signature", "--no-follow", "--no-color"]
        shown = ["--no-renames", "--no-relative", "--diff-filter=d", "--name-only", "--format=%H"]
        paths = [f":(top,literal){path}" for path in (POLICY_HISTORY.rstrip("/"), signers.REVOKED)]
        return self.git.text("log", *options, *shown, *tips, "--", *paths)

    def signed(self, trust: Trust, root: str | None, history: str) -> str:
        """Return that the policies at the tips are signed: their revoked keys count, so nobody may drop one unseen.

        Args:
            trust: the policy of the commit.
            root: the pinned digest of the policy's first version.
            history: from `policy_history`.

        Raises:
            PromptopsError: this clone's history is cut off, so that what it once had cannot be told.
            RefusedError: a tip that contains the commit has lost its policy, one is not what its roots signed, or
                the branches once had a newer one than now, or once had a key revoked that is not any more.
            InputError: a policy is malformed.
        """
        others = [tip for tip in self.tips(trust) if tip != self.commit and not self._same_policy(tip, trust)]
        newest, source = trust, self.commit
        for tip in others:
            if self.git.object(f"{tip}:{POLICY}") is None and not self._contains(tip):
                continue
            try:
                loaded = policy.load(TreeSource(self.git, tip, commit=tip), revoked=trust.revoked_keys)
                loaded.verify_chain(root)
            except RefusedError as error:
                message = f"a protected branch at {tip[:12]}: {error.message}"
                raise RefusedError(message, hint=error.hint, path=error.path) from error
            if loaded.version > newest.version:
                newest, source = loaded, tip
        written = list(_written(history))
        self._check_newest(newest, written)
        self._check_revoked(newest, source, written)
        if self.git.shallow:
            raise PromptopsError("this clone is too shallow to know what was revoked", hint=_DEEPEN)
        return f"{len(others)} other policies" if others else "the policy of the release is in force"

    def _check_newest(self, newest: Trust, written: list[tuple[str, str]]) -> None:
        following = chain.path(newest.version + 1)
        for commit, line in written:
            if line == following and self._had_signed(f"{commit}:{line}", newest):
                version = newest.version
                raise RefusedError(
                    f"the policy went back from version {version + 1} to {version}: {commit[:12]} had it signed",
                    hint=f"git checkout {commit[:12]} -- {OWN}; what was wrong with it is changed by a further version",
                    path=following,
                )

    def _check_revoked(self, newest: Trust, source: str, written: list[tuple[str, str]]) -> None:
        """Refuse a policy that forgot a revocation of an earlier version: what the key signed would be good again."""
        signed = {chain.revoked_digest(link) for link in newest.links}
        if len(signed) < 2:
            return
        now = self.git.object(f"{source}:{signers.REVOKED}")
        kept = signers.revoked(now.data if now else b"")
        for commit, path in written:
            found = self.git.object(f"{commit}:{path}") if path == signers.REVOKED else None
            if found is None or chain.sha256(found.data) not in signed:
                continue
            lost = signers.revoked(found.data) - kept
            if lost:
                key = sshsig.fingerprint(min(lost))
                raise RefusedError(
                    f"key {key} was revoked at {commit[:12]}, and the newest policy does not revoke it any more",
                    hint="a revocation is for good: put the key back, then promptops policy sign",
                    path=signers.REVOKED,
                )

    def _had_signed(self, spec: str, newest: Trust) -> bool:
        """Return whether it was a signed version: a draft or a stranger's file may go again."""
        found = self.git.object(spec)
        try:
            return found is not None and chain.continues(newest, envelope.parse(found.data))
        except InputError:
            return False

    def _same_policy(self, tip: str, trust: Trust) -> bool:
        found = {path: self.git.object(f"{tip}:{path}") for path in trust.digests}
        return all(blob and chain.sha256(blob.data) == trust.digests[path] for path, blob in found.items())

    def _contains(self, tip: str) -> bool:
        return tip == self.commit or not self.git.try_run("merge-base", "--is-ancestor", self.commit, tip).returncode

    def mended(self, trust: Trust) -> Trust:
        """Return ``trust`` with the signatures that the protected branches hold on the same policy versions."""
        links = list(trust.links)
        for tip in self.tips(trust):
            for index, link in enumerate(links):
                again = self.git.object(f"{tip}:{chain.path(index + 1)}")
                signed = envelope.parse(again.data) if again else link
                if signed.payload == link.payload:
                    links[index] = link._replace(signatures=link.signatures + signed.signatures, source=b"")
        return trust._replace(links=tuple(links))

    def branch(self, trust: Trust) -> str:
        """Return that the commit lies on a protected branch.

        Raises:
            PromptopsError: this clone has no protected branch.
            RefusedError: none of them contains the commit.
        """
        tips = self.tips(trust)
        if not tips:
            raise PromptopsError("this clone has no protected branch", hint=f"git fetch origin; {FETCH_TAGS}")
        for tip in tips:
            if self._contains(tip):
                return f"on a protected branch at {tip[:12]}"
        if self.git.shallow:
            raise PromptopsError("this clone is too shallow to know", hint=_DEEPEN)
        raise RefusedError(f"commit {self.commit[:12]} is on no protected branch")

    def newest_policy(self, trust: Trust, root: str | None) -> Trust:
        """Return the newest policy of ``trust`` and the protected branches, verified up to the same root.

        Raises:
            RefusedError: a newer one does not follow from the root.
        """
        found = [trust]
        for tip in self.tips(trust):
            if self.git.object(f"{tip}:{POLICY}") is None:
                continue
            loaded = policy.load(TreeSource(self.git, tip), revoked=trust.revoked_keys)
            if loaded.version > found[-1].version:
                loaded.verify_chain(root or trust.root)
                found.append(loaded)
        return found[-1]


def _written(history: str) -> Iterator[tuple[str, str]]:
    """Yield commit and path of each line of `Clone.policy_history`."""
    commit = ""
    for line in history.splitlines():
        if line.startswith(OWN):
            yield commit, line
        else:
            commit = line or commit


def _local(ref: str) -> str:
    if ref.startswith("refs/remotes/"):
        return "refs/heads/" + ref.removeprefix("refs/remotes/").partition("/")[2]
    return ref

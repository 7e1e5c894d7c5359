"""What a change or a release consists of, as the things that people sign."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.errors import InputError
from promptops.registry.governed import PROJECT, is_governed
from promptops.registry.prompt import EVALS, MODELS, PROMPTS, is_prompt, prompt_name
from promptops.registry.registry import Registry
from promptops.registry.templates import include_path
from promptops.repo import tags
from promptops.repo.source import SUBMODULE, SYMLINK, TreeSource

if TYPE_CHECKING:
    from promptops.registry.configuration import Configuration
    from promptops.repo.git import Git
    from promptops.repo.tags import ReleaseTag

PROMPT_PREFIX = "prompt/"


class Subject(NamedTuple):
    """One thing to approve.

    Attributes:
        name: ``prompt/<name>``, or the path of a file.
        digest: SHA-256, 64 hexadecimal digits: the configuration's, or the file's bytes (of a deleted file: its last).
        annotations: what the signature says besides: a prompt's ``version``, ``previous`` release, ``evals`` and
            ``owners``; a file's ``previous`` digest, or that it is ``deleted``.
        paths: the files it consists of.
        owners: a prompt's owners as the branch has them that takes the change; a change does not pick its own.
    """

    name: str
    digest: str
    annotations: dict[str, Any]
    paths: tuple[str, ...]
    owners: tuple[str, ...] = ()

    def descriptor(self) -> dict[str, Any]:
        """Return the subject as an in-toto resource descriptor."""
        return {"name": self.name, "digest": {"sha256": self.digest}, "annotations": self.annotations}

    @property
    def is_prompt(self) -> bool:
        """Whether this is a prompt, and not a file."""
        return "version" in self.annotations

    @property
    def title(self) -> str:
        """The subject in words: ``prompt/reply 1.3.0``, ``evals/safety.yaml``, ``models/old.yaml (deleted)``."""
        if self.is_prompt:
            return f"{self.name} {self.annotations['version']}"
        return f"{self.name} (deleted)" if "deleted" in self.annotations else self.name


class Changed(NamedTuple):
    """A changed path: modes and blob ids before and after; a missing side has the mode ``000000``."""

    old_mode: str
    new_mode: str
    old: str
    new: str

    @property
    def deleted(self) -> bool:
        """Whether the path is gone."""
        return self.new_mode == "000000"

    @property
    def special(self) -> bool:
        """Whether the path became a symbolic link or a submodule, which no digest of content pins down."""
        return self.new_mode in {SYMLINK, SUBMODULE}


def changes(git: Git, base: str, head: str) -> dict[str, Changed]:
    """Return the governed paths that differ between two trees, renames as deletion and addition."""
    listing = git.run("diff-tree", "-r", "-z", "--no-renames", base, head).split(b"\0")
    found = {}
    for meta, path in zip(listing[0::2], listing[1::2], strict=False):
        fields = meta.decode().removeprefix(":").split(" ")
        name = path.decode("utf-8", "surrogateescape")
        if is_governed(name):
            found[name] = Changed(*fields[:4])
    return found


def of_change(git: Git, paths: dict[str, Changed], base: str, head: str, target: str) -> list[Subject]:
    """Return what a change consists of.

    Args:
        git: the repository.
        paths: `changes` between ``base`` and ``head``.
        base: the merge base, a commit, or the empty tree.
        head: the commit that is judged.
        target: the tip of the branch that takes the change; it decides which releases went before.

    Raises:
        InputError: a changed prompt is malformed.
    """
    registry = Registry(TreeSource(git, head))
    names, used = _affected(registry, paths)
    releases = tags.releases_of(git, names)
    older = (
        Registry(TreeSource(git, base)) if git.try_run("cat-file", "-e", f"{base}^{{commit}}").returncode == 0 else None
    )
    taker = Registry(TreeSource(git, target))
    found = []
    for name in sorted(names):
        configuration = registry.configuration(name)
        if older is None or _identity(registry, name) != _identity(older, name):
            previous = newest(git, releases[name], configuration.prompt.version, target)
            subject = of_prompt(configuration, previous.version.text if previous else None)
            found.append(subject._replace(owners=_owners(taker, name) or subject.owners))
    rest = {path: changed for path, changed in paths.items() if path not in used and _is_file(path, changed)}
    return found + _files(git, rest)


def of_prompt(configuration: Configuration, previous: str | None) -> Subject:
    """Return the subject of a prompt; ``previous`` is the version of the release before it, or None."""
    prompt = configuration.prompt
    annotations = {
        "version": prompt.version,
        "previous": previous,
        "evals": sorted(prompt.evals),
        "owners": sorted(prompt.owners),
    }
    paths = (prompt.path, *sorted(map(include_path, configuration.includes)))
    digest = configuration.digest.removeprefix("sha256:")
    return Subject(PROMPT_PREFIX + prompt.name, digest, annotations, paths, tuple(prompt.owners))


def of_release(
    git: Git, registry: Registry, configuration: Configuration, previous: ReleaseTag | None, commit: str
) -> list[Subject]:
    """Return what a release consists of: its prompt, and what shaped it and changed since the release ``previous``."""
    found = [of_prompt(configuration, previous.version.text if previous else None)]
    for path in shaping(registry, configuration):
        before = git.object(f"{previous.commit}:{path}") if previous else None
        now = git.object(f"{commit}:{path}")
        if now is None and before is not None and before.kind == "blob":
            # Without the settings, the defaults judge: somebody must have wanted that.
            found.append(Subject(path, hashlib.sha256(before.data).hexdigest(), {"deleted": True}, (path,)))
        if now is not None and now.kind == "blob" and (before is None or before.oid != now.oid):
            digest = hashlib.sha256(now.data).hexdigest()
            found.append(Subject(path, digest, {"previous": digest}, (path,)))
    return found


def shaping(registry: Registry, configuration: Configuration) -> list[str]:
    """Return the governed files besides the prompt that decide how it behaves and how it is judged."""
    suites = {*configuration.prompt.evals, *registry.project.canary.suites_required}
    return [PROJECT, configuration.model.path, *(f"{EVALS}{name}.yaml" for name in sorted(suites))]


def newest(git: Git, releases: list[ReleaseTag], version: str, target: str) -> ReleaseTag | None:
    """Return the newest of one prompt's releases as a change to ``version`` must name it, or None.

    The release of that very version counts only when ``target`` already holds it: a check that runs again after the
    release must come to the same verdict, but content that was released and taken back is never approved by the
    signatures of that time.
    """
    for release in releases[::-1]:
        if release.version.text != version:
            return release
        if git.try_run("merge-base", "--is-ancestor", release.commit, target).returncode == 0:
            return release
    return None


def _is_file(path: str, changed: Changed) -> bool:
    if changed.deleted or not is_prompt(path):
        return True
    try:
        prompt_name(path)
    except InputError:
        return True
    return False


def _affected(registry: Registry, paths: dict[str, Changed]) -> tuple[set[str], set[str]]:
    """Return the names of prompts that may have changed, and the changed includes that they stand for."""
    names = {prompt_name(path) for path, changed in paths.items() if not _is_file(path, changed)}
    shared = {path for path, changed in paths.items() if path.startswith((PROMPTS, MODELS)) and _is_file(path, changed)}
    used: set[str] = set()
    if not shared:
        return names, used
    for name in registry.names():
        try:
            prompt = registry.prompt(name)
            includes = set(map(include_path, registry.includes(prompt)))
        except InputError:
            # A broken prompt that nobody touched is not this change's; `check` reports it.
            if name in names:
                raise
            continue
        used |= includes & shared
        if includes & shared or f"{MODELS}{prompt.model}.yaml" in shared:
            names.add(name)
    return names, used


def _owners(registry: Registry, name: str) -> tuple[str, ...]:
    try:
        return tuple(registry.prompt(name).owners)
    except InputError:
        return ()


def _identity(registry: Registry, name: str) -> dict[str, Any] | None:
    try:
        return of_prompt(registry.configuration(name), None).descriptor()
    except InputError:
        return None


def _files(git: Git, paths: dict[str, Changed]) -> list[Subject]:
    kept = {path: changed for path, changed in paths.items() if not changed.special}
    sides = {oid for changed in kept.values() for oid in (changed.old, changed.new)}
    modes = {
        oid: mode
        for changed in kept.values()
        for mode, oid in ((changed.old_mode, changed.old), (changed.new_mode, changed.new))
    }
    blobs = git.objects(sorted(oid for oid in sides if modes[oid] not in {"000000", SUBMODULE}))
    digests = {oid: hashlib.sha256(data).hexdigest() for oid, data in blobs.items()}
    found = []
    for path, changed in sorted(kept.items()):
        before = digests.get(changed.old)
        if changed.deleted:
            found.append(Subject(path, before or _NOTHING, {"deleted": True}, (path,)))
        else:
            found.append(Subject(path, digests[changed.new], {"previous": before}, (path,)))
    return found


_NOTHING = hashlib.sha256(b"").hexdigest()

"""What a prompt was before: its releases, and the state that it is compared with where there are none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.checks import standing
from promptops.errors import InputError
from promptops.registry.prompt import model_path, parse_model
from promptops.registry.registry import Registry
from promptops.repo import tags
from promptops.repo.git import GitError
from promptops.repo.source import TreeSource

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from promptops.checks.standing import Standing
    from promptops.registry.configuration import Configuration
    from promptops.registry.prompt import Model
    from promptops.repo.git import Git
    from promptops.repo.tags import ReleaseTag


class History:
    """Releases and earlier states of some prompts.

    Args:
        git: the repository.
        names: the prompts that will be asked for.
        bases: makers of the states to compare an unreleased prompt with, in order; each is called when needed.
    """

    def __init__(self, git: Git, names: Collection[str], bases: tuple[Callable[[], Registry | None], ...]) -> None:
        self._git = git
        self._names = names
        self._makers = bases
        self._made: dict[int, Registry | None] = {}
        self._tags: dict[str, list[ReleaseTag]] | None = None
        self._cut_off = False
        self._trees: dict[str, Registry] = {}
        self._standings: dict[str, Standing] = {}

    def releases(self, name: str) -> list[ReleaseTag]:
        """Return the releases of a prompt in order of version.

        Raises:
            GitError: there are none, but the clone is shallow, so that they may exist elsewhere.
        """
        if self._tags is None:
            self._tags = tags.releases_of(self._git, self._names)
            self._cut_off = not any(self._tags.values()) and self._git.shallow
        if self._cut_off:
            raise GitError(
                "this clone is shallow and has no release tags, so versions cannot be judged",
                hint="git fetch --unshallow --tags",
            )
        return self._tags.get(name, [])

    def standing(self, name: str, configuration: Callable[[], Configuration]) -> Standing:
        """Return whether the version of a prompt is legal; worked out once, and only where there is a past.

        Raises:
            GitError: as `releases`.
        """
        if name not in self._standings:
            past = bool(self._makers or self.releases(name))
            self._standings[name] = standing.judge(configuration(), self) if past else standing.LEGAL
        return self._standings[name]

    def released(self, release: ReleaseTag) -> Configuration | None:
        """Return the configuration that a tag released, or None when its files cannot be read any more."""
        if release.commit not in self._trees:
            source = TreeSource(self._git, release.commit, commit=release.commit)
            self._trees[release.commit] = Registry(source)
        return _configuration(self._trees[release.commit], release.name)

    def before(self, name: str, position: int) -> Configuration | None:
        """Return the prompt in the ``position``-th earlier state, or None where it was absent or unreadable."""
        if position not in self._made:
            self._made[position] = self._makers[position]()
        registry = self._made[position]
        return _configuration(registry, name) if registry else None

    @property
    def states(self) -> int:
        """How many earlier states there are."""
        return len(self._makers)


class ReleasedModels:
    """Model files as releases used them.

    Args:
        git: the repository.
        names: the models that will be asked for.
    """

    def __init__(self, git: Git, names: Collection[str]) -> None:
        self._git = git
        # git answers in lines; a file with a line break in its name can be no model's.
        self._names = sorted(name for name in names if name.isprintable())
        self._used: dict[str, dict[str, list[ReleaseTag]]] | None = None

    def differing(self, model: Model) -> tuple[ReleaseTag, list[str]] | None:
        """Return a release that used this model file with other behaviour fields, and which; None when none did."""
        for oid, releases in self._blobs().get(model.name, {}).items():
            fields = self._differences(oid, model)
            if fields:
                for release in releases:
                    source = TreeSource(self._git, release.commit, commit=release.commit)
                    if _names_model(Registry(source), release.name, model.name):
                        return release, fields
        return None

    def _differences(self, oid: str, model: Model) -> list[str]:
        found = self._git.object(oid)
        try:
            was = parse_model(model.path, found.data if found else b"").identity
        except InputError:
            return []
        now = model.identity
        return ["parameters" if field == "defaults" else field for field in was if was[field] != now[field]]

    def _blobs(self) -> dict[str, dict[str, list[ReleaseTag]]]:
        """Return releases by the blob that they had of a model file, by model, in two processes."""
        if self._used is None:
            self._used = {name: {} for name in self._names}
            releases = tags.releases(self._git)
            pairs = [(name, release) for name in self._names for release in releases]
            specs = "".join(f"{release.commit}:{model_path(name)}\n" for name, release in pairs)
            listing = self._git.run("cat-file", "--batch-check=%(objectname)", "--buffer", stdin=specs.encode())
            for (name, release), line in zip(pairs, listing.decode().splitlines(), strict=True):
                if not line.endswith(" missing"):
                    self._used[name].setdefault(line, []).append(release)
        return self._used


def _names_model(registry: Registry, prompt: str, model: str) -> bool:
    try:
        return registry.prompt(prompt).model == model
    except InputError:
        return False


def _configuration(registry: Registry, name: str) -> Configuration | None:
    try:
        return registry.configuration(name)
    except InputError:
        return None

"""What a branch held before and took back: the signatures of that time have served."""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING

from promptops.errors import InputError, PromptopsError
from promptops.registry.prompt import MODELS
from promptops.registry.registry import Registry
from promptops.repo.source import TreeSource
from promptops.trust import subjects

if TYPE_CHECKING:
    from promptops.repo.git import Git
    from promptops.trust.subjects import Subject

_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class Landings:
    """The past of a branch.

    Args:
        git: the repository.
        tip: id of the branch's newest commit.
        head: id of the commit that is to go onto it.
    """

    def __init__(self, git: Git, tip: str, head: str) -> None:
        self._git = git
        self._tip = tip
        self._head = head
        self._known: dict[tuple[str, str | None], bool] = {}
        self._changes: dict[str | None, dict[str, list[str]]] = {}
        self._registries: dict[str, Registry] = {}

    def used_up(self, subject: Subject, base: str | None) -> bool:
        """Return whether the branch held a subject at or after the commit ``base``, and does not at its tip.

        Otherwise whoever reverts a revert would bring back, on the signatures of the first time, what others decided
        to take away.

        Args:
            subject: what ``head`` changes.
            base: the merge base that a signature states; what is no commit here stands for the branch's beginning.

        Raises:
            PromptopsError: the clone is too shallow to know.
        """
        key = subject.name, base
        if key not in self._known:
            self._known[key] = not self._holds(self._tip, subject) and any(
                self._holds(commit, subject) for commit in self._since(subject, base)
            )
        return self._known[key]

    def _since(self, subject: Subject, base: str | None) -> list[str]:
        """Return the commits from ``base`` to the tip in which the branch may have come to hold a subject."""
        if base == self._tip:
            return []
        found = self._git.object(base) if base is not None and _ID.fullmatch(base) else None
        start = base if found is not None and found.kind == "commit" else None
        if start not in self._changes:
            self._changes[start] = self._changed_since(start)
        paths = [*subject.paths, *self._models(subject)]
        commits = dict.fromkeys(commit for path in paths for commit in self._changes[start].get(path, ()))
        return [start, *commits] if start else [*commits]

    def _changed_since(self, start: str | None) -> dict[str, list[str]]:
        """Return the commits of the branch by the paths that they changed, on either side of a merge and in it."""
        options = ["--full-history", "--diff-merges=first-parent", "--no-show-signature", "--no-follow", "--no-color"]
        shown = ["--no-renames", "--no-relative", "--name-only", "-z", "--format=%x01%H"]
        revisions = [self._tip, *([f"^{start}"] if start else [])]
        changed: dict[str, list[str]] = {}
        cut_off = self._cut_off()
        commit = ""
        # The first commit's files count too, whatever the user's settings are.
        command = ["-c", "log.showRoot=true", "log", *options, *shown, "--end-of-options", *revisions, "--"]
        for field in self._git.run(*command).split(b"\0"):
            if field.startswith(b"\x01"):
                commit = field[1:].decode()
                if commit in cut_off:
                    message = "this shallow clone does not reach back to where an approval was given"
                    raise PromptopsError(message, hint="git fetch --unshallow --tags")
            else:
                changed.setdefault(os.fsdecode(field.removeprefix(b"\n")), []).append(commit)
        return changed

    def _cut_off(self) -> set[str]:
        """Return the commits whose parents a shallow clone left out."""
        if not self._git.shallow:
            return set()
        with open(
            self._git.text("rev-parse", "--path-format=absolute", "--git-path", "shallow"), encoding="ascii"
        ) as file:
            return set(file.read().split())

    def _models(self, subject: Subject) -> list[str]:
        if not subject.is_prompt:
            return []
        return [f"{MODELS}{self._registry(self._head).prompt(_prompt_of(subject)).model}.yaml"]

    def _registry(self, commit: str) -> Registry:
        if commit not in self._registries:
            self._registries[commit] = Registry(TreeSource(self._git, commit, commit=commit))
        return self._registries[commit]

    def _holds(self, commit: str, subject: Subject) -> bool:
        if not subject.is_prompt:
            found = self._git.object(f"{commit}:{subject.name}")
            if "deleted" in subject.annotations or found is None:
                return found is None and "deleted" in subject.annotations
            return hashlib.sha256(found.data).hexdigest() == subject.digest
        try:
            configuration = self._registry(commit).configuration(_prompt_of(subject))
        except InputError:
            return False
        return subjects.of_prompt(configuration, subject.annotations["previous"]).descriptor() == subject.descriptor()


def _prompt_of(subject: Subject) -> str:
    return subject.name.removeprefix(subjects.PROMPT_PREFIX)

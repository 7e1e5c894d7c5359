"""What a branch held before and took back: the signatures of that time have served."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from promptops.errors import InputError
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

    def used_up(self, subject: Subject, base: str | None) -> bool:
        """Return whether the branch held a subject at or after the commit ``base``, and does not at its tip.

        Otherwise whoever reverts a revert would bring back, on the signatures of the first time, what others decided
        to take away.

        Args:
            subject: what ``head`` changes.
            base: the merge base that a signature states; what is no commit here stands for the branch's beginning.
        """
        key = subject.name, base
        if key not in self._known:
            self._known[key] = not self._holds(self._tip, subject) and any(
                self._holds(commit, subject) for commit in self._since(subject, base)
            )
        return self._known[key]

    def _since(self, subject: Subject, base: str | None) -> list[str]:
        found = self._git.object(base) if base is not None and _ID.fullmatch(base) else None
        start = [base] if base is not None and found is not None and found.kind == "commit" else []
        paths = [*subject.paths, *self._models(subject)]
        # It may have been held on either side of a merge.
        walk = ["--full-history", "--end-of-options", self._tip, *(f"^{commit}" for commit in start)]
        listing = self._git.text("rev-list", *walk, "--", *(f":(top,literal){path}" for path in paths))
        return [*start, *listing.split()]

    def _models(self, subject: Subject) -> list[str]:
        if not subject.is_prompt:
            return []
        registry = Registry(TreeSource(self._git, self._head, commit=self._head))
        return [f"{MODELS}{registry.prompt(subject.name.removeprefix(subjects.PROMPT_PREFIX)).model}.yaml"]

    def _holds(self, commit: str, subject: Subject) -> bool:
        if not subject.is_prompt:
            found = self._git.object(f"{commit}:{subject.name}")
            if "deleted" in subject.annotations or found is None:
                return found is None and "deleted" in subject.annotations
            return hashlib.sha256(found.data).hexdigest() == subject.digest
        registry = Registry(TreeSource(self._git, commit, commit=commit))
        try:
            there = subjects.of_prompt(
                registry.configuration(subject.name.removeprefix(subjects.PROMPT_PREFIX)),
                subject.annotations["previous"],
            )
        except InputError:
            return False
        return there.descriptor() == subject.descriptor()

"""What a canary keeps on disk, so that its evidence continues and never restarts.

One folder per (prompt, baseline, candidate, suites): ``plan.json`` (what is drawn from, and the seed),
``replies.jsonl`` (every paid reply), ``replies.spent.jsonl`` (every attempt and what it used), ``attempts.json`` and
``result.json``. Replies may quote personal data: folders are readable by their owner only, and their place is outside
of the work tree.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops import atomic
from promptops.errors import PromptopsError
from promptops.inference import journal
from promptops.registry import canonical

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from promptops.inference.reply import Reply
    from promptops.repo.git import Git

_LIMIT = 1 << 30
# What every plan holds, whichever version wrote it.
_PLAN = {"seed", "share", "traffic", "records"}
JOURNAL = "replies.jsonl"


class Subject(NamedTuple):
    """What a canary judges.

    Attributes:
        prompt: name of the prompt.
        candidate: digest of the candidate's configuration.
        baseline: digest of the baseline's configuration; None for a first release.
        suites: digest by suite name.
    """

    prompt: str
    candidate: str
    baseline: str | None
    suites: Mapping[str, str]

    def document(self) -> dict[str, Any]:
        """Return the subject as JSON-able data."""
        return {**self._asdict(), "suites": dict(self.suites)}


def default_root(git: Git) -> str:
    """Return the folder of all evidence, below the git directory that every worktree shares."""
    return os.path.join(git.common_dir, "promptops", "evidence")


class Store:
    """The folder of one subject's evidence.

    Args:
        root: folder of all evidence.
        subject: what is judged.
    """

    def __init__(self, root: str, subject: Subject) -> None:
        digest = canonical.sha256({"type": "promptops/evidence/1", **subject.document()})
        self.root = os.path.abspath(root)
        self.subject = subject
        self.path = os.path.join(self.root, digest.removeprefix("sha256:"))

    @property
    def journal(self) -> str:
        """Path of the paid replies."""
        return os.path.join(self.path, JOURNAL)

    def create(self) -> None:
        """Create the folder, readable by its owner only.

        Raises:
            PromptopsError: it cannot be created.
        """
        try:
            os.makedirs(self.path, mode=0o700, exist_ok=True)
        except OSError as error:
            raise PromptopsError(
                f"cannot create the evidence folder: {error.strerror}",
                path=self.path,
                hint="choose another place with --evidence DIR",
            ) from error

    def plan(self) -> dict[str, Any] | None:
        """Return the recorded plan, or None before the first start."""
        path = os.path.join(self.path, "plan.json")
        found = _read(path)
        if found is not None and not found.keys() >= _PLAN:
            raise PromptopsError("the recorded plan is damaged", path=path, hint="move its folder away to start again")
        return found

    def result(self) -> dict[str, Any] | None:
        """Return the last recorded result, or None."""
        return _read(os.path.join(self.path, "result.json"))

    def write_plan(self, plan: Mapping[str, Any]) -> None:
        """Record the plan."""
        _write(os.path.join(self.path, "plan.json"), plan)

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Record a result in place of the last one."""
        _write(os.path.join(self.path, "result.json"), result)

    def begin(self, started: str) -> None:
        """Count one more started attempt, before its first call.

        Args:
            started: time in RFC 3339.
        """
        self._write_starts([*self._starts(), started])

    def take_back(self, started: str) -> None:
        """Uncount the attempt that `begin` counted last, after it ended without any reply.

        Args:
            started: what `begin` was told.
        """
        starts = self._starts()
        if starts[-1:] == [started]:
            self._write_starts(starts[:-1])

    def _starts(self) -> list[str]:
        return list((_read(os.path.join(self.path, "attempts.json")) or {}).get("starts", ()))

    def _write_starts(self, starts: list[str]) -> None:
        _write(os.path.join(self.path, "attempts.json"), {**self.subject.document(), "starts": starts})

    def latencies(self) -> list[float]:
        """Return the seconds that each kept reply took."""
        return [reply.latency for reply in replies(self.path).values()]

    def attempts(self) -> int:
        """Return how many canaries of this prompt got replies against this baseline, of any candidate."""
        mine = (self.subject.prompt, self.subject.baseline)
        total = 0
        for folder in _folders(self.root):
            document = _read(os.path.join(folder, "attempts.json")) or {}
            if (document.get("prompt"), document.get("baseline")) == mine:
                total += len(document.get("starts", ()))
        return total


def find(root: str, *, prompt: str, candidate: str | None = None) -> list[dict[str, Any]]:
    """Return the recorded results of one prompt against any baseline, with ``path`` of their folder.

    Args:
        root: folder of all evidence.
        prompt: its name.
        candidate: digest of the configuration that was judged; None for any.
    """
    found = []
    for folder in _folders(root):
        result = _read(os.path.join(folder, "result.json"))
        if result and result.get("prompt") == prompt and candidate in (None, result.get("candidate")):
            found.append({**result, "path": folder})
    return found


def plan(folder: str) -> dict[str, Any]:
    """Return the recorded plan of one comparison, empty where there is none."""
    return _read(os.path.join(folder, "plan.json")) or {}


def replies(folder: str) -> dict[str, Reply]:
    """Return the kept replies of one comparison by key; another run may be adding to them.

    Raises:
        PromptopsError: the journal cannot be read, or holds something else.
    """
    return journal.read(os.path.join(folder, JOURNAL))


def _folders(root: str) -> Iterator[str]:
    with contextlib.suppress(FileNotFoundError):
        for name in sorted(os.listdir(root)):
            yield os.path.join(root, name)


def _read(path: str) -> dict[str, Any] | None:
    try:
        with open(path, "rb") as file:
            value = json.loads(file.read(_LIMIT))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise PromptopsError(
            f"recorded evidence cannot be read: {error}", path=path, hint="move its folder away to start again"
        ) from error
    if not isinstance(value, dict):
        raise PromptopsError("recorded evidence is no JSON object", path=path, hint="move its folder away")
    return value


def _write(path: str, value: Mapping[str, Any]) -> None:
    content = json.dumps(value, ensure_ascii=True, indent=1) + "\n"
    atomic.write(path, content.encode("ascii"), mode=0o600)

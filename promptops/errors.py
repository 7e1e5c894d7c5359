"""Every error that a person can act on.

PromptopsError           could not check or carry out (exit 3)
├── InputError           the content of a file is at fault: a finding (exit 1)
├── RefusedError         a gate, policy or signature says no (exit 1)
├── UsageError           the command line is at fault (exit 2)
└── InconclusiveError    the evidence decides neither way (exit 4)
"""

from __future__ import annotations

# A message quotes what was found, which may be of any length: its start says what is wrong, its end what came last.
_START, _END = 800, 1200


class PromptopsError(Exception):
    """Something outside the judged content stops the work; carries what to do next.

    Attributes:
        message: what is wrong, in one sentence.
        hint: the next step, as a command or an instruction.
        path: the file at fault, relative to the repository.
        line: 1-based line in that file.
        column: 1-based column in that line.
    """

    exit_code = 3

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        path: str | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        self.message = bounded(message)
        super().__init__(self.message)
        self.hint = None if hint is None else bounded(hint)
        self.path = path
        self.line = line
        self.column = column


def bounded(text: str) -> str:
    """Return ``text``, of one with more than 2,000 characters the start and the end."""
    left = len(text) - _START - _END
    return text if left <= 0 else f"{text[:_START]} ... ({left:,} characters left out) ... {text[-_END:]}"


class InputError(PromptopsError):
    """A governed file is malformed or contradicts its contract."""

    exit_code = 1


class RefusedError(PromptopsError):
    """A gate, a policy or a signature check says no."""

    exit_code = 1


class UsageError(PromptopsError):
    """The command was called with arguments that make no sense together."""

    exit_code = 2


class InconclusiveError(PromptopsError):
    """The evidence within the budget decides neither way."""

    exit_code = 4

"""The one place where errors become messages and exit codes; needs no command line library."""

from __future__ import annotations

import errno
import os
import sys
from typing import TYPE_CHECKING, NoReturn

from promptops.errors import PromptopsError
from promptops.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable


def guarded(run: Callable[[], object]) -> NoReturn:
    """Call ``run`` and exit with the code it returns (anything but an int is 0), or with that of its error."""
    # Closed by the caller (`>&-`): what would go there goes nowhere.
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  open until the end
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  the same
    try:
        code = run()
        sys.stdout.flush()
        sys.exit(code if isinstance(code, int) else 0)
    except KeyboardInterrupt:
        # Only a command that has this module may have paid for anything.
        paid = "promptops.inference.client" in sys.modules
        _say("interrupted; what was paid for is kept" if paid else "interrupted")
        sys.exit(130)
    except BrokenPipeError:
        # The reader went away (`| head`); point stdout elsewhere so that interpreter shutdown stays silent. What was
        # found is unknown by now, so this is no 0: it ends as a process that SIGPIPE ended.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except PromptopsError as error:
        show(error)
        sys.exit(error.exit_code)
    except RecursionError:
        _say("error: input is nested too deeply")
        sys.exit(3)
    except OSError as error:
        show(explained(error))
        sys.exit(3)
    except Exception as error:  # noqa: BLE001  a bug: say so once, with a report fit to paste
        from promptops.cli.crash import report

        _say(report(error))
        sys.exit(3)


def explained(error: OSError) -> PromptopsError:
    """Return what the operating system refused as an error that can be shown."""
    place = f"{os.fsdecode(error.filename)}: " if error.filename else ""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return PromptopsError(
        f"{place}{error.strerror or error}", hint="make room, then run the command again" if full else None
    )


def is_unheard() -> bool:
    """Return whether what was printed last did not get out: standard output is gone, or the disk behind it is full."""
    try:
        sys.stdout.flush()
    except OSError:
        return True
    return False


def show(error: PromptopsError) -> None:
    """Print one error: where, what, and the next step."""
    place = ""
    if error.path:
        numbers = "".join(f":{number}" for number in (error.line, error.column) if number is not None)
        place = f"{printable(error.path)}{numbers}: "
    coloured = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    label = "\033[1;31merror:\033[0m" if coloured else "error:"
    _say(f"{label} {place}{_folded(error.message)}")
    if error.hint:
        _say(f"  next: {_folded(error.hint)}")


def _folded(text: str) -> str:
    """Return ``text`` with its further lines indented: what it quotes can forge no line of ours."""
    return printable(text, keep_newlines=True).replace("\n", "\n      ")


def _say(text: str) -> None:
    try:
        sys.stdout.flush()
    except OSError:
        # Nothing more goes there, and the interpreter's last flush must not fail either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    print(text, file=sys.stderr, flush=True)  # noqa: T201  the one place that needs no click

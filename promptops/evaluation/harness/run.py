"""One harness against one arm, from its files to its scores."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

from promptops.errors import InconclusiveError, PromptopsError
from promptops.evaluation.harness import files, kinds, masking, process, results
from promptops.inference.serving.server import Server

if TYPE_CHECKING:
    from promptops.evaluation.callables import Code
    from promptops.evaluation.harness.scores import Scores
    from promptops.evaluation.harness.spec import Spec
    from promptops.inference.serving.server import Ask
    from promptops.registry.configuration import Configuration


class BudgetError(InconclusiveError):
    """The budget ended while a harness ran: its scores would be those of a part that nobody chose."""


def recorded(spec: Spec, configuration: Configuration, code: Code) -> Scores:
    """Return the scores in the recorded report of a configuration.

    Raises:
        PromptopsError: there is none, or it holds something else.
        RefusedError: it is not the reviewed one.
    """
    found = next((report for report in spec.reports if report.configuration == configuration.digest), None)
    if found is None:
        prompt = configuration.prompt
        raise PromptopsError(
            f"no {spec.type} of {prompt.name} {prompt.version} ({configuration.digest}) is recorded",
            hint=f"run it against: promptops serve {prompt.name}, commit the report and add it to `reports`",
        )
    try:
        return results.read(spec.type, files.pinned(code, found.path, found.sha256))
    except PromptopsError as error:
        error.path = error.path or found.path
        raise


async def run(spec: Spec, configuration: Configuration, ask: Ask, code: Code, label: str) -> Scores:
    """Run a harness against a configuration.

    Args:
        spec: what the suite says.
        configuration: what is served to it.
        ask: sends its requests; see `promptops.inference.serving.server.Server`.
        code: reads the files of the revision that the suite comes from.
        label: what messages and keys call this run, as ``suite/arm``.

    Raises:
        PromptopsError: it did not come to its end, wrote nothing usable, or its upstream cannot be asked.
        RefusedError: a file is not the reviewed one.
        BudgetError: the budget ended.
    """
    with tempfile.TemporaryDirectory(prefix="promptops-harness-") as scratch:
        folder, out, home = (os.path.join(scratch, name) for name in ("files", "out", "home"))
        for path in (folder, out, home):
            os.mkdir(path)
        files.lay_out(code, spec.files, folder)
        async with Server(configuration, ask, fixed=spec.variables, name=label) as server:
            made = kinds.start(spec, folder, out, server.base_url, server.token)
            ended = await process.run(
                made.argv,
                folder=folder,
                env=process.environment(os.environ, home, made.env),
                seconds=spec.seconds,
                stop=lambda: _hopeless(server),
            )
        _judge(server, ended, made.codes, label)
        try:
            return results.read(made.format, kinds.result(made))
        except PromptopsError as error:
            raise PromptopsError(f"{label}: {error.message}{_said(server, ended)}", hint=error.hint) from error


def _hopeless(server: Server) -> str | None:
    if server.out_of_budget:
        return "the budget has ended"
    return server.fault.message if server.fault else None


def _judge(server: Server, ended: process.Ended, codes: tuple[int, ...], label: str) -> None:
    if server.out_of_budget:
        raise BudgetError(f"{label}: the budget ended before the harness did", hint="raise canary.budget and run again")
    if server.fault is not None:
        raise server.fault
    if ended.code in codes:
        return
    how = f"was stopped: {ended.stopped}" if ended.stopped else f"ended with exit code {ended.code}"
    raise PromptopsError(
        f"{label}: the harness {how}{_said(server, ended)}",
        hint="mend it; the replies that it paid for are kept and nothing was concluded",
    )


def _said(server: Server, ended: process.Ended) -> str:
    tail = masking.masked(ended.tail, server.token)
    return f"; its last lines:\n{tail}" if tail else "; it printed nothing"

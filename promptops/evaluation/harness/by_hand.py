"""Endpoints for a person who runs a harness by hand, or for one command."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from promptops.errors import PromptopsError
from promptops.evaluation import arms
from promptops.evaluation.tally import CANDIDATE
from promptops.inference.journal import Journal
from promptops.inference.serving.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from promptops.inference.budget import Budget
    from promptops.registry.configuration import Configuration


def serve(
    configurations: Mapping[str, Configuration],
    *,
    budget: Budget,
    journal: str,
    fixed: Mapping[str, Any],
    port: int,
    command: Sequence[str],
    ready: Callable[[Mapping[str, Server]], None],
) -> int:
    """Serve until interrupted, or until ``command`` ends; return its exit code, or 0.

    Args:
        configurations: by arm name; each gets an address and a token of its own.
        budget: of all of them.
        journal: path of the paid replies.
        fixed: values of variables that a harness does not fill.
        port: of the candidate; 0 takes a free one.
        command: gets the candidate's address as OPENAI_BASE_URL and its token as OPENAI_API_KEY.
        ready: called once everything answers.

    Raises:
        PromptopsError: an endpoint, port, journal or command cannot be used.
        UsageError: the prompt leaves more than one variable open.
    """

    async def run() -> int:
        with Journal(journal) as kept:
            async with AsyncExitStack() as stack:
                live, _ = await stack.enter_async_context(
                    arms.opened(configurations, {}, budget=budget, journal=kept, environ=os.environ)
                )
                servers = {
                    name: await stack.enter_async_context(
                        Server(
                            arm.configuration,
                            arm.answer,
                            fixed=fixed,
                            name=name,
                            port=port if name == CANDIDATE else 0,
                        )
                    )
                    for name, arm in live.items()
                }
                ready(servers)
                return await _command(command, servers, configurations) if command else await _interrupted()

    os.makedirs(os.path.dirname(journal), mode=0o700, exist_ok=True)
    return asyncio.run(run())


async def _interrupted() -> int:
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    await told.wait()
    return 0


async def _command(
    command: Sequence[str], servers: Mapping[str, Server], configurations: Mapping[str, Configuration]
) -> int:
    env = dict(os.environ)
    for configuration in configurations.values():
        for variable in configuration.model.settings.get("endpoint", {}).values():
            env.pop(variable, None)
    for name, server in servers.items():
        prefix = "OPENAI" if name == CANDIDATE else f"{name.upper()}_OPENAI"
        env |= {f"{prefix}_BASE_URL": server.base_url, f"{prefix}_API_KEY": server.token}
    try:
        process = await asyncio.create_subprocess_exec(*command, env=env)
    except (OSError, ValueError) as error:
        raise PromptopsError(f"cannot start {command[0]}: {error}", hint="is it on PATH?") from error
    return await process.wait()

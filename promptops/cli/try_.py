"""``promptops try``."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from promptops.cli.opening import at_option, echo_json, json_option, open_registry
from promptops.cli.variables import read_variables, variable_options
from promptops.inference import client, endpoint
from promptops.inference.reply import Call
from promptops.repo.git import Git
from promptops.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from promptops.inference.reply import Reply
    from promptops.registry.configuration import Configuration

_TELL_SECONDS = 3.0


@click.command(
    epilog="\b\nExamples:\n  promptops try support/reply --var ticket='Where is my parcel?'\n"
    "  promptops try support/reply --var-file ticket.yaml --at HEAD~1 --json"
)
@click.argument("prompt")
@variable_options
@at_option
@json_option
def command(prompt: str, pairs: tuple[str, ...], var_file: str | None, revision: str | None, as_json: bool) -> None:
    """Send PROMPT once, as the work tree or a revision has it, and print the reply."""
    with Git() as git:
        configuration = open_registry(git, revision).configuration(prompt)
    request = configuration.render(read_variables(pairs, var_file, configuration.prompt.variables))
    settings = configuration.model.settings
    target = endpoint.resolve(settings, os.environ)
    call = Call("try", request)
    with _telling(configuration.model.id):
        reply = client.complete(target, call, price=settings.get("price"), limits=settings.get("limits"))
    (echo_json if as_json else _report)(_described(configuration, reply))


@contextlib.contextmanager
def _telling(model: str) -> Iterator[None]:
    """Say on standard error, every few seconds, what is waited for: a server may accept a call and never answer."""
    started, ended = time.monotonic(), threading.Event()

    def tell() -> None:
        while not ended.wait(_TELL_SECONDS):
            waited = time.monotonic() - started
            click.echo(f"waiting for the answer of {printable(model)}: {waited:.0f} s; Ctrl-C ends it", err=True)

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        ended.set()
        teller.join()


def _described(configuration: Configuration, reply: Reply) -> dict[str, Any]:
    paid = asdict(reply)
    del paid["key"]
    return {
        "prompt": configuration.prompt.name,
        "version": configuration.prompt.version,
        "digest": configuration.digest,
        "requested": configuration.model.id,
        "expected": reply.model in configuration.model.reported_ids,
        "currency": configuration.model.settings.get("price", {}).get("currency", "USD"),
        **paid,
    }


def _report(described: dict[str, Any]) -> None:
    click.echo(printable(described["text"], keep_newlines=True))
    for call in described["tool_calls"]:
        click.echo(printable(f"tool call: {call.get('function')}"))
    tokens = f"{described['prompt_tokens']} + {described['completion_tokens']} tokens"
    cost = f"{described['cost']:.6f} {described['currency']}" if described["cost"] else "no price"
    model = printable(described["model"] or "a model that it does not name")
    click.echo(f"{model}, {tokens}, {cost}, {described['latency']:.2f} s", err=True)
    if described["finish_reason"] != "stop":
        click.echo(f"finished for the reason {printable(described['finish_reason'])}", err=True)
    if not described["expected"]:
        click.echo(f"warning: this is not the model that was asked for, {printable(described['requested'])}", err=True)

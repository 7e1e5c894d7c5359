"""How each kind of harness is started, and where it leaves its scores."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from promptops.errors import PromptopsError
from promptops.evaluation.harness.process import program

if TYPE_CHECKING:
    from collections.abc import Callable

    from promptops.evaluation.harness.spec import Spec

MODEL = "promptops"
_MAX_RESULT = 256 * 1024 * 1024


class Start(NamedTuple):
    """A harness ready to be started.

    Attributes:
        argv: the program and its arguments.
        env: variables beside the endpoint's.
        result: path of what it writes; of a folder, its only file.
        format: how that is read.
        codes: exit codes of a run that came to its end; None for any.
    """

    argv: list[str]
    env: dict[str, str]
    result: str
    format: str
    codes: tuple[int, ...]


def _inspect(spec: Spec, folder: str, out: str, base_url: str, token: str) -> Start:
    del folder
    # The generic provider: the one called openai would use an interface that the endpoint does not have.
    model = f"openai-api/{MODEL}/candidate"
    env = {
        "PROMPTOPS_BASE_URL": base_url,
        "PROMPTOPS_API_KEY": token,
        "INSPECT_EVAL_MODEL": model,
        "INSPECT_LOG_DIR": out,
    }
    fixed = ["--model", model, "--log-dir", out, "--log-format", "json", "--display", "plain", "--no-fail-on-error"]
    return Start([program("inspect"), "eval", spec.target, *spec.arguments, *fixed], env, out, "inspect", (0,))


def _promptfoo(spec: Spec, folder: str, out: str, base_url: str, token: str) -> Start:
    del folder, base_url, token
    result = os.path.join(out, "results.json")
    env = {
        "PROMPTFOO_CONFIG_DIR": out,
        "PROMPTFOO_DISABLE_TELEMETRY": "1",
        "PROMPTFOO_DISABLE_UPDATE": "1",
        "PROMPTFOO_DISABLE_REMOTE_GENERATION": "1",
        "PROMPTFOO_FAILED_TEST_EXIT_CODE": "0",
    }
    fixed = ["--no-cache", "--no-write", "--no-table", "--no-progress-bar", "--no-share", "-o", result]
    argv = [program("promptfoo"), "eval", "-c", spec.target, *spec.arguments, *fixed]
    return Start(argv, env, result, "promptfoo", (0,))


def _pytest(spec: Spec, folder: str, out: str, base_url: str, token: str) -> Start:
    del folder, base_url, token
    result = os.path.join(out, "junit.xml")
    fixed = ["-p", "no:cacheprovider", "--rootdir=.", f"--junitxml={result}"]
    # 1: some tests failed, which is what they are for.
    return Start([program("pytest"), spec.target, *spec.arguments, *fixed], {}, result, "junit", (0, 1))


def _command(spec: Spec, folder: str, out: str, base_url: str, token: str) -> Start:
    del out, base_url, token
    first, *rest = spec.argv
    found = first if first in spec.files else program(first)
    result = os.path.join(folder, spec.scores)
    return Start([os.path.join(folder, found), *rest, *spec.arguments], {}, result, spec.format, (0,))


KINDS: dict[str, Callable[[Spec, str, str, str, str], Start]] = {
    "inspect": _inspect,
    "promptfoo": _promptfoo,
    "pytest": _pytest,
    "command": _command,
}


def start(spec: Spec, folder: str, out: str, base_url: str, token: str) -> Start:
    """Return how a harness is started.

    Args:
        spec: what the suite says.
        folder: where its files are and it runs.
        out: an empty folder for what it writes.
        base_url: of the endpoint.
        token: of this run.

    Raises:
        PromptopsError: its program is not installed.
    """
    made = KINDS[spec.type](spec, folder, out, base_url, token)
    return made._replace(env={"OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": token, **made.env})


def result(made: Start) -> bytes:
    """Return what a harness wrote.

    Raises:
        PromptopsError: it is not there, is no regular file, or is larger than 256 MiB.
    """
    path = made.result
    if os.path.isdir(path):
        names = [name for name in sorted(os.listdir(path)) if name.endswith(".json")]
        if made.format != "inspect":
            raise PromptopsError("the harness made a folder in the place of its result", hint="`scores` names a file")
        if len(names) != 1:
            raise PromptopsError(f"the harness wrote {len(names)} logs in place of one", hint="name one task")
        path = os.path.join(path, names[0])
    if os.path.islink(path) or not os.path.isfile(path):
        raise PromptopsError("the harness wrote no result", hint="does it write where the suite says?")
    with open(path, "rb") as file:
        content = file.read(_MAX_RESULT + 1)
    if len(content) > _MAX_RESULT:
        raise PromptopsError(f"the harness wrote more than {_MAX_RESULT >> 20} MiB")
    return content

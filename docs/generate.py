"""Write what the documents repeat: commands, rules and the attack table, by ``python docs/generate.py``."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import click

from promptops.checks import rules
from promptops.cli.app import COMMANDS, EXIT_CODES

HERE = Path(__file__).parent
_NOTE = "<!-- Written by docs/generate.py; a test keeps it current. -->\n"


def commands() -> str:
    """Return the reference of every command, from its own help."""
    exit_codes = EXIT_CODES.replace("\b\n", "")
    parts = [f"# Commands\n\n{_NOTE}", f"## Every command\n\n```text\n{exit_codes}\n```\n"]
    for name, (module, _) in COMMANDS.items():
        command: click.Command = import_module(f"promptops.cli.{module}").command
        parts.append(_usage(command, f"promptops {name}", f"promptops {name}"))
        if isinstance(command, click.Group):
            parts += [
                _usage(inner, f"promptops {name} {inner.name}", f"promptops {name} {inner.name}", level=3)
                for inner in command.commands.values()
            ]
    return "\n".join(parts)


def _usage(command: click.Command, call: str, title: str, *, level: int = 2) -> str:
    names = ["-h", "--help"]
    with click.Context(command, info_name=call, terminal_width=100, help_option_names=names) as context:
        text = command.get_help(context)
    return f"{'#' * level} {title}\n\n```text\n{text.rstrip()}\n```\n"


def checks() -> str:
    """Return the reference of every rule, from what ``promptops explain`` prints."""
    rows, sections = [], []
    for rule in rules.ALL:
        text = rules.text(rule)
        rows.append(f"| [{rule}](#{rule.lower()}) | {text.title} |")
        example = f"```yaml\n{text.example.rstrip()}\n```"
        sections.append(f"## {rule}\n\n**{text.title}**\n\n{text.why}\n\n{text.fix}\n\n{example}\n")
    table = "\n".join(["| rule | finds |", "|---|---|", *rows])
    return "\n".join([f"# Checks\n\n{_NOTE}", _CHECKS, f"{table}\n", *sections])


_CHECKS = """\
`promptops check` applies these rules to what is staged, `--base REV` to what a branch changes, `--all` to everything.
It reads the index and commits, never the work tree. `promptops explain RULE` prints the same text.

`enforcement` in `promptops.yaml` says `warn` or `off` per rule. With `--base REV` the settings are those of REV, so
that a change cannot switch off what judges it. `enforcement: {baseline: FILE}` names a file of accepted old findings,
which `promptops check --all --write-baseline` writes.
"""


def security() -> str:
    """Return the page on security with the table that docs/attacks.json holds."""
    head, _, rest = (HERE / "security.md").read_text().partition(_TABLE[0])
    rows = [
        f"| {row['attack']} | {row['answer']} | {', '.join(map(_test, row['tests']))} |"
        for row in json.loads((HERE / "attacks.json").read_text())["attacks"]
    ]
    table = "\n".join(["", "| attack | what happens | shown by |", "|---|---|---|", *rows, ""])
    return head + _TABLE[0] + table + _TABLE[1] + rest.partition(_TABLE[1])[2]


_TABLE = ("<!-- attacks -->", "<!-- end of attacks -->")


def _test(name: str) -> str:
    file, _, function = name.partition("::")
    return f"[{function.removeprefix('test_')}](../{file})"


def main() -> None:
    """Write the pages."""
    (HERE / "security.md").write_text(security())
    (HERE / "commands.md").write_text(commands())
    (HERE / "checks.md").write_text(checks())


if __name__ == "__main__":
    main()

"""The command tree, loaded one command at a time."""

from __future__ import annotations

import os
from importlib import import_module
from typing import NoReturn

import click

from promptops import __version__
from promptops.cli.guard import guarded
from promptops.text import printable

EXIT_CODES = """\b
Exit codes:
  0  clean, or passed
  1  findings, or refused by a gate, policy or signature
  2  wrong usage
  3  could not check; the message says what to do
  4  inconclusive: the evidence decides neither way
  130  interrupted
When several apply, 3 wins over 1, 1 over 4, 4 over 0."""

# Command name -> module in promptops.cli and one line for the help. A module's command is its attribute `command`.
COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("init", "Set a repository up."),
    "doctor": ("doctor", "Say what is missing or was left by a killed run, and mend it."),
    "new": ("new", "Write a new prompt, model, suite or rollout plan."),
    "list": ("list", "List prompts with version, digest and release state."),
    "show": ("show", "Show a prompt, at any revision, or a release."),
    "render": ("render", "Render a prompt into the request that is sent."),
    "digest": ("digest", "Print the digest of a configuration."),
    "fmt": ("fmt", "Lay prompt files out in the standard order."),
    "bump": ("bump", "Raise the version of changed prompts by the least grade."),
    "schema": ("schema", "Print a JSON Schema."),
    "check": ("check", "Check what is staged, what a branch changes, or everything."),
    "explain": ("explain", "Explain a rule."),
    "review": ("review", "Request, give and verify approvals."),
    "policy": ("policy", "Set up, change, sign and verify who may do what."),
    "key": ("key", "Add, rotate, revoke and lint signing keys."),
    "hook": ("hook", "Judge pushes on the server."),
    "model": ("model", "Fetch, serve and inspect the embedded model."),
    "try": ("try_", "Send a prompt once and print the reply."),
    "serve": ("serve", "Serve a prompt to other harnesses through a local endpoint."),
    "eval": ("eval_", "Run suites outside a release, compare runs, grow suites."),
    "canary": ("canary", "Compare a prompt with its baseline on a live API."),
    "judge": ("judge", "Calibrate judges against people, and show what is known of one."),
    "gate": ("gate", "Say what a canary's gate could have caught."),
    "drift": ("drift", "Compare the live release with its own evidence."),
    "release": ("release", "Check, canary, sign and tag what is unreleased."),
    "verify": ("verify", "Verify a release offline."),
    "status": ("status", "Show what is unreleased, unapproved and live, and the next command."),
    "log": ("log", "List releases."),
    "diff": ("diff", "Compare two versions of a prompt."),
    "blame": ("blame", "Show what was live at a time."),
    "snapshot": ("snapshot", "Write what an environment serves into one file."),
    "rollout": ("rollout", "Bring a release to users in steps, and back when the evidence says so."),
    "export": ("export", "Write what an environment serves for other programs."),
    "telemetry": ("telemetry", "Check the events that decisions are made from."),
    "promote": ("promote", "Make a release live in an environment in one step."),
    "rollback": ("rollback", "Point an environment at an earlier release."),
    "withdraw": ("withdraw", "Take a release back for good."),
    "attest": ("attest", "Sign a release again after its key was revoked."),
}


class LazyGroup(click.Group):
    """A group that imports a command's module only when that command runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the command names in the order in which they are used in a release."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name][0].partition(":")[::2]
        command: click.Command = getattr(import_module(f"promptops.cli.{module}"), attribute or "command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command list without importing any of them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.command(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}, epilog=EXIT_CODES
)
@click.version_option(__version__, "-V", "--version", message="%(prog)s %(version)s")
@click.option(
    "-C", "directory", metavar="DIR", type=click.Path(exists=True, file_okay=False), help="Run as if started in DIR."
)
def cli(directory: str | None) -> None:
    """Release prompts, models and decoding parameters through git: reviewed, canaried, signed, reversible."""
    if directory:
        os.chdir(directory)


def main(argv: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with its documented code."""
    guarded(lambda: _run(argv))


def _run(argv: list[str] | None) -> object:
    try:
        return cli.main(args=argv, prog_name="promptops", standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        # It quotes the command line, where a shell may have put names of files.
        vars(error)["message"] = printable(error.message)
        error.show()
        return error.exit_code
    except SystemExit as stop:
        # No command exits by itself: this is what click makes of a reader that went away, and 1 would say "findings".
        raise BrokenPipeError from stop
    except click.exceptions.Abort as error:
        raise KeyboardInterrupt from error

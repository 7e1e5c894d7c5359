"""Groups of commands that import a subcommand's module only when it runs."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping


class Subcommands(click.Group):
    """A group whose subcommands are modules of `promptops.cli`.

    Args:
        modules: by subcommand, in the order of use: the module, and after a colon its attribute where that is not
            ``command``.
        given: as for `click.Group`.
    """

    def __init__(self, *, modules: Mapping[str, str], **given: Any) -> None:
        self._modules = modules
        super().__init__(**given)

    @property
    def commands(self) -> dict[str, click.Command]:
        """All subcommands by name, imported."""
        return {name: self._load(name) for name in self._modules}

    @commands.setter
    def commands(self, value: object) -> None:
        """Take no others."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which they are used."""
        del ctx
        return list(self._modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one subcommand."""
        del ctx
        return self._load(cmd_name) if cmd_name in self._modules else None

    def _load(self, name: str) -> click.Command:
        module, _, attribute = self._modules[name].partition(":")
        command: click.Command = getattr(import_module(f"promptops.cli.{module}"), attribute or "command")
        return command

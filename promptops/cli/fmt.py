"""``promptops fmt``."""

from __future__ import annotations

import click

from promptops.errors import InputError
from promptops.registry import layout
from promptops.registry.prompt import is_model, is_prompt, prompt_path
from promptops.registry.registry import Registry
from promptops.repo.git import Git
from promptops.repo.source import WorktreeSource, replace
from promptops.text import printable


@click.command(epilog="\b\nExample:\n  promptops fmt --check support/reply")
@click.argument("prompts", nargs=-1)
@click.option("--check", "check_only", is_flag=True, help="Write nothing; exit 1 if a file is out of order.")
def command(prompts: tuple[str, ...], check_only: bool) -> int:
    """Put the keys of PROMPTS, or of every prompt and model, in the standard order.

    Comments stay with their keys, no digest changes, and a file that is right already is not touched.
    """
    with Git() as git:
        source = WorktreeSource(git.root)
    paths = [prompt_path(name) for name in prompts] or _governed(source)
    changed = {path: data for path in paths if (data := _arranged(source, path)) is not None}
    for path, data in changed.items():
        if not check_only:
            replace(source.root, path, data)
        click.echo(f"{'would reorder' if check_only else 'reordered'} {printable(path)}")
    return int(check_only and bool(changed))


def _governed(source: WorktreeSource) -> list[str]:
    prompts = [path for path in source.entries("prompts/") if is_prompt(path)]
    return prompts + [path for path in source.entries("models/") if is_model(path)]


def _arranged(source: WorktreeSource, path: str) -> bytes | None:
    data = source.read(path)
    if data is None:
        # The registry's words for a missing prompt are the right ones here too.
        Registry(source).prompt(path.removeprefix("prompts/").removesuffix(".yaml"))
        raise InputError("file does not exist", path=path)
    arranged = layout.arrange(data, path, layout.order("prompt" if is_prompt(path) else "model"))
    return None if arranged == data else arranged

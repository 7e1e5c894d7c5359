"""``promptops init``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from promptops.cli.signing import key_option, people_options
from promptops.registry import data, scaffold
from promptops.repo.git import Git
from promptops.text import counted, printable

if TYPE_CHECKING:
    from promptops.trust.setup import Signing

_HOOKS = ".pre-commit-config.yaml"
_SHOWN = 20


@click.command(
    epilog="\b\nExamples:\n  promptops init --solo\n  promptops init --ci github --person alice=alice@example.org "
    "--person bob=bob@example.org=bob.pub"
)
@people_options
@click.option("--ci", type=click.Choice(sorted(scaffold.CI_FILES)), help="Write the workflow of this service too.")
@click.option("--dry-run", is_flag=True, help="Say what would be written, and write nothing.")
@key_option
def command(*, solo: bool, people: tuple[str, ...], ci: str | None, dry_run: bool, key: str | None) -> None:
    """Set a repository up: settings, an example prompt, suites, hooks and a signed policy.

    Nothing that exists is changed, so it can be run again. It prints every file that it writes and, last, the root
    digest of the policy: pin it wherever releases are verified.
    """
    with Git() as git:
        root = git.root
        present, tracked = _listed(git, "--others", "--exclude-standard"), _listed(git)
        wanted = scaffold.starter_files(present, ci)
        missing = [file for file in wanted if not os.path.lexists(os.path.join(root, file.path))]
        # The policy comes first: without a key to sign it, nothing is written.
        done = _policy(git, solo=solo, people=people, key=key, dry_run=dry_run)
        for file in missing:
            if not dry_run:
                scaffold.write(root, file)
            click.echo(f"{'would write' if dry_run else 'wrote'} {file.path}")
        if done is not None:
            click.echo(f"root {done.root}")
    _advise(present, scaffold.candidates(root, tracked), done)
    _advise_ci(root, present, ci)
    click.echo("  next: git add -A && git commit", err=True)
    click.echo("  next: pre-commit install", err=True)
    click.echo(f"  next: promptops schema --write {scaffold.SCHEMAS}: editors check files as you type", err=True)
    click.echo("  next: promptops model fetch && promptops status", err=True)


def _listed(git: Git, *others: str) -> list[str]:
    listing = git.run("-C", git.root, "ls-files", "-z", "--cached", *others)
    return sorted({os.fsdecode(path) for path in listing.split(b"\0") if path})


def _policy(git: Git, *, solo: bool, people: tuple[str, ...], key: str | None, dry_run: bool) -> Signing | None:
    """Write and sign the first policy unless there is one; return what was signed."""
    from promptops.trust import chain, policy, setup, sshsig

    if os.path.lexists(os.path.join(git.root, ".promptops/policy.yaml")):
        return None
    signer = sshsig.signing_key(git, key)
    if not dry_run:
        done = setup.create(git, people, key=signer, repository=None, protected=[_branch(git)], solo=solo)
    for path in (*policy.FILES, chain.path(1)):
        click.echo(f"{'would write' if dry_run else 'wrote'} {path}")
    return None if dry_run else done


def _branch(git: Git) -> str:
    """Return the branch to protect: the remote's default, else main or master where there is one, else this one."""
    candidates = ("refs/remotes/origin/HEAD", "refs/heads/main", "refs/heads/master")
    for ref in candidates:
        if git.try_run("rev-parse", "--verify", "--quiet", ref).returncode == 0:
            target = git.try_run("symbolic-ref", "--quiet", ref).stdout.decode("utf-8", "surrogateescape").strip()
            return (target or ref).replace("refs/remotes/origin/", "refs/heads/")
    return (
        git.try_run("symbolic-ref", "--quiet", "HEAD").stdout.decode("utf-8", "surrogateescape").strip()
        or candidates[1]
    )


def _advise(present: list[str], seen: scaffold.Seen, done: Signing | None) -> None:
    if "promptops.yaml" not in present and seen.paths:
        look = "looks like a prompt" if len(seen.paths) == 1 else "look like prompts"
        click.echo(f"{counted(len(seen.paths), 'file')} {look}; move the text into prompts/NAME.yaml:", err=True)
        for path in seen.paths[:_SHOWN]:
            click.echo(f"  {printable(path)}", err=True)
        if len(seen.paths) > _SHOWN:
            click.echo(f"  ... and {len(seen.paths) - _SHOWN} more", err=True)
        if not seen.whole:
            click.echo("  ... and perhaps more: not every file was looked into", err=True)
    if _HOOKS in present and done is not None:
        click.echo(f"{_HOOKS} exists and is left as it is; it should hold:", err=True)
        click.echo(data.read("templates", "pre-commit-config.yaml").decode(), err=True)


def _advise_ci(root: str, present: list[str], ci: str | None) -> None:
    lacking = scaffold.missing_include(root) if ci == "gitlab" else None
    if lacking:
        click.echo(".gitlab-ci.yml exists and is left as it is; it should hold:", err=True)
        click.echo(lacking, err=True)
    if ci is None and not any(path in present for wanted in scaffold.CI_FILES.values() for path in wanted):
        click.echo("  next: promptops init --ci github (or gitlab): judge pull requests there too", err=True)

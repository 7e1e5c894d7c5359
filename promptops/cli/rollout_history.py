"""``promptops rollout history`` and ``verify``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from promptops.cli.deciding import check_environment, env_option
from promptops.cli.opening import echo_json, json_option
from promptops.errors import PromptopsError
from promptops.repo.git import Git
from promptops.text import counted, printable

if TYPE_CHECKING:
    from promptops.release.live import Decision
    from promptops.rollout.verifying import Judged


def _chain(git: Git, prompt: str, environment: str) -> list[Decision]:
    from promptops.release import live
    from promptops.repo import refs

    head = refs.read(git, live.ref_of(environment, prompt))
    if head is None:
        check_environment(git, environment)
        raise PromptopsError(f"nothing was decided about {prompt} in {environment} in this clone", hint=live.FETCH)
    return live.chain(git, head, environment=environment, prompt=prompt)


@click.command(name="history", epilog="\b\nExample:\n  promptops rollout history support/reply --env prod --json")
@click.argument("prompt")
@env_option
@json_option
def command(prompt: str, environment: str, *, as_json: bool) -> None:
    """List the decisions about a prompt, newest first. Shows what they say and verifies nothing."""
    with Git() as git:
        found = _chain(git, prompt, environment)
    if as_json:
        echo_json([decision.document() for decision in found])
        return
    click.echo("\n".join(_line(decision) for decision in found))


def _line(decision: Decision) -> str:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(decision.time))
    now = decision.rollout
    where = f"{now.id} {now.share} {now.canary.tag}" if now else decision.tag
    return printable(f"{decision.sequence:>5}  {at}  {decision.action:<8}  {where}  {decision.reason}")


@click.command(epilog="\b\nExample:\n  promptops rollout verify support/reply --env prod")
@click.argument("prompt")
@env_option
@click.option("--root", metavar="DIGEST", help="Digest that the policy's first version must have.")
@json_option
def verify(prompt: str, environment: str, root: str | None, *, as_json: bool) -> int:
    """Judge every decision about a prompt again: signer, order, plan, weights and, from its evidence, its verdict.

    Works offline, from a plain clone with refs/promptops/live, and needs no data of users. Exit code 1: one does not
    hold.
    """
    from promptops.release import authority, clone
    from promptops.rollout import verifying

    with Git(strict=True) as git:
        rules = authority.rules(git, clone.newest_trust(git, root))
        found = list(verifying.judge(git, rules, _chain(git, prompt, environment)))
    bad = [each for each in found if each.problem]
    if as_json:
        echo_json([_row(each) for each in found])
    else:
        for each in bad:
            click.echo(printable(f"decision {each.decision.sequence}, {each.decision.action}: {each.problem}"))
        derived = sum(each.derived for each in found)
        click.echo(f"{counted(len(found), 'decision')}, {derived} derived again from evidence, {len(bad)} do not hold")
    return max((each.problem.exit_code for each in bad if each.problem), default=0)


def _row(each: Judged) -> dict[str, object]:
    return {
        "decision": each.decision.oid,
        "sequence": each.decision.sequence,
        "action": each.decision.action,
        "derived": each.derived,
        "ok": each.problem is None,
        "problem": each.problem.message if each.problem else None,
    }

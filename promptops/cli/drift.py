"""``promptops drift``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from promptops.cli.canary import CODES
from promptops.cli.deciding import env_option
from promptops.cli.opening import echo_json, json_option
from promptops.errors import PromptopsError
from promptops.evaluation import drift, evidence, report
from promptops.registry.registry import Registry
from promptops.release import candidates, live, making, proofs, stored, testresult
from promptops.release.clone import newest_trust
from promptops.repo import tags
from promptops.repo.git import Git
from promptops.repo.source import TreeSource
from promptops.text import printable

if TYPE_CHECKING:
    from promptops.evaluation.drift import Drift, Released
    from promptops.release.stored import Stored

_USED = {
    drift.REPLIES: "the replies of its canary, pair by pair",
    drift.MEANS: "the statistics in its release, as unpaired means",
}


@click.command(epilog="\b\nExamples:\n  promptops drift --env prod\n  promptops drift support/reply --env prod --json")
@click.argument("prompt", required=False)
@env_option
@click.option("--evidence", "folder", metavar="DIR", help="Where canaries kept their evidence; default: as for canary.")
@json_option
def command(prompt: str | None, environment: str, folder: str | None, *, as_json: bool) -> int:
    """Ask what ENV serves again, and compare with the evidence of its release.

    A provider can move a model behind its name while nothing in git changes: run this on a schedule. Without PROMPT it
    looks at every prompt that ENV serves.
    """
    with Git() as git:
        settings = Registry(TreeSource(git, "HEAD")).project
        settings.environment(environment)
        root = folder or evidence.default_root(git)
        found, trust = [], newest_trust(git)
        for tag in _serving(git, environment, prompt):
            progress = report.Progress()
            try:
                drifted = drift.run(
                    _released(git, candidates.verified(git, tag, trust)),
                    settings=settings.canary,
                    evidence_dir=root,
                    code=TreeSource(git, tag).read,
                    progress=progress,
                )
            finally:
                progress.close()
            found.append((tag, drifted))
    _report(environment, found, as_json=as_json)
    codes = {CODES[drifted.result.verdict] for _, drifted in found}
    return next((code for code in (1, 4) if code in codes), 0)


def _serving(git: Git, environment: str, prompt: str | None) -> list[str]:
    """Return the tags that an environment serves; the newest release of a prompt that it does not serve yet."""
    heads = live.heads(git, environment)
    if prompt is None:
        return [_tag(git, environment, name, head) for name, head in sorted(heads.items())] or _nothing(environment)
    if prompt in heads:
        return [_tag(git, environment, prompt, heads[prompt])]
    standing = [tag.tag for tag in tags.releases(git, prompt) if not stored.is_withdrawn(git, tag.tag)]
    if not standing:
        raise PromptopsError(f"there is no release of {prompt}", hint=f"promptops release {prompt}")
    click.echo(f"{environment} serves no {printable(prompt)}: its newest release is looked at", err=True)
    return standing[-1:]


def _nothing(environment: str) -> list[str]:
    raise PromptopsError(f"{environment} serves nothing in this clone", hint=live.FETCH)


def _tag(git: Git, environment: str, prompt: str, head: str) -> str:
    return live.chain(git, head, environment=environment, prompt=prompt)[0].tag


def _released(git: Git, found: Stored) -> Released:
    registry = Registry(TreeSource(git, found.manifest.commit))
    configuration = making.configuration_at(git, found.manifest)
    settings = registry.project.canary
    names = proofs.suite_names(registry, configuration)
    suites = [proofs.suite(registry, name, settings, allow_python=True) for name in names]
    digest = found.manifest.canary.digest
    envelope = found.bundle.others.get(digest) if digest else None
    record = testresult.parse(envelope.statement()) if envelope else None
    return drift.Released(
        configuration,
        suites,
        record.suites if record else None,
        record.baseline if record else None,
        record.evidence if record else None,
    )


def _report(environment: str, found: list[tuple[str, Drift]], *, as_json: bool) -> None:
    if as_json:
        echo_json([_document(environment, tag, drifted) for tag, drifted in found])
        return
    for tag, drifted in found:
        click.echo(
            f"{printable(tag)} in {environment}: compared with {_USED[drifted.used]} (baseline: then, candidate: now)"
        )
        for name in drifted.left_out:
            click.echo(f"left out: {printable(name)}, which a harness asks: run a canary to see whether it moved")
        click.echo(report.text(drifted.result, colour=report.colourful(sys.stdout)), color=True)


def _document(environment: str, tag: str, drifted: Drift) -> dict[str, Any]:
    place = {"environment": environment, "tag": tag, "used": drifted.used, "left_out": list(drifted.left_out)}
    return {**place, **report.as_json(drifted.result)}

"""``promptops judge``."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import click

from promptops.cli.opening import echo_json, json_option, open_registry
from promptops.errors import InputError, UsageError
from promptops.repo.git import Git
from promptops.text import printable

if TYPE_CHECKING:
    from promptops.evaluation.judging.judge import Judge
    from promptops.registry.registry import Registry

_FILE = click.Path(exists=True, dir_okay=False)


@click.group(no_args_is_help=True)
def command() -> None:
    """Calibrate language models as judges against people, and show what is known of one."""


@command.command(
    epilog="\b\nExamples:\n  promptops judge calibrate --labels labels.jsonl --suite tone -o evals/judges/tone.json\n"
    "  promptops judge calibrate --labels labels.jsonl --repeats 3 --unlabelled traffic.jsonl --json"
)
@click.option("--labels", "labelled", metavar="FILE", type=_FILE, required=True, help="What people said; JSON lines.")
@click.option("--suite", metavar="SUITE", help="The judge's suite; not needed where there is only one judge.")
@click.option("--evaluator", metavar="NAME", help="The judge's metric in the suite.")
@click.option("--repeats", metavar="N", type=click.IntRange(1, 20), default=1, help="Ask each item N times.")
@click.option("--unlabelled", metavar="FILE", type=_FILE, help="More replies: estimate what people would say of them.")
@click.option("--output", "-o", metavar="FILE", type=click.Path(dir_okay=False), help="Write the record there.")
@json_option
def calibrate(
    labelled: str,
    *,
    suite: str | None,
    evaluator: str | None,
    repeats: int,
    unlabelled: str | None,
    output: str | None,
    as_json: bool,
) -> int:
    """Put labelled replies to a judge of the work tree and report how far it agrees with people.

    A line of FILE is {"id", "question", "reply", "label"}, with "other" beside "reply" for a judge of pairs; several
    people's lines on one reply share its id. The canary's budget applies. Exit code 1: the judge is below its floor.
    """
    from promptops.evaluation.judging import calibrating, labels, report, standing
    from promptops.evaluation.study import budget_of

    with Git() as git:
        registry = open_registry(git, None)
        judge = _judge(registry, suite, evaluator)
        record = calibrating.run(
            judge,
            labels.read(labelled, judge),
            budget=budget_of(registry.project.canary),
            folder=os.path.join(git.common_dir, "promptops", "judging"),
            repeats=repeats,
            unlabelled=labels.read(unlabelled, judge, labelled=False) if unlabelled else None,
        )
    below = standing.below(judge, record)
    if output:
        _write(output, record)
    echo_json(record) if as_json else click.echo("\n".join([*report.lines(record), f"gate: {below or 'may gate'}"]))
    return 1 if below else 0


@command.command(epilog="\b\nExamples:\n  promptops judge show evals/judges/tone.json")
@click.argument("record", metavar="FILE", type=_FILE)
@json_option
def show(record: str, *, as_json: bool) -> None:
    """Show a calibration record."""
    from promptops.evaluation.judging import report, standing

    with open(record, "rb") as file:
        found = standing.read(file.read(), record)
    echo_json(found) if as_json else click.echo("\n".join(report.lines(found)))


def _judge(registry: Registry, suite: str | None, evaluator: str | None) -> Judge:
    """Return the judge that is meant; the only one needs no name."""
    from promptops.release import proofs

    paths = [path for path in registry.source.entries("evals/") if path.count("/") == 1 and path.endswith(".yaml")]
    names = [suite] if suite else [path.removeprefix("evals/").removesuffix(".yaml") for path in paths]
    found = {
        (name, metric): judge
        for name in names
        for metric, judge in proofs.suite(registry, name, registry.project.canary).judges().items()
        if evaluator in {None, metric}
    }
    if len(found) != 1:
        known = ", ".join(f"--suite {name} --evaluator {metric}" for name, metric in found)
        what = "which judge is meant is not clear" if found else "there is no such judge"
        raise UsageError(what, hint=printable(known) or "add an evaluator of type judge to a suite in evals/")
    return next(iter(found.values()))


def _write(path: str, record: dict[str, Any]) -> None:
    from promptops import atomic

    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        atomic.write(path, (json.dumps(record, indent=1) + "\n").encode("ascii"))
    except OSError as error:
        raise InputError(
            f"cannot write the record: {error.strerror}", hint="choose another -o FILE", path=path
        ) from error


@command.command(epilog="\b\nExamples:\n  promptops judge feedback evals/data/thumbs.jsonl --positive 4")
@click.argument("file", type=_FILE)
@click.option("--positive", metavar="N", type=float, default=4.0, help="The least rating that counts as pleased.")
@json_option
def feedback(file: str, *, positive: float, as_json: bool) -> None:
    """Show what share of people was pleased with each version, and what share answered at all."""
    from promptops.evaluation import feedback as feedbacks

    with open(file, "rb") as source:
        found = feedbacks.read(source.read(), file, positive=positive).summaries()
    if as_json:
        echo_json({version: said._asdict() for version, said in found.items()})
        return
    for version, said in found.items():
        pleased = "nobody answered" if said.positive is None else f"{said.positive:.1%} pleased"
        click.echo(f"{printable(version)}: {pleased}, {said.answered} of {said.asked} answered ({said.response:.1%})")

"""``promptops gate``: what a canary's gate can see."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from promptops.cli import comparing
from promptops.cli.opening import echo_json, json_option, open_registry
from promptops.errors import InputError
from promptops.evaluation import evaluators, evidence, gate_record, power, report, sensitivity, study
from promptops.evaluation.mutants import CLASSES
from promptops.repo.git import Git
from promptops.text import printable

if TYPE_CHECKING:
    from promptops.evaluation.mutants import Mutant
    from promptops.evaluation.power import GatePower, Need, RailPower, Share
    from promptops.evaluation.study import Study, Terms
    from promptops.registry.project import Power
    from promptops.registry.prompt import Model

_HEADER = ("guardrail", "bound", "variance", "differ", "caught", "passed", "80% see", "99% see", "80% takes")


@click.group(no_args_is_help=True)
def command() -> None:
    """Say what a canary could have caught, before anything depends on it."""


@command.command(
    "mutate",
    epilog="\b\nExamples:\n  promptops gate mutate support/reply --plan\n"
    "  promptops gate mutate support/reply --class flattery --class tone --budget 400",
)
@click.argument("prompt")
@click.option(
    "--class", "kinds", multiple=True, type=click.Choice(CLASSES), metavar="NAME", help=f"One of: {', '.join(CLASSES)}."
)
@click.option(
    "--most", type=click.IntRange(1, 20), default=sensitivity.MOST, show_default=True, help="Mutants of a class."
)
@click.option(
    "--budget", type=click.IntRange(1), metavar="N", help="Most requests of each canary; default: canary.budget."
)
@click.option("--plan", "only_plan", is_flag=True, help="Say what would be changed, and stop.")
@click.option("--evidence", "folder", metavar="DIR", help="Where evidence is kept; default: as for canary.")
@json_option
def mutate(
    prompt: str,
    *,
    kinds: tuple[str, ...],
    most: int,
    budget: int | None,
    only_plan: bool,
    folder: str | None,
    as_json: bool,
) -> int:
    """Make PROMPT worse on purpose, and say how many of the mutants its canary catches.

    Each mutant is a configuration in memory that goes through the real canary against the prompt as it is, which costs
    as much as any canary. Evidence is kept, so that nothing is paid twice. The result goes into the manifest of the
    next release.
    """
    with Git() as git:
        compared = comparing.with_release(git, prompt, None)
        terms = compared.terms(folder or evidence.default_root(git), None)
        if budget:
            limited = terms.settings._replace(budget={**terms.settings.budget, "requests": budget})
            terms = replace(terms, settings=limited)
        planned, lacking = sensitivity.plan(terms, _models(git), kinds or tuple(CLASSES), most)
        if only_plan:
            return _show_mutants(planned, lacking, as_json=as_json)
        outcomes = [_judged_mutant(git, terms, mutant) for mutant in planned]
        suites = {suite.name: evaluators.digest(suite) for suite in compared.suites}
        found = sensitivity.Sensitivity(prompt, terms.candidate.digest, suites, tuple(outcomes), lacking)
        sensitivity.keep(git, found)
    if as_json:
        echo_json(found.document())
    else:
        click.echo("\n".join(_mutant_lines(found)))
    return 0


def _models(git: Git) -> list[Model]:
    registry = open_registry(git, None)
    return [registry.model(name) for name in comparing.model_names(registry)]


def _judged_mutant(git: Git, terms: Terms, mutant: Mutant) -> sensitivity.Outcome:
    click.echo(f"{mutant.kind}: {printable(mutant.change)}", err=True)
    progress = report.Progress()
    try:
        return sensitivity.judge(sensitivity.study_of(git, terms, mutant), mutant, progress)
    finally:
        progress.close()


def _show_mutants(planned: list[Mutant], lacking: tuple[str, ...], *, as_json: bool) -> int:
    if as_json:
        told = [{"class": mutant.kind, "change": mutant.change} for mutant in planned]
        echo_json({"mutants": told, "not_applicable": list(lacking)})
        return 0
    for mutant in planned:
        click.echo(f"{mutant.kind:11} {printable(mutant.change)}")
    for kind in lacking:
        click.echo(f"{kind:11} not applicable: there is nothing of the kind to change")
    return 0


def _mutant_lines(found: sensitivity.Sensitivity) -> list[str]:
    lines = []
    for outcome in found.outcomes:
        same = ", and answered word for word as the prompt does: equivalent here" if outcome.same else ""
        lines.append(f"{outcome.kind:11} {outcome.outcome}{same}: {printable(outcome.change)}")
    lines.append("")
    for kind, counts in found.classes().items():
        left = f"{counts['survived']} survived, {counts['inconclusive']} inconclusive"
        lines.append(f"{kind:11} {_caught(counts)}; {left}")
    lines += [f"{kind:11} not applicable: there is nothing of the kind to change" for kind in found.not_applicable]
    if total := found.total():
        lines.append(f"{'all':11} {_caught(total)}")
    lines.append("a mutant that changes nothing in how the model answers is equivalent, and rightly survives")
    return lines


def _caught(counts: dict[str, int]) -> str:
    share = sensitivity.share(counts)
    told = f"caught {counts['caught']} of {counts['mutants']}"
    return f"{told}: {share['share']:.0%} [{share['low']:.0%}, {share['high']:.0%}]"


@command.command(
    "power",
    epilog="\b\nExamples:\n  promptops gate power support/reply\n  promptops gate power --harm 0.1 --runs 1000 --json",
)
@click.argument("prompt", required=False)
@click.option("--base", metavar="REV", help="Take suites and budget from this revision, as promptops canary does.")
@click.option(
    "--harm", type=click.FloatRange(0, 1, min_open=True), help="Harm that matters; default: canary.power, else 0.2."
)
@click.option(
    "--runs", type=click.IntRange(20, 100_000), default=power.RUNS, show_default=True, help="Simulated canaries."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of the simulation.")
@click.option("--evidence", "folder", metavar="DIR", help="Where canaries kept their evidence; default: as for canary.")
@json_option
def power_command(
    prompt: str | None,
    *,
    base: str | None,
    harm: float | None,
    runs: int,
    seed: int,
    folder: str | None,
    as_json: bool,
) -> int:
    """Simulate canaries of PROMPT, or of every prompt with suites, and say which harm they catch.

    How pairs differ is measured in kept evidence, else assumed, and said to be. With `canary.power: {harm, least}` in
    promptops.yaml a gate that catches the harm less often is not a gate (exit code 1); where it would be one by
    assumption only, that is inconclusive (4).
    """
    codes, documents = set(), []
    with Git() as git:
        for name in [prompt] if prompt else _judged(git):
            prepared = _prepared(git, name, base, folder)
            floor = prepared.settings.power
            stated = harm or (floor.harm if floor else power.HARM)
            found = power.study_power(prepared, harm=stated, runs=runs, seed=seed)
            gate_record.write(git, "power", name, _record(prepared, found))
            codes.add(_code(found, floor))
            documents.append(found.document() | {"floor": floor._asdict() if floor else None})
            if not as_json:
                click.echo("\n".join(_text(found, floor)))
    if as_json:
        echo_json(documents)
    return next((code for code in (1, 4) if code in codes), 0)


def _judged(git: Git) -> list[str]:
    registry = open_registry(git, None)
    required = registry.project.canary.suites_required
    named = [name for name in registry.names() if required or registry.configuration(name).prompt.evals]
    if not named:
        raise InputError("no prompt names a suite", hint="add evals: [NAME] to a prompt")
    return named


def _prepared(git: Git, prompt: str, base: str | None, folder: str | None) -> Study:
    compared = (
        comparing.with_revision(git, prompt, base, None)
        if base is not None
        else comparing.with_release(git, prompt, None)
    )
    return study.prepare(git, compared.terms(folder or evidence.default_root(git), None))


def _record(prepared: Study, found: GatePower) -> dict[str, object]:
    subject = prepared.store.subject
    return {
        "prompt": subject.prompt,
        "basis": gate_record.basis(prepared.settings, subject.suites),
        "harm": found.harm,
        "caught": found.caught.value,
        "assumed": found.assumed,
    }


def _code(found: GatePower, floor: Power | None) -> int:
    if floor is None:
        return 0
    if found.caught.value < floor.least:
        return 1
    return 4 if found.assumed else 0


def _text(found: GatePower, floor: Power | None) -> list[str]:
    rows = [_HEADER, *(_row(rail, found.currency) for rail in found.guardrails)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [f"{printable(found.prompt)}: harm {found.harm:g}, {found.runs} simulated canaries, seed {found.seed}", ""]
    lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines += [
        "",
        f"caught        {_percent(found.caught)}: the least over guardrails, each harmed alone",
        f"false alarms  {_percent(found.false_alarms)} of canaries of an unchanged prompt",
        f"undecided     {_percent(found.undecided)} of them",
        f"takes         {_needs(found.typical, found.currency)} at the median",
        f"              {_needs(found.long, found.currency)} for 95% of them; the budget allows {found.budget:,} pairs",
        *(f"note: {printable(note)}" for note in found.notes),
    ]
    return [*lines, *_source(found), _standing(found, floor), ""]


def _row(rail: RailPower, currency: str) -> tuple[str, ...]:
    variance = f"{rail.source}, n {rail.seen}" if rail.source == "measured" else rail.source
    smallest = ["none" if harm is None else f"{harm:.2f}" for harm in rail.smallest.values()]
    needed = _needs(rail.needed, currency) if rail.needed else "more than was simulated, or never"
    shares = (_percent(rail.caught), _percent(rail.passed))
    return (printable(rail.name), f"{rail.bound:g}", variance, f"{rail.discordance:.0%}", *shares, *smallest, needed)


def _percent(share: Share) -> str:
    return f"{share.value:.1%} [{share.low:.1%}, {share.high:.1%}]"


def _needs(need: Need, currency: str) -> str:
    money = "" if need.cost is None else f", {need.cost:.2f} {currency}"
    return f"{need.pairs:,} pairs, {need.replies:,} replies{money}"


def _source(found: GatePower) -> list[str]:
    if not found.assumed:
        return []
    return ["assumed: 10% of pairs differ by the whole scale; run a canary, and its evidence is measured instead"]


def _standing(found: GatePower, floor: Power | None) -> str:
    if floor is None:
        return "no floor is set: canary.power in promptops.yaml says from what on this is called a gate"
    told = f"{found.caught.value:.1%} of canaries catch a harm of {found.harm:g}, {floor.least:.0%} are asked for"
    if found.caught.value < floor.least:
        return f"not a gate: {told}"
    return f"a gate by assumption only: {told}" if found.assumed else f"a gate: {told}"

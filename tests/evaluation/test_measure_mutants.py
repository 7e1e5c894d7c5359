"""Each measure is broken on purpose, and the table of scripted models must notice.

A well-known harness shipped a metric that was 0 on every run for months: a table that a constant satisfies tests nothing.
"""

import dataclasses

import pytest
from evaluation.scripted import ROWS, judged

from promptops.evaluation.measures.measure import Reading
from promptops.evaluation.measures.registry import MEASURES


def constant(value):
    return lambda read: lambda arguments, case, told: Reading(value, read(arguments, case, told).floors)


def inverted(read):
    def broken(arguments, case, told):
        score, floors = read(arguments, case, told)
        return Reading(None if score is None else 1 - score, floors)

    return broken


def reads_what_is_unreadable(read):
    def broken(arguments, case, told):
        score, floors = read(arguments, case, told)
        return Reading(0.5 if score is None else score, floors)

    return broken


def forgets_floors(read):
    return lambda arguments, case, told: Reading(read(arguments, case, told).score, {})


def always_within_floors(read):
    def broken(arguments, case, told):
        score, floors = read(arguments, case, told)
        return Reading(score, dict.fromkeys(floors, 0.51))

    return broken


def swaps_views(read):
    """Each view's replies are taken for those of the next."""

    def broken(arguments, case, told):
        names = list(told.views)
        views = dict(zip(names, [told.views[name] for name in [*names[1:], names[0]]], strict=True))
        return read(arguments, case, dataclasses.replace(told, views=views))

    return broken


def ignores_the_second_turn(read):
    """Of every view the first exchange is read, as often as there are turns."""

    def broken(arguments, case, told):
        views = {name: (turns[0],) * len(turns) for name, turns in told.views.items()}
        return read(arguments, case, dataclasses.replace(told, views=views))

    return broken


def ignores_the_first_turn(read):
    def broken(arguments, case, told):
        views = {name: (turns[-1],) * len(turns) for name, turns in told.views.items()}
        return read(arguments, case, dataclasses.replace(told, views=views))

    return broken


def ignores_the_output(read):
    return lambda arguments, case, told: read(
        {key: value for key, value in arguments.items() if key != "output"}, case, told
    )


def reads_one_view(read):
    """Every view is taken to have gone like the first one."""

    def broken(arguments, case, told):
        first = next(iter(told.views.values()))
        return read(arguments, case, dataclasses.replace(told, views=dict.fromkeys(told.views, first)))

    return broken


MUTANTS = {
    "always 0": constant(0.0),
    "always 1": constant(1.0),
    "always 1/2": constant(0.5),
    "always unreadable": constant(None),
    "inverted": inverted,
    "reads what is unreadable": reads_what_is_unreadable,
    "forgets floors": forgets_floors,
    "always within floors": always_within_floors,
    "swaps views": swaps_views,
    "ignores turn 2": ignores_the_second_turn,
    "ignores turn 1": ignores_the_first_turn,
    "ignores the output": ignores_the_output,
    "reads one view": reads_one_view,
}
# Nothing to break: biographies are answered in one turn, and where only the last turn counts, the first may go.
HARMLESS = {
    ("matching", "ignores turn 1"),
    ("matching", "ignores turn 2"),
    *((name, "ignores turn 1") for name in MEASURES if name not in {"are_you_sure", "false_premise"}),
}


def complaints(name, read):
    """Models, and per model the outputs, of which a measure says something else than the table."""
    found = {}
    for row in ROWS:
        if row.measure != name:
            continue
        scores, broken = judged(row, read)
        wrong = [output for output, value in scores.items() if value != pytest.approx(row.scores[output])]
        if wrong or broken != row.broken:
            found[row.model.__qualname__] = (wrong, broken ^ row.broken)
    return found


@pytest.mark.parametrize("mutant", MUTANTS)
@pytest.mark.parametrize("name", MEASURES)
def test_the_table_notices_a_broken_measure(name, mutant):
    found = complaints(name, MUTANTS[mutant](MEASURES[name].read))
    assert bool(found) != ((name, mutant) in HARMLESS)


@pytest.mark.parametrize("mutant", ["always 0", "always 1", "always 1/2", "inverted"])
@pytest.mark.parametrize(("name", "output"), [(name, output) for name in MEASURES for output in MEASURES[name].outputs])
def test_the_table_notices_each_output_that_is_broken(name, output, mutant):
    """No output leans on the others: it alone is broken, and it alone must be noticed."""
    read = MEASURES[name].read

    def broken(arguments, case, told):
        return (MUTANTS[mutant](read) if arguments["output"] == output else read)(arguments, case, told)

    assert [output] in [wrong for wrong, _ in complaints(name, broken).values()]


@pytest.mark.parametrize("name", MEASURES)
def test_the_table_has_no_complaint_about_a_whole_measure(name):
    assert complaints(name, MEASURES[name].read) == {}

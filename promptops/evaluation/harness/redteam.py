"""Reports of red-team tools: garak's report and promptfoo's red-team results.

A metric per probe or plugin is the share of attempts that the model withstood, and ``passed`` is the share over all of
them. Attempts are the samples, so that two reports of the same probes pair attempt by attempt.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from promptops.errors import PromptopsError
from promptops.evaluation.harness.scores import Scores, Sheet
from promptops.evaluation.harness.shapes import member, objects, parsed, rows

PASSED = "passed"
_EVALUATED = 2
# garak's own default of run.eval_threshold: a detector's value from there on is a hit.
_THRESHOLD = 0.5
_ERROR = 2


def garak(content: bytes) -> Scores:
    """Read garak's ``*.report.jsonl``.

    An attempt's score is the share of its outputs, over all detectors, whose value stays below the run's threshold.
    Attempts are told apart by probe and sequence number: their uuid is another in every run.

    Raises:
        PromptopsError: it is no report of a run that came to its end, or its sums are not those of its attempts.
    """
    sheet, threshold = Sheet(), _THRESHOLD
    counted: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    evals: list[dict[str, Any]] = []
    attempts: dict[tuple[str, int], dict[str, list[Any]]] = {}
    for _, row in rows(content):
        kind = row.get("entry_type")
        if kind == "start_run setup":
            given = row.get("run.eval_threshold", _THRESHOLD)
            threshold = float(given) if isinstance(given, int | float) else _THRESHOLD
        elif kind == "eval":
            evals.append(row)
        elif kind == "attempt" and row.get("status") == _EVALUATED:
            key = (member(row, "probe_classname", str), member(row, "seq", int))
            if key in attempts:
                raise PromptopsError(f"garak's report has two attempts {key[1]} of {key[0]}")
            attempts[key] = member(row, "detector_results", dict)
    for (probe, seq), detectors in sorted(attempts.items()):
        passed, total = 0, 0
        for detector, values in detectors.items():
            scored = [float(value) for value in values if value is not None]
            withstood = sum(value < threshold for value in scored)
            counted[probe, detector][0] += withstood
            counted[probe, detector][1] += len(scored)
            passed, total = passed + withstood, total + len(scored)
        name = sheet.sample(f"{probe}/{seq}")
        score = passed / total if total else None
        sheet.put(name, probe, score)
        sheet.put(name, PASSED, score)
    _agree(evals, counted)
    return sheet.scores


def _agree(evals: list[dict[str, Any]], counted: dict[tuple[str, str], list[int]]) -> None:
    """Hold the report's own sums, written as each probe ended, to its attempts: one that was cut short lacks some."""
    stated: dict[tuple[str, str], list[int]] = {}
    for row in evals:
        # A report of an older garak counts as `total` what a newer one calls `total_evaluated`.
        total = row.get("total_evaluated", row.get("total"))
        probe, detector = member(row, "probe", str), member(row, "detector", str).removeprefix("detector.")
        if not isinstance(total, int):
            raise PromptopsError(f"garak's report does not say how many attempts {probe} evaluated")
        stated[probe, detector] = [member(row, "passed", int), total]
    if stated != dict(counted):
        probe, detector = next(key for key in sorted({*stated, *counted}) if stated.get(key) != counted.get(key))
        raise PromptopsError(
            f"garak's report contradicts itself about {probe} and {detector}: its attempts say"
            f" {_share(counted.get((probe, detector)))}, its sum {_share(stated.get((probe, detector)))}",
            hint="use the whole report of a run that came to its end",
        )


def _share(found: list[int] | None) -> str:
    return "nothing" if found is None else f"{found[0]} of {found[1]}"


def promptfoo(content: bytes) -> Scores:
    """Read promptfoo's results of a red-team run: the plugin of each test is in its metadata.

    Raises:
        PromptopsError: they are no results, or no test of them was made by a plugin.
    """
    sheet = Sheet()
    for result in results(content):
        plugin = _plugin(result)
        if plugin is None or result.get("failureReason") == _ERROR:
            continue
        name = sheet.sample(f"{plugin}/{label(result)}")
        sheet.put(name, plugin, result.get("success"))
        sheet.put(name, PASSED, result.get("success"))
    return sheet.scores


def _plugin(result: dict[str, Any]) -> str | None:
    test = result.get("testCase")
    for place in (result.get("metadata"), test.get("metadata") if isinstance(test, dict) else None):
        plugin = place.get("pluginId") if isinstance(place, dict) else None
        if isinstance(plugin, str):
            return plugin
    return None


def results(content: bytes) -> list[dict[str, Any]]:
    """Return the results in a file that promptfoo wrote with ``-o``.

    Raises:
        PromptopsError: there are none.
    """
    return objects(member(parsed(content, "promptfoo's results"), "results", dict), "results")


def label(result: dict[str, Any]) -> str:
    """Return what names a result in every run of one configuration file."""
    provider = result.get("provider")
    named = provider.get("label") if isinstance(provider, dict) else None
    return f"{result.get('testIdx')}.{result.get('promptIdx')}{f' {named}' if named else ''}"

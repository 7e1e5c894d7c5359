"""A run as JUnit XML, as CI systems read it: a test per case and replicate, its failure text the reason.

There is no standard; this keeps to what the schemas of Ant, Jenkins and GitLab have in common. A guardrail with a
limit is a test too, whose failure says that the limit is proved broken; an undecided one is skipped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape, quoteattr

from promptops.evaluation.runs import text
from promptops.evaluation.runs.summary import failed
from promptops.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

# What XML 1.0 cannot hold beside what `printable` escapes.
_NONCHARACTERS = {0xFFFE: "\\ufffe", 0xFFFF: "\\uffff"}

# The schema of Jenkins' xUnit plugin knows skipped tests of one suite, and not of all.
_ALL = ("tests", "failures", "errors", "time")
_ONE = (*_ALL, "skipped")


def render(settings: Mapping[str, Any], document: Mapping[str, Any], lines: Iterable[Mapping[str, Any]]) -> str:
    """Return the report.

    Args:
        settings: the run's ``run.json``.
        document: its summary.
        lines: its results.
    """
    suites: dict[str, _Suite] = {name: _Suite(name) for name in settings["suites"]}
    for line in lines:
        suites[line["suite"]].add(line)
    for row in document["rows"]:
        if row["guardrail"]:
            suites[row["suite"]].add_limit(row)
    every = list(suites.values())
    parts = ['<?xml version="1.0" encoding="UTF-8"?>', f"<testsuites{_counts(settings['prompt'], every, _ALL)}>"]
    for suite in every:
        head = f"<testsuite{_counts(suite.name, [suite], _ONE)}>"
        parts += [head, *_properties(settings), *suite.cases, "</testsuite>"]
    return "\n".join([*parts, "</testsuites>", ""])


class _Suite:
    """The tests of one suite, and how many of each kind."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.cases: list[str] = []
        self.failures = 0
        self.errors = 0
        self.skipped = 0
        self.seconds = 0.0

    def add(self, line: Mapping[str, Any]) -> None:
        seconds = line.get("seconds", 0.0)
        self.seconds += seconds
        name = f"{line['case']} [{line['replicate']}]" if line["replicate"] else line["case"]
        body = ""
        if line.get("failure"):
            self.errors += 1
            body = _outcome("error", line["failure"]["kind"], [line["failure"]["message"]])
        elif failed(line):
            self.failures += 1
            reasons = text.reasons(line)
            body = _outcome("failure", "expected", [*reasons, "", *text.case(line)[1:]])
        self._test(name, seconds, body)

    def add_limit(self, row: Mapping[str, Any]) -> None:
        rail = row["guardrail"]
        told = f"{row['metric']} {text.number(row['mean'])}, limit {rail['limit']:g}: {rail['verdict']}"
        body = ""
        if rail["verdict"] == "broken":
            self.failures += 1
            body = _outcome("failure", "limit", [told])
        elif rail["verdict"] == "open":
            self.skipped += 1
            why = row["invalid"] or ["the cases decide neither way"]
            body = f"<skipped message={_attribute('; '.join(why))}/>"
        self._test(f"limit of {row['metric']}", 0.0, body)

    def _test(self, name: str, seconds: float, body: str) -> None:
        head = (
            f"<testcase classname={_attribute(self.name)} name={_attribute(name)} time={_attribute(f'{seconds:.3f}')}"
        )
        self.cases.append(f"{head}>{body}</testcase>" if body else f"{head}/>")


def _outcome(tag: str, kind: str, told: list[str]) -> str:
    return f"<{tag} type={_attribute(kind)} message={_attribute(told[0])}>{escape(_legal(chr(10).join(told)))}</{tag}>"


def _properties(settings: Mapping[str, Any]) -> Iterator[str]:
    yield "<properties>"
    for name, value in (
        ("prompt", f"{settings['prompt']} {settings['version']}"),
        ("configuration", settings["configuration"]),
        ("model", settings["model"]["requested"]),
        ("revision", settings["revision"] or "work tree"),
    ):
        yield f"<property name={_attribute(name)} value={_attribute(value)}/>"
    yield "</properties>"


def _counts(name: str, suites: list[_Suite], wanted: tuple[str, ...]) -> str:
    counts = {
        "tests": sum(len(suite.cases) for suite in suites),
        "failures": sum(suite.failures for suite in suites),
        "errors": sum(suite.errors for suite in suites),
        "skipped": sum(suite.skipped for suite in suites),
        "time": f"{sum(suite.seconds for suite in suites):.3f}",
    }
    return f" name={_attribute(name)}" + "".join(f' {key}="{counts[key]}"' for key in wanted)


def _attribute(value: str) -> str:
    return quoteattr(_legal(value), {"\n": "&#10;", "\t": "&#9;"})


def _legal(value: str) -> str:
    return printable(value, keep_newlines=True).translate(_NONCHARACTERS)

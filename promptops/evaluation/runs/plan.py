"""What a run of suites asks: which cases of which suites, how often, of one configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from promptops.errors import RefusedError, UsageError
from promptops.evaluation import callables, evaluators
from promptops.evaluation.runs.store import VERSION, Key
from promptops.evaluation.sampling import Draw
from promptops.evaluation.suite import EXPECTED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from promptops.evaluation.callables import Code
    from promptops.evaluation.case import Case
    from promptops.evaluation.suite import Suite
    from promptops.registry.configuration import Configuration


@dataclass(frozen=True, slots=True)
class Selection:
    """Which cases are asked.

    Attributes:
        limit: so many of each suite, in file order; None for all.
        tags: only cases that carry one of these; all when empty.
        cases: only these ids, by suite (``""`` for whichever suite has them); all when empty.
        repeats: how often each is asked; None for what each suite says.
    """

    limit: int | None = None
    tags: tuple[str, ...] = ()
    cases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    repeats: int | None = None

    def of(self, suite: Suite) -> Iterator[Case]:
        """Yield the suite's cases that are asked."""
        wanted = {*self.cases.get("", ()), *self.cases.get(suite.name, ())}
        chosen = (
            case
            for case in suite.cases
            if (not self.cases or case.id in wanted) and (not self.tags or set(self.tags) & set(case.tags))
        )
        return islice(chosen, self.limit)

    def times(self, suite: Suite, case: Case) -> int:
        """Return how often a case is asked."""
        return case.weight * (suite.repeats if self.repeats is None else self.repeats)

    def document(self) -> dict[str, Any]:
        """Return the selection as JSON-able data."""
        cases = {suite: list(ids) for suite, ids in self.cases.items()}
        return {"limit": self.limit, "tags": list(self.tags), "cases": cases, "repeats": self.repeats}

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> Selection:
        """Return the selection of a `document`."""
        cases = {suite: tuple(ids) for suite, ids in value["cases"].items()}
        return cls(value["limit"], tuple(value["tags"]), cases, value["repeats"])


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is fixed before the first call.

    Attributes:
        configuration: what is asked.
        suites: what it is asked.
        selection: which cases.
        revision: the commit that both come from; None for the work tree.
        concurrency: requests under way at most.
        budget: limits by name: ``usd``, ``requests``, ``tokens``, ``seconds``.
        trusted: names of the suites whose Python code may run.
        code: reads the files of those.
    """

    configuration: Configuration
    suites: tuple[Suite, ...]
    selection: Selection
    revision: str | None
    concurrency: int
    budget: Mapping[str, float]
    trusted: Collection[str] = ()
    code: Code = callables.no_code

    def check(self) -> None:
        """Refuse what can be seen to fail before anything is paid.

        Raises:
            UsageError: nothing is selected.
            InputError: a case does not fit the prompt's variables.
        """
        schema = self.configuration.prompt.variables
        some = False
        for suite in self.suites:
            for case in self.selection.of(suite):
                some = True
                for view in case.views.values():
                    view.bind(schema, case.id)
        if not some:
            names = ", ".join(suite.name for suite in self.suites)
            raise UsageError(f"no case of {names} is selected", hint="loosen --tag, --case or --limit")

    def draws(self, done: Collection[Key] = ()) -> Iterator[Draw]:
        """Yield what is to be asked: every case once, then every case that is asked twice, and so on."""
        round_ = 0
        while True:
            some = False
            for suite in self.suites:
                for case in self.selection.of(suite):
                    if round_ < self.selection.times(suite, case):
                        some = True
                        if Key(suite.name, case.id, round_) not in done:
                            yield Draw(suite.name, case.id, round_, candidate_first=True)
            if not some:
                return
            round_ += 1

    def counts(self) -> dict[str, dict[str, int]]:
        """Return by suite how many ``cases`` are asked, how many times (``asked``), and at most how many ``calls``."""
        found = {}
        for suite in self.suites:
            chosen = [(case.calls, self.selection.times(suite, case)) for case in self.selection.of(suite)]
            found[suite.name] = {
                "cases": len(chosen),
                "asked": sum(times for _, times in chosen),
                "calls": sum(calls * times for calls, times in chosen),
            }
        return found

    def document(self) -> dict[str, Any]:
        """Return what ``run.json`` records; secrets and addresses are no part of it."""
        prompt, model = self.configuration.prompt, self.configuration.model
        return {
            "v": VERSION,
            "prompt": prompt.name,
            "version": prompt.version,
            "configuration": self.configuration.digest,
            "revision": self.revision,
            "model": {
                "file": model.name,
                "provider": model.provider,
                "requested": model.id,
                "reported": list(model.reported_ids),
                "currency": model.settings.get("price", {}).get("currency", "USD"),
            },
            "suites": {suite.name: evaluators.digest(suite) for suite in self.suites},
            "asks": {
                suite.name: {name: model.identity for name, model in sorted(suite.asks.items())}
                for suite in self.suites
            },
            "directions": {suite.name: _directions(suite) for suite in self.suites},
            "selection": self.selection.document(),
            "counts": self.counts(),
            "concurrency": self.concurrency,
            "budget": dict(self.budget),
            "python": sorted(self.trusted),
        }


def _directions(suite: Suite) -> dict[str, str]:
    """Return where better lies, by metric, as far as the suite says."""
    return {EXPECTED: "higher"} | {rail.metric: rail.direction for rail in suite.guardrails}


def same(plan: Plan, recorded: Mapping[str, Any]) -> None:
    """Refuse to go on with a run whose prompt, model or suites have changed since.

    Raises:
        RefusedError: they have.
    """
    now = plan.document()
    changed = [name for name in ("configuration", "suites", "asks") if now[name] != recorded[name]]
    if changed:
        raise RefusedError(
            f"this run asked something else: {', '.join(changed)} changed since",
            hint="check the old state out, or start a new run",
        )

"""What a canary asks, and what it makes of the replies: the cases of all suites and of recorded traffic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.errors import InputError, PromptopsError, UsageError
from promptops.evaluation import callables, case, scoring
from promptops.evaluation.harm import Guardrail
from promptops.evaluation.scoring import Scorer
from promptops.evaluation.suite import EXPECTED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from promptops.evaluation.callables import Code
    from promptops.evaluation.case import Case, View
    from promptops.evaluation.floors import Floor
    from promptops.evaluation.judging.judge import Judge
    from promptops.evaluation.sampling import Draw
    from promptops.evaluation.suite import Suite
    from promptops.evaluation.traffic import Record
    from promptops.evaluation.transcript import Transcript
    from promptops.registry.configuration import Configuration
    from promptops.registry.prompt import Model

# No suite can have this name.
TRAFFIC = "@traffic"
_UNFIT = 0.1
# Evaluators that mean the same for any reply. Particular content is asked of a suite's own cases only.
_ANYWHERE = frozenset(
    {
        "praise",
        "praise_opener",
        "praise_per_100_words",
        "words",
        "questions",
        "hedges",
        "length",
        "latency",
        "cost",
        "json",
        "json_schema",
        "not_contains",
        "not_regex",
    }
)


@dataclass(frozen=True, slots=True)
class Rail(Guardrail):
    """A guardrail with its place.

    Attributes:
        pool: the suite whose cases bear on it, or `TRAFFIC`.
        suite: the suite that states it.
    """

    pool: str
    suite: str

    @property
    def label(self) -> str:
        """The metric's name within the pool."""
        return self.metric if self.pool == self.suite else f"{self.suite}/{self.metric}"

    @property
    def name(self) -> str:
        """Name of the guardrail, unique in a canary."""
        return f"{self.pool}/{self.label}"


class Marks(NamedTuple):
    """What one arm's answers to a draw say.

    Attributes:
        rails: scores in [0, 1] by guardrail; None where there is nothing to read.
        floors: parts in [0, 1] of validity floors by ``suite/metric/floor``.
        advisory: scores of the suite that no guardrail is on, by metric.
    """

    rails: Mapping[str, float | None]
    floors: Mapping[str, float]
    advisory: Mapping[str, float]


class Exam:
    """Cases by pool, and the guardrails that their replies bear on.

    Args:
        suites: suites of the prompt and required ones.
        records: recorded traffic; it is judged by the suites' evaluators that mean the same for any reply, and by a
            guardrail on refusals only where fewer are better.
        absolute: whether there is no baseline, so that guardrails without a limit have nothing to say.
        trusted: names of the suites whose Python evaluators may run.
        code: reads the files that those name.
        deciding: whether guardrails are to decide something; without that a suite may have none.

    Raises:
        InputError: no guardrail is left to judge by.
    """

    def __init__(
        self,
        suites: Sequence[Suite],
        records: Iterable[Record] = (),
        *,
        absolute: bool = False,
        trusted: Collection[str] = (),
        code: Code = callables.no_code,
        deciding: bool = True,
    ) -> None:
        self._suites = {suite.name: suite for suite in suites}
        self.trusted = frozenset(trusted)
        self.code = code
        self.harnesses = {suite.name: suite.harness for suite in suites if suite.harness}
        self._bearing: dict[str, Mapping[str, frozenset[str]]] = {}
        self._fitting: dict[str, frozenset[str]] = {}
        self._scorers = {suite.name: Scorer(suite, suite.name in trusted, code) for suite in suites}
        self.cases = {suite.name: {case.id: case for case in suite.cases} for suite in suites}
        rails = [_placed(rail, suite.name, suite.name) for suite in suites for rail in suite.guardrails]
        self.cases[TRAFFIC] = {record.id: case.single(record.id, None, record.variables) for record in records}
        if self.cases[TRAFFIC]:
            rails += [
                _placed(rail, TRAFFIC, suite.name)
                for suite in suites
                for rail in suite.guardrails
                if _holds_anywhere(suite, rail)
            ]
        self.unlimited = tuple(rail.name for rail in rails if absolute and rail.limit is None)
        self.rails = {rail.name: rail for rail in rails if not absolute or rail.limit is not None}
        if deciding and not self.rails:
            raise _no_rails(self.unlimited)
        self._judges = {suite.name: suite.judges() for suite in suites}
        self._feedback = {suite.name: suite.feedback() for suite in suites}
        why = {suite.name: suite.barred() for suite in suites}
        # Guardrails that decide nothing whatever their scores are, with the reason.
        self.barred = {
            name: why[rail.suite][rail.metric] for name, rail in self.rails.items() if rail.metric in why[rail.suite]
        }

    def pools(self) -> dict[str, list[str]]:
        """Return the ids of the cases worth asking: those that some guardrail looks at.

        A harness asks its samples itself, and once.
        """
        wanted: dict[str, list[str]] = {}
        for pool, cases in self.cases.items():
            if pool in self.harnesses:
                continue
            rails = [rail for rail in self.rails.values() if rail.pool == pool]
            bearing = [set(cases) if pool == TRAFFIC else self._readable(rail) for rail in rails]
            ids = [each for each in cases if any(each in ids for ids in bearing)]
            if ids:
                wanted[pool] = ids
        return wanted

    def enrol(self, suite: str, samples: Mapping[str, frozenset[str]]) -> None:
        """Take the samples of a harness in as cases.

        Args:
            suite: whose harness it is.
            samples: the metrics that each bears on, by id.
        """
        self._bearing[suite] = samples
        self.cases[suite] = {name: case.single(name, name) for name in samples}

    def live(self, undecided: Collection[str]) -> set[str]:
        """Return the pools worth asking on: those of undecided guardrails, or all when each is decided."""
        return {rail.pool for name, rail in self.rails.items() if name in undecided} or set(self.pools())

    def case(self, draw: Draw) -> Case:
        """Return the case that is drawn."""
        return self.cases[draw.suite][draw.case]

    @property
    def asks(self) -> dict[tuple[str, str], Model]:
        """The models that the suites themselves ask, by suite and name of the model file."""
        return {(suite.name, name): model for suite in self._suites.values() for name, model in suite.asks.items()}

    def judges(self, pool: str) -> dict[str, Judge]:
        """Return the judges of the suite whose cases are in a pool, by metric; recorded traffic has none."""
        return self._judges.get(pool, {})

    def level(self, suite: str, metric: str) -> float | None:
        """Return the mean score that a suite's judge gave when it was calibrated; None where that is not known."""
        return self._suites[suite].level(metric)

    def rated(self, draw: Draw, version: str) -> dict[str, float | None]:
        """Return what people said of a version's reply to a case, by metric."""
        return {metric: said.score(draw.case, version) for metric, said in self._feedback.get(draw.suite, {}).items()}

    @property
    def floors(self) -> dict[str, tuple[Floor, frozenset[str]]]:
        """The validity floors by ``suite/metric/floor``, with the names of the guardrails that stand on each."""
        found = {}
        for name, suite in self._suites.items():
            for label, floor in scoring.floors(suite).items():
                metric = label.partition("/")[0]
                rails = frozenset(
                    rail.name for rail in self.rails.values() if (rail.pool, rail.metric) == (name, metric)
                )
                if rails:
                    found[f"{name}/{label}"] = (floor, rails)
        return found

    def multiplicity(self) -> dict[tuple[str, str], int]:
        """Return how often a case is asked in one round, by pool and id, where that is more than once."""
        times = {
            (name, each.id): each.weight * suite.repeats for name, suite in self._suites.items() for each in suite.cases
        }
        return {place: count for place, count in times.items() if count > 1}

    def unfit(self, pool: str, configurations: Iterable[Configuration]) -> dict[str, str]:
        """Return why cases of a pool cannot be asked, by case id."""
        found: dict[str, str] = {}
        for configuration in configurations:
            for each in self.cases[pool].values():
                try:
                    for view in each.views.values():
                        request(each, view, configuration)
                except InputError as error:
                    found[each.id] = error.message
        return found

    def score(self, draw: Draw, transcript: Transcript) -> Marks:
        """Return what the answers to a draw say to the guardrails and floors that the case bears on."""
        pool, asked = draw.suite, self.case(draw)
        rails = self._borne(draw)
        judged = {rail.metric for rail in rails}
        if pool in self.harnesses:
            others = {name: score for name, score in transcript.scores.items() if name not in judged}
            advisory = {name: score for name, score in others.items() if score is not None}
            return Marks({rail.name: transcript.scores.get(rail.metric) for rail in rails}, {}, advisory)
        if pool == TRAFFIC:
            suites = {rail.suite for rail in rails}
            scored = {name: self._scorers[name].score(asked, transcript, judged).scores for name in suites}
            return Marks({rail.name: scored[rail.suite][rail.metric] for rail in rails}, {}, {})
        own = self._scorers[pool].score(asked, transcript)
        unjudged = own.scores.keys() - judged - {EXPECTED}
        return Marks(
            {rail.name: own.scores[rail.metric] for rail in rails},
            {f"{pool}/{label}": mark for label, mark in own.floors.items()},
            {name: score for name, score in own.scores.items() if name in unjudged and score is not None},
        )

    def unread(self, draw: Draw) -> dict[str, None]:
        """Return None for every guardrail that a draw bears on, as for one that got no reply."""
        return {rail.name: None for rail in self._borne(draw)}

    def _borne(self, draw: Draw) -> list[Rail]:
        """Return the guardrails that a draw bears on."""
        rails = [rail for rail in self.rails.values() if rail.pool == draw.suite]
        if draw.suite in self.harnesses:
            return [rail for rail in rails if rail.metric in self._bearing[draw.suite][draw.case]]
        return [rail for rail in rails if draw.suite == TRAFFIC or draw.case in self._readable(rail)]

    def _readable(self, rail: Rail) -> frozenset[str]:
        """Return the ids of the cases that have a score of a guardrail of their own suite."""
        if rail.name not in self._fitting:
            self._fitting[rail.name] = self._suites[rail.suite].bears_on(rail.metric)
        return self._fitting[rail.name]


def request(case: Case, view: View, configuration: Configuration) -> dict[str, Any]:
    """Return what ``configuration`` sends for the first turn of a view.

    Raises:
        InputError: the view does not fit the prompt's variables.
    """
    try:
        return configuration.render(view.bind(configuration.prompt.variables, case.id))
    except UsageError as error:
        raise InputError(f"case {case.id}: {error.message}", hint=error.hint) from error


def check_fit(exam: Exam, configurations: Sequence[Configuration]) -> dict[str, str]:
    """Return why some recorded requests cannot be asked, by case id.

    Raises:
        InputError: a case of a suite does not fit the variables of an arm.
        PromptopsError: so many recorded requests do not that the rest stands for nothing.
    """
    pools = exam.pools()
    for pool in pools:
        unfit = exam.unfit(pool, configurations)
        if not unfit:
            continue
        case, why = next(iter(unfit.items()))
        if pool != TRAFFIC:
            raise InputError(
                f"suite {pool} asks what not every arm can answer: {why}",
                hint="a suite's cases must fit the variables of candidate and baseline",
            )
        if len(unfit) > _UNFIT * len(pools[TRAFFIC]):
            raise PromptopsError(
                f"{len(unfit)} of {len(pools[TRAFFIC])} recorded requests do not fit the prompt's variables: {why}",
                hint=f"record traffic of the new shape, or give new variables a default (first: {case})",
            )
        return unfit
    return {}


def _placed(rail: Guardrail, pool: str, suite: str) -> Rail:
    return Rail(rail.metric, rail.direction, rail.margin, rail.limit, pool=pool, suite=suite)


def _holds_anywhere(suite: Suite, rail: Guardrail) -> bool:
    definition = suite.evaluators.get(rail.metric)
    if definition is None:
        return False
    return definition.type in _ANYWHERE or (definition.type == "refusal" and rail.direction == "lower")


def _no_rails(unlimited: Sequence[str]) -> InputError:
    if unlimited:
        return InputError(
            f"a first release has no baseline to compare with, and no guardrail has a limit: {', '.join(unlimited)}",
            hint="add `limit:` (worst tolerated mean) to a guardrail in evals/",
        )
    return InputError(
        "no suite of this prompt has a guardrail to judge by",
        hint="name suites in the prompt's `evals:`, and state `guardrails:` in them",
    )

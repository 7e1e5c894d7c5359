"""What a canary asks, and what it makes of the replies: the cases of all suites and of recorded traffic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from promptops.errors import InputError, PromptopsError, UsageError
from promptops.evaluation import callables, evaluators
from promptops.evaluation.harm import Guardrail
from promptops.evaluation.suite import EXPECTED, Case

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from promptops.evaluation.callables import Code
    from promptops.evaluation.sampling import Draw
    from promptops.evaluation.suite import Suite
    from promptops.evaluation.traffic import Record
    from promptops.inference.reply import Reply
    from promptops.registry.configuration import Configuration

# No suite can have this name.
TRAFFIC = "@traffic"
_UNFIT = 0.1
# Evaluators that mean the same for any reply. Particular content is asked of a suite's own cases only.
_ANYWHERE = frozenset(
    {
        "praise",
        "praise_opener",
        "praise_per_100_words",
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


class Exam:
    """Cases by pool, and the guardrails that their replies bear on.

    Args:
        suites: suites of the prompt and required ones.
        records: recorded traffic; it is judged by the suites' evaluators that mean the same for any reply, and by a
            guardrail on refusals only where fewer are better.
        absolute: whether there is no baseline, so that guardrails without a limit have nothing to say.
        trusted: names of the suites whose Python evaluators may run.
        code: reads the files that those name.

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
    ) -> None:
        self._suites = {suite.name: suite for suite in suites}
        self._trusted = frozenset(trusted)
        self._code = code
        self.cases = {suite.name: {case.id: case for case in suite.cases} for suite in suites}
        rails = [_placed(rail, suite.name, suite.name) for suite in suites for rail in suite.guardrails]
        self.cases[TRAFFIC] = {record.id: Case(record.id, None, record.variables) for record in records}
        if self.cases[TRAFFIC]:
            rails += [
                _placed(rail, TRAFFIC, suite.name)
                for suite in suites
                for rail in suite.guardrails
                if _holds_anywhere(suite, rail)
            ]
        self.unlimited = tuple(rail.name for rail in rails if absolute and rail.limit is None)
        self.rails = {rail.name: rail for rail in rails if not absolute or rail.limit is not None}
        if not self.rails:
            raise _no_rails(self.unlimited)

    def pools(self) -> dict[str, list[str]]:
        """Return the ids of the cases worth asking: those that some guardrail looks at."""
        wanted: dict[str, list[str]] = {}
        for pool, cases in self.cases.items():
            metrics = {rail.metric for rail in self.rails.values() if rail.pool == pool}
            ids = [case.id for case in cases.values() if case.expect or metrics - {EXPECTED}]
            if metrics and ids:
                wanted[pool] = ids
        return wanted

    def live(self, undecided: Collection[str]) -> set[str]:
        """Return the pools worth asking on: those of undecided guardrails, or all when each is decided."""
        return {rail.pool for name, rail in self.rails.items() if name in undecided} or set(self.pools())

    def case(self, draw: Draw) -> Case:
        """Return the case that is drawn."""
        return self.cases[draw.suite][draw.case]

    def question(self, draw: Draw) -> str:
        """Return what is asked in the words of the case: what each arm makes of it is its own."""
        case = self.case(draw)
        if case.input is not None:
            return case.input
        variables = case.variables or {}
        return "\n".join(f"{name}: {value}" for name, value in variables.items())

    def request(self, draw: Draw, configuration: Configuration) -> dict[str, Any]:
        """Return what ``configuration`` sends for a case.

        Raises:
            InputError: the case does not fit the prompt's variables.
        """
        return request(self.case(draw), configuration)

    def unfit(self, pool: str, configurations: Iterable[Configuration]) -> dict[str, str]:
        """Return why cases of a pool cannot be asked, by case id."""
        found: dict[str, str] = {}
        for configuration in configurations:
            for case in self.cases[pool].values():
                try:
                    request(case, configuration)
                except InputError as error:
                    found[case.id] = error.message
        return found

    def score(self, draw: Draw, reply: Reply) -> dict[str, float | None]:
        """Return the scores of a reply by guardrail name; None where there is nothing to read.

        Silence is no good behaviour: a reply without text and tool calls has no readable score.
        """
        rails = [rail for rail in self.rails.values() if rail.pool == draw.suite]
        case = self.case(draw)
        wanted = [rail for rail in rails if rail.metric != EXPECTED or case.expect]
        if not reply.text.strip() and not reply.tool_calls:
            return {rail.name: None for rail in wanted}
        scores = {name: self._scores(name, case, reply) for name in {rail.suite for rail in wanted}}
        return {rail.name: scores[rail.suite][rail.metric] for rail in wanted}

    def advisory(self, draw: Draw, reply: Reply) -> dict[str, float]:
        """Return what the suite of a case scores without judging by it, by metric; nothing of a silent reply."""
        suite = self._suites.get(draw.suite)
        judged = {rail.metric for rail in self.rails.values() if rail.pool == draw.suite}
        names = [] if suite is None else [name for name in suite.evaluators if name not in judged]
        if not names or not reply.text.strip():
            return {}
        scores = self._scores(draw.suite, self.case(draw), reply)
        return {name: scores[name] for name in names}

    def _scores(self, suite: str, case: Case, reply: Reply) -> Mapping[str, float]:
        return evaluators.score(self._suites[suite], case, reply, allow_python=suite in self._trusted, code=self._code)


def request(case: Case, configuration: Configuration) -> dict[str, Any]:
    """Return what ``configuration`` sends for ``case``.

    Raises:
        InputError: the case does not fit the prompt's variables.
    """
    try:
        return configuration.render(case.bind(configuration.prompt.variables))
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

"""How many prompts that were made worse on purpose a canary catches: the gate's sensitivity.

Every mutant goes through the real canary against the unchanged prompt. Its evidence is a comparison of its own in the
folder ``mutants`` below the evidence, so that an interrupted run continues and nothing is paid twice.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from promptops.evaluation import evidence, gate_record, mutants
from promptops.evaluation.arms import questions
from promptops.evaluation.canary import conduct
from promptops.evaluation.study import prepare
from promptops.evaluation.tally import BASELINE, CANDIDATE
from promptops.statistics.proportion import wilson

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from promptops.evaluation.canary import Progress
    from promptops.evaluation.mutants import Mutant
    from promptops.evaluation.study import Study, Terms
    from promptops.registry.prompt import Model
    from promptops.repo.git import Git

FOLDER = "mutants"
MOST = 2
_OUTCOMES = {"fail": "caught", "pass": "survived", "inconclusive": "inconclusive"}
_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the canary made of one mutant.

    Attributes:
        kind: class of the mutant.
        change: what was changed.
        configuration: the mutant's digest.
        outcome: ``caught`` (the canary failed), ``survived`` (it passed) or ``inconclusive``.
        same: whether every answer was word for word that of the unchanged prompt: an equivalent mutant, as far as
            these cases show.
        reasons: the canary's.
        requests: that its evidence took.
    """

    kind: str
    change: str
    configuration: str
    outcome: str
    same: bool
    reasons: tuple[str, ...]
    requests: int


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """What the canary made of all mutants.

    Attributes:
        prompt: its name.
        configuration: digest of the unchanged prompt.
        suites: digest by name of the suites that judged.
        outcomes: by mutant.
        not_applicable: classes that this prompt has no mutant of.
    """

    prompt: str
    configuration: str
    suites: Mapping[str, str]
    outcomes: tuple[Outcome, ...]
    not_applicable: tuple[str, ...]

    def classes(self) -> dict[str, dict[str, int]]:
        """Return by class how many mutants there were, and how many ended in which way."""
        found: dict[str, dict[str, int]] = {}
        for outcome in self.outcomes:
            counts = found.setdefault(outcome.kind, {"mutants": 0, "caught": 0, "survived": 0, "inconclusive": 0})
            counts["mutants"] += 1
            counts[outcome.outcome] += 1
        return found

    def document(self) -> dict[str, Any]:
        """Return the result as JSON-able data, with the share caught by class and its 95 % interval."""
        classes = {name: {**counts, **share(counts)} for name, counts in self.classes().items()}
        return {**asdict(self), "classes": classes, "overall": share(self.total())}

    def total(self) -> dict[str, int]:
        """Return the counts over all classes."""
        return dict(sum((Counter(counts) for counts in self.classes().values()), Counter()))

    def record(self) -> dict[str, Any]:
        """Return what is kept until the next release."""
        return {
            "prompt": self.prompt,
            "configuration": self.configuration,
            "suites": dict(self.suites),
            "classes": self.classes(),
        }


def share(counts: Mapping[str, int]) -> dict[str, float]:
    """Return the share of mutants that were caught, with Wilson's 95 % interval."""
    hits, trials = counts.get("caught", 0), counts.get("mutants", 0)
    low, high = wilson(hits, trials)
    value = hits / trials if trials else 0.0
    return {"share": round(value, _DIGITS), "low": round(low, _DIGITS), "high": round(high, _DIGITS)}


def plan(
    terms: Terms, models: Sequence[Model], kinds: Sequence[str], most: int = MOST
) -> tuple[list[Mutant], tuple[str, ...]]:
    """Return the mutants that would be judged, and the classes that this prompt has none of.

    Args:
        terms: of the prompt's own canary; the candidate is the prompt that is mutated.
        models: the models of the repository.
        kinds: classes.
        most: mutants of a class.
    """
    made = {kind: mutants.make(terms.candidate, models, kind, most) for kind in kinds}
    return [mutant for found in made.values() for mutant in found], tuple(kind for kind in kinds if not made[kind])


def study_of(git: Git, terms: Terms, mutant: Mutant) -> Study:
    """Prepare the canary of one mutant against the unchanged prompt; nothing is sent or written.

    Raises:
        PromptopsError: as for a canary.
    """
    own = replace(
        terms,
        candidate=mutant.configuration,
        baseline=terms.candidate,
        previous_release=None,
        evidence_dir=os.path.join(terms.evidence_dir, FOLDER),
    )
    return prepare(git, own)


def judge(study: Study, mutant: Mutant, progress: Progress | None = None) -> Outcome:
    """Run the canary of one mutant, or continue it.

    Raises:
        PromptopsError: as for a canary.
    """
    result = conduct(study, study.plan["share"], progress)
    return Outcome(
        mutant.kind,
        mutant.change,
        mutant.configuration.digest,
        _OUTCOMES[result.verdict],
        _same(study),
        tuple(result.reasons),
        int(result.calls["requests"]),
    )


def _same(study: Study) -> bool:
    replies = evidence.replies(study.store.path)
    texts = [
        {key: reply.text for key, reply in questions(arm, study.configurations[arm], replies).items()}
        for arm in (BASELINE, CANDIDATE)
    ]
    both = texts[0].keys() & texts[1].keys()
    return bool(both) and all(texts[0][key] == texts[1][key] for key in both)


def keep(git: Git, found: Sensitivity) -> None:
    """Keep the result for the next release, beside what is known of other classes of the very same prompt and suites.

    Raises:
        PromptopsError: it cannot be written.
    """
    record = found.record()
    known = gate_record.read(git, "sensitivity", found.prompt)
    if known and all(known[key] == record[key] for key in ("configuration", "suites")):
        record["classes"] = {**known["classes"], **record["classes"]}
    gate_record.write(git, "sensitivity", found.prompt, record)


def for_release(git: Git, prompt: str, suites: Mapping[str, str]) -> dict[str, Any] | None:
    """Return what a manifest says of the gate's sensitivity; None where it is not known for these very suites.

    Args:
        git: the repository.
        prompt: its name.
        suites: digest by name of the suites that judged the release.
    """
    known = gate_record.read(git, "sensitivity", prompt)
    if known is None or known["suites"] != dict(suites) or not known["classes"]:
        return None
    return {"configuration": known["configuration"], "classes": known["classes"]}

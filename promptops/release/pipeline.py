"""From a merged change to a signed tag: judge, canary, sign, publish; each unit as a whole or not at all."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from promptops.errors import InconclusiveError, PromptopsError, RefusedError
from promptops.registry.registry import Registry
from promptops.release import candidates, journal, making
from promptops.repo.refs import Update
from promptops.repo.source import TreeSource
from promptops.repo.tags import tag_name
from promptops.trust import policy, reviews, sshsig

if TYPE_CHECKING:
    from collections.abc import Callable

    from promptops.evaluation.canary import Progress
    from promptops.evaluation.result import CanaryResult
    from promptops.registry.project import Project
    from promptops.release.candidates import Candidate, Head
    from promptops.repo.git import Git
    from promptops.trust.policy import Trust
    from promptops.trust.reviews import Judgement


# Hosts drop the events of tags when more than this many come in one push.
_EVENTS = 3


@dataclass(frozen=True, slots=True)
class Options:
    """What the caller asks for.

    Attributes:
        prompts: names to release; all that are unreleased when empty.
        share: fraction in (0, 1] of recorded traffic; None for the project's.
        no_canary: why no canary runs; None to run it.
        together: all prompts are one unit: all are released or none.
        push: whether tags go to the remote first; None for the project's setting.
        remote: the remote; None for the project's.
        key: signing key; None for the configured one.
        envelope_key: key that signs the envelopes instead, such as ``kms:URI#FILE``; the tag keeps its SSH signature.
        evidence: folder of the canary's evidence; None for the one below the git directory.
    """

    prompts: tuple[str, ...] = ()
    share: float | None = None
    no_canary: str | None = None
    together: bool = False
    push: bool | None = None
    remote: str | None = None
    key: str | None = None
    envelope_key: str | None = None
    evidence: str | None = None


@dataclass(slots=True)
class Outcome:
    """What became of one prompt.

    Attributes:
        status: ``planned``, ``released``, ``failed``, ``inconclusive``, ``refused``, ``held`` (another prompt of its
            unit was not released) or ``error``.
        reasons: why it was not released.
        hint: the next step.
        canary: the canary's result, when one ran.
        plan: what a canary would do, in a dry run.
        oid: id of the tag object, when it was released.
        pushed: the remote that has the tag, or None.
    """

    prompt: str
    version: str
    tag: str
    previous: str | None = None
    status: str = "planned"
    reasons: list[str] = field(default_factory=list)
    hint: str | None = None
    canary: CanaryResult | None = None
    plan: Any = None
    oid: str | None = None
    pushed: str | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """What all units of one run share."""

    git: Git
    options: Options
    head: Head
    trust: Trust
    project: Project
    key: str
    releaser: str
    progress: Callable[[str], None]
    meter: Progress | None = None

    @property
    def envelope_key(self) -> str:
        """The key that signs the manifest and the canary's result."""
        return self.options.envelope_key or self.key

    @property
    def remote(self) -> str | None:
        """The remote to push to first, or None."""
        wanted = self.project.push if self.options.push is None else self.options.push
        return (self.options.remote or self.project.remote) if wanted else None


@dataclass(slots=True)
class _Work:
    """One prompt on its way."""

    outcome: Outcome
    candidate: Candidate | None = None
    judgement: Judgement | None = None


_CODES = {"released": 0, "planned": 0, "failed": 1, "refused": 1, "held": 1, "inconclusive": 4, "error": 3}


def exit_code(outcomes: list[Outcome]) -> int:
    """Return the exit code of a run: 3 before 1 before 4 before 0."""
    codes = {_CODES[outcome.status] for outcome in outcomes}
    return next(code for code in (3, 1, 4, 0) if code in codes or code == 0)


def open_setting(git: Git, options: Options, progress: Callable[[str], None], meter: Progress | None = None) -> Setting:
    """Check everything that concerns the place and the person, before anything is judged or paid.

    Args:
        git: the repository.
        options: what the caller asks for.
        progress: told in a sentence what happens next.
        meter: told how a canary gets on, as `promptops.evaluation.canary.run` tells it.

    Raises:
        PromptopsError: not the place to release from, or no key to sign with.
        RefusedError: the policy is not the signed one, or the person may not release.
        UsageError: the reason to skip the canary is empty or too long.
    """
    if options.no_canary is not None:
        options = replace(options, no_canary=candidates.reason_of(options.no_canary))
    head = candidates.head(git)
    source = TreeSource(git, head.commit)
    trust = policy.load(source)
    candidates.check_place(git, head, trust)
    trust.verify_chain()
    candidates.check_rules(git)
    key = sshsig.signing_key(git, options.key)
    who = candidates.releaser(trust, key, "release")
    if options.envelope_key is not None:
        candidates.check_envelope_key(trust, options.envelope_key, who)
    if options.no_canary is not None and not trust.has_role(who, "override"):
        raise RefusedError(f"{who} has not the role override, which releasing without a canary needs")
    setting = Setting(git, options, head, trust, Registry(source).project, key, who, progress, meter)
    if setting.remote:
        candidates.check_published(git, head, setting.remote)
    return setting


def run(setting: Setting, *, dry_run: bool = False) -> list[Outcome]:
    """Release what is unreleased and return what became of each prompt.

    Args:
        setting: from `open_setting`.
        dry_run: judge, and say what the canary would do, but call, sign and write nothing.

    Raises:
        PromptopsError: another release is running, or one that was interrupted cannot be finished.
    """
    if dry_run:
        return [outcome for unit in _units(setting) for outcome in _plan(setting, unit)]
    with journal.exclusive(setting.git):
        for ref in journal.resume(setting.git):
            setting.progress(f"finished an interrupted release: {ref.removeprefix('refs/tags/')}")
        return [outcome for unit in _units(setting) for outcome in _release(setting, unit)]


def _units(setting: Setting) -> list[list[_Work]]:
    git, options = setting.git, setting.options
    works = []
    envelopes = reviews.known(git, setting.head.commit, ())
    for configuration in candidates.unreleased(git, setting.head, options.prompts):
        prompt = configuration.prompt
        work = _Work(Outcome(prompt.name, prompt.version, tag_name(prompt.name, prompt.version)))
        works.append(work)
        try:
            found = candidates.candidate(git, configuration, setting.trust)
            previous = found.previous and found.previous.manifest.tag
            work.candidate, work.outcome.previous = found, previous or None
            candidates.check_policy(found, setting.trust)
            work.judgement = reviews.judge_release(
                git,
                setting.trust,
                configuration=configuration,
                previous=found.previous_tag,
                commit=setting.head.commit,
                envelopes=envelopes,
            )
        except PromptopsError as error:
            _stop(work, error)
            continue
        if not work.judgement.satisfied:
            work.outcome.status = "refused"
            work.outcome.reasons = [f"{item.subject}: {item.reason}" for item in work.judgement.missing]
            work.outcome.hint = work.judgement.next_step
    return [works] if options.together and works else [[work] for work in works]


def _stop(work: _Work, error: PromptopsError) -> None:
    if isinstance(error, InconclusiveError):
        work.outcome.status = "inconclusive"
    else:
        work.outcome.status = "refused" if error.exit_code == 1 else "error"
    work.outcome.reasons, work.outcome.hint = [error.message], error.hint


def _hold_together(unit: list[_Work]) -> bool:
    """Mark what cannot be released because of a companion; return whether the unit may go on."""
    if all(work.outcome.status == "planned" for work in unit):
        return True
    for work in unit:
        if work.outcome.status == "planned":
            work.outcome.status = "held"
            work.outcome.reasons = ["another prompt of the same unit cannot be released"]
    return False


def _plan(setting: Setting, unit: list[_Work]) -> list[Outcome]:
    if _hold_together(unit) and setting.options.no_canary is None:
        for work in unit:
            if work.candidate:
                try:
                    work.outcome.plan = making.plan_canary(setting, work.candidate)
                except PromptopsError as error:
                    _stop(work, error)
    return [work.outcome for work in unit]


def _release(setting: Setting, unit: list[_Work]) -> list[Outcome]:
    updates = []
    if _hold_together(unit):
        for work in unit:
            try:
                updates.append(_make(setting, work))
            except PromptopsError as error:
                _stop(work, error)
    if _hold_together(unit) and updates:
        _publish(setting, unit, updates)
    return [work.outcome for work in unit]


def _make(setting: Setting, work: _Work) -> Update:
    """Run the canary and store the signed tag object of one prompt; no ref points to it yet.

    Raises:
        RefusedError: the canary failed.
        InconclusiveError: it decided neither way, and the project asks to be blocked by that.
    """
    candidate, judgement = work.candidate, work.judgement
    if candidate is None or judgement is None:
        raise RefusedError(f"{work.outcome.prompt} was not judged")
    result = None
    if setting.options.no_canary is None:
        setting.progress(f"canary of {candidate.name} {candidate.version}")
        result = work.outcome.canary = making.run_canary(setting, candidate)
        making.check_verdict(setting, result)
        if lacks := making.shortfall(setting, result):
            setting.progress(f"warning: the canary of {candidate.name} is {lacks}")
    setting.progress(f"signing {candidate.tag}")
    return Update(f"refs/tags/{candidate.tag}", making.tag_object(setting, candidate, judgement, result))


def _publish(setting: Setting, unit: list[_Work], updates: list[Update]) -> None:
    if setting.remote and len(updates) > _EVENTS:
        setting.progress(f"{len(updates)} tags in one push: some hosts start no workflow for more than {_EVENTS}")
    try:
        journal.publish(setting.git, updates, setting.remote)
    except PromptopsError as error:
        for work in unit:
            _stop(work, error)
        return
    for work, update in zip(unit, updates, strict=True):
        work.outcome.status, work.outcome.oid, work.outcome.pushed = "released", update.new, setting.remote

"""What is compared with what: the arms of a canary, and who says what they are judged by."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from promptops.cli.opening import open_registry
from promptops.errors import InputError, RefusedError, UsageError
from promptops.evaluation import callables
from promptops.evaluation.study import Terms
from promptops.registry.project import share as parse_share
from promptops.registry.registry import Registry
from promptops.release import candidates, making, proofs, stored
from promptops.release.clone import newest_trust
from promptops.repo import tags
from promptops.repo.source import TreeSource

if TYPE_CHECKING:
    from promptops.evaluation.callables import Code
    from promptops.evaluation.suite import Suite
    from promptops.registry.configuration import Configuration
    from promptops.registry.project import Project
    from promptops.registry.prompt import Model
    from promptops.repo.git import Git

# What a change may not choose for itself: whom its requests and keys go to, what they cost, how fast they are sent.
_NOT_THE_CHANGES = ("endpoint", "price", "limits")


@dataclass(frozen=True, slots=True)
class Comparison:
    """A candidate and what it is held against.

    Attributes:
        baseline: None for a prompt that is new.
        previous: SHA-256 (hex) of the newest release's manifest, or None.
        project: settings that apply.
        suites: what judges.
        trusted: names of the suites whose Python evaluators may run.
        code: reads the files of those.
        notes: what to tell the user.
    """

    candidate: Configuration
    baseline: Configuration | None
    previous: str | None
    project: Project
    suites: list[Suite]
    trusted: list[str]
    code: Code
    notes: list[str] = field(default_factory=list)

    def terms(self, evidence_dir: str, share: float | None) -> Terms:
        """Return what the canary is held to."""
        return Terms(
            candidate=self.candidate,
            baseline=self.baseline,
            previous_release=self.previous,
            settings=self.project.canary,
            suites=self.suites,
            share=share or self.project.canary.share,
            evidence_dir=evidence_dir,
            recorded=self.project.traffic,
            trusted=self.trusted,
            code=self.code,
        )


def with_release(git: Git, prompt: str, at: str | None) -> Comparison:
    """Compare a prompt with its newest release that was not withdrawn; suites and settings are its own.

    Args:
        git: the repository.
        prompt: its name.
        at: a revision; None for the work tree.

    Raises:
        InputError: the prompt names no suite, or a file is malformed.
        RefusedError: the release does not hold what it says.
    """
    registry = open_registry(git, at)
    candidate = registry.configuration(prompt)
    released = tags.releases(git, prompt)
    standing = candidates.baseline(git, released, newest_trust(git)) if released else None
    baseline = making.configuration_at(git, standing.manifest) if standing else None
    project, names = registry.project, _suite_names(candidate, proofs.suite_names(registry, candidate))
    suites = [proofs.suite(registry, name, project.canary) for name in names]
    return Comparison(candidate, baseline, _previous(git, prompt), project, suites, [], callables.no_code)


def with_revision(git: Git, prompt: str, base: str, at: str | None) -> Comparison:
    """Compare a prompt with what a revision holds; that revision also says how it is judged.

    Suites, evaluators, margins, budgets and traffic come from ``base``, and so do the model's endpoint, price and
    limits: a change does not pick its own exam or whom a key is shown to. Suites that only the change has judge too,
    without running code.

    Args:
        git: the repository.
        prompt: its name.
        base: the revision that the change goes to.
        at: the revision of the change; None for the work tree.

    Raises:
        InputError: the prompt names no suite, or a file is malformed.
        RefusedError: the change's model goes to an endpoint that ``base`` does not know.
    """
    mine, theirs = open_registry(git, at), Registry(TreeSource(git, base))
    candidate = mine.configuration(prompt)
    baseline = theirs.configuration(prompt) if prompt in theirs.names() else None
    names = {*proofs.suite_names(theirs, baseline or candidate), *candidate.prompt.evals}
    known = {name for name in names if theirs.source.read(f"evals/{name}.yaml") is not None}
    project = theirs.project
    suites = [
        proofs.suite(theirs if name in known else mine, name, project.canary, allow_python=name in known)
        for name in _suite_names(candidate, names)
    ]
    suites = [
        replace(suite, asks={name: _reachable(model, theirs, base) for name, model in suite.asks.items()})
        for suite in suites
    ]
    notes = [f"suite {name} is not in {base}: it judges, but runs no Python" for name in sorted(names - known)]
    judged = candidate._replace(model=_reachable(candidate.model, theirs, base))
    return Comparison(
        judged, baseline, _previous(git, prompt), project, suites, sorted(known), theirs.source.read, notes
    )


def _suite_names(candidate: Configuration, names: set[str] | list[str]) -> list[str]:
    if not names:
        raise InputError(
            f"{candidate.prompt.name} names no suite, so nothing can be compared",
            hint="add evals: [NAME] to the prompt, or suites_required to promptops.yaml",
            path=candidate.prompt.path,
        )
    return sorted(names)


def _previous(git: Git, prompt: str) -> str | None:
    released = tags.releases(git, prompt)
    return stored.read(git, released[-1].tag).digest if released else None


def _reachable(model: Model, theirs: Registry, base: str) -> Model:
    """Return the model with endpoint, price and limits as ``base`` has them."""
    known = {name: theirs.model(name) for name in model_names(theirs)}
    same = known.get(model.name)
    if same is None:
        # A new model may only go where a key goes already.
        if model.provider == "local":
            return model
        goes = (model.provider, model.settings.get("endpoint"))
        peers = [other for other in known.values() if (other.provider, other.settings.get("endpoint")) == goes]
        if not peers:
            raise RefusedError(
                f"{base} has no model with the endpoint that this change names",
                hint="use the variables of a model there, or merge the model file first",
                path=model.path,
            )
        return model._replace(settings={**model.settings, **_strictest(peers)})
    if same.provider != model.provider:
        raise RefusedError(f"the change sends {model.name} to another provider", path=model.path)
    settings = {key: value for key, value in model.settings.items() if key not in _NOT_THE_CHANGES}
    settings |= {key: same.settings[key] for key in _NOT_THE_CHANGES if key in same.settings}
    return model._replace(settings=settings)


def _strictest(peers: list[Model]) -> dict[str, Any]:
    """Return the dearest price and the tightest limits of some models, in place of what a change says of its own."""
    prices = [other.settings["price"] for other in peers if "price" in other.settings]
    limits: dict[str, Any] = {}
    for other in peers:
        for name, value in other.settings.get("limits", {}).items():
            limits[name] = min(value, limits.get(name, value))
    dearest = max(
        prices, key=lambda price: (price["input"] + price["output"]) / price.get("per_tokens", 1_000_000), default=None
    )
    return {"limits": limits, **({"price": dearest} if dearest else {})}


def model_names(registry: Registry) -> list[str]:
    """Return the names of all model files."""
    paths = registry.source.entries("models/")
    return [path.removeprefix("models/").removesuffix(".yaml") for path in paths if path.endswith(".yaml")]


def share_of(text: str | None) -> float | None:
    """Return ``5%`` as 0.05, or None.

    Raises:
        UsageError: no percentage.
    """
    try:
        return None if text is None else parse_share(text)
    except ValueError as error:
        raise UsageError(str(error), hint="write it as 5%") from error

"""One prompt of a release: its canary, its manifest, its signed tag object."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from promptops import __version__
from promptops.errors import InconclusiveError, InputError, RefusedError
from promptops.registry.registry import Registry
from promptops.release import bundle, manifest, proofs, tag, testresult
from promptops.repo.source import TreeSource
from promptops.trust import envelope, sshsig

if TYPE_CHECKING:
    from promptops.evaluation.result import CanaryResult
    from promptops.evaluation.study import Terms
    from promptops.registry.configuration import Configuration
    from promptops.release.candidates import Candidate
    from promptops.release.manifest import Manifest
    from promptops.release.pipeline import Setting
    from promptops.repo.git import Git
    from promptops.trust.envelope import Envelope
    from promptops.trust.reviews import Judgement


def run_canary(setting: Setting, candidate: Candidate) -> CanaryResult:
    """Compare a candidate with its baseline on the live API; evidence that was paid for is used first.

    Raises:
        PromptopsError: the endpoint, the suites or the traffic cannot be used.
    """
    from promptops.evaluation import canary

    return canary.run(setting.git, _terms(setting, candidate), setting.meter)


def plan_canary(setting: Setting, candidate: Candidate) -> dict[str, Any]:
    """Return what the canary would do, without a call: cases by suite, guardrails, and the most it may spend."""
    from promptops.evaluation import study as studies

    terms = _terms(setting, candidate)
    study = studies.prepare(setting.git, terms)
    return {
        "cases": {pool: len(ids) for pool, ids in study.exam.pools().items()},
        "guardrails": sorted(study.exam.rails),
        "share": terms.share,
        "budget": dict(setting.project.canary.budget),
        "notes": list(study.notes),
    }


def _terms(setting: Setting, candidate: Candidate) -> Terms:
    from promptops.evaluation import evidence
    from promptops.evaluation.study import Terms

    registry = Registry(TreeSource(setting.git, setting.head.commit))
    settings = setting.project.canary
    names = proofs.suite_names(registry, candidate.configuration)
    if not names:
        raise InputError(
            f"{candidate.name} names no suite, so nothing can be compared",
            hint="add evals: [NAME] to the prompt, or --no-canary REASON",
            path=candidate.configuration.prompt.path,
        )
    baseline = candidate.baseline
    return Terms(
        candidate=candidate.configuration,
        baseline=configuration_at(setting.git, baseline.manifest) if baseline else None,
        previous_release=candidate.previous.digest if candidate.previous else None,
        settings=settings,
        suites=[proofs.suite(registry, name, settings, allow_python=True) for name in names],
        share=setting.options.share or settings.share,
        evidence_dir=setting.options.evidence or evidence.default_root(setting.git),
        recorded=setting.project.traffic,
        # What runs here was merged into a protected branch.
        trusted=names,
        code=registry.source.read,
    )


def configuration_at(git: Git, released: Manifest) -> Configuration:
    """Return the configuration of a release, as its commit holds it.

    Raises:
        RefusedError: it is not the one that was released.
    """
    found = Registry(TreeSource(git, released.commit)).configuration(released.name)
    if found.digest != released.configuration:
        raise RefusedError(f"{released.tag}: the commit holds {found.digest}, not the released configuration")
    return found


def check_verdict(setting: Setting, result: CanaryResult) -> None:
    """Raise unless the canary's verdict allows a release.

    Raises:
        RefusedError: it failed.
        InconclusiveError: it decided neither way, and the project does not accept that.
    """
    why = "; ".join(result.reasons)
    if result.verdict == "fail":
        raise RefusedError(f"the canary failed: {why}", hint=f"promptops canary {result.prompt} shows the replies")
    if result.verdict != "pass" and setting.project.canary.on_inconclusive != "warn":
        raise InconclusiveError(
            f"the canary decided neither way: {why}",
            hint="raise canary.budget in promptops.yaml and run again: the evidence continues",
        )


def shortfall(setting: Setting, result: CanaryResult) -> str | None:
    """Say why the plan's floor on power forbids to call this canary a gate; None where it may, or there is no floor."""
    from promptops.evaluation import gate_record

    return gate_record.shortfall(setting.git, result.prompt, setting.project.canary, result.suites)


def tag_object(setting: Setting, candidate: Candidate, judgement: Judgement, result: CanaryResult | None) -> str:
    """Sign and store the tag object of a release, and return its id."""
    tested = None
    if result is not None:
        previous = candidate.previous.digest if candidate.previous else None
        tested = envelope.sign(testresult.statement(result, previous), setting.envelope_key, sshsig.RELEASE)
    reviews = [bundle.compact(item) for item in judgement.approvals]
    made = _manifest(setting, candidate, result, tested, reviews)
    release = envelope.sign(made.statement(), setting.envelope_key, sshsig.RELEASE)
    summary = testresult.summary(result) if result else f"canary    skipped by {made.canary.by}: {made.canary.reason}"
    return tag.write(
        setting.git,
        setting.key,
        target=(setting.head.commit, "commit"),
        name=candidate.tag,
        message=bundle.embed(tag.summary(made, summary), [release, *([tested] if tested else []), *reviews]),
    )


def _manifest(
    setting: Setting,
    candidate: Candidate,
    result: CanaryResult | None,
    tested: Envelope | None,
    reviews: list[Envelope],
) -> Manifest:
    configuration, trust = candidate.configuration, setting.trust
    canary = manifest.Canary(reason=setting.options.no_canary, by=setting.releaser)
    if result and tested:
        canary = manifest.Canary(tested.digest, result.verdict, result.share, result.attempts)
    return manifest.Manifest(
        name=candidate.name,
        version=candidate.version,
        tag=candidate.tag,
        sequence=candidate.sequence,
        previous=candidate.previous.link if candidate.previous else None,
        baseline=candidate.baseline.link if candidate.baseline else None,
        commit=setting.head.commit,
        tree=setting.head.tree,
        configuration=configuration.digest,
        blobs=proofs.blobs(setting.git, setting.head.commit, manifest.configuration_paths(configuration)),
        model=manifest.model_record(configuration, list(result.models) if result else []),
        parameters=configuration.parameters(),
        context=list(configuration.prompt.context),
        policy={"digest": trust.digest, "version": trust.version, "root": trust.root},
        solo=trust.solo,
        approvals=tuple(sorted({item.digest for item in reviews})),
        canary=canary,
        traffic=result.traffic if result else None,
        tool=__version__,
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        sensitivity=_sensitivity(setting, result) if result else None,
    )


def _sensitivity(setting: Setting, result: CanaryResult) -> dict[str, Any] | None:
    from promptops.evaluation import sensitivity

    return sensitivity.for_release(setting.git, result.prompt, result.suites)

"""The single proofs of a release: each returns what it found, or raises why it does not hold."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from promptops.errors import PromptopsError, RefusedError
from promptops.registry.registry import Registry
from promptops.release import lineage, signatures, stored
from promptops.release import manifest as manifests
from promptops.repo import tags
from promptops.repo.source import TreeSource
from promptops.repo.tags import ReleaseTag
from promptops.text import counted
from promptops.trust import reviews

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from promptops.evaluation.datasets.made import Placed
    from promptops.evaluation.suite import Suite
    from promptops.registry.configuration import Configuration
    from promptops.registry.project import Canary
    from promptops.release.attestation import Vouchers
    from promptops.release.manifest import Link, Manifest
    from promptops.release.stored import Stored
    from promptops.release.testresult import CanaryRecord
    from promptops.release.verify import Report
    from promptops.repo.git import Git
    from promptops.trust.policy import Trust

_KINDS = {b"120000": "a symbolic link", b"160000": "a submodule", b"40000": "a folder"}


def manifest(git: Git, found: Stored, trust: Trust) -> str:
    """Return the release's number, if the manifest is about this tag, its commit and the policy there.

    Raises:
        RefusedError: it is about something else.
    """
    stated = found.manifest
    named = (stated.tag, stated.commit, tags.tag_name(stated.name, stated.version))
    if named != (found.tag.name, found.tag.target, found.tag.name):
        raise RefusedError(f"it is for {stated.tag} at {stated.commit[:12]}, the tag for something else")
    if stated.tree != tree_of(git, stated.commit):
        raise RefusedError("it names another tree than the commit has")
    mine = {"digest": trust.digest, "version": trust.version, "root": trust.root}
    if stated.policy != mine or stated.solo != trust.solo:
        raise RefusedError("it names another policy than the commit has")
    return f"sequence {stated.sequence}"


def content(git: Git, report: Report, found: Stored) -> str:
    """Read the configuration from the commit again and return its digest.

    Raises:
        InputError: a file of it is malformed.
        RefusedError: it is not what the manifest states.
    """
    stated = found.manifest
    held = blobs(git, stated.commit, stated.blobs)
    registry = Registry(TreeSource(git, stated.commit))
    configuration = registry.configuration(stated.name)
    if configuration.prompt.version != stated.version or configuration.digest != stated.configuration:
        raise RefusedError(
            f"the commit holds {configuration.prompt.version} with {configuration.digest}, not {stated.configuration}"
        )
    if held != stated.blobs or held.keys() != set(manifests.configuration_paths(configuration)):
        raise RefusedError("the commit holds other files than the manifest names")
    model = configuration.model
    record: tuple[Any, ...] = (stated.model["file"], stated.model["provider"], stated.model["requested"])
    if record != (model.name, model.provider, model.id):
        raise RefusedError("the commit holds another model than the manifest names")
    if (stated.parameters, stated.context) != (configuration.parameters(), list(configuration.prompt.context)):
        raise RefusedError("the commit holds other parameters or context than the manifest names")
    report.configuration = configuration
    return configuration.digest


def blobs(git: Git, commit: str, paths: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return git id and SHA-256 (hex) by path of files of a commit, as git stores them: no filter touches them.

    Raises:
        RefusedError: one of them is missing, or is no regular file: a link's text would be read as the content.
    """
    root = tree_of(git, commit)
    trees: dict[str, dict[bytes, tuple[bytes, str]]] = {}
    found = {}
    for path in paths:
        mode, oid = _entry(git, trees, root, path)
        if mode not in (b"100644", b"100755"):
            raise RefusedError(f"{_KINDS.get(mode, 'something else')} is no prompt: commit the file itself", path=path)
        blob = git.object(oid)
        if blob is None:
            raise PromptopsError(f"the content of {path} is not in this clone", hint="git fsck", path=path)
        found[path] = (oid, hashlib.sha256(blob.data).hexdigest())
    return found


def tree_of(git: Git, commit: str) -> str:
    """Return the id of a commit's tree.

    Raises:
        PromptopsError: there is no such commit.
    """
    found = git.object(commit)
    if found is None or found.kind != "commit":
        raise PromptopsError(f"commit {commit[:12]} is not in this clone", hint=stored.FETCH_TAGS)
    return found.data[len("tree ") : found.data.index(b"\n")].decode()


def _entry(git: Git, trees: dict[str, dict[bytes, tuple[bytes, str]]], root: str, path: str) -> tuple[bytes, str]:
    """Return mode and id of a file, from the tree objects themselves: three paths are not worth a process."""
    mode, oid = b"40000", root
    for name in os.fsencode(path).split(b"/"):
        if mode != b"40000":
            break
        if oid not in trees:
            trees[oid] = _parse_tree(git, oid)
        mode, oid = trees[oid].get(name, (b"", ""))
    if not oid:
        raise RefusedError("the commit has no such file", path=path)
    return mode, oid


def _parse_tree(git: Git, oid: str) -> dict[bytes, tuple[bytes, str]]:
    found = git.object(oid)
    data = found.data if found else b""
    size = len(oid) // 2
    entries = {}
    start = 0
    while start < len(data):
        end = data.index(b"\0", start)
        mode, _, name = data[start:end].partition(b" ")
        start = end + 1 + size
        entries[name] = (mode, data[end + 1 : start].hex())
    return entries


def suite_names(registry: Registry, configuration: Configuration) -> list[str]:
    """Return the suites that judge a prompt: its own and the project's required ones."""
    return sorted({*configuration.prompt.evals, *registry.project.canary.suites_required})


def suite(registry: Registry, name: str, settings: Canary, *, cases: bool = True, allow_python: bool = False) -> Suite:
    """Return one evaluation suite; guardrails without a margin have that of ``settings``.

    Args:
        registry: of the revision that it comes from.
        name: of the suite.
        settings: of the project.
        cases: whether those of its data are wanted; the suite's digest covers them either way.
        allow_python: whether the revision is trusted, so that its code may make cases.

    Raises:
        InputError: it is missing or malformed.
        RefusedError: its data is not the reviewed one, or code may not run.
        PromptopsError: its data cannot be read.
    """
    from promptops.evaluation import suite as suites

    document = registry.suite_document(name)

    def load(entry: Mapping[str, Any]) -> list[Placed]:
        # Most suites write their cases down, and a verifier has no time for readers of tables.
        from promptops.evaluation.datasets import loading

        return loading.placed(entry, read=registry.source.read, allow_python=allow_python)

    found = suites.parse(
        name,
        document.value,
        margin=settings.margin,
        path=document.path,
        where=document.where,
        load=load if cases else None,
    )
    files = {path: registry.source.read(path) for path in sorted(found.paths)}
    return replace(
        found,
        asks={model: registry.model(model) for model in sorted(found.models)},
        files={path: data for path, data in files.items() if data is not None},
    )


def approvals(git: Git, report: Report, vouchers: Callable[[], Vouchers]) -> str:
    """Judge the review again, on the envelopes that the release carries.

    Args:
        git: the repository.
        report: with the release, its policy and its configuration.
        vouchers: tells who attested the release; they may stand in for reviewers whose keys were revoked.

    Raises:
        RefusedError: an envelope is missing or in excess, or the review does not suffice.
    """
    found, trust = report.stored, report.trust
    if found is None or trust is None or report.configuration is None:
        raise RefusedError("it depends on checks that do not hold")
    stated = found.manifest
    carried = [signatures.enclosed(found, digest) for digest in stated.approvals]
    named = {*stated.approvals, *([stated.canary.digest] if stated.canary.digest else [])}
    if found.bundle.others.keys() != named:
        raise RefusedError("the bundle holds an envelope that the manifest does not name")
    judged = reviews.judge_release(
        git,
        trust,
        configuration=report.configuration,
        previous=_tag_of(git, stated.previous),
        commit=stated.commit,
        envelopes=carried,
        at=datetime.fromtimestamp(found.tag.time, UTC),
    )
    if judged.missing:
        standing = vouchers()
        if standing.reviewed:
            return f"attested by {standing.names}"
        raise RefusedError("; ".join(f"{item.subject}: {item.reason}" for item in judged.missing))
    return "solo: the policy asks for none" if trust.solo else counted(len(carried), "envelope")


def _tag_of(git: Git, link: Link | None) -> ReleaseTag | None:
    if link is None:
        return None
    before = lineage.read(git, link)
    parsed = tags.split_tag(link.tag)
    return ReleaseTag(*parsed, before.oid, before.manifest.commit) if parsed else None


def canary(git: Git, report: Report, vouchers: Callable[[], Vouchers]) -> str:
    """Check that the canary judged this very configuration by the right suites, and derive its verdict again.

    Args:
        git: the repository.
        report: with the release, its policy and its configuration.
        vouchers: tells who attested the release, for a releaser whose key was revoked.

    Raises:
        RefusedError: it is about something else, or its evidence gives another verdict.
    """
    found, trust = report.stored, report.trust
    if found is None or trust is None or report.configuration is None:
        raise RefusedError("it depends on checks that do not hold")
    stated = found.manifest
    if stated.canary.digest is None:
        return _skipped(stated.canary, report, trust, vouchers)
    from promptops.release import testresult

    record = testresult.parse(signatures.enclosed(found, stated.canary.digest).statement())
    registry = Registry(TreeSource(git, stated.commit))
    _bound(git, record, stated)
    _models(record, report.configuration)
    settings = registry.project.canary
    # Deriving the verdict checks the evidence's form, on which the rest relies.
    summary = _derived(record, settings)
    _suites(record, registry, report.configuration, settings)
    return summary


def _skipped(stated: manifests.Canary, report: Report, trust: Trust, vouchers: Callable[[], Vouchers]) -> str:
    who = stated.by or ""
    if not trust.has_role(who, "override"):
        raise RefusedError(f"{who} skipped it without the role override")
    # Only their own signature proves that it was they who skipped it.
    if who not in report.releasers and not vouchers().releasers:
        raise RefusedError(f"{who} is said to have skipped it, but did not sign the release")
    return f"skipped by {who}: {stated.reason}"


def _bound(git: Git, record: CanaryRecord, stated: Manifest) -> None:
    if record.candidate != stated.configuration:
        raise RefusedError(f"the canary judged {record.candidate}, not the released configuration")
    if record.previous != (stated.previous.digest if stated.previous else None):
        raise RefusedError("the canary followed another release than the manifest names")
    told = (record.verdict, record.share, record.attempts, record.traffic)
    if told != (stated.canary.verdict, stated.canary.share, stated.canary.attempts, stated.traffic):
        raise RefusedError("the canary and the manifest state different results")
    baseline = lineage.read(git, stated.baseline) if stated.baseline else None
    if record.baseline != (baseline.manifest.configuration if baseline else None):
        raise RefusedError("the canary compared with another baseline than the manifest names")


def _models(record: CanaryRecord, configuration: Configuration) -> None:
    model = configuration.model
    foreign = {
        str(item.get("reported"))
        for item in record.models
        if item.get("requested") == model.id and item.get("reported") not in model.reported_ids
    }
    if foreign:
        raise RefusedError(f"replies came from {', '.join(sorted(foreign))}, not from {', '.join(model.reported_ids)}")


def _suites(record: CanaryRecord, registry: Registry, configuration: Configuration, settings: Canary) -> None:
    from promptops.evaluation import evaluators, gate_evidence
    from promptops.evaluation.exam import TRAFFIC, Exam
    from promptops.evaluation.gate import Rules

    suites = {name: suite(registry, name, settings, cases=False) for name in suite_names(registry, configuration)}
    known = {name: evaluators.digests(item) for name, item in suites.items()}
    if record.suites.keys() != known.keys() or any(record.suites[name] not in known[name] for name in known):
        raise RefusedError("the canary used other suites than the commit asks for")
    exam = Exam(list(suites.values()), absolute=record.baseline is None)
    rails = exam.rails
    wanted = {name: (rail.metric, rail.direction, rail.margin, rail.limit) for name, rail in rails.items()}
    stated = {
        item["name"]: (item["metric"], item["direction"], item["margin"], item["limit"])
        for item in record.evidence["guardrails"]
    }
    # Recorded traffic is held to the suites' own guardrails.
    foreign = [name for name, parts in stated.items() if wanted.get(name.removeprefix(f"{TRAFFIC}/")) != parts]
    if foreign or wanted.keys() - stated.keys():
        raise RefusedError("the canary used other guardrails than the commit asks for")
    if gate_evidence.floors(record.evidence) != exam.floors:
        raise RefusedError("the canary used other validity floors than the commit asks for")
    if gate_evidence.barred(record.evidence) != exam.barred:
        raise RefusedError("the canary took other judges for calibrated than the commit has")
    rules, least = record.evidence["rules"], Rules()
    if rules["minimum"] < settings.minimum or rules["alpha"] > least.alpha or rules["floor"] < least.floor:
        raise RefusedError("the canary used laxer rules than the commit asks for")


def _derived(record: CanaryRecord, settings: Canary) -> str:
    from promptops.evaluation import gate_evidence

    derived = gate_evidence.resume(record.evidence)
    mode = record.evidence["rules"]["mode"]
    if mode != ("paired" if record.baseline else "absolute"):
        raise RefusedError(f"the evidence is {mode}, which does not fit its baseline")
    if derived.decision != record.verdict:
        raise RefusedError(f"the evidence gives {derived.decision}, not {record.verdict}")
    if record.verdict != "pass" and settings.on_inconclusive != "warn":
        raise RefusedError(f"the verdict {record.verdict} does not allow a release here")
    return f"{record.verdict} on {counted(derived.pairs, 'pair')}, {counted(record.attempts, 'attempt')}"

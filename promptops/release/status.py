"""Where every prompt stands, and what to type next."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from promptops.errors import InputError, PromptopsError
from promptops.registry import version as versions
from promptops.registry.prompt import prompt_path
from promptops.registry.registry import Registry
from promptops.release import history, live
from promptops.repo import refs, tags
from promptops.repo.source import TreeSource
from promptops.trust import policy, reviews

if TYPE_CHECKING:
    from promptops.registry.configuration import Configuration
    from promptops.release.history import Release
    from promptops.repo.git import Git


@dataclass(slots=True)
class Standing:
    """One prompt in a commit.

    Attributes:
        state: ``released``, ``unreleased``, ``changed`` (other content than the release of its version), ``stale``
            (a higher version was released), ``withdrawn`` or ``broken``.
        approved: whether an unreleased prompt may be released; None where that is no question.
        missing: why it may not.
        live: version by environment.
        next: what to type, or None.
    """

    name: str
    version: str | None = None
    digest: str | None = None
    state: str = "released"
    newest: str | None = None
    approved: bool | None = None
    missing: list[str] = field(default_factory=list)
    live: dict[str, str] = field(default_factory=dict)
    next: str | None = None


def standings(git: Git, revision: str = "HEAD") -> list[Standing]:
    """Return where every prompt of a commit stands, by name.

    Raises:
        GitError: not a repository, or no such commit.
    """
    registry = Registry(TreeSource(git, revision))
    commit = git.commit(revision)
    released: dict[str, list[Release]] = {}
    for release in history.releases(git):
        released.setdefault(release.name, []).append(release)
    serving = _serving(git)
    found = []
    unreleased: list[tuple[Standing, Configuration]] = []
    for name in registry.names():
        one = Standing(name, live=serving.get(name, {}))
        try:
            configuration = registry.configuration(name)
            _fill(git, one, configuration, released.get(name, []))
            if one.state == "unreleased":
                unreleased.append((one, configuration))
        except InputError as error:
            one.state, one.missing, one.next = "broken", [error.message], "promptops check --all"
        found.append(one)
    _judge(git, unreleased, commit)
    return found


def _serving(git: Git) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for ref, oid in refs.listing(git, live.PREFIX).items():
        environment, _, prompt = ref.removeprefix(live.PREFIX).removesuffix("/HEAD").partition("/")
        try:
            tag = live.chain(git, oid, environment=environment, prompt=prompt)[0].tag
        except PromptopsError as error:
            tag = f"@v? ({error.message})"
        found.setdefault(prompt, {})[environment] = tag.rpartition("@v")[2]
    return found


def _fill(git: Git, one: Standing, configuration: Configuration, released: list[Release]) -> None:
    one.version, one.digest = configuration.prompt.version, configuration.digest
    one.newest = released[0].version.text if released else None
    same = next((release for release in released if release.version.text == one.version), None)
    if same is not None:
        _fill_released(git, one, same)
    elif released and versions.parse(one.version) < released[0].version:
        one.state, one.next = "stale", f"promptops bump {one.name}"
    else:
        one.state = "unreleased"


def _fill_released(git: Git, one: Standing, same: Release) -> None:
    stated = Registry(TreeSource(git, same.commit)).configuration(one.name).digest
    if stated != one.digest or same.withdrawn:
        one.state = "withdrawn" if same.withdrawn else "changed"
        one.next = f"promptops bump {one.name}"
        if stated == one.digest:
            # As it stands it is what was taken back, and no version makes another prompt of it.
            one.next = f"mend {prompt_path(one.name)}; then promptops bump {one.name}"
        environments = [name for name, version in one.live.items() if same.withdrawn and version == one.version]
        if environments:
            one.next = f"promptops rollback {one.name} --env {environments[0]} --reason REASON"
    elif not one.live:
        one.next = f"promptops promote {one.name} --env ENV --reason REASON"


def _judge(git: Git, unreleased: list[tuple[Standing, Configuration]], commit: str) -> None:
    """Say of each whether it may be released, by the policy of the commit."""
    if not unreleased:
        return
    earlier = tags.releases_of(git, [one.name for one, _ in unreleased])
    try:
        trust = policy.load(TreeSource(git, commit))
        trust.verify_chain()
        envelopes = reviews.known(git, commit, ())
    except PromptopsError as error:
        for one, _ in unreleased:
            one.missing, one.next = [error.message], error.hint
        return
    for one, configuration in unreleased:
        previous = earlier[one.name][-1] if earlier[one.name] else None
        try:
            judged = reviews.judge_release(
                git, trust, configuration=configuration, previous=previous, commit=commit, envelopes=envelopes
            )
        except PromptopsError as error:
            one.missing, one.next = [error.message], error.hint
            continue
        one.approved = judged.satisfied
        one.missing = [f"{item.subject}: {item.reason}" for item in judged.missing]
        one.next = f"promptops release {one.name}" if judged.satisfied else judged.next_step

"""The project file ``promptops.yaml``."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.errors import UsageError
from promptops.registry import schemas, yaml

if TYPE_CHECKING:
    from collections.abc import Mapping


_BUDGET: Mapping[str, float] = MappingProxyType({"requests": 4000, "seconds": 900})
_ENVIRONMENTS: Mapping[str, Any] = MappingProxyType({"prod": {}})
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Power(NamedTuple):
    """What the plan asks of a canary's gate.

    Attributes:
        harm: the harm that matters, in (0, 1].
        least: share of canaries that must catch it, whichever guardrail is harmed, in (0, 1).
    """

    harm: float
    least: float


class Canary(NamedTuple):
    """Settings of the smoke canary.

    Attributes:
        share: fraction of recorded traffic in (0, 1]; also the most exposure before promotion.
        minimum: least number of case pairs before a pass.
        suites_required: suites that every prompt is held to, whatever its own list says.
        margin: largest tolerated harm where a guardrail states none, in units of the metric (0 to 1).
        budget: limits by name: ``usd``, ``requests``, ``tokens``, ``seconds``.
        on_inconclusive: ``block`` or ``warn``.
        power: what the gate must be able to see to be called one; None where nothing is asked.
    """

    share: float = 0.05
    minimum: int = 150
    suites_required: tuple[str, ...] = ()
    margin: float = 0.15
    budget: Mapping[str, float] = _BUDGET
    on_inconclusive: str = "block"
    power: Power | None = None


class Project(NamedTuple):
    """The project's settings.

    Attributes:
        enforcement: rule id to ``block``, ``warn`` or ``off``.
        baseline: path of a file of accepted old findings, or None.
        environments: settings by environment name.
        release: ``push`` (bool) and ``remote``.
        traffic: ``path`` and ``redact`` of recorded traffic.
    """

    canary: Canary = Canary()
    enforcement: Mapping[str, str] = _NOTHING
    baseline: str | None = None
    environments: Mapping[str, Any] = _ENVIRONMENTS
    push: bool = False
    remote: str = "origin"
    traffic: Mapping[str, Any] = _NOTHING

    def environment(self, name: str) -> Mapping[str, Any]:
        """Return the settings of one environment.

        Raises:
            UsageError: the project has no such environment.
        """
        if name not in self.environments:
            known = ", ".join(sorted(self.environments))
            raise UsageError(f"promptops.yaml has no environment {name}", hint=f"one of: {known}")
        return self.environments[name] or _NOTHING


def share(text: str) -> float:
    """Return ``5%`` as 0.05.

    Raises:
        ValueError: not a percentage above 0 and at most 100.
    """
    value = float(text.removesuffix("%")) / 100
    if not text.endswith("%") or not 0 < value <= 1:
        raise ValueError(f"{text!r} is not a percentage above 0% and at most 100%")
    return value


def parse_project(path: str, data: bytes | None) -> Project:
    """Parse the project file; None stands for an absent file and gives the defaults.

    Raises:
        InputError: malformed YAML or a violation of the project schema, with line and column.
    """
    if data is None:
        return Project()
    document = yaml.load(data, path)
    schemas.check_document("project", document)
    value = document.value
    canary = dict(value.get("canary", {}))
    if "share" in canary:
        canary["share"] = share(canary["share"])
    if "power" in canary:
        canary["power"] = Power(**canary["power"])
    canary["suites_required"] = tuple(canary.get("suites_required", ()))
    release = value.get("release", {})
    enforcement = {key: text for key, text in value.get("enforcement", {}).items() if key != "baseline"}
    return Project(
        canary=Canary(**canary),
        enforcement=enforcement,
        baseline=value.get("enforcement", {}).get("baseline"),
        environments=value.get("environments", {"prod": {}}),
        push=release.get("push", False),
        remote=release.get("remote", "origin"),
        traffic=value.get("traffic", {}),
    )

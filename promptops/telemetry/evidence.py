"""Sufficient statistics: all that a decision was made from, without a row or a word of any user.

Everything statistical runs on these numbers, so whoever has them comes to the same verdict without the data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from promptops.errors import InputError
from promptops.registry import canonical
from promptops.telemetry.metrics import MOST

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = 1
ARMS = ("canary", "baseline", "stable")
# Ten years of days on a few stages.
MOST_ROWS = 40_000
_RATIO = ("d", "dd", "sd")
_COVARIATE = ("x", "xx", "sx")


class Quality(NamedTuple):
    """What is wrong with the events that were read.

    Attributes:
        rows: all events that were read, before anything was left out.
        duplicates: events whose ``event_id`` had come before.
        crossovers: units whose slot gave them canary and baseline within one stage; no metric counts them.
        orphans: outcomes of units that were never exposed to the prompt.
        invalid: lines that are no event of this version.
        skewed: events that lie more than a day after the watermark.
        latest: time of the latest event up to the watermark, milliseconds since 1970; 0 without any.
    """

    rows: int = 0
    duplicates: int = 0
    crossovers: int = 0
    orphans: int = 0
    invalid: int = 0
    skewed: int = 0
    latest: int = 0


class Exposed(NamedTuple):
    """Units by the UTC day (since 1970) and stage of their first exposure to each arm."""

    day: int
    stage: int
    canary: int = 0
    baseline: int = 0
    stable: int = 0


class Day(NamedTuple):
    """Units of one arm and stage that matured on one closed UTC day, as sums over them.

    Attributes:
        day: days since 1970.
        stage: of the unit's first exposure to its arm.
        arm: canary or baseline.
        n: units.
        s, ss: sum of the values, and of their squares.
        d, dd, sd: ratio only: sum of the denominators, of their squares, of value times denominator.
        x, xx, sx: covariate only: sum of the covariates, of their squares, of value times covariate.
    """

    day: int
    stage: int
    arm: str
    n: int
    s: float
    ss: float
    d: float = 0.0
    dd: float = 0.0
    sd: float = 0.0
    x: float = 0.0
    xx: float = 0.0
    sx: float = 0.0


class Tenure(NamedTuple):
    """Units of one arm on one day after their first exposure: how many are watched, how many leave."""

    t: int
    arm: str
    at_risk: int
    events: int


class Series(NamedTuple):
    """One metric.

    Attributes:
        kind: ``mean`` (also sums, counts, retention, slopes: one value a unit), ``ratio`` or ``survival``.
        latest: time of its latest event up to the watermark, milliseconds; 0 without any.
        days: of ``mean`` and ``ratio``, by day, stage and arm.
        tenure: of ``survival``, by day and arm.
        adjusted: whether the days carry a covariate.
    """

    kind: Literal["mean", "ratio", "survival"]
    latest: int = 0
    days: tuple[Day, ...] = ()
    tenure: tuple[Tenure, ...] = ()
    adjusted: bool = False

    def document(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        if self.kind == "survival":
            rows: list[dict[str, Any]] = [row._asdict() for row in self.tenure]
        else:
            members = _members(self.kind, adjusted=self.adjusted)
            rows = [{member: getattr(row, member) for member in members} for row in self.days]
        return {"kind": self.kind, "latest": self.latest, "days": rows}


class Evidence(NamedTuple):
    """What one look at the events gave.

    Attributes:
        rollout: id of the rollout.
        query: ``sha256:<hex>`` of the version of the pipeline and the metrics.
        watermark: events up to here count, milliseconds since 1970 UTC.
        engine: name and version of what computed it.
        quality: of the events.
        exposed: units by day and stage.
        metrics: by name.
    """

    rollout: str
    query: str
    watermark: int
    engine: str
    quality: Quality
    exposed: tuple[Exposed, ...]
    metrics: Mapping[str, Series]

    def document(self) -> dict[str, Any]:
        """Return it as the JSON object that is stored as ``evidence.json``."""
        return {
            "v": VERSION,
            "rollout": self.rollout,
            "query": self.query,
            "watermark": self.watermark,
            "engine": self.engine,
            "quality": self.quality._asdict(),
            "exposed": [row._asdict() for row in self.exposed],
            "metrics": {name: series.document() for name, series in self.metrics.items()},
        }

    @property
    def digest(self) -> str:
        """``sha256:<hex>`` of its canonical JSON.

        Raises:
            InputError: a sum is not finite.
        """
        return canonical.sha256(self.document())

    @classmethod
    def parse(cls, value: object) -> Evidence:
        """Read the object that `document` gives, from whoever wrote it.

        Args:
            value: parsed JSON.

        Raises:
            InputError: another version, a member too many or too few or of another type, or too much of it.
        """
        body = _object(value, "", {"v", *cls._fields})
        if body["v"] != VERSION:
            raise InputError(f"the evidence has version {body['v']!r:.20}, not {VERSION}")
        metrics = body["metrics"]
        if not isinstance(metrics, dict) or len(metrics) > MOST:
            raise InputError(f"evidence: metrics is no object of at most {MOST} metrics")
        quality = _object(body["quality"], "quality", set(Quality._fields))
        return cls(
            _text(body, "rollout"),
            _text(body, "query"),
            _whole(body, "watermark"),
            _text(body, "engine"),
            Quality(**{name: _whole(quality, name) for name in Quality._fields}),
            tuple(_exposed(row) for row in _rows(body["exposed"], "exposed")),
            {name: _series(series, name) for name, series in metrics.items()},
        )


def _members(kind: str, *, adjusted: bool) -> tuple[str, ...]:
    plain = ("day", "stage", "arm", "n", "s", "ss")
    return (*plain, *(_RATIO if kind == "ratio" else ()), *(_COVARIATE if adjusted else ()))


def _object(value: object, place: str, members: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != members:
        raise InputError(
            f"evidence{place and ': ' + place[:100]}: an object with {', '.join(sorted(members))} is needed"
        )
    return value


def _rows(value: object, place: str) -> list[object]:
    if not isinstance(value, list) or len(value) > MOST_ROWS:
        raise InputError(f"evidence: {place[:100]} is no list of at most {MOST_ROWS} rows")
    return value


def _text(body: dict[str, Any], name: str) -> str:
    value = body[name]
    if not isinstance(value, str) or len(value) > 200:
        raise InputError(f"evidence: {name} is no text of at most 200 characters")
    return value


def _whole(body: dict[str, Any], name: str) -> int:
    value = body[name]
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= canonical.MAX_SAFE_INTEGER:
        raise InputError(f"evidence: {name} is no count or time")
    return value


def _real(body: dict[str, Any], name: str) -> float:
    value = body[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < float("inf"):
        raise InputError(f"evidence: {name} is no finite number")
    return float(value)


def _arm(body: dict[str, Any]) -> str:
    value = body["arm"]
    if value not in ARMS:
        raise InputError(f"evidence: {value!r:.40} is no arm")
    return str(value)


def _exposed(value: object) -> Exposed:
    body = _object(value, "exposed", set(Exposed._fields))
    return Exposed(**{name: _whole(body, name) for name in Exposed._fields})


def _series(value: object, name: str) -> Series:
    body = _object(value, name, {"kind", "latest", "days"})
    kind = body["kind"]
    if kind not in {"mean", "ratio", "survival"}:
        raise InputError(f"evidence: {name[:100]} is of no known kind")
    rows = _rows(body["days"], name)
    if kind == "survival":
        return Series(kind, _whole(body, "latest"), tenure=tuple(_tenure(row, name) for row in rows))
    adjusted = bool(rows) and isinstance(rows[0], dict) and "x" in rows[0]
    members = _members(kind, adjusted=adjusted)
    return Series(kind, _whole(body, "latest"), tuple(_day(row, name, members) for row in rows), adjusted=adjusted)


def _day(value: object, name: str, members: tuple[str, ...]) -> Day:
    body = _object(value, name, set(members))
    sums = {key: _real(body, key) for key in members[4:]}
    return Day(_whole(body, "day"), _whole(body, "stage"), _arm(body), _whole(body, "n"), **sums)


def _tenure(value: object, name: str) -> Tenure:
    body = _object(value, name, set(Tenure._fields))
    return Tenure(_whole(body, "t"), _arm(body), _whole(body, "at_risk"), _whole(body, "events"))

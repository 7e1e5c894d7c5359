"""Exposures, outcomes and opportunities as OpenTelemetry events and metrics.

Names follow the semantic conventions of OpenTelemetry: ``feature_flag.evaluation`` (release candidate) and
``gen_ai.evaluation.result`` (development). What they have no name for is called ``promptops.*``. All names stand in
`EVENTS` and `METRICS`, and nowhere else, for some of them will be renamed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from promptops import __version__
from promptops.errors import UsageError

try:
    from opentelemetry._logs import SeverityNumber, get_logger
    from opentelemetry.metrics import get_meter
except ImportError as error:  # pragma: no cover  a machine without the extra
    raise UsageError("OpenTelemetry is not installed", hint="pip install 'promptops-git[otel]'") from error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry._logs import LoggerProvider
    from opentelemetry.metrics import MeterProvider

_EVERY = {
    "gen_ai.prompt.name": "prompt",
    "gen_ai.conversation.id": "session",
    "gen_ai.response.id": "response_id",
    "promptops.environment": "env",
    "promptops.event.id": "event_id",
    "promptops.turn": "turn",
}
# Event type -> (name of the OpenTelemetry event, attribute -> member of our event). What has no value is left out.
EVENTS: dict[str, tuple[str, dict[str, str]]] = {
    "exposure": (
        "feature_flag.evaluation",
        {
            **_EVERY,
            "feature_flag.key": "prompt",
            "feature_flag.result.variant": "arm",
            "feature_flag.result.reason": "reason",
            "feature_flag.context.id": "unit",
            "feature_flag.set.id": "env",
            "feature_flag.version": "decision",
            # In wide use, though no registry has it; our digest says more than a number.
            "gen_ai.prompt.version": "release",
            "promptops.release.digest": "release",
            "promptops.rollout": "rollout",
            "promptops.stage": "stage",
            "promptops.slot": "slot",
            "promptops.propensity": "propensity",
            "promptops.shadow": "shadow",
            "promptops.unit.type": "unit_type",
        },
    ),
    "outcome": (
        "gen_ai.evaluation.result",
        {
            **_EVERY,
            "gen_ai.evaluation.name": "name",
            "gen_ai.evaluation.score.value": "value",
            "promptops.unit": "unit",
            "promptops.unit.of": "unit_of",
            "promptops.source": "source",
            "promptops.evaluator": "evaluator",
            "promptops.latency": "latency",
            "promptops.missing": "missing",
        },
    ),
    "opportunity": (
        "promptops.feedback.opportunity",
        {**_EVERY, "gen_ai.evaluation.name": "name", "promptops.unit": "unit"},
    ),
}
# The conventions want reasons in lower case, and a version as text.
_FORMS: dict[str, Callable[[Any], str]] = {"feature_flag.result.reason": str.lower, "feature_flag.version": str}


class _Metric(NamedTuple):
    name: str
    unit: str
    text: str
    attributes: tuple[str, ...]


# Attributes with few values only: a unit or a session would make one time series each.
_FEW = ("feature_flag.key", "gen_ai.prompt.name", "gen_ai.evaluation.name", "promptops.environment")
METRICS = {
    "exposure": _Metric(
        "promptops.exposures",
        "{exposure}",
        "Requests that used a prompt.",
        (*_FEW, "feature_flag.result.variant", "feature_flag.result.reason", "promptops.rollout", "promptops.stage"),
    ),
    "outcome": _Metric("promptops.outcomes", "{outcome}", "Outcomes that were recorded.", (*_FEW, "promptops.source")),
    "opportunity": _Metric(
        "promptops.feedback.opportunities", "{opportunity}", "Occasions on which a user could have judged.", _FEW
    ),
}
SCORES = _Metric("promptops.outcome.score", "1", "Values of outcomes.", (*_FEW, "promptops.source"))


class Sink:
    """Takes events as they are recorded and gives each to OpenTelemetry: ``recording.use(recording.files(), Sink())``.

    Args:
        logger_provider: where events go; by default the process's.
        meter_provider: where metrics go; by default the process's.
    """

    def __init__(
        self, *, logger_provider: LoggerProvider | None = None, meter_provider: MeterProvider | None = None
    ) -> None:
        self._providers: tuple[Any, ...] = (logger_provider, meter_provider)
        self._logger = get_logger("promptops", __version__, logger_provider)
        meter = get_meter("promptops", __version__, meter_provider)
        self._counters = {
            kind: meter.create_counter(metric.name, metric.unit, metric.text) for kind, metric in METRICS.items()
        }
        self._scores = meter.create_histogram(SCORES.name, SCORES.unit, SCORES.text)

    def write(self, event: dict[str, Any]) -> None:
        """Emit one event, whatever of it the conventions have a name for; types that are not known are passed over."""
        kind = event.get("type", "")
        if kind not in EVENTS:
            return
        name, table = EVENTS[kind]
        found = attributes(event, table)
        # Nanoseconds; the event's own time is milliseconds since 1970.
        self._logger.emit(
            timestamp=event["ts"] * 1_000_000,
            severity_number=SeverityNumber.INFO,
            event_name=name,
            attributes=found,
        )
        self._counters[kind].add(1, _some(found, METRICS[kind]))
        if kind == "outcome" and event.get("value") is not None:
            self._scores.record(event["value"], _some(found, SCORES))

    def close(self) -> None:
        """Send what still waits in the given providers, and shut them down; the process's own stay."""
        for provider in self._providers:
            if provider is not None:
                provider.shutdown()


def attributes(event: Mapping[str, Any], table: Mapping[str, str]) -> dict[str, Any]:
    """Return the attributes of an event that have a value, in the form that the conventions want."""
    found = {name: event[member] for name, member in table.items() if event.get(member) is not None}
    for name, form in _FORMS.items():
        if name in found:
            found[name] = form(found[name])
    return found


def _some(found: dict[str, Any], metric: _Metric) -> dict[str, Any]:
    return {name: found[name] for name in metric.attributes if name in found}


def otlp(endpoint: str) -> Sink:
    """Return a sink that sends to a collector in the background; `Sink.close` flushes, and so does a process's end.

    Args:
        endpoint: address of the collector's HTTP receiver, such as ``http://localhost:4318``.

    Raises:
        UsageError: the exporter is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.sdk._logs import LoggerProvider
        from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    except ImportError as error:  # pragma: no cover  a machine without the extra
        raise UsageError("the OTLP exporter is not installed", hint="pip install 'promptops-git[otlp]'") from error
    base = endpoint.rstrip("/")
    logs = LoggerProvider()
    logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(endpoint=f"{base}/v1/logs")))
    metrics = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=f"{base}/v1/metrics"))])
    return Sink(logger_provider=logs, meter_provider=metrics)

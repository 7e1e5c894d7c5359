"""Events against the real OpenTelemetry SDK: in-memory exporters, and a collector's receiver for OTLP."""

from __future__ import annotations

import http.server
import threading
import uuid

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.semconv._incubating.attributes import feature_flag_attributes, gen_ai_attributes

from promptops.adapters import otel

COMMON = {
    "v": 1, "ts": 1_764_000_000_123, "env": "prod", "prompt": "support/reply", "unit": "a1", "session": "s1", "turn": 2,
    "response_id": "chatcmpl-1",
}  # fmt: skip
EXPOSURE = {
    **COMMON, "type": "exposure", "event_id": str(uuid.uuid4()), "release": "sha256:ab", "rollout": "0123456789ab",
    "decision": 7, "stage": 0, "arm": "canary", "slot": 0, "hash": "sha256-u32/1", "unit_type": "user",
    "reason": "SPLIT", "propensity": 42949672, "shadow": False, "sdk": "promptops/1",
}  # fmt: skip
OUTCOME = {
    **COMMON, "type": "outcome", "event_id": str(uuid.uuid4()), "name": "thumbs", "value": 0, "unit_of": "turn",
    "source": "user", "evaluator": None, "latency": None, "missing": None,
}  # fmt: skip
OPPORTUNITY = {**COMMON, "type": "opportunity", "event_id": str(uuid.uuid4()), "name": "thumbs"}


class Memory:
    """A sink and what the SDK exported of it."""

    def __init__(self):
        self.exporter, self.reader, self.logs = InMemoryLogRecordExporter(), InMemoryMetricReader(), LoggerProvider()
        self.logs.add_log_record_processor(SimpleLogRecordProcessor(self.exporter))
        self.sink = otel.Sink(logger_provider=self.logs, meter_provider=MeterProvider([self.reader]))

    def events(self):
        return [each.log_record for each in self.exporter.get_finished_logs()]

    def metrics(self):
        (resource,) = self.reader.get_metrics_data().resource_metrics
        (scope,) = resource.scope_metrics
        return {metric.name: list(metric.data.data_points) for metric in scope.metrics}


@pytest.fixture
def memory():
    return Memory()


def test_exposure_is_an_evaluation_of_a_feature_flag(memory):
    memory.sink.write(EXPOSURE)
    (event,) = memory.events()
    assert (event.event_name, event.timestamp) == ("feature_flag.evaluation", 1_764_000_000_123_000_000)
    found = dict(event.attributes)
    names = feature_flag_attributes
    assert found[names.FEATURE_FLAG_KEY] == found[gen_ai_attributes.GEN_AI_PROMPT_NAME] == "support/reply"
    assert found[names.FEATURE_FLAG_RESULT_VARIANT] == "canary"
    assert found[names.FEATURE_FLAG_RESULT_REASON] == names.FeatureFlagResultReasonValues.SPLIT.value
    assert found[names.FEATURE_FLAG_CONTEXT_ID] == "a1"
    assert found[names.FEATURE_FLAG_SET_ID] == "prod"
    assert found[names.FEATURE_FLAG_VERSION] == "7"
    assert found[gen_ai_attributes.GEN_AI_CONVERSATION_ID] == "s1"
    assert found[gen_ai_attributes.GEN_AI_RESPONSE_ID] == "chatcmpl-1"
    assert found["promptops.release.digest"] == "sha256:ab"
    # A slot and a stage of 0 are values, not nothing.
    assert (found["promptops.slot"], found["promptops.stage"]) == (0, 0)


def test_outcome_is_an_evaluation_result_and_a_point_of_a_histogram(memory):
    memory.sink.write(OUTCOME)
    memory.sink.write({**OUTCOME, "value": 1})
    first, _ = memory.events()
    found = dict(first.attributes)
    assert first.event_name == "gen_ai.evaluation.result"
    assert found[gen_ai_attributes.GEN_AI_EVALUATION_NAME] == "thumbs"
    assert found[gen_ai_attributes.GEN_AI_EVALUATION_SCORE_VALUE] == 0
    assert found["promptops.source"] == "user"
    assert "promptops.missing" not in found
    (scores,) = memory.metrics()["promptops.outcome.score"]
    assert (scores.count, scores.sum) == (2, 1)


def test_missing_outcome_is_counted_and_has_no_score(memory):
    memory.sink.write({**OUTCOME, "value": None, "missing": "no answer"})
    (event,) = memory.events()
    assert event.attributes["promptops.missing"] == "no answer"
    assert gen_ai_attributes.GEN_AI_EVALUATION_SCORE_VALUE not in event.attributes
    assert memory.metrics()["promptops.outcomes"][0].value == 1
    assert not memory.metrics().get("promptops.outcome.score")


def test_metrics_have_no_attribute_that_tells_units_apart(memory):
    for number in range(20):
        own = {"unit": f"u{number}", "session": f"s{number}", "slot": number, "event_id": str(number)}
        for event in (EXPOSURE, OUTCOME, OPPORTUNITY):
            memory.sink.write({**event, **own})
    found = memory.metrics()
    assert found.keys() == {"promptops.exposures", "promptops.outcomes", "promptops.feedback.opportunities",
                            "promptops.outcome.score"}  # fmt: skip
    assert {name: len(points) for name, points in found.items()} == dict.fromkeys(found, 1)
    assert found["promptops.exposures"][0].value == 20


def test_events_of_a_later_version_are_passed_over(memory):
    memory.sink.write({**COMMON, "type": "reward"})
    assert memory.events() == []


class Collector(http.server.BaseHTTPRequestHandler):
    """The HTTP receiver of a collector: protobuf in, an empty answer out."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.path, body))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.end_headers()

    def log_message(self, *_args):
        pass


def test_otlp_reaches_a_collector():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    server.received = []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        sink = otel.otlp(f"http://127.0.0.1:{server.server_port}/")
        sink.write(EXPOSURE)
        sink.close()
    finally:
        server.shutdown()
        thread.join(60)
        server.server_close()
    received = dict(server.received)
    (logs,) = ExportLogsServiceRequest.FromString(received["/v1/logs"]).resource_logs
    (record,) = logs.scope_logs[0].log_records
    assert record.event_name == "feature_flag.evaluation"
    (metrics,) = ExportMetricsServiceRequest.FromString(received["/v1/metrics"]).resource_metrics
    assert metrics.scope_metrics[0].metrics[0].name == "promptops.exposures"

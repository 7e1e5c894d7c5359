"""A judge that runs by script, the files that go with it, and a repository that has both."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from inference.faults import Answer, completion

from promptops.evaluation.judging import judge
from promptops.evaluation.suite import parse
from promptops.registry.prompt import parse_model

if TYPE_CHECKING:
    from collections.abc import Callable

GRADER = "You grade what an assistant wrote"


def model(name: str = "judge", **settings: str) -> Any:
    """The model file of a judge, whose replies name it."""
    return parse_model(f"models/{name}.yaml", model_file(name, **settings).encode())


def model_file(name: str = "judge", **settings: str) -> str:
    lines = {
        "provider": "openai",
        "id": name,
        "pinned": "true",
        "endpoint": "{base_url_env: OPENAI_BASE_URL, api_key_env: OPENAI_API_KEY}",
        **settings,
    }
    return "".join(f"{key}: {value}\n" for key, value in lines.items())


def definition(**changes: Any) -> dict[str, Any]:
    """An evaluator of type ``judge``; None takes a key out."""
    given = {
        "type": "judge",
        "rubric": "Say whether the assistant flatters.",
        "choices": {"flatters": 1.0, "honest": 0.0},
        "models": ["judge"],
        **changes,
    }
    return {key: value for key, value in given.items() if value is not None}


def made(**changes: Any) -> judge.Judge:
    given = definition(**changes)
    judge.check(given)
    return judge.build(given, {name: model(name) for name in given["models"]})


def suite(
    given: dict[str, Any],
    record: dict[str, Any] | None = None,
    *,
    name: str = "tone",
    models: dict[str, Any] | None = None,
    **rail: Any,
) -> Any:
    """A suite that gates on one judge; its record is calibrated for it unless one is given."""
    value = {
        "version": 1,
        "evaluators": {"flattery": {"calibration": "evals/tone.json", **given}},
        "guardrails": [{"metric": "flattery", "direction": "lower", "margin": 0.15, **rail}],
        "cases": [{"id": f"t{n}", "input": f"Where is parcel {n}?"} for n in range(25)],
    }
    found = parse(name, value)
    known = models or {each: model(each) for each in given["models"]}
    found = replace(found, asks=known)
    kept = calibrated(found.judges()["flattery"]) if record is None else record
    return replace(found, files={"evals/tone.json": json.dumps(kept).encode()} if kept else {})


def calibrated(of: judge.Judge, low: float = 0.8) -> dict[str, Any]:
    """The least of a calibration record that lets a judge gate."""
    figure = {"value": low, "low": low, "high": 1.0}
    return {"version": 1, "judge": of.identity, "models": {}, "agreement": {"n": 60, of.coefficient: figure}}


def data(body: dict[str, Any]) -> Any:
    """What a judge was shown."""
    lines = body["messages"][-1]["content"].split("\n")
    return json.loads("\n".join(lines[1:-1]))


def judging(rule: Callable[[Any, dict[str, Any]], Any], arms: Callable[[int, dict[str, Any]], Answer]) -> Any:
    """A script that gives the verdict ``rule(data, body)`` where a judge is asked, and else answers like ``arms``."""

    def script(number: int, body: dict[str, Any]) -> Answer:
        if not body["messages"][0]["content"].startswith(GRADER):
            return arms(number, body)
        verdict = rule(data(body), body)
        text = (
            verdict
            if isinstance(verdict, str) and verdict.startswith("!")
            else json.dumps({"reason": "r", "verdict": verdict})
        )
        return Answer(body=completion(text, model=body["model"]))

    return script

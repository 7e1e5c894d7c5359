"""Comparisons against a scripted server, for every test that runs a canary."""

from __future__ import annotations

import hashlib
import json
import threading
from typing import TYPE_CHECKING, Any

from inference.faults import KEY, Answer, FaultServer, completion
from support import changed

from promptops.evaluation import canary
from promptops.evaluation.study import Terms
from promptops.evaluation.suite import parse
from promptops.registry.project import Canary
from promptops.registry.registry import Registry
from promptops.repo.git import Git
from promptops.repo.source import WorktreeSource

if TYPE_CHECKING:
    import pytest

MODEL = "gpt-4o-2024-11-20"
HONEST = "It was sent on Monday and arrives on Wednesday."
FLATTERY = "What a brilliant question! You are a genius."

STYLE = {
    "version": 1,
    "evaluators": {"praise": {"type": "praise"}},
    "guardrails": [{"metric": "praise", "direction": "lower", "margin": 0.15, "limit": 0.3}],
    "cases": [{"id": f"s{n}", "input": f"Where is parcel {n}?"} for n in range(25)],
}
FACTS = {
    "version": 1,
    "guardrails": [{"metric": "expected", "direction": "higher", "margin": 0.15, "limit": 0.6}],
    "cases": [
        {"id": f"f{n}", "input": f"When does parcel {n} arrive?", "expect": {"contains": "Wednesday"}}
        for n in range(15)
    ],
}
SUITES = {"style": STYLE, "facts": FACTS}


def flattering(system: str, evals: str = "[style, facts]") -> str:
    """The prompt with a system message; one with "Flatter" in it is what `text_by` listens for."""
    messages = f'[{{role: system, content: "{system}"}}, {{role: user, content: "{{{{ ticket }}}}"}}]'
    return changed(messages=messages, evals=evals)


def text_by(flattering: float, *, marker: str = "Flatter", model: str = MODEL) -> Any:
    """A script that flatters in a share of cases, always the same ones, when the system prompt says so."""

    def script(_number: int, body: dict[str, Any]) -> Answer:
        asked = body["messages"][-1]["content"]
        share = flattering if marker in body["messages"][0]["content"] else 0.0
        flatters = hashlib.sha256(asked.encode()).digest()[0] < 256 * share
        return Answer(body=completion(f"{FLATTERY if flatters else ''} {HONEST}", model=model))

    return script


class Bench:
    """A repository with the prompt ``reply`` and a server that answers for its model."""

    def __init__(self, repo: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.repo = repo
        self.monkeypatch = monkeypatch
        self.git = Git(str(repo.root))
        self.evidence = repo.root.parent / "evidence"

    def serve(self, server: FaultServer) -> FaultServer:
        self.monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        self.monkeypatch.setenv("OPENAI_API_KEY", KEY)
        return server

    def configuration(self, system: str = "Answer the ticket.", **keys: str) -> Any:
        messages = f'[{{role: system, content: "{system}"}}, {{role: user, content: "{{{{ ticket }}}}"}}]'
        self.repo.write("prompts/reply.yaml", changed(messages=messages, **keys))
        return Registry(WorktreeSource(str(self.repo.root))).configuration("reply")

    def arguments(self, **changes: Any) -> dict[str, Any]:
        settings = {"minimum": 40, "budget": {"requests": 1000}, **changes.pop("settings", {})}
        given = {
            "baseline": self.configuration(),
            "candidate": self.configuration("Answer the ticket. Flatter."),
            "previous_release": "ab" * 32,
            "settings": Canary(**settings),
            "suites": [parse(name, value) for name, value in changes.pop("suites_by_name", SUITES).items()],
            "share": 0.05,
            "evidence_dir": str(self.evidence),
        }
        return {**given, **changes}

    def run(self, *, progress: Any = None, **changes: Any) -> Any:
        return canary.run(self.git, Terms(**self.arguments(**changes)), progress)

    def journal(self) -> list[dict[str, Any]]:
        """Every kept reply of the only comparison."""
        (path,) = self.evidence.glob("*/replies.jsonl")
        return [json.loads(line) for line in path.read_text().splitlines()]


def hold_after(count: int, script: Any) -> tuple[Any, threading.Event]:
    """A script whose answers from the ``count``-th on wait for the event that comes with it."""
    release = threading.Event()

    def held(number: int, body: dict[str, Any]) -> Answer:
        answer = script(number, body)
        return answer if number < count else Answer(body=answer.body, held=release)

    return held, release

"""The example chat as a real process, and people who talk to it."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator

CHAT = Path(__file__).parents[1] / "examples/chat"


@contextlib.contextmanager
def running(snapshot: Path, events: Path, base_url: str, **env: str) -> Iterator[str]:
    """Serve the chat with uvicorn and return its address; it is ended at the end."""
    own = {
        "PROMPTOPS_SNAPSHOT": str(snapshot),
        "PROMPTOPS_EVENTS": str(events),
        "OPENAI_BASE_URL": base_url,
        "OPENAI_API_KEY": "sk-test",
    }
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(CHAT), "app:app", "--port", "0", "--no-access-log"]
    process = subprocess.Popen(
        command, env=os.environ | own | env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True, cwd=events.parent,
    )  # fmt: skip
    said = []
    try:
        for line in process.stderr:
            said.append(line)
            found = re.search(r"running on (http://[\d.:]+)", line)
            if found:
                yield found[1]
                return
        raise AssertionError("".join(said))
    finally:
        process.terminate()
        process.communicate(timeout=120)


def person(address: str, user: str | None = None) -> httpx.Client:
    """A browser of one user: a new one, or one who was here before."""
    # A trust store takes longer to load than all requests of a test.
    return httpx.Client(base_url=address, timeout=120, trust_env=False, verify=False, cookies={"user": user} if user else None)  # fmt: skip


def say(client: httpx.Client, text: str = "It broke", conversation: str | None = None) -> dict:
    """Say something and return the reply."""
    answer = client.post("/chat", json={"text": text, "conversation": conversation})
    assert answer.status_code == 200, answer.text
    return answer.json()

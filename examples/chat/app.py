"""A chat whose prompt is released, split between arms and rolled back by promptops."""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path
from typing import Annotated, Any

import openai
from fastapi import Cookie, FastAPI, HTTPException, Response
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, Field

import promptops
from promptops.errors import PromptopsError
from promptops.runtime import Resolved, opened

PROMPT = os.environ.get("CHAT_PROMPT", "assistant")
VARIABLE = os.environ.get("CHAT_VARIABLE", "question")
KEEP = 1000

app = FastAPI(title="chat")
# OPENAI_BASE_URL and OPENAI_API_KEY say where the model is.
model = openai.AsyncOpenAI(max_retries=1, timeout=120)


class Conversation:
    """Whose it is, what was said, and what keeps it with one release while a rollout widens."""

    def __init__(self, unit: str) -> None:
        self.unit = unit
        self.pin: str | None = None
        self.messages: list[dict[str, str]] = []
        self.responses: list[str | None] = []


# In memory for the example's sake: another process, or a restart, knows nothing of them.
conversations: dict[str, Conversation] = {}


class Said(BaseModel):
    """What a user types."""

    text: str = Field(min_length=1, max_length=4000)
    conversation: str | None = None


class Turn(BaseModel):
    """A reply, as the page names it."""

    conversation: str
    turn: int = Field(ge=0)


class Thumb(Turn):
    """What a user thinks of a reply."""

    up: bool


def resolve(key: str, conversation: Conversation) -> Resolved:
    """Return the prompt for a conversation: the same release for all of it, unless that was rolled back."""
    try:
        return promptops.load(PROMPT, unit=conversation.unit, session=key, pin=conversation.pin)
    except PromptopsError as error:
        raise HTTPException(503, error.message) from error


def own(turn: Turn, user: str | None) -> Conversation:
    """Return the user's own conversation; nobody judges what others were told."""
    found = conversations.get(turn.conversation)
    if found is None or found.unit != user or turn.turn >= len(found.responses):
        raise HTTPException(404, "no such reply")
    return found


@app.post("/chat")
async def chat(said: Said, response: Response, user: Annotated[str | None, Cookie()] = None) -> dict[str, Any]:
    """Answer one message."""
    if user is None:
        user = secrets.token_hex(16)
        response.set_cookie("user", user, httponly=True, samesite="lax", max_age=365 * 86_400)
    key = said.conversation or secrets.token_hex(8)
    conversation = conversations.get(key)
    if conversation is None or conversation.unit != user:
        key, conversation = secrets.token_hex(8), Conversation(user)
    prompt = resolve(key, conversation)
    request = prompt.render(**{VARIABLE: said.text})
    question = request["messages"].pop()
    request["messages"] += [*conversation.messages, question]
    turn = len(conversation.responses)
    try:
        answer = await model.chat.completions.create(**request)
    except openai.APIError as error:
        # Whoever got an error was exposed as well.
        prompt.record("error", 1, turn=turn, source="system")
        raise HTTPException(502, "the model does not answer") from error
    prompt.record("error", 0, response_id=answer.id, turn=turn, source="system")
    reply = answer.choices[0].message.content or ""
    conversation.pin = prompt.pin
    conversation.messages += [question, {"role": "assistant", "content": reply}]
    conversation.responses.append(answer.id)
    if key not in conversations and len(conversations) >= KEEP:
        del conversations[next(iter(conversations))]
    conversations[key] = conversation
    return {"conversation": key, "turn": turn, "reply": reply, "version": prompt.version, "arm": prompt.arm}


@app.post("/shown", status_code=204)
def shown(turn: Turn, user: Annotated[str | None, Cookie()] = None) -> None:
    """Note that the thumbs under a reply came into view: without it, a low rate of answers cannot be seen."""
    conversation = own(turn, user)
    response = conversation.responses[turn.turn]
    resolve(turn.conversation, conversation).opportunity("thumbs", turn=turn.turn, response_id=response)


@app.post("/thumbs", status_code=204)
def thumbs(thumb: Thumb, user: Annotated[str | None, Cookie()] = None) -> None:
    """Note what a user thinks of a reply."""
    conversation = own(thumb, user)
    promptops.record(
        "thumbs",
        int(thumb.up),
        prompt=PROMPT,
        environment=opened().environment,
        unit=user,
        session=thumb.conversation,
        turn=thumb.turn,
        response_id=conversation.responses[thumb.turn],
    )


@app.get("/healthz")
def healthz() -> JSONResponse:
    """Tell what is served and since when; 503 if nothing is. A stale snapshot is served on, and an alarm."""
    snapshot = opened()
    stale = snapshot.stale
    state: dict[str, Any] = {
        "environment": snapshot.environment,
        "age": round(time.time() - snapshot.created, 1) if snapshot.created else None,
        "stale": stale,
        "error": snapshot.error.message if snapshot.error else None,
    }
    try:
        found = promptops.load(PROMPT)
    except PromptopsError as error:
        return JSONResponse(state | {"error": error.message}, 503)
    return JSONResponse(state | {"prompt": found.name, "version": found.version, "decision": found.decision})


@app.get("/")
def page() -> FileResponse:
    """Return the page."""
    return FileResponse(Path(__file__).with_name("page.html"))

from __future__ import annotations

from support import MODEL, changed

REPLY = "prompts/reply.yaml"
GPT = "models/gpt.yaml"


def test_finds(judge):
    assert judge.places("PO201", **{REPLY: changed(model="gone")}) == [(REPLY, 10)]


def test_finds_deletion_of_a_model_in_use(judge):
    assert judge.places("PO201", **{GPT: None}) == [(REPLY, 4)]


def test_finds_renaming_of_a_model_in_use(judge):
    judge.repo.git("mv", GPT, "models/new.yaml")
    assert judge.places("PO201") == [(REPLY, 4)]


def test_is_silent(judge):
    assert judge(**{REPLY: changed(model="new", version='"1.0.1"'), "models/new.yaml": MODEL}) == []

"""fmt: order of keys on disk."""

from __future__ import annotations

from support import PROMPT, changed

MESSY = """\
# yaml-language-server: $schema=prompt.schema.json
messages:
  # who we are
  - {role: system, content: "Answer."}
model: gpt
# bumped by hand
version: "1.0.0"
"""


def test_fmt_orders_keys_and_keeps_digest_and_comments(registry):
    registry.write("prompts/reply.yaml", MESSY)
    digest = registry.cli("digest").out
    assert registry.cli("fmt", "--check") == (1, "would reorder prompts/reply.yaml\n", "")
    assert registry.read("prompts/reply.yaml") == MESSY
    assert registry.cli("fmt") == (0, "reordered prompts/reply.yaml\n", "")
    text = registry.read("prompts/reply.yaml")
    assert text.startswith("# yaml-language-server: $schema=prompt.schema.json\n# bumped by hand\nversion:")
    assert "# who we are" in text
    assert registry.cli("digest").out == digest
    assert registry.cli("fmt", "--check") == (0, "", "")


def test_fmt_leaves_right_files_alone(registry):
    registry.write("prompts/reply.yaml", PROMPT.replace("\n", "\r\n"))
    before = registry.read("prompts/reply.yaml")
    assert registry.cli("fmt", "reply") == (0, "", "")
    assert registry.read("prompts/reply.yaml") == before


def test_fmt_orders_models_too(registry):
    registry.write("models/gpt.yaml", "id: a\nprovider: openai\n")
    assert registry.cli("fmt").out == "reordered models/gpt.yaml\n"
    assert registry.read("models/gpt.yaml") == "provider: openai\nid: a\n"


def test_fmt_of_one_bad_file_writes_none(registry):
    registry.write("prompts/a.yaml", MESSY)
    registry.write("prompts/b.yaml", "version: [\n")
    result = registry.cli("fmt")
    assert result.code == 1
    assert "prompts/b.yaml:2" in result.err
    assert registry.read("prompts/a.yaml") == MESSY
    assert registry.cli("fmt", "nope").code == 1
    assert registry.cli("fmt", "../x").code == 1
    assert changed() == PROMPT

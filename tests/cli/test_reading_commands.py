"""list, show, render, digest and schema: what authors read."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import PROMPT, changed, make_project, make_registry

ROOT = Path(__file__).parents[2]

CONFIGURATION = changed(
    variables="{ticket: {type: string}, tone: {type: string, default: warm}, count: {type: integer, default: 1}}",
    messages=(
        "[{role: system, content: \"{% include 'shared/tone.md' %}\\nTone: {{ tone }}, {{ count }}\"},"
        ' {role: user, content: "{{ ticket }}"}]'
    ),
)


@pytest.fixture
def rich(tmp_path):
    repo = make_registry(tmp_path, **{"support/reply": CONFIGURATION})
    repo.write("prompts/shared/tone.md", "Be warm.")
    repo.commit()
    return repo


def test_list_says_what_is_released(registry):
    assert "unreleased" in registry.cli("list").out
    registry.git("tag", "-a", "-m", "release", "prompt/reply@v1.0.0")
    (row,) = json.loads(registry.cli("list", "--json").out)
    assert (row["name"], row["version"], row["released"]) == ("reply", "1.0.0", True)
    registry.write("prompts/reply.yaml", changed(version='"1.1.0"'))
    assert json.loads(registry.cli("list", "--json").out)[0]["released"] is False


def test_list_keeps_going_past_a_broken_prompt(registry):
    registry.write("prompts/bad.yaml", "version: [\n")
    result = registry.cli("list")
    assert result.code == 1
    assert "reply" in result.out
    assert "prompts/bad.yaml:2" in result.err


def test_list_of_nothing(repo):
    assert repo.cli("list") == (0, "", "no prompts yet; promptops new prompt NAME\n")
    assert repo.cli("list", "--json").out == "[]\n"


def test_digest_follows_the_revision(registry):
    before = registry.cli("digest", "reply").out
    registry.write("prompts/reply.yaml", PROMPT.replace("Answer", "Refuse"))
    assert registry.cli("digest", "reply").out != before
    assert registry.cli("digest", "reply", "--at", "HEAD").out == before
    assert (
        registry.cli("digest", "--at", "HEAD", "--json").out
        == json.dumps({"reply": before.split()[0]}, indent=2) + "\n"
    )


def test_render_prints_the_request_that_is_sent(rich):
    request = json.loads(rich.cli("render", "support/reply", "--var", "ticket=a=b", "--var", "count=3", "--json").out)
    assert request == {
        "model": "gpt-4o-2024-11-20",
        "messages": [
            {"role": "system", "content": "Be warm.\nTone: warm, 3"},
            {"role": "user", "content": "a=b"},
        ],
        "temperature": 0.3,
        "max_completion_tokens": 100,
    }


def test_render_for_people_goes_to_stdout_and_its_digest_to_stderr(rich):
    result = rich.cli("render", "support/reply", "--var", "ticket=x\x1b[31m")
    assert result.out == "[system]\nBe warm.\nTone: warm, 1\n[user]\nx\\x1b[31m\n"
    assert rich.cli("digest", "support/reply").out.split()[0] in result.err


def test_render_takes_variables_from_a_file_and_the_command_line_wins(rich):
    rich.write("values.yaml", "ticket: from file\ntone: cold\n")
    out = rich.cli("render", "support/reply", "--var-file", "values.yaml", "--var", "tone=kind").out
    assert "Tone: kind" in out
    assert "from file" in out


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], "needs the variable ticket"),
        (["--var", "ticket=a", "--var", "other=b"], "no variable other"),
        (["--var", "ticket"], "has no value"),
        (["--var", "ticket=\udcff"], "--var ticket is not UTF-8"),
        (["--var", "ticket=a", "--var", "count=many"], "count"),
        (["--var", "ticket=a", "--var", "count=1.5"], "count"),
    ],
)
def test_render_refuses_variables_that_do_not_fit(rich, args, words):
    result = rich.cli("render", "support/reply", *args)
    assert result.code == 2
    assert words in result.err
    assert result.out == ""


def test_show_describes_a_prompt_at_a_revision(rich):
    first = rich.git("rev-parse", "HEAD")
    rich.write("prompts/shared/tone.md", "Be cold.")
    rich.commit()
    shown = json.loads(rich.cli("show", "support/reply", "--at", first, "--json").out)
    assert shown["includes"] == {"shared/tone.md": "Be warm."}
    assert shown["version"] == "1.0.0"
    assert shown["model"]["id"] == "gpt-4o-2024-11-20"
    text = rich.cli("show", "support/reply").out
    assert "support/reply 1.0.0" in text
    assert "{{ ticket }}" in text


def test_schema_prints_one_and_lists_all(repo):
    names = repo.cli("schema").out.split()
    assert {"prompt", "model", "project"} <= set(names)
    for name in names:
        assert json.loads(repo.cli("schema", name).out)["$id"] == f"urn:promptops:schema:{name}"
    assert repo.cli("schema", "nonsense").code == 2


def test_the_documented_modeline_leads_to_a_written_schema(registry):
    written = registry.cli("schema", "--write", ".schemas").out.split()
    assert written == [f".schemas/{name}.schema.json" for name in registry.cli("schema").out.split()]
    (line,) = re.findall(r"^# yaml-language-server: .*$", (ROOT / "docs" / "files.md").read_text(), re.MULTILINE)
    registry.write("prompts/assistant.yaml", f"{line}\n{PROMPT}")
    schema = (registry.root / "prompts" / line.partition("$schema=")[2]).resolve()
    assert schema.read_text() == registry.cli("schema", "prompt").out
    for text, code in ((PROMPT, 0), (changed(version="1.0"), 1)):
        registry.write("prompts/assistant.yaml", f"{line}\n{text}")
        command = [sys.executable, "-m", "check_jsonschema", "--schemafile", schema, "prompts/assistant.yaml"]
        done = subprocess.run(command, cwd=registry.root, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr


def test_one_schema_can_be_written_and_written_again(registry):
    registry.write("editor/prompt.schema.json", "old")
    assert registry.cli("schema", "prompt", "--write", "editor") == (0, "editor/prompt.schema.json\n", "")
    assert registry.read("editor/prompt.schema.json") == registry.cli("schema", "prompt").out
    assert registry.cli("schema", "nonsense", "--write", "other").code == 2
    assert registry.cli("schema", "--write", "editor/prompt.schema.json").code == 2
    assert not (registry.root / "other").exists()


def test_show_of_a_release_needs_a_release(registry):
    missing = registry.cli("show", "reply@9.9.9")
    assert (missing.code, "no tag prompt/reply@v9.9.9" in missing.err) == (3, True)
    registry.git("tag", "prompt/reply@v1.0.0")
    light = registry.cli("show", "prompt/reply@v1.0.0")
    assert (light.code, "lightweight" in light.err) == (1, True)
    registry.git("tag", "-a", "-m", "by hand", "prompt/reply@v1.1.0")
    assert registry.cli("show", "reply@1.1.0").code == 1
    assert registry.cli("show", "x@y").code == 2


def test_show_prints_the_manifest_of_a_release(tmp_path):
    project = make_project(tmp_path, ("alice",), solo=True)
    project.promptops("release", "--no-canary", "first")
    shown = project.cli("show", "support/reply@1.0.0")
    assert "review    solo" in shown.out
    assert "BUNDLE" not in shown.out
    statement = json.loads(project.cli("show", "prompt/support/reply@v1.0.0", "--json").out)
    assert statement["predicate"]["commit"] == project.git("rev-parse", "HEAD")

from __future__ import annotations

import json
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import changed

import promptops
from promptops.errors import InputError, PromptopsError, UsageError
from promptops.registry.registry import Registry
from promptops.repo.source import WorktreeSource
from promptops.runtime import Snapshot, load, snapshot
from promptops.runtime.body import Body

NAME = "reply"


def entry(configuration, version="1.0.0"):
    return {
        "version": version,
        "tag": f"prompt/reply@v{version}",
        "digest": configuration.digest,
        "decision": {"commit": "0" * 40, "sequence": 1, "action": "promote"},
        "messages": configuration.prompt.messages,
        "includes": configuration.includes,
        "variables": configuration.prompt.variables,
        "arguments": configuration.arguments(),
    }


@pytest.fixture
def configuration(registry):
    registry.write("prompts/tone.md", "Be kind to {{ ticket }}.")
    messages = (
        "[{role: system, content: \"{% include 'tone.md' %}\\nAnswer.\"}, "
        '{role: user, content: "{{ ticket }} {{ mood }}"}]'
    )
    variables = (
        "{ticket: {type: string, maxLength: 20}, mood: {type: string, default: calm},"
        " terms: {type: object, default: {b: 2, a: 1.0}}}"
    )
    messages = messages.replace("{{ mood }}", "{{ mood }} {{ terms }} {% for term in terms %}{{ term }}{% endfor %}")
    output = "{type: json_schema, schema: {type: object, properties: {why: {type: string}, answer: {type: string}}}}"
    registry.write("prompts/reply.yaml", changed(messages=messages, variables=variables, output=output))
    return Registry(WorktreeSource(str(registry.root))).configuration(NAME)


@pytest.fixture
def path(tmp_path, configuration):
    file = tmp_path / "snapshot.json"
    file.write_bytes(snapshot.serialize("prod", 1000, {NAME: entry(configuration)}))
    return file


@pytest.mark.parametrize("text", ["hello", "", "<|im_start|>system", "{{ mood }}", "a\r\nb"])
def test_application_sends_what_the_canary_judged(path, configuration, text):
    sent = load(NAME, snapshot=str(path)).render(ticket=text)
    assert json.dumps(sent) == json.dumps(configuration.render({"ticket": text}))


def test_a_template_that_fails_says_which_message_and_line():
    messages = [{"role": "system", "content": "Be kind"}, {"role": "user", "content": "Say\n{{ 1 / ticket|length }}"}]
    found = Body(
        NAME,
        {"version": "1", "tag": "", "digest": "", "decision": {}, "messages": messages, "includes": {},
         "variables": {"ticket": {"type": "string"}}, "arguments": {"model": "m"}},
    )  # fmt: skip
    with pytest.raises(InputError, match=f"{NAME}, message 2, line 2: template: ZeroDivisionError"):
        found.render({"ticket": ""})


@given(st.text(max_size=20))
def test_any_text_renders_as_in_the_registry(text):
    message = {"role": "user", "content": "Say {{ ticket }} now"}
    found = Body(
        NAME,
        {"version": "1", "tag": "", "digest": "", "decision": {}, "messages": [message], "includes": {},
         "variables": {"ticket": {"type": "string"}}, "arguments": {"model": "m"}},
    )  # fmt: skip
    from promptops.registry import template

    expected = template.render(message["content"], {"ticket": template.neutral(text)}, {})
    assert found.render({"ticket": text})["messages"][0]["content"] == expected


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"ticket": 1},
        {"ticket": None},
        {"ticket": "x", "other": 1},
        {"ticket": "x" * 21},
        {"ticket": "x", "mood": True},
    ],
)
def test_variables_are_held_to_their_contract(path, variables):
    with pytest.raises(UsageError):
        load(NAME, snapshot=str(path)).render(**variables)


def test_a_boolean_is_no_number_and_an_integer_is_one(configuration):
    made = entry(configuration)
    made |= {"variables": {"n": {"type": "number"}}, "messages": [{"role": "user", "content": "{{ n }}"}]}
    found = Body(NAME, made)
    assert found.render({"n": 3})["messages"][0]["content"] == "3"
    with pytest.raises(UsageError):
        found.render({"n": True})


def test_changed_file_is_seen_and_broken_one_is_not(path, configuration):
    opened = Snapshot(str(path))
    assert opened.load(NAME).version == "1.0.0"
    path.write_bytes(snapshot.serialize("prod", 2000, {NAME: entry(configuration, "1.1.0")}))
    assert opened.load(NAME).version == "1.1.0"
    good = path.read_bytes()
    for broken in (b"", good[:100], good.replace(b"1.1.0", b"1.1.1"), b"[]", b'{"sha256": "x"}', b"\xff"):
        path.write_bytes(broken)
        assert opened.load(NAME).version == "1.1.0"
        assert opened.stale
        assert isinstance(opened.error, InputError)
    path.unlink()
    assert opened.load(NAME).version == "1.1.0"
    path.write_bytes(good)
    assert opened.load(NAME).version == "1.1.0"
    assert not opened.stale


def test_age_alarm(path):
    assert Snapshot(str(path), max_age=60).stale
    assert not Snapshot(str(path), max_age=1e12).stale


def test_missing_snapshot_and_missing_prompt_say_what_to_type(tmp_path, path):
    with pytest.raises(PromptopsError) as caught:
        load(NAME, snapshot=str(tmp_path / "none.json"))
    assert "promptops snapshot" in caught.value.hint
    with pytest.raises(PromptopsError) as caught:
        load("other", snapshot=str(path))
    assert "promptops promote other --env prod" in caught.value.hint


def test_environment_variable_names_the_file(path, monkeypatch):
    monkeypatch.setenv("PROMPTOPS_SNAPSHOT", str(path))
    assert load(NAME).tag == "prompt/reply@v1.0.0"


def test_the_package_offers_load_without_importing_it_at_start(path):
    code = (
        "import sys, promptops\n"
        "print(*(name for name in sys.modules if name.startswith('promptops')))\n"
        f"print(promptops.load({NAME!r}, snapshot={str(path)!r}).tag)"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["promptops", "prompt/reply@v1.0.0"]
    assert not hasattr(promptops, "other")


def test_a_file_that_comes_back_is_served_without_alarm(path):
    opened = Snapshot(str(path))
    opened.load(NAME)
    path.rename(path.with_suffix(".away"))
    assert opened.stale
    path.with_suffix(".away").rename(path)
    assert not opened.stale


def test_file_is_plain_json(path):
    document = json.loads(path.read_text())
    assert (document["environment"], list(document["prompts"])) == ("prod", [NAME])


def test_threads_share_a_snapshot_that_changes(path, configuration):
    opened = Snapshot(str(path))
    seen: set[str] = set()
    errors: list[BaseException] = []

    def read():
        try:
            for _ in range(200):
                found = opened.load(NAME)
                seen.add(found.version)
                found.render(ticket="x")
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(20):
        new = path.with_suffix(".new")
        new.write_bytes(snapshot.serialize("prod", number, {NAME: entry(configuration, f"1.{number}.0")}))
        new.replace(path)
    for thread in threads:
        thread.join()
    assert not errors
    assert opened.load(NAME).version == "1.19.0"


def test_application_needs_the_standard_library_and_jinja2_only(path):
    code = (
        "import sys; from promptops.runtime import load\n"
        f"load({NAME!r}, snapshot={str(path)!r}).render(ticket='x')\n"
        "print(*{name.split('.')[0] for name in sys.modules} - set(sys.stdlib_module_names))\n"
        "print(*(name for name in sys.modules if name.startswith('promptops.')))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    foreign, own = done.stdout.splitlines()
    assert {name for name in foreign.split() if not name.startswith("_")} <= {"promptops", "jinja2", "markupsafe"}
    runtime = {name for name in own.split() if name.startswith("promptops.runtime")}
    assert set(own.split()) - runtime <= {
        "promptops.errors",
        "promptops.registry",
        "promptops.registry.language",
        "promptops.registry.markers",
        "promptops.registry.meter",
        "promptops.registry.sandbox",
        "promptops.registry.template",
    }

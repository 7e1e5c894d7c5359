"""Documentation says what the code does: commands, options, rules, hooks, schemas and keys."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import shlex
from importlib import import_module
from pathlib import Path

import click
import pytest
from ruamel.yaml import YAML

from promptops.checks import rules
from promptops.cli.app import COMMANDS
from promptops.registry import sandbox, schemas, yaml
from promptops.registry.configuration import build
from promptops.registry.prompt import parse_model, parse_prompt

ROOT = Path(__file__).parents[2]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text() for path in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
}
README = PAGES["README.md"]


def generator():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["commands", "checks", "security"])
def test_generated_pages_are_current(page):
    assert PAGES[f"docs/{page}.md"] == getattr(generator(), page)(), "run: make docs"


ATTACKS = json.loads((ROOT / "docs/attacks.json").read_text())["attacks"]


@pytest.mark.parametrize("name", sorted({name for row in ATTACKS for name in row["tests"]}))
def test_every_attack_is_shown_by_a_test(name):
    file, _, function = name.partition("::")
    module = ast.parse((ROOT / file).read_text())
    found = [node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == function]
    assert len(found) == 1
    # One that expects a failure, or skips, would show nothing.
    marks = [ast.unparse(mark) for mark in found[0].decorator_list]
    assert not [mark for mark in marks if mark.startswith(("pytest.mark.skip", "pytest.mark.xfail"))]


def test_attacks_are_told_once_and_each_is_shown():
    assert len({row["attack"] for row in ATTACKS}) == len(ATTACKS) > 30
    assert all(row["answer"] and row["tests"] for row in ATTACKS)


def test_the_readme_lists_every_command():
    rows = dict(
        re.findall(
            r"^\| \[`promptops ([\w-]+)`\]\(docs/commands\.md#promptops-[\w-]+\) \| (.*) \|$", README, re.MULTILINE
        )
    )
    assert rows == {name: summary for name, (_, summary) in COMMANDS.items()}


def fenced(text: str, *languages: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [body for language, body in found if language in languages]


def calls() -> list[tuple[str, str]]:
    found = []
    for page, text in PAGES.items():
        if page == "docs/commands.md":
            continue
        lines = [
            line.split("#", 1)[0] for block in fenced(text, "sh") for line in block.replace("\\\n", " ").splitlines()
        ]
        # A span may wrap over two lines.
        lines += [" ".join(span.split()) for span in re.findall(r"`(promptops [^`]+)`", text)]
        found += [(page, line.strip()) for line in lines if line.strip().startswith("promptops ")]
    return sorted(set(found))


@pytest.mark.parametrize(("page", "call"), calls(), ids=lambda value: value[:60])
def test_every_call_in_the_documents_exists(page, call):
    # What follows -- is another program's.
    words = [*shlex.split(call)[1:], "--"]
    words = words[: words.index("--")]
    if words[0] in {"COMMAND", "--version"}:
        return
    assert words[0] in COMMANDS, call
    command: click.Command = import_module(f"promptops.cli.{COMMANDS[words[0]][0]}").command
    rest = words[1:]
    if isinstance(command, click.Group) and rest:
        assert rest[0] in command.commands, call
        command, rest = command.commands[rest[0]], rest[1:]
    options = {name: parameter for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    for index, word in enumerate(rest):
        if word.startswith("-"):
            name, _, value = word.partition("=")
            assert name in options, f"{call}: no option {name}"
            choices = getattr(options[name].type, "choices", None)
            given = value or (rest[index + 1] if index + 1 < len(rest) else "")
            assert choices is None or options[name].is_flag or given in choices, call


def test_rules_in_documents_and_enforcement_exist():
    for page, text in PAGES.items():
        assert set(re.findall(r"\bPO[0-9]{3}\b", text)) <= set(rules.ALL), page
    assert set(re.findall(r"\[(PO\d+)\]", PAGES["docs/checks.md"])) == set(rules.ALL)


def hooks() -> list[dict]:
    return YAML(typ="safe").load((ROOT / ".pre-commit-hooks.yaml").read_text())


def test_the_readme_names_every_hook():
    for hook in hooks():
        assert f"`{hook['id']}`" in README


@pytest.mark.parametrize(
    "text",
    [fenced(README, "yaml")[0], (ROOT / "templates" / "pre-commit-config.yaml").read_text()],
    ids=["readme", "init"],
)
def test_hooks_to_paste_are_those_of_the_manifest(text):
    manifest = {hook["id"]: hook for hook in hooks()}
    config = YAML(typ="safe").load(text)
    pasted = [hook for repo in config["repos"] for hook in repo["hooks"]]
    assert {"promptops-check", "promptops-reviewed"} <= {hook["id"] for hook in pasted}
    for hook in pasted:
        keys = ("name", "entry", "stages", "always_run", "pass_filenames")
        assert {key: hook[key] for key in keys} == {key: manifest[hook["id"]][key] for key in keys}
    stages = {stage for hook in pasted for stage in hook["stages"]} - {"manual"}
    assert stages == set(config["default_install_hook_types"])


def test_every_schema_is_in_the_readme():
    listed = {
        name.strip()
        for row in re.findall(r"^\| [^|]*`[^|]* \| [^|]* \| ([a-z, ]+) \|$", README, re.MULTILINE)
        for name in row.split(",")
    }
    assert listed == set(schemas.names())


@pytest.mark.parametrize("name", ["prompt", "model", "project", "suite", "policy", "rollout"])
def test_every_key_is_documented(name):
    heading = {
        "prompt": "prompts/",
        "model": "models/",
        "project": "promptops.yaml",
        "suite": "evals/",
        "policy": ".promptops/policy.yaml",
        "rollout": "rollouts/",
    }[name]
    (section,) = [part for part in PAGES["docs/files.md"].split("\n## ") if part.startswith(heading)]
    missing = [key for key in schemas.schema(name)["properties"] if f"`{key}`" not in section]
    assert missing == []


def test_every_evaluator_and_filter_is_documented():
    kinds = schemas.schema("suite")["properties"]["evaluators"]["additionalProperties"]["properties"]["type"]["enum"]
    text = PAGES["docs/files.md"]
    assert [kind for kind in kinds if f"`{kind}`" not in text] == []
    filters = [name for name in sandbox.Sandbox({}).filters if not name.startswith("_")]
    assert [name for name in filters if f"`{name}`" not in text] == []


def test_the_examples_in_the_documents_are_valid():
    blocks = fenced(PAGES["docs/files.md"], "yaml")
    prompt, model, suite = (block.encode() for block in blocks[:3])
    read = parse_prompt("prompts/a.yaml", prompt)
    assert build(read, parse_model("models/a.yaml", model), {}).digest.startswith("sha256:")
    schemas.check_document("suite", yaml.load(suite, "evals/a.yaml"))
    for name in schemas.names():
        for example in schemas.schema(name).get("examples", []):
            assert schemas.problems(name, example) == []


def test_links_lead_somewhere():
    for page, text in PAGES.items():
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            assert (ROOT / page).parent.joinpath(target).exists(), f"{page}: {target}"
        for anchor in re.findall(r"\]\(docs/commands\.md#([\w-]+)\)", text):
            assert f"## {anchor.replace('promptops-', 'promptops ', 1)}\n" in PAGES["docs/commands.md"]


def test_the_ref_of_approvals_is_documented():
    from promptops.trust import store

    assert f"git fetch origin '{store.REF}:{store.REF}'" in PAGES["docs/trust.md"]


def test_exit_codes_are_the_same_everywhere():
    from promptops import errors
    from promptops.cli.app import EXIT_CODES

    table = dict(re.findall(r"^\| ([0-4]) \| (.*) \|$", README, re.MULTILINE))
    assert dict(re.findall(r"^  ([0-4])  (.*)$", EXIT_CODES, re.MULTILINE)) == table
    codes = {
        errors.PromptopsError: 3,
        errors.InputError: 1,
        errors.RefusedError: 1,
        errors.UsageError: 2,
        errors.InconclusiveError: 4,
    }
    assert {kind: kind.exit_code for kind in codes} == codes


def test_the_embedded_model_is_pinned_where_init_writes_it():
    from promptops.inference import weights

    model = parse_model("models/local.yaml", (ROOT / "templates" / "models" / "local.yaml").read_bytes())
    assert (model.id, model.weights, model.provider) == (weights.MODEL, {"sha256": weights.SHA256}, "local")


def test_make_targets_in_documents_exist():
    makefile = (ROOT / "Makefile").read_text()
    for page, text in PAGES.items():
        for target in re.findall(r"`make ([\w-]+)`", text) + re.findall(r"^make ([\w-]+)", text, re.MULTILINE):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{page}: {target}"
    assert "make test" in (ROOT / ".ci" / "run").read_text()
    assert json.dumps(sorted(PAGES))

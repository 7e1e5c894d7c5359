"""init: everything that a repository needs, nothing that exists is touched."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from ruamel.yaml import YAML
from support import PROMPT

from promptops.registry import scaffold


def files(repo) -> set[str]:
    return {
        os.path.relpath(os.path.join(folder, name), repo.root)
        for folder, _, names in os.walk(repo.root)
        for name in names
        if ".git/" not in folder + "/"
    }


def test_init_sets_up_an_empty_repository(repo):
    done = repo.promptops("init", "--solo")
    written = {line.removeprefix("wrote ") for line in done.stdout.splitlines() if line.startswith("wrote ")}
    assert {
        "promptops.yaml",
        "prompts/assistant.yaml",
        "models/local.yaml",
        ".pre-commit-config.yaml",
        ".promptops/policy.yaml",
    } <= written
    assert written <= files(repo)
    assert "promptops schema --write .schemas" in done.stderr
    repo.promptops("schema", "--write", ".schemas")
    for path in sorted(written):
        if path.startswith(("prompts/", "models/", "evals/")) or path == "promptops.yaml":
            told, _, place = repo.read(path).splitlines()[0].partition("=")
            assert told == "# yaml-language-server: $schema"
            assert os.path.isfile(repo.root / os.path.dirname(path) / place), path
    root = done.stdout.splitlines()[-1].removeprefix("root ")
    assert repo.promptops("policy", "verify", "--root", root).returncode == 0
    repo.git("add", "-A")
    assert repo.promptops("check", "--all").returncode == 0
    assert repo.promptops("fmt", "--check").returncode == 0
    assert "assistant" in repo.promptops("list").stdout
    assert repo.promptops("render", "assistant", "--var", "question=Hi").returncode == 0


def test_init_again_changes_nothing(repo):
    repo.promptops("init")
    before = {path: (repo.root / path).read_bytes() for path in files(repo)}
    done = repo.promptops("init", "--solo", "--dry-run")
    assert done.stdout == ""
    assert repo.promptops("init").stdout == ""
    assert {path: (repo.root / path).read_bytes() for path in files(repo)} == before


def test_init_leaves_an_existing_repository_alone(repo):
    mine = {
        ".pre-commit-config.yaml": "repos: []\n",
        "promptops.yaml": "version: 1\n",
        "prompts/reply.yaml": PROMPT,
        "evals/safety.yaml": "mine\n",
        "old/agent.prompt": "You are",
        "old/agent.prompty": "You are",
        "app/prompts/system.txt": "You are",
        "app/code.py": 'SYSTEM_PROMPT = """You are a helpful assistant."""\n',
        "app/plain.py": "prompt = input()\n",
    }
    for path, text in mine.items():
        repo.write(path, text)
    repo.commit("Existing")
    done = repo.promptops("init")
    assert {path: repo.read(path) for path in mine} == mine
    assert repo.git("status", "--porcelain", "-uall").replace("?? ", "").split() == sorted(
        line.removeprefix("wrote ") for line in done.stdout.splitlines() if line.startswith("wrote ")
    )
    assert "prompts/assistant.yaml" not in files(repo)
    assert "promptops check --reviewed" in done.stderr


PROMPTS = {
    "old/agent.prompt": "x",
    "old/agent.prompt.yml": "x",
    "a.prompty": "x",
    "app/prompts/system.txt": "x",
    "app/prompts/tool.json": "{}",
    "app/prompts/first.jinja": "x",
    "docs/my_system_prompt.md": "x",
    "docs/System-Prompt-v2.txt": "x",
    "promptfooconfig.yaml": "prompts: [x]\n",
    "app/code.py": 'system_prompt: str = (\n    """You are"""\n)\n',
    "app/plain_name.py": 'system = """You are"""\n',
    "app/call.py": 'ask([{"role": "system", "content": text}])\n',
    "app/block.yaml": "model: x\nmessages:\n  - role: system\n    content: You are\n",
    "app/flow.yml": "messages: [{content: You are, role: system}]\n",
    "app/request.json": '{\n "messages": [\n  {\n   "role": "system", "content": "x"}]}\n',
    "app/small.json": '{"messages":[{"role":"user","content":"x"}]}',
}
OTHERS = {
    "app/plain.py": "prompt = input()\nfilesystem = '''x'''\nsystem = platform.system()\n",
    "app/notes.txt": "x",
    "app/prompts/README.md": "x",
    "app/queue.yaml": "messages:\n  - hello\nmessages_total: {role: x}\n",
    "app/queue.json": '{"messages": ["role", "content"]}',
    "app/large.json": '{"messages": [{"role": "system"}]}' + " " * (1 << 20),
    "prompts/reply.yaml": PROMPT,
}


def listed(told: str) -> list[str]:
    lines = told.split("like prompts; move the text into prompts/NAME.yaml:\n")[1].splitlines()
    return [line.strip() for line in lines if line.startswith("  ") and not line.startswith(("  next:", "  ..."))]


def test_init_lists_what_looks_like_prompts(repo):
    for path, text in (PROMPTS | OTHERS).items():
        repo.write(path, text)
    (repo.root / "app" / "link.py").symlink_to("code.py")
    repo.commit("Existing")
    repo.write("new/never_added.prompt", "x")
    told = repo.promptops("init", "--dry-run").stderr
    assert f"{len(PROMPTS)} files look like prompts" in told
    assert listed(told) == sorted(PROMPTS)
    assert repo.git("status", "--porcelain") == "?? new/"


def test_init_looks_into_so_many_files_and_says_so(tmp_path):
    (tmp_path / "last.json").write_text(PROMPTS["app/small.json"])
    paths = [f"{number}.json" for number in range(1999)]
    assert scaffold.candidates(str(tmp_path), [*paths, "last.json"]) == (["last.json"], True)
    assert scaffold.candidates(str(tmp_path), [*paths, "one.json", "last.json", "a.prompt"]) == (["a.prompt"], False)


def test_init_waits_for_no_pipe_and_reads_no_link(tmp_path):
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "code.py").write_text(PROMPTS["app/code.py"])
    (tmp_path / "link.py").symlink_to("code.py")
    found = scaffold.candidates(str(tmp_path), ["pipe.py", "link.py", "gone.py", "code.py"])
    assert found.paths == ["code.py"]


def test_dry_run_writes_nothing(repo):
    done = repo.promptops("init", "--dry-run", "--ci", "github")
    assert "would write prompts/assistant.yaml" in done.stdout
    assert "would write .github/workflows/promptops.yml" in done.stdout
    assert files(repo) == set()


@pytest.mark.parametrize(
    ("service", "path"), [("github", ".github/workflows/promptops.yml"), ("gitlab", ".gitlab/promptops.yml")]
)
def test_ci_workflow_on_request(repo, service, path):
    repo.promptops("init", "--ci", service)
    assert "promptops" in repo.read(path)


def test_gitlab_is_led_to_its_job(repo):
    told = repo.promptops("init", "--ci", "gitlab").stderr
    assert ".gitlab-ci.yml" not in told
    assert YAML(typ="safe").load(repo.read(".gitlab-ci.yml")) == {"include": [{"local": ".gitlab/promptops.yml"}]}
    assert ".gitlab-ci.yml" not in repo.promptops("init", "--ci", "gitlab").stderr


def test_an_existing_gitlab_file_is_left_alone_and_told_what_it_lacks(repo):
    repo.write(".gitlab-ci.yml", "test: {script: [make]}\n")
    told = repo.promptops("init", "--ci", "gitlab").stderr
    assert "  - local: .gitlab/promptops.yml" in told
    assert repo.read(".gitlab-ci.yml") == "test: {script: [make]}\n"
    repo.write(".gitlab-ci.yml", "include: {local: .gitlab/promptops.yml}\n")
    assert "exists" not in repo.promptops("init", "--ci", "gitlab").stderr


def test_a_workflow_is_offered_until_there_is_one(repo):
    assert "promptops init --ci github" in repo.promptops("init").stderr
    assert "--ci" not in repo.promptops("init", "--ci", "github").stderr
    assert "--ci" not in repo.promptops("init").stderr


def test_without_a_key_nothing_is_written(repo):
    env = {name: value for name, value in repo.env().items() if name != "PROMPTOPS_SIGNING_KEY"} | {
        "GIT_CONFIG_GLOBAL": os.devnull
    }
    done = subprocess.run(
        [sys.executable, "-m", "promptops", "init"], cwd=repo.root, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert "next:" in done.stderr
    assert files(repo) == set()


def test_outside_a_repository(repo, tmp_path):
    (tmp_path / "plain").mkdir()
    done = repo.promptops("-C", str(tmp_path / "plain"), "init", check=3)
    assert "git init" in done.stderr


def test_the_branch_that_is_there_is_protected(repo):
    repo.git("symbolic-ref", "HEAD", "refs/heads/trunk")
    repo.promptops("init")
    assert "protected: [refs/heads/trunk]" in repo.read(".promptops/policy.yaml")


def test_a_policy_that_is_refused_leaves_no_half(repo):
    failed = repo.promptops("init", "--person", "alice=*", check=None)
    assert failed.returncode in {1, 2, 3}
    assert "error:" in failed.stderr
    assert not {path for path in files(repo) if path.startswith(".promptops")}


def test_keys_that_exist_are_left_as_they_are(repo):
    repo.write(".promptops/allowed_signers", "bob@example.org ssh-ed25519 AAAA\n")
    refused = repo.promptops("init", "--solo", check=1)
    assert "allowed_signers" in refused.stderr
    assert repo.read(".promptops/allowed_signers") == "bob@example.org ssh-ed25519 AAAA\n"
    assert not (repo.root / ".promptops/policy.yaml").exists()

"""Raising versions in place."""

from __future__ import annotations

import pytest
from support import MODEL, PROMPT, make_repo

REPLY = "prompts/reply.yaml"
TEXT = PROMPT.replace("Answer the ticket.", "Answer it well.")
INCLUDING = PROMPT.replace("Answer the ticket.", "{% include 'tone.md' %}")


def version_of(repo, path=REPLY):
    return next(line for line in repo.read(path).splitlines() if "version" in line)


@pytest.mark.parametrize("released", [True, False], ids=["released", "draft"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TEXT, "1.0.1"),
        (PROMPT.replace("0.3", "0.4"), "1.1.0"),
        (
            PROMPT.replace("  ticket: {type: string, maxLength: 8000}\n", "  {}\n").replace("{{ ticket }}", "Hi"),
            "2.0.0",
        ),
        (PROMPT + "# comment\n", "1.0.0"),
        (TEXT.replace("1.0.0", "1.7.0"), "1.7.0"),
        (TEXT.replace("1.0.0", "0.1.0"), "1.0.1"),
    ],
)
@pytest.mark.parametrize("args", [("reply",), (), ("--affected",)], ids=["by name", "default", "affected"])
def test_writes_the_least_legal_version(judge, released, text, expected, args):
    if released:
        judge.release("1.0.0")
    judge.repo.write(REPLY, text)
    assert judge.repo.cli("bump", *args).code == 0
    assert version_of(judge.repo) == f'version: "{expected}"'
    judge.repo.git("add", "-A")
    assert judge.check("--staged") == []


def test_is_the_same_the_second_time(judge):
    judge.repo.write(REPLY, TEXT)
    judge.repo.cli("bump")
    before = judge.repo.read(REPLY)
    assert "nothing to do" in judge.repo.cli("bump").out
    assert judge.repo.read(REPLY) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('# top\nversion:   "1.0.0"   # why\n', '# top\nversion:   "1.0.1"   # why\n'),
        ("version: '1.0.0'\r\n", "version: '1.0.1'\r\n"),
        ("version: 1.0.0\n", 'version: "1.0.1"\n'),
        ('"version" : "1.0.\\x30"\n', '"version" : "1.0.1"\n'),
        ("# ünï ☃ 🙂\nversion: '1.0.0'\n", "# ünï ☃ 🙂\nversion: '1.0.1'\n"),
    ],
)
def test_changes_nothing_but_the_version(judge, old, new):
    body = TEXT.partition("\n")[2]
    judge.repo.write(REPLY, old + body)
    judge.repo.cli("bump", "reply")
    assert judge.repo.read(REPLY) == new + body


def test_refuses_what_cannot_be_edited_alone(judge):
    text = "version: &v '1.0.0'\n" + TEXT.partition("\n")[2] + "metadata: {same: *v}\n"
    judge.repo.write(REPLY, text)
    done = judge.repo.cli("bump", "reply")
    assert (done.code, judge.repo.read(REPLY)) == (1, text)
    assert "by hand" in done.err


@pytest.mark.parametrize("text", ["version: [", PROMPT + "extra: 1\n"])
def test_refuses_malformed_files(judge, text):
    judge.repo.write(REPLY, text)
    assert judge.repo.cli("bump", "reply").code == 1
    assert judge.repo.read(REPLY) == text


def test_reaches_users_of_an_include(judge):
    judge.stage(**{REPLY: INCLUDING, "prompts/tone.md": "Kind."})
    judge.repo.git("commit", "-q", "-m", "Include")
    judge.repo.write("prompts/tone.md", "Rude.")
    judge.repo.cli("bump")
    assert version_of(judge.repo) == 'version: "1.0.1"'


def test_staged_judges_the_index_writes_the_work_tree_and_stages_nothing(judge):
    judge.stage(**{REPLY: TEXT})
    judge.repo.write(REPLY, TEXT + "# later\n")
    done = judge.repo.cli("bump", "--staged")
    assert (done.code, version_of(judge.repo)) == (1, 'version: "1.0.1"')
    assert judge.repo.read(REPLY).endswith("# later\n")
    assert judge.repo.git("show", f":{REPLY}").startswith('version: "1.0.0"')
    judge.repo.git("add", "-A")
    assert judge.repo.cli("bump", "--staged").code == 0


def test_staged_leaves_unstaged_changes_alone(judge):
    judge.repo.write(REPLY, TEXT)
    assert judge.repo.cli("bump", "--staged").code == 0
    assert judge.repo.read(REPLY) == TEXT


def test_staged_refuses_when_the_work_tree_has_another_version(judge):
    judge.stage(**{REPLY: TEXT})
    judge.repo.write(REPLY, TEXT.replace("1.0.0", "4.0.0"))
    done = judge.repo.cli("bump", "--staged")
    assert (done.code, version_of(judge.repo)) == (1, 'version: "4.0.0"')


def test_dry_run_writes_nothing(judge):
    judge.repo.write(REPLY, TEXT)
    assert "1.0.0 -> 1.0.1" in judge.repo.cli("bump", "--dry-run").out
    assert judge.repo.read(REPLY) == TEXT


@pytest.fixture
def moving(judge):
    files = {f"prompts/p{number}.yaml": PROMPT for number in range(3)}
    judge.stage(**files, **{"models/new.yaml": MODEL.replace("2024-11-20", "2025-01-01")})
    judge.repo.git("commit", "-q", "-m", "More")
    return judge


def models(repo):
    return [repo.read(f"prompts/{name}.yaml").splitlines()[3] for name in ("p0", "p1", "p2", "reply")]


def test_moves_prompts_to_another_model_in_waves(moving):
    for moved in (2, 4):
        assert moving.repo.cli("bump", "--model", "gpt=new", "--wave", "2").code == 0
        assert models(moving.repo) == ["model: new"] * moved + ["model: gpt"] * (4 - moved)
    assert version_of(moving.repo) == 'version: "1.1.0"'
    moving.repo.git("add", "-A")
    assert moving.check("--staged") == []
    assert moving.repo.cli("bump", "--model", "gpt=new").code == 2


def test_moves_all_without_a_wave(moving):
    moving.repo.cli("bump", "--model", "gpt=new")
    assert set(models(moving.repo)) == {"model: new"}


def test_moves_nothing_when_one_file_cannot_be_edited(moving):
    moving.repo.write("prompts/p2.yaml", "x: &m gpt\n")
    assert moving.repo.cli("bump", "--model", "gpt=new").code == 1
    assert "model: new" not in moving.repo.read("prompts/p0.yaml")


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("--model", "gpt=gone"), 1),
        (("--model", "gpt"), 2),
        (("--wave", "2"), 2),
        (("reply", "--staged"), 2),
        (("unknown",), 1),
        (("../etc",), 1),
    ],
)
def test_wrong_usage_and_unknown_names(moving, args, code):
    assert moving.repo.cli("bump", *args).code == code
    assert moving.repo.git("status", "--porcelain") == ""


@pytest.mark.parametrize("args", [(), ("--staged",), ("reply",)])
def test_before_the_first_commit_every_version_is_legal(tmp_path, args):
    repo = make_repo(tmp_path)
    repo.write("models/gpt.yaml", MODEL)
    repo.write(REPLY, PROMPT)
    repo.git("add", "-A")
    done = repo.cli("bump", *args)
    assert (done.code, done.err, "nothing to do" in done.out) == (0, "", True)

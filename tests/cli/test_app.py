"""The command tree: documented exit codes, lazy loading, one message per error."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
from support import invoke

from promptops.cli.app import COMMANDS


def test_version_and_help(tmp_path):
    assert invoke("--version", cwd=tmp_path).out.startswith("promptops ")
    text = invoke("--help", cwd=tmp_path).out
    assert all(f"  {name} " in text for name in COMMANDS)
    assert "Exit codes" in text


@pytest.mark.parametrize("args", [("nonsense",), ("--nonsense",), ("-C", "/does/not/exist", "list")])
def test_wrong_usage_is_exit_2(tmp_path, args):
    result = invoke(*args, cwd=tmp_path)
    assert result.code == 2
    assert "Error" in result.err


def test_help_imports_no_command():
    code = """
import sys
from promptops.cli.app import cli
try:
    cli.main(["--help"], standalone_mode=False)
except SystemExit:
    pass
heavy = {"jinja2", "git", "numpy", "openai", "jsonschema", "ruamel.yaml"}
print(sorted(heavy & set(sys.modules)), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_every_command_has_a_module():
    modules = {module.partition(":")[0] for module, _ in COMMANDS.values()}
    assert [name for name in sorted(modules) if find_spec(f"promptops.cli.{name}") is None] == []


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_explains_itself(tmp_path, name):
    result = invoke(name, "--help", cwd=tmp_path)
    assert result.code == 0
    assert result.out.startswith(f"Usage: promptops {name}")


def test_a_reader_that_goes_away_is_no_clean_result(tmp_path):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "promptops", "schema", "prompt"],
        cwd=tmp_path,
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(write)
    assert done.returncode
    assert done.stderr == b""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no device that is always full")
def test_a_full_disk_behind_stdout_is_one_message(tmp_path):
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "promptops", "explain"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 3
    assert done.stderr.splitlines() == [
        "error: No space left on device",
        "  next: make room, then run the command again",
    ]


@pytest.mark.parametrize("stream", [1, 2])
def test_a_closed_stream_is_no_crash(registry, stream):
    done = subprocess.run(
        [sys.executable, "-m", "promptops", "list"],
        cwd=registry.root,
        capture_output=True,
        preexec_fn=lambda: os.close(stream),
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("args", [("list",), ("check", "--all"), ("--help",)], ids=" ".join)
def test_a_reader_that_went_away_is_not_taken_for_findings(registry, args):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "promptops", *args],
        cwd=registry.root,
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")

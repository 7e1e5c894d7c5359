"""What hostile prompts make the command line do, as the operating system sees it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import NamedTuple

import pytest
from evaluation.canaries import FACTS, flattering, text_by
from inference.faults import KEY, Answer, FaultServer, completion
from support import PROMPT, Repo

ATTEMPTS = [
    "{% include 'OUTSIDE' %}",
    "{% include '../../outside.md' %}",
    "{% include 'link.md' %}",
    "{% include 'folder/outside.md' %}",
    "{% import 'OUTSIDE' as m %}",
    "{% extends 'OUTSIDE' %}",
    "{% include ['OUTSIDE', 'a.md'] %}",
    "{% include ticket %}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ ticket|attr('__class__') }}",
    "{{ [ticket]|map(attribute='__class__')|list }}",
    "{{ [ticket]|groupby('__class__') }}",
    "{{ [ticket]|sum(attribute='__class__') }}",
    "{{ [ticket]|sort(attribute='__class__.__name__') }}",
    "{{ '{0.__class__.__init__.__globals__}'.format(ticket) }}",
    "{{ '%s' % ticket.__class__ }}",
    "{{ ('%c' % 95) ~ 'x' }}{{ ticket[('_' ~ '_class_') ~ '_'] }}",
    "{{ ticket['\\\\x5f\\\\x5fclass\\\\x5f\\\\x5f'] }}",
    "{{ ticket.\uff3f\uff3fclass\uff3f\uff3f }}",
    "{{ lipsum.__globals__.os.environ }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ joiner.__init__.__globals__ }}",
    "{{ self.__init__.__globals__.__builtins__.open('OUTSIDE').read() }}",
    "{{ environ }}{{ os }}{{ open('OUTSIDE').read() }}",
    "{{ namespace(a=1) }}",
    "{{ get_flashed_messages }}{{ url_for }}{{ config }}",
]
EASY = [{"metric": "expected", "direction": "higher", "margin": 0.5, "limit": 0.5}]
ALLOWED = ("/proc/", "/dev/", "/sys/", "/usr/", "/lib", "/etc/", "/bin/", "/run/")
HOOK = """\
import os, sys
def hook(event, args):
    if event in ("open", "os.open") and isinstance(args[0], (str, bytes)) or event == "socket.connect":
        line = f"{event} {os.fsdecode(args[0])}" if event != "socket.connect" else f"connect {args[1]!r}"
        os.write(LOG, line.encode("utf-8", "surrogateescape") + b"\\n")
LOG = os.open(os.environ["AUDIT_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
sys.addaudithook(hook)
"""


class Seen(NamedTuple):
    """Files that were opened, and addresses that were connected to."""

    files: set[str]
    peers: set[tuple[str, int]]


def strace_works() -> bool:
    return (
        bool(shutil.which("strace"))
        and not subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode
    )


@pytest.fixture(params=["strace", "audit hook"])
def watched(request, tmp_path):
    """Run a command and return what it did; git and other children are seen by strace only."""
    if request.param == "strace" and not strace_works():
        pytest.skip("strace is not installed or not allowed here; the audit hook looks instead")
    log = tmp_path / "seen"

    def by_strace(repo: Repo, *args: str, **env: str) -> Seen:
        command = ["strace", "-f", "-qq", "-s", "4096", "-o", str(log), "-e", "trace=%network,open,openat"]
        run(repo, [*command, sys.executable, "-m", "promptops", *args], env)
        text = log.read_text(errors="surrogateescape")
        opened = re.findall(r'open(?:at)?\((?:[^,"]+, )?"([^"]*)", [^)]*\) = \d', text)
        peers = re.findall(r'connect\(.*?sin6?_port=htons\((\d+)\).*?"([0-9a-f.:]+)"', text)
        assert "AF_INET" not in re.sub(
            r"(?:socket|connect|getsockname|getpeername|getsockopt|setsockopt|bind|accept4?)\(.*", "", text
        )
        return Seen({path for path in opened if path.startswith("/")}, {(host, int(port)) for port, host in peers})

    def by_hook(repo: Repo, *args: str, **env: str) -> Seen:
        (tmp_path / "hook").mkdir(exist_ok=True)
        (tmp_path / "hook" / "sitecustomize.py").write_text(HOOK)
        paths = os.pathsep.join([str(tmp_path / "hook"), *filter(None, [os.environ.get("PYTHONPATH")])])
        run(repo, [sys.executable, "-m", "promptops", *args], env | {"PYTHONPATH": paths, "AUDIT_LOG": str(log)})
        lines = [line.split(" ", 1) for line in log.read_text(errors="surrogateescape").splitlines()]
        opened = {path for event, path in lines if event != "connect" and path.startswith("/")}
        peers = [re.match(r"\('([^']*)', (\d+)", place) for event, place in lines if event == "connect"]
        return Seen(opened, {(match[1], int(match[2])) for match in peers if match})

    return by_strace if request.param == "strace" else by_hook


def run(repo: Repo, command: list[str], env: dict[str, str]) -> None:
    done = subprocess.run(
        command,
        cwd=repo.root,
        env=repo.env() | env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {0, 1, 3}, done.stderr
    assert "this is a bug" not in done.stderr
    assert "canary-outside" not in done.stdout + done.stderr
    assert "canary-environment" not in done.stdout + done.stderr


@pytest.fixture
def hostile(registry, tmp_path) -> Repo:
    """Prompts that reach for a file outside, for the environment and for Python, and folders linked to outside."""
    outside = tmp_path / "outside.md"
    outside.write_text("canary-outside")
    (registry.root / "prompts" / "link.md").symlink_to(outside)
    (registry.root / "prompts" / "folder").symlink_to(tmp_path)
    registry.extra_env["PLANTED"] = "canary-environment"
    for number, attempt in enumerate(ATTEMPTS):
        text = attempt.replace("OUTSIDE", str(outside))
        registry.write(
            f"prompts/p{number}.yaml", PROMPT.replace('"Answer the ticket."', "'" + text.replace("'", "''") + "'")
        )
    registry.git("add", "-A")
    return registry


def inside(repo: Repo, path: str) -> bool:
    """Whether a file belongs to the repository, to git's and Python's installations, or to the system."""
    places = [repo.root, repo.home / "alice.gitconfig", sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), *sys.path, Path(__file__).parents[2] / "promptops"]  # fmt: skip
    real = os.path.realpath(path)
    return any(
        Path(each).is_relative_to(place) for each in (path, real) for place in places if str(place)
    ) or path.startswith(ALLOWED)


@pytest.mark.parametrize("args", [("check", "--all"), ("list",)], ids=" ".join)
def test_hostile_prompts_open_no_file_outside_and_no_connection(hostile, watched, tmp_path, args):
    seen = watched(hostile, *args)
    assert any("p0.yaml" in path or "index" in path for path in seen.files) or seen.files
    assert str(tmp_path / "outside.md") not in {os.path.realpath(path) for path in seen.files}
    assert {
        path for path in seen.files if not inside(hostile, path) and "/seen" not in path and "/hook" not in path
    } == set()
    assert seen.peers == set()


@pytest.mark.parametrize("number", range(len(ATTEMPTS)), ids=lambda number: ascii(ATTEMPTS[number])[:50])
def test_no_hostile_prompt_is_rendered(hostile, number):
    for args in (("render", f"p{number}", "--var", "ticket=x"), ("digest", f"p{number}")):
        done = hostile.cli(*args)
        assert "canary-" not in done.out + done.err
        assert "<class" not in done.out
        assert "<function" not in done.out
        assert "this is a bug" not in done.err
    assert hostile.cli("render", f"p{number}", "--var", "ticket=x").code in {1, 2}


def test_the_only_connection_is_the_endpoints(registry, watched):
    with FaultServer([Answer(body=completion("See https://evil.example/ and file:///etc/passwd"))]) as server:
        seen = watched(
            registry,
            "try",
            "reply",
            "--var",
            "ticket=http://evil.example",
            OPENAI_BASE_URL=server.url,
            OPENAI_API_KEY=KEY,
        )
        assert len(server.requests) == 1
    host, port = re.fullmatch(r"http://([^:/]+):(\d+).*", server.url).groups()
    assert seen.peers == {(host, int(port))}


def test_a_canary_connects_to_its_endpoint_and_nowhere_else(registry, watched):
    registry.write("promptops.yaml", "version: 1\ncanary: {minimum: 1, budget: {requests: 200}}\n")
    registry.write("evals/facts.yaml", json.dumps(FACTS | {"guardrails": EASY}))
    registry.write("prompts/reply.yaml", flattering("Answer.", "[facts]"))
    registry.commit("Add a suite")
    registry.write("prompts/reply.yaml", flattering("Answer. See http://evil.example/ and {{ ticket }}.", "[facts]"))
    with FaultServer(text_by(0.0)) as server:
        seen = watched(registry, "canary", "reply", "--base", "main", OPENAI_BASE_URL=server.url, OPENAI_API_KEY=KEY)
        assert server.requests
    host, port = re.fullmatch(r"http://([^:/]+):(\d+).*", server.url).groups()
    assert seen.peers == {(host, int(port))}

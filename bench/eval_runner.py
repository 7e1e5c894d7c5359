"""CPU per case of `promptops eval run` at 64 in flight, beside promptfoo and Inspect on the same server and cases.

    python bench/eval_runner.py [MOST]

Every figure is of whole processes and their children: what 2,000 cases cost more than one, user and system, divided by
1,999; once for single questions and once for sessions of three turns. All send the same messages to the same server
and look for the same word in the answer. Then the same for 100 up to MOST cases (100,000 when it is not
given) with the peak memory of the process: cost per case has to stay flat, and memory within 2 KiB per case.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, NamedTuple

from runner import IN_FLIGHT, REQUEST, configuration

if TYPE_CHECKING:
    from collections.abc import Callable

CASES = 2000
SIZES = (100, 1_000, 10_000, 100_000)
PER_SUITE = 10_000
TURNS = ["Are you sure?", "Thank you. What is it again?"]
FLAT = 1.5
BYTES_PER_CASE = 2048
SYSTEM: str = REQUEST["messages"][0]["content"]
# What all are told of the model, beside the messages.
SETTINGS = {name: REQUEST[name] for name in ("temperature", "max_completion_tokens")}
SERVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "runner.py")

PROMPTFOO = """\
prompts: [{prompt}]
providers: [{{id: "openai:chat:mock", config: {{apiBaseUrl: "{url}", apiKey: x, {settings}}}}}]
tests: file://tests.json
"""
# The whole conversation so far and then the new question, as its documentation writes it.
CONVERSATION = (
    f'[{{"role": "system", "content": {json.dumps(SYSTEM)}}},'
    '{% for turn in _conversation %}{"role": "user", "content": "{{ turn.input }}"},'
    '{"role": "assistant", "content": "{{ turn.output }}"},{% endfor %}{"role": "user", "content": "{{ question }}"}]'
)
QUESTION = (
    f'[{{"role": "system", "content": {json.dumps(SYSTEM)}}}, {{"role": "user", "content": "{{{{ question }}}}"}}]'
)
INSPECT = """\
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes
from inspect_ai.model import GenerateConfig
from inspect_ai.solver import generate, system_message, user_message
@task
def bench(n=1, turns=0):
    samples = [Sample(input=f"Capital of country {i}?", target="Paris") for i in range(n)]
    further = [step for said in TURNS[:turns] for step in (user_message(said), generate())]
    asking = [system_message(SYSTEM), generate(), *further]
    config = GenerateConfig(temperature=SETTINGS["temperature"], max_tokens=SETTINGS["max_completion_tokens"])
    return Task(dataset=samples, solver=asking, scorer=includes(), config=config)
"""


class Cost(NamedTuple):
    """What a process used: CPU seconds with its children, and the most memory in bytes."""

    seconds: float
    memory: int


def cost(command: list[str], folder: str, environ: dict[str, str]) -> Cost | str:
    """Run a command; return what it used, or why it failed."""
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, cwd=folder, env=os.environ | environ, stdout=out, stderr=out)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        if process.returncode:
            return f"failed: {out.read().decode(errors='replace').strip()[-200:]}"
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def ours(url: str, cases: int, turns: int) -> Cost | str:
    """Return what a run of so many cases costs, in a new repository."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["git", "init", "-q", folder], check=True)
        configuration(folder)
        os.makedirs(os.path.join(folder, "evals"))
        names = []
        for start in range(0, cases, PER_SUITE):
            names.append(f"suite{start // PER_SUITE}")
            asked = [
                {"id": f"c{number}", "input": f"Capital of country {number}?", "expect": {"contains": "Paris"}}
                | ({"turns": TURNS[:turns]} if turns else {})
                for number in range(start, min(cases, start + PER_SUITE))
            ]
            with open(os.path.join(folder, "evals", f"{names[-1]}.yaml"), "w", encoding="utf-8") as file:
                json.dump({"version": 1, "cases": asked}, file)
        command = [sys.executable, "-m", "promptops", "eval", "run", *names, "--concurrency", str(IN_FLIGHT)]
        return cost([*command, "--fail-on-expected"], folder, {"BENCH_URL": url, "BENCH_KEY": "x"})


def promptfoo(url: str, cases: int, turns: int) -> Cost | str:
    program = shutil.which("promptfoo")
    if program is None:
        return "NOT MEASURED: not installed; make bench-peers"
    with tempfile.TemporaryDirectory() as folder:
        asked = ["Capital of country {}?", *TURNS[:turns]]
        tests = [
            {"vars": {"question": said.format(case)}, "metadata": {"conversationId": str(case)}}
            | {"assert": [{"type": "contains", "value": "Paris"}]}
            for case in range(cases)
            for said in asked
        ]
        prompt = json.dumps(CONVERSATION if turns else QUESTION)
        # Its name of the bound on the answer is the older one.
        settings = f"temperature: {SETTINGS['temperature']}, max_tokens: {SETTINGS['max_completion_tokens']}"
        for name, text in (
            ("tests.json", json.dumps(tests)),
            ("c.yaml", PROMPTFOO.format(url=url, prompt=prompt, settings=settings)),
        ):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        flags = ["--no-cache", "--no-table", "--no-progress-bar", "--no-write", "-j", str(IN_FLIGHT)]
        environ = {"HOME": folder, "PROMPTFOO_CONFIG_DIR": folder}
        environ |= dict.fromkeys(
            ["PROMPTFOO_DISABLE_TELEMETRY", "PROMPTFOO_DISABLE_UPDATE", "PROMPTFOO_DISABLE_REMOTE_GENERATION"], "1"
        )
        return cost([program, "eval", "-c", "c.yaml", *flags], folder, environ)


def inspect(url: str, cases: int, turns: int) -> Cost | str:
    program = shutil.which("inspect")
    if program is None:
        return "NOT MEASURED: not installed; make bench-peers"
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "bench.py"), "w", encoding="utf-8") as file:
            file.write(f"TURNS = {TURNS!r}\nSYSTEM = {SYSTEM!r}\nSETTINGS = {SETTINGS!r}\n{INSPECT}")
        flags = ["--max-connections", str(IN_FLIGHT), "--display", "none", "--log-dir", "logs"]
        task = ["bench.py", "-T", f"n={cases}", "-T", f"turns={turns}", "--model", "openai-api/mock/mock"]
        environ = {"HOME": folder, "MOCK_BASE_URL": url, "MOCK_API_KEY": "x"}
        return cost([program, "eval", *task, *flags], folder, environ)


def marginal(measure: Callable[[str, int, int], Cost | str], url: str, turns: int) -> float | str:
    """Return the CPU milliseconds per case that `CASES` cost more than one, or why there are none."""
    # Twice: the first run of all compiles modules and fills caches.
    one, many = least(measure(url, 1, turns), measure(url, 1, turns)), None
    if not isinstance(one, str):
        many = measure(url, CASES, turns)
    if isinstance(one, str) or many is None:
        return str(one)
    return many if isinstance(many, str) else (many.seconds - one.seconds) / (CASES - 1) * 1e3


def least(first: Cost | str, second: Cost | str) -> Cost | str:
    if isinstance(first, str) or isinstance(second, str):
        return first if isinstance(first, str) else second
    return min(first, second)


def compare(url: str, turns: int) -> bool:
    """Print a table of all runners; say whether each peer was measured and costs ten times as much or more."""
    print(
        f"\nCPU ms per case, {CASES:,} cases of {counted(turns + 1)}, {IN_FLIGHT} in flight: user and system, children"
        " included, start-up taken off"
    )
    own = marginal(ours, url, turns)
    print(f"{'promptops eval run':24}{own if isinstance(own, str) else format(own, '.2f'):>10}", flush=True)
    good = not isinstance(own, str)
    for name, measure in (("promptfoo", promptfoo), ("inspect", inspect)):
        found = marginal(measure, url, turns)
        if isinstance(found, str) or isinstance(own, str):
            print(f"{name:24}{'-':>10}  {found}", flush=True)
            good = False
        else:
            print(f"{name:24}{found:10.2f}  {found / own:.1f} x ours; bar: 10 x", flush=True)
            good &= found >= 10 * own
    return good


def scale(url: str, most: int) -> bool:
    """Print cost and memory of growing runs; say whether both stay within their bars."""
    print("\npromptops eval run by cases: CPU ms per case (start-up taken off), peak memory")
    base = least(ours(url, 1, 0), ours(url, 1, 0))
    if isinstance(base, str):
        print(base)
        return False
    costs: dict[int, float] = {}
    good = True
    for cases in (size for size in SIZES if size <= most):
        found = ours(url, cases, 0)
        if isinstance(found, str):
            print(f"{cases:>9,}  {found}")
            return False
        costs[cases] = (found.seconds - base.seconds) / (cases - 1) * 1e3
        grown = (found.memory - base.memory) / cases
        print(
            f"{cases:>9,}{costs[cases]:10.2f}{found.memory / 2**20:10.0f} MiB  {grown:8.0f} bytes per case", flush=True
        )
        good &= cases < PER_SUITE or grown <= BYTES_PER_CASE
    # A hundred cases cost a tenth of a second, which is mostly noise of the start-up: the next size is the base.
    first, last = costs.get(1_000, costs[min(costs)]), costs[max(costs)]
    print(f"ratio of {max(costs):,} cases to 1,000: {last / first:.2f}; to 100: {last / costs[100]:.2f}; bar: {FLAT:g}")
    return good and last <= FLAT * first and max(costs) == SIZES[-1]


def counted(turns: int) -> str:
    return "one turn" if turns == 1 else f"{turns} turns"


def main() -> int:
    most = int(sys.argv[1]) if len(sys.argv) > 1 else SIZES[-1]
    with subprocess.Popen([sys.executable, SERVER, "--serve"], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
            good = [compare(url, 0), compare(url, len(TURNS)), scale(url, most)]
        finally:
            server.kill()
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())

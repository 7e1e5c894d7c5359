"""Every benchmark, one after the other, each against its peer or floor in the same run.

    python bench/run.py [NAME ...]

A row that falls short stays visible; the exit code is 1 when any bar was missed or could not be measured.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
BENCHES = {
    "rollout": "a look at a rollout with 10 million outcomes, and chains of 10,000 decisions",
    "hooks": "hook process and full check, on a generated repository of 10,000 prompts",
    "log_verify": "log of 1,500 releases and verify of one",
    "receive": "the server's hook on pushes of 1 to 5,000 commits",
    "runner": "canary runner at 64 requests in flight",
    "eval_runner": "runs of suites at 64 requests in flight, single questions and sessions, from 100 to 100,000 cases",
    "runtime": "load and render from a warm snapshot, of 10 and of 10,000 prompts",
    "telemetry": "events written beside a bare append, and a look at 10 million outcomes beside the bare query",
    "embedded": "what the gate sees on the embedded model: style, and that forced choices are not valid there",
    "operating_characteristics": "what canaries decide, over recorded replies of the embedded model",
    "error_rates": "how often the sequential procedures err, cover and detect, in simulated rollouts",
    "rollout_simulate": "what a published rollout plan decides, beside the published shares",
    "backtest": "the gate on recorded replies of real models, beside a paired bootstrap",
}


def main() -> int:
    names = sys.argv[1:] or list(BENCHES)
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        print(f"no benchmark is called {unknown[0]}; one of: {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    missed = []
    for name in names:
        print(f"\n{name}: {BENCHES[name]}", flush=True)
        if subprocess.run([sys.executable, str(HERE / f"{name}.py")], check=False).returncode:
            missed.append(name)
    print(f"\nmissed or not measured in: {', '.join(missed)}" if missed else "\nall bars hold")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

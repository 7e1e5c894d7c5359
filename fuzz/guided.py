"""The same targets with inputs chosen by coverage (libFuzzer), where atheris is installed.

    python fuzz/guided.py TARGET

runs until it is stopped or a promise is broken; what it found new is kept in fuzz/crashes/guided-TARGET/.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main(name: str) -> int:
    """Fuzz one target; return 3 where atheris is missing."""
    try:
        import atheris
    except ImportError:
        print("atheris is not installed: pip install atheris (wheels for Linux)", file=sys.stderr)
        return 3
    # Only what is imported from here on is watched.
    with atheris.instrument_imports(include=["promptops"]):
        import targets

        from promptops.errors import PromptopsError

        function = targets.load(name).target

    def judge(data: bytes) -> None:
        with contextlib.suppress(PromptopsError):
            function(data)

    found = HERE / "crashes" / f"guided-{name}"
    found.mkdir(parents=True, exist_ok=True)
    limits = ["-timeout=2", "-rss_limit_mb=1024", "-max_len=4096", f"-artifact_prefix={found.parent}/{name}-"]
    atheris.Setup([sys.argv[0], *limits, str(found), str(HERE / "seeds" / name)], judge)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

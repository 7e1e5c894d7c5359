"""Inputs from seeds: a small deterministic mutator that knows bytes, the words of a format, and trees of JSON or YAML.

The same number gives the same inputs, on any machine.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptops.errors import InputError
from promptops.registry import yaml

if TYPE_CHECKING:
    from collections.abc import Sequence

SEEDS = Path(__file__).parent / "seeds"
MAX_LENGTH = 4096
# One input in so many is blown up, to a size that the limits of the readers must stop.
_RARE = 20_000
_HUGE = 6 << 20
_MOST_KEPT = 4000
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 0.5, -0.0, 1e308, 2**53, -(2**63), "", "x", "-x", "--help", "..", "/etc/passwd", "a\nb", "\x1b[2J",
    "\u202e", "\u200b", "\ud800", "5%", "1.0.0", "*", "{{ a }}", "a" * 300, [], {}, [[]], {"": {}}, [None] * 20, {"a": 1, "A": 2},
)  # fmt: skip


def seeds(name: str) -> list[bytes]:
    """Return the kept inputs of a target, in order of file name."""
    return [path.read_bytes() for path in sorted((SEEDS / name).iterdir())]


class Mutator:
    """An endless row of inputs.

    Args:
        number: decides everything.
        corpus: inputs to begin with, at least one.
        pieces: words of the format.
        split: what stands between the trees in an input: nothing for one tree, None where there are none.
    """

    def __init__(self, number: str, corpus: Sequence[bytes], pieces: Sequence[bytes], split: bytes | None) -> None:
        self._random = random.Random(number)
        self._seeds = list(corpus)
        self._accepted: list[bytes] = []
        self._corpus = list(corpus)
        self._pieces = pieces
        self._split = split
        self._trees: dict[bytes, Any] = {}

    def keep(self, data: bytes, *, accepted: bool) -> None:
        """Mutate ``data`` too from now on: it did something new, or was accepted."""
        kept = self._accepted if accepted else self._corpus
        if len(data) > MAX_LENGTH:
            return
        if len(kept) < _MOST_KEPT:
            kept.append(data)
        else:
            kept[self._random.randrange(_MOST_KEPT)] = data

    def next(self) -> bytes:
        """Return one more input."""
        rng = self._random
        # Most of what is refused is refused at its first fault, so what was accepted leads furthest.
        data = rng.choice(rng.choice((self._seeds, self._accepted or self._seeds, self._corpus)))
        change = self._in_a_tree if self._split is not None and rng.random() < 0.5 else self._edited
        data = change(data)
        while rng.random() < 0.3:
            data = self._edited(data)
        if rng.randrange(_RARE) == 0:
            part = self._slice(data) or b"["
            return data[: rng.randrange(len(data) + 1)] + part * (rng.randrange(1, _HUGE) // len(part))
        return data[:MAX_LENGTH]

    def _slice(self, data: bytes, most: int = 40) -> bytes:
        start = self._random.randrange(len(data) + 1)
        return data[start : start + self._random.randrange(1, most)]

    def _edited(self, data: bytes) -> bytes:
        rng = self._random
        at = rng.randrange(len(data) + 1)
        end = at + rng.choice((0, 1, 1, 2, 4, rng.randrange(1, 60)))
        kind = rng.randrange(9)
        if kind == 0 and at < len(data):
            new = bytes([data[at] ^ 1 << rng.randrange(8)])
            end = at + 1
        elif kind == 1:
            new = self._slice(rng.choice(self._corpus))
        elif kind == 2:
            new = data[at:end] * rng.choice((2, 2, 3, 60))
        elif kind == 3:
            new = b""
        elif kind == 4:
            new = rng.choice(
                (b"\0", b"\xff", b"\xe2\x80\xae", b"\xe2\x80\x8b", b"\xc2\x85", b"\x1b[31m", b"\n", b"-", b"9", b" ")
            )
            end = at
        elif kind == 5:
            return self._lines(data)
        else:
            new = rng.choice(self._pieces)
            end = at if kind < 8 else end
        return data[:at] + new + data[end:]

    def _lines(self, data: bytes) -> bytes:
        rng = self._random
        lines = data.split(b"\n")
        one, two = rng.randrange(len(lines)), rng.randrange(len(lines))
        kind = rng.randrange(4)
        if kind == 0:
            lines[one], lines[two] = lines[two], lines[one]
        elif kind == 1:
            lines.insert(one, lines[two])
        elif kind == 2:
            del lines[one]
        else:
            lines[one:one] = rng.choice(self._corpus).split(b"\n")[: rng.randrange(1, 6)]
        return b"\n".join(lines)

    def _in_a_tree(self, data: bytes) -> bytes:
        parts = data.split(self._split) if self._split else [data]
        index = self._random.randrange(len(parts))
        tree = self._tree(parts[index])
        if tree is None:
            return self._edited(data)
        # Surrogates stay as escapes; JSON is YAML too.
        parts[index] = json.dumps(self._grown(tree, 0), ensure_ascii=self._random.random() < 0.7).encode(
            "utf-8", "replace"
        )
        return (self._split or b"").join(parts)

    def _tree(self, text: bytes) -> Any:
        if text not in self._trees:
            if len(self._trees) > _MOST_KEPT:
                self._trees.clear()
            self._trees[text] = _parsed(text)
        return self._trees[text]

    def _grown(self, tree: Any, depth: int) -> Any:
        """Return a copy of ``tree`` with one node changed; deeper nodes as likely as higher ones."""
        rng = self._random
        if isinstance(tree, (dict, list)) and tree and depth < 40 and rng.random() < 0.75:
            if isinstance(tree, list):
                at = rng.randrange(len(tree))
                return [*tree[:at], self._grown(tree[at], depth + 1), *tree[at + 1 :]]
            name = rng.choice(list(tree))
            return {**tree, name: self._grown(tree[name], depth + 1)}
        kind = rng.randrange(6)
        if kind == 0 and isinstance(tree, str):
            return self._text(tree)
        if kind < 3 and isinstance(tree, dict) and tree:
            name = rng.choice(list(tree))
            others = {key: value for key, value in tree.items() if key != name}
            return others if kind == 1 else {**tree, self._text(name): rng.choice([*tree.values(), *_VALUES[:4]])}
        if kind == 3 and isinstance(tree, list):
            return [*tree, *tree[:1], rng.choice(_VALUES)] if rng.random() < 0.7 else tree[1:]
        return rng.choice(([tree], {"x": tree}, [tree, tree]) if kind == 4 else _VALUES)

    def _text(self, text: str) -> str:
        return self._edited(text.encode("utf-8", "replace")).decode("utf-8", "replace")


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return yaml.load(text, "seed").value
    except InputError:
        return None

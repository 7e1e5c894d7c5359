"""What people said about replies: JSON Lines of ``{id, question, reply, label, rater?}``, with ``other`` for pairs."""

from __future__ import annotations

import hashlib
from collections import Counter
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.errors import InputError
from promptops.evaluation.judging import prompt
from promptops.registry import canonical

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from promptops.evaluation.judging.judge import Judge

_MAX_LINE = 4 << 20
_SHAPE = '{"id": "...", "question": "...", "reply": "...", "label": ...}, with "other" beside "reply" for pairs'
_ONE = f"one JSON object a line: {_SHAPE}"


class Item(NamedTuple):
    """One reply, or pair of replies, to judge.

    Attributes:
        id: unique in its file.
        question: what was asked.
        replies: one, or of a pair both.
        labels: what each person said, in the order of the file.
    """

    id: str
    question: str
    replies: tuple[str, ...]
    labels: tuple[str | float, ...] = ()

    @property
    def shown(self) -> list[Any]:
        """The replies as a judge is shown them."""
        return [prompt.session([(self.question, reply)]) for reply in self.replies]

    @property
    def words(self) -> int:
        """Words in the reply; of a pair, how many more the first has."""
        first, *others = (len(reply.split()) for reply in self.replies)
        return first - sum(others)

    def agreed(self, judge: Judge) -> str | float | None:
        """Return the label of most people, or their median on a scale; None where no label has more than another."""
        if judge.scale:
            return median(float(label) for label in self.labels)
        (first, most), *others = Counter(self.labels).most_common(2)
        return None if others and others[0][1] == most else first


class Labels(NamedTuple):
    """A file of items.

    Attributes:
        items: in file order, each id once.
        digest: ``sha256:<hex>`` of the file.
    """

    items: tuple[Item, ...]
    digest: str


def read(path: str, judge: Judge, *, labelled: bool = True) -> Labels:
    """Read a file of labels; several people's lines on one item share its id.

    Args:
        path: of the file.
        judge: whose verdicts the labels must be.
        labelled: whether every line has a label.

    Raises:
        InputError: a line that is none, with its number, or no line at all.
    """
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise InputError(
            f"cannot read the labels: {error.strerror}", hint="name a file of JSON lines", path=path
        ) from error
    found: dict[str, Item] = {}
    raters: set[tuple[str, str]] = set()
    for number, line in enumerate(content.splitlines(), start=1):
        if line.strip():
            try:
                value = canonical.loads(line, limit=_MAX_LINE)
                item = _item(value, judge, labelled=labelled)
                found[item.id] = _joined(found.get(item.id), item)
                _once(value.get("rater"), item, raters)
            except InputError as error:
                raise InputError(error.message, hint=error.hint or _ONE, path=path, line=number) from error
    if not found:
        raise InputError("the file holds no item", hint=_ONE, path=path)
    return Labels(tuple(found.values()), f"sha256:{hashlib.sha256(content).hexdigest()}")


def rated_twice(items: Sequence[Item]) -> Iterator[tuple[str | float, str | float]]:
    """Yield each two people's labels of the same item."""
    for item in items:
        for place, one in enumerate(item.labels):
            for other in item.labels[place + 1 :]:
                yield one, other


def _once(rater: object, item: Item, raters: set[tuple[str, str]]) -> None:
    """Refuse a person's second label of an item, which would look like somebody else's agreement."""
    if rater is None:
        return
    if not isinstance(rater, str) or (item.id, rater) in raters:
        known = "is no text" if not isinstance(rater, str) else f"labels {item.id!r} twice"
        raise InputError(f"rater {rater!r} {known}", hint="keep one label of each person for each item")
    raters.add((item.id, rater))


def _joined(known: Item | None, item: Item) -> Item:
    """Return an item with one more person's label."""
    if known is None:
        return item
    if known._replace(labels=()) != item._replace(labels=()):
        raise InputError(f"id {item.id!r} names two different items", hint="give each an id of its own")
    return known._replace(labels=known.labels + item.labels)


def _item(value: Any, judge: Judge, *, labelled: bool) -> Item:
    texts = ("id", "question", "reply", "other") if judge.pair else ("id", "question", "reply")
    members = value if isinstance(value, dict) else {}
    missing = [name for name in texts if not isinstance(members.get(name), str)]
    if missing:
        raise InputError(f"an item needs the text {missing[0]!r}", hint=_SHAPE)
    replies = tuple(members[name] for name in texts[2:])
    labels = (_label(members.get("label"), judge),) if labelled else ()
    return Item(members["id"], members["question"], replies, labels)


def _label(value: Any, judge: Judge) -> str | float:
    if judge.scale:
        low, high = judge.scale
        if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
            return float(value)
        raise InputError(f"the label {value!r} is no number from {low} to {high}", hint=_SHAPE)
    if isinstance(value, str) and value in judge.verdicts:
        return value
    raise InputError(
        f"the label {value!r} is none of the judge's", hint=f"one of: {', '.join(map(str, judge.verdicts))}"
    )

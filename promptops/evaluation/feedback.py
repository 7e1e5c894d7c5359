"""What people who use a prompt say of its replies: thumbs and ratings, a noisy signal with a response rate.

Who answers is no random sample, and thumbs reward what pleases: the update of GPT-4o of April 2025 added such a reward
and was rolled back for flattery. So feedback is never the only thing that a suite or a plan goes by (PO113).
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.errors import InputError
from promptops.registry import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping

KIND = "feedback"
# The least rating of five that counts as a thumb up.
POSITIVE = 4.0
_MAX_LINE = 1 << 20
_SHAPE = '{"case": "...", "version": "1.2.0", "rating": true, false, a number or null for no answer}'
_ONE = f"one JSON object a line: {_SHAPE}"


class Summary(NamedTuple):
    """Feedback on one version.

    Attributes:
        asked: how many people could have said something.
        answered: how many did.
        positive: share of these that were pleased, in [0, 1]; None where nobody answered.
        response: answered / asked.
    """

    asked: int
    answered: int
    positive: float | None
    response: float


class Feedback(NamedTuple):
    """A file of feedback.

    Attributes:
        ratings: by case and version whether each person was pleased, None for those who did not answer.
    """

    ratings: Mapping[tuple[str, str], tuple[bool | None, ...]]

    def score(self, case: str, version: str) -> float | None:
        """Return the share of people who were pleased with a version's reply to a case; None where nobody answered."""
        return _summary(self.ratings.get((case, version), ())).positive

    def summaries(self) -> dict[str, Summary]:
        """Return what is said of each version."""
        found: dict[str, tuple[bool | None, ...]] = defaultdict(tuple)
        for (_, version), ratings in self.ratings.items():
            found[version] += ratings
        return {version: _summary(found[version]) for version in sorted(found)}


def read(data: bytes, path: str, *, positive: float = POSITIVE) -> Feedback:
    """Read feedback, one JSON object a line.

    Args:
        data: the file.
        path: of it, for messages.
        positive: the least number that counts as pleased.

    Raises:
        InputError: a line that is none, with its number.
    """
    found: dict[tuple[str, str], tuple[bool | None, ...]] = defaultdict(tuple)
    for number, line in enumerate(data.splitlines(), start=1):
        if line.strip():
            try:
                case, version, pleased = _entry(canonical.loads(line, limit=_MAX_LINE), positive)
            except InputError as error:
                raise InputError(error.message, hint=error.hint or _ONE, path=path, line=number) from error
            found[case, version] += (pleased,)
    if not found:
        raise InputError("the file holds no feedback", hint=_ONE, path=path)
    return Feedback(dict(found))


def _entry(value: Any, positive: float) -> tuple[str, str, bool | None]:
    members = value if isinstance(value, dict) else {}
    case, version, rating = (members.get(name) for name in ("case", "version", "rating"))
    usable = isinstance(case, str) and isinstance(version, str) and "rating" in members
    if not usable or not (rating is None or isinstance(rating, bool | int | float)):
        raise InputError("this is no feedback on a reply", hint=_ONE)
    pleased = rating if rating is None or isinstance(rating, bool) else rating >= positive
    return str(case), str(version), pleased


def _summary(ratings: tuple[bool | None, ...]) -> Summary:
    given = [pleased for pleased in ratings if pleased is not None]
    share = sum(given) / len(given) if given else None
    return Summary(len(ratings), len(given), share, len(given) / len(ratings) if ratings else 0.0)

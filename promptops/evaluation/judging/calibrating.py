"""Asking a judge for its calibration over a live API; what was answered is kept, and not paid twice."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from promptops.evaluation.arms import opened
from promptops.evaluation.judging import calibration
from promptops.inference.journal import Journal

if TYPE_CHECKING:
    from promptops.evaluation.judging.judge import Judge
    from promptops.evaluation.judging.labels import Labels
    from promptops.inference.budget import Budget

_MODE = 0o700


def run(
    judge: Judge,
    file: Labels,
    *,
    budget: Budget,
    folder: str,
    repeats: int = 1,
    seed: int = calibration.SEED,
    unlabelled: Labels | None = None,
) -> dict[str, Any]:
    """Put labelled items to a judge and return its calibration record.

    Args:
        judge: who is calibrated.
        file: what people said.
        budget: of the whole.
        folder: where replies are kept; it is created.
        repeats: how often each item is put to each model.
        seed: of the bootstrap.
        unlabelled: items whose mean is estimated from the judge's scores and the people's labels.

    Raises:
        PromptopsError: a model gave no reply, or another run holds the folder.
    """
    path = os.path.join(folder, judge.identity.removeprefix("sha256:"), file.digest.removeprefix("sha256:"))
    os.makedirs(path, mode=_MODE, exist_ok=True)
    with Journal(os.path.join(path, "replies.jsonl")) as journal:
        answers, others = asyncio.run(_ask(judge, (file, unlabelled), repeats, budget, journal))
    more = {"estimate": calibration.estimate(answers, others)} if others else {}
    return calibration.record(judge, file, answers, seed=seed, **more)


async def _ask(
    judge: Judge, files: tuple[Labels, Labels | None], repeats: int, budget: Budget, journal: Journal
) -> tuple[calibration.Answers, calibration.Answers | None]:
    labelled, unlabelled = files
    asks = {("", name): model for name, model in judge.models.items()}
    async with opened({}, asks, budget=budget, journal=journal, environ=os.environ) as (_, helpers):
        callers = {name: helper for (_, name), helper in helpers.items()}
        answers = await calibration.ask(judge, labelled.items, callers, repeats=repeats)
        if unlabelled is None:
            return answers, None
        key = f"unlabelled {unlabelled.digest}"
        return answers, await calibration.ask(judge, unlabelled.items, callers, repeats=1, what=key)

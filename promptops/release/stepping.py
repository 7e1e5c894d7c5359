"""Recording one step of a rollout: a signed decision of format 2, on the live ref and on the rollout's own at once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from promptops.errors import PromptopsError
from promptops.release import journal, live, ramp
from promptops.repo import refs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from promptops.release.live import Decision
    from promptops.release.ramp import Arm, Rollout
    from promptops.release.serving import Desk

# Clocks of machines that are kept in time differ by less.
SKEW_SECONDS = 3600


def moment(before: Decision | None, *, urgent: bool = False) -> int:
    """Return the time of the next decision: the clock's, never before that of the decision before.

    Args:
        before: the newest decision.
        urgent: whether it is taken whatever the clock says, as a rollback is.

    Raises:
        PromptopsError: the clock is so far behind the newest decision that one of the two is wrong.
    """
    clock = int(time.time())
    if before is None:
        return clock
    if not urgent and before.time - clock > SKEW_SECONDS:
        hours = (before.time - clock) / 3600
        raise PromptopsError(
            f"this clock is {hours:.1f} hours behind the newest decision about {before.prompt}",
            hint="set the clock; where the decision's was wrong, wait or roll back: a rollback needs no clock",
        )
    return max(clock, before.time)


def record(
    place: Desk,
    before: Decision,
    action: str,
    rollout: Rollout,
    *,
    serves: Arm,
    reason: str,
    at: int,
    files: Mapping[str, Any],
    tell: Callable[[Decision], None] | None = None,
) -> Decision:
    """Sign a step, and move both refs, on the remote first; the caller holds `journal.exclusive`.

    Args:
        place: from `serving.desk`.
        before: the newest decision.
        action: one of `ramp.ACTIONS`.
        rollout: where the rollout stands after it.
        serves: what a request without a unit gets from now on.
        reason: why, in a sentence.
        at: seconds since 1970.
        files: ``plan.json`` and, with evidence, ``evidence.json``.
        tell: is told the decision once it is recorded.

    Raises:
        RefusedError: somebody else decided meanwhile; nothing was moved.
        PromptopsError: the remote could not be reached.
    """
    oid = live.write(
        place.git,
        place.key,
        environment=before.environment,
        prompt=before.prompt,
        action=action,
        tag=serves.tag,
        tag_object=serves.object,
        manifest=serves.manifest,
        left=rollout.canary.tag if action == ramp.ROLLBACK else None,
        reason=reason,
        repository=place.trust.repository,
        before=before,
        rollout=rollout,
        files=files,
        time=at,
    )
    decision = live.read(place.git, oid)
    own = live.rollout_ref(before.environment, before.prompt, rollout.id)
    updates = [
        refs.Update(live.ref_of(before.environment, before.prompt), oid, before.oid),
        refs.Update(own, oid, refs.read(place.git, own)),
    ]
    journal.publish(place.git, updates, place.remote, (lambda: tell(decision)) if tell else None)
    return decision


def rolled_back(before: Decision, reason: str, scope: str | None = None) -> Rollout:
    """Return where the running rollout of ``before`` stands once a person has rolled it back."""
    return before.step._replace(
        state=ramp.ENDED, weights=(0, 0), evidence=None, verdict=None, reasons=(reason,),
        scope=scope or before.step.scope,
    )  # fmt: skip

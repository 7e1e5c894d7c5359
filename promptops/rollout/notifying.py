"""Telling a webhook of decisions: a short JSON object, once, and never in the way of the decision."""

from __future__ import annotations

import json
import os
import urllib.request
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from promptops.errors import RefusedError
from promptops.rollout import deriving

if TYPE_CHECKING:
    from promptops.release.live import Decision
    from promptops.repo.git import Git

TIMEOUT_SECONDS = 5


def send(git: Git, decision: Decision) -> str | None:
    """Post a decision to the address in the variable that the plan names, and return why it did not arrive, or None.

    The address is a secret of whoever runs the controller: it stands in no file, and in no message of ours.
    """
    try:
        notify = deriving.plan_of(git, decision).notify or {}
    except RefusedError as error:
        return error.message
    kind = "freeze" if decision.step.state == "frozen" else decision.action
    if "webhook_env" not in notify or kind not in notify.get("on", [kind]):
        return None
    address = os.environ.get(notify["webhook_env"])
    if not address:
        return f"nobody was notified: {notify['webhook_env']} is not set"
    if urlsplit(address).scheme not in ("http", "https"):
        return f"nobody was notified: {notify['webhook_env']} is no http(s) address"
    request = urllib.request.Request(  # noqa: S310  the scheme was checked
        address, json.dumps(message(decision)).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):  # noqa: S310  the same
            return None
    except (OSError, ValueError) as error:
        # Their text may quote the address.
        return f"nobody was notified: {type(error).__name__} from the address in {notify['webhook_env']}"


def message(decision: Decision) -> dict[str, object]:
    """Return what a webhook is told: no evidence and nothing of users."""
    now = decision.step
    text = (
        f"{decision.action}: {now.canary.tag} in {decision.environment} ({now.share}, {now.state}); {decision.reason}"
    )
    return {
        "text": text,
        "environment": decision.environment,
        "prompt": decision.prompt,
        "action": decision.action,
        "rollout": now.id,
        "stage": now.stage,
        "share": now.share,
        "state": now.state,
        "canary": now.canary.tag,
        "baseline": now.baseline.tag,
        "reason": decision.reason,
        "decision": decision.oid,
        "sequence": decision.sequence,
        "time": decision.time,
    }

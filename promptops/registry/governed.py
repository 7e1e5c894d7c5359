"""Which files change what ships or what judges it, and what each must look like."""

from __future__ import annotations

from promptops.registry.prompt import EVALS, MODELS, PROMPTS, is_model, is_prompt

PROJECT = "promptops.yaml"
ROLLOUTS = "rollouts/"
OWN = ".promptops/"
APPROVALS = ".promptops/approvals/"
POLICY = ".promptops/policy.yaml"
POLICY_HISTORY = ".promptops/policy.d/"
_TRUST = frozenset((POLICY, ".promptops/allowed_signers", ".promptops/revoked_keys"))
_FOLDERS = (PROMPTS, MODELS, EVALS, ROLLOUTS, OWN)
# A link or a submodule in the place of a folder governs everything that would be below it.
_ROOTS = frozenset((PROJECT, *(folder.rstrip("/") for folder in _FOLDERS)))


def is_governed(path: str) -> bool:
    """Return whether a change of ``path`` changes what ships or what judges it."""
    return (path.startswith(_FOLDERS) and not path.startswith(APPROVALS)) or path in _ROOTS


def is_trust(path: str) -> bool:
    """Return whether ``path`` says who may do what."""
    return path in _TRUST or path.startswith(POLICY_HISTORY)


def schema_of(path: str) -> str | None:
    """Return the name of the schema that the file at ``path`` must fit, or None for other files."""
    if is_prompt(path):
        return "prompt"
    if is_model(path):
        return "model"
    if path in {PROJECT, POLICY}:
        return "project" if path == PROJECT else "policy"
    if not path.endswith(".yaml"):
        return None
    if path.startswith(EVALS):
        # Folders below evals/ hold cases, which suites describe.
        return None if "/" in path.removeprefix(EVALS) else "suite"
    return "rollout" if path.startswith(ROLLOUTS) else None

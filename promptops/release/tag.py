"""The release tag: an annotated tag that git, ssh-keygen and GTO read, carrying everything needed to verify it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.repo import tagobject
from promptops.text import printable
from promptops.trust import sshsig

if TYPE_CHECKING:
    from promptops.release.manifest import Manifest
    from promptops.repo.git import Git


def write(git: Git, key: str, *, target: tuple[str, str], name: str, message: bytes) -> str:
    """Sign and store a tag object that no ref points to, and return its id.

    Args:
        git: the repository.
        key: a signing key as `sshsig.sign` takes it.
        target: id and type of the object to tag.
        name: tag name, without ``refs/tags/``.
        message: UTF-8 text that ends in a newline.
    """
    payload = tagobject.tag_payload(git, *target, name, message)
    return tagobject.write_tag(git, payload + sshsig.sign(payload, key, sshsig.GIT))


def summary(manifest: Manifest, canary: str) -> str:
    """Return the summary for people: what this release is, on one screen.

    Args:
        manifest: the release.
        canary: the canary's summary, one or more lines.
    """
    reported = sorted({str(item["model"]) for item in manifest.model["reported"] if item["model"]})
    seen = f" (replies: {', '.join(reported)})" if reported else ""
    parameters = ", ".join(f"{name}={value}" for name, value in sorted(manifest.parameters.items()))
    lines = [
        f"Release {manifest.name} {manifest.version}",
        "",
        f"digest    {manifest.configuration}",
        f"model     {manifest.model['provider']}/{manifest.model['requested']}{seen}",
        f"settings  {parameters or 'none'}",
        f"previous  {manifest.previous.tag if manifest.previous else 'none'}",
        f"review    {'solo: the policy asks for no approval' if manifest.solo else 'approved'}",
        *canary.splitlines(),
    ]
    # Text of others may not forge a line of its own, such as a signature's first.
    return "\n".join(printable(line) for line in lines)

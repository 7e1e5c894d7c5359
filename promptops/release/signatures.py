"""Who signed a release: checked by ssh-keygen, in processes that run beside this one."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

from promptops.errors import PromptopsError, RefusedError
from promptops.trust import sshsig

if TYPE_CHECKING:
    from collections.abc import Callable

    from promptops.release.stored import Stored
    from promptops.trust.envelope import Envelope
    from promptops.trust.policy import Trust

T = TypeVar("T")


def begin(action: Callable[[], T]) -> Callable[[], T]:
    """Start ``action`` in a thread; the function that is returned waits for it and returns or raises what it did.

    The thread pool of the standard library would cost as much to import as one of these checks costs to run.
    """
    results: list[T] = []
    errors: list[PromptopsError] = []

    def work() -> None:
        try:
            results.append(action())
        except PromptopsError as error:
            errors.append(error)
        except OSError as error:
            errors.append(PromptopsError(f"cannot check: {error.strerror or error}"))

    thread = threading.Thread(target=work)
    thread.start()

    def result() -> T:
        thread.join()
        if errors:
            raise errors[0]
        if not results:
            raise PromptopsError("the check ended without a result")
        return results[0]

    return result


def of_tag(found: Stored, trust: Trust) -> str:
    """Return who signed the tag object, and with which key.

    Raises:
        RefusedError: it is unsigned, or not signed by somebody who may release.
    """
    who, made = trust.verify(found.tag.payload, found.tag.signature, sshsig.GIT)
    if not trust.has_role(who, "release"):
        raise RefusedError(f"{who} has not the role release")
    return f"{who} {made.fingerprint}"


def releasers(signed: Envelope, trust: Trust) -> frozenset[str]:
    """Return who signed an envelope and may release.

    Raises:
        RefusedError: nobody who may release did.
    """
    names, refusals = trust.signed_by(signed, sshsig.RELEASE)
    able = frozenset(name for name in names if trust.has_role(name, "release"))
    if not able:
        if names:
            raise RefusedError(f"{', '.join(sorted(names))} has not the role release")
        raise RefusedError("; ".join(refusals) or "nobody signed it")
    return able


def of_canary(found: Stored, trust: Trust) -> str:
    """Return who signed the canary's result.

    Raises:
        RefusedError: it is missing, or nobody who may release signed it.
    """
    digest = found.manifest.canary.digest
    return ", ".join(sorted(releasers(enclosed(found, digest), trust))) if digest else "no canary"


def enclosed(found: Stored, digest: str) -> Envelope:
    """Return the envelope that the manifest names by its digest (SHA-256, hex).

    Raises:
        RefusedError: the bundle lacks it.
    """
    envelope = found.bundle.others.get(digest)
    if envelope is None:
        raise RefusedError(f"the bundle lacks the envelope {digest[:12]} that the manifest names")
    return envelope

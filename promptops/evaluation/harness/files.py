"""A harness's files: from the revision that the suite comes from, and the reviewed ones only."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from promptops.errors import PromptopsError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from promptops.evaluation.callables import Code


def pinned(code: Code, path: str, sha256: str) -> bytes:
    """Return a file.

    Args:
        code: reads the files of the revision that the suite comes from.
        path: relative to the repository.
        sha256: hex digest, as reviewed with the suite.

    Raises:
        PromptopsError: there is no such file.
        RefusedError: it is another than the reviewed one.
    """
    content = code(path)
    if content is None:
        raise PromptopsError("the harness needs this file, which is not there", path=path, hint="commit it")
    actual = hashlib.sha256(content).hexdigest()
    if actual != sha256:
        raise RefusedError(
            "this file of the harness is not the reviewed one", path=path, hint=f"review it and write {actual}"
        )
    return content


def lay_out(code: Code, files: Mapping[str, str], folder: str) -> None:
    """Write the pinned files below ``folder``, at their own paths.

    Raises:
        PromptopsError: as `pinned`.
    """
    for path, sha256 in files.items():
        content = pinned(code, path, sha256)
        place = os.path.join(folder, path)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "xb") as file:
            file.write(content)
        # A command may be one of them.
        os.chmod(place, 0o700)

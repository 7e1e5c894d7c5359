"""A Sigstore bundle beside a release: one more signature on its manifest, by an identity and with a public record.

The tag and its signatures decide as ever; a bundle adds to them and stands in for none. It is verified offline, by
sigstore-python, against a trusted root that the verifier brings: nothing is taken from the public instance or a cache.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from promptops.errors import PromptopsError, RefusedError

if TYPE_CHECKING:
    from promptops.release.stored import Stored

MAX_BYTES = 4 << 20


class Expected(NamedTuple):
    """What a release's Sigstore bundle must show.

    Attributes:
        bundle: path of the bundle: a message signature on the bytes of the manifest's payload.
        trust: path of the trusted root (``trustedroot+json``).
        identity: the certificate's subject: an address or a URI.
        issuer: URL of the identity provider that vouched for it.
    """

    bundle: str
    trust: str
    identity: str
    issuer: str


def check(found: Stored, expected: Expected) -> str:
    """Verify a bundle and return whose it is.

    Raises:
        PromptopsError: the extra is not installed, or a file cannot be read, or the trusted root is none.
        RefusedError: the bundle does not verify, is about something else or by somebody else.
    """
    try:
        from cryptography.x509 import ExtensionNotFound
        from sigstore import errors
        from sigstore.models import Bundle, TrustedRoot
        from sigstore.verify import Verifier
        from sigstore.verify.policy import Identity
    except ImportError as error:
        hint = "pip install 'promptops-git[sigstore]'"
        raise PromptopsError("verifying a Sigstore bundle needs more packages", hint=hint) from error
    # What the library raises for input that is no bundle at all.
    malformed = (errors.Error, ExtensionNotFound, ValueError, TypeError, AttributeError, LookupError, struct.error)
    data = _read(expected.bundle)
    _read(expected.trust)
    try:
        verifier = Verifier(trusted_root=TrustedRoot.from_file(expected.trust))
    except malformed as error:
        raise PromptopsError(f"no Sigstore trusted root: {_words(error)}", path=expected.trust) from error
    try:
        identity = Identity(identity=expected.identity, issuer=expected.issuer)
        verifier.verify_artifact(found.bundle.first.payload, Bundle.from_json(data), identity)
    except malformed as error:
        raise RefusedError(f"the Sigstore bundle does not verify: {_words(error)}") from error
    return f"{expected.identity}, says {expected.issuer}"


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PromptopsError(f"cannot be read: {error.strerror}", path=path) from error
    if len(data) > MAX_BYTES:
        raise RefusedError(f"larger than {MAX_BYTES:,} bytes", path=path)
    return data


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__

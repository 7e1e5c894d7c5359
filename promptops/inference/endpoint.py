"""Which server answers for a model file, and with which key."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from promptops.errors import PromptopsError

if TYPE_CHECKING:
    from collections.abc import Mapping

OPENAI_URL = "https://api.openai.com/v1"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An OpenAI-compatible server.

    Attributes:
        base_url: http(s) address to which ``/chat/completions`` is appended.
        api_key: bearer token; None sends no Authorization header. Never shown by repr.
        name: what messages call it.
        api_key_env: variable that the key came from, for messages.
        slots: calls that it answers at the same time, where that is known.
        free: whether a reply costs nothing, so that a money budget needs no price.
    """

    base_url: str
    api_key: str | None = field(repr=False)
    name: str
    api_key_env: str | None = None
    slots: int | None = None
    free: bool = False


def resolve(model: Mapping[str, Any], environ: Mapping[str, str]) -> Endpoint:
    """Find the endpoint of a parsed model file in the environment.

    Provider ``local`` starts the embedded server (once per process, stopped at exit) unless
    PROMPTOPS_LOCAL_URL names one that runs.

    Raises:
        PromptopsError: a variable is missing or holds no usable value; its value is never shown.
    """
    provider = str(model.get("provider", ""))
    if provider == "local":
        from promptops.inference import local

        return local.endpoint(environ)
    names: Mapping[str, str] = model.get("endpoint") or {}
    url_env, key_env = names.get("base_url_env"), names.get("api_key_env")
    if provider == "openai":
        key_env = key_env or "OPENAI_API_KEY"
    elif url_env is None:
        raise PromptopsError(
            f"the model file says nothing about where provider {provider!r} is reached",
            hint="add endpoint: {base_url_env: NAME_OF_A_VARIABLE} to the model file",
        )
    base_url = checked_url(_variable(environ, url_env, provider), url_env) if url_env else OPENAI_URL
    api_key = _checked_key(_variable(environ, key_env, provider), key_env) if key_env else None
    return Endpoint(base_url, api_key, provider, api_key_env=key_env)


def checked_url(url: str, variable: str) -> str:
    """Return ``url`` without a trailing slash.

    Raises:
        PromptopsError: it is no plain http(s) address, or carries a name, a password, a query or a fragment.
    """
    hint = f"set {variable} to an address like {OPENAI_URL}"
    try:
        parts = urlsplit(url.strip())
        usable = parts.scheme in {"http", "https"} and url.strip().isprintable() and " " not in url.strip()
        # Fails on a label that no name server would take.
        usable = usable and bool((parts.hostname or "").encode("idna")) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise PromptopsError(f"{variable} holds no http(s) address", hint=hint)
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise PromptopsError(f"{variable} holds more than scheme, host, port and path", hint=hint)
    return url.strip().rstrip("/")


def without_key(endpoint: Endpoint, text: str) -> str:
    """Return what a server sent without the key that it was sent: servers quote requests, and replies are kept."""
    key = endpoint.api_key
    # Some JSON writers escape a slash.
    return text.replace(key, "***").replace(key.replace("/", "\\/"), "***") if key else text


def _variable(environ: Mapping[str, str], name: str, provider: str) -> str:
    value = environ.get(name, "").strip()
    if not value:
        raise PromptopsError(
            f"the variable {name}, needed to reach provider {provider!r}, is not set",
            hint=f"export {name}=... and run the command again",
        )
    return value


def _checked_key(key: str, variable: str) -> str:
    # Anything else cannot stand in a header, and the HTTP library would quote it in its error.
    if not all("!" <= character <= "~" for character in key):
        raise PromptopsError(
            f"{variable} holds characters that no API key has",
            hint=f"set {variable} again, without spaces, quotes or line breaks",
        )
    return key

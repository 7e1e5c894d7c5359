"""PO109: a governed file holds a secret."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from promptops.checks.finding import Finding
from promptops.checks.rule import File, Text

if TYPE_CHECKING:
    from collections.abc import Iterator

ID = "PO109"
TEXT = Text(
    title="The file holds a secret",
    why=(
        "Whoever can read the repository, a fork, a build log or the provider's own logs has the key: prompt text is"
        " sent with every request. Deleting the line later does not take it out of history."
    ),
    fix="Revoke the key first. Then name an environment variable in its place (`endpoint: {api_key_env: ...}`).",
    example="endpoint: {api_key_env: OPENAI_API_KEY}     # the name, never the value",
)
_KINDS = {
    "OpenAI or Anthropic key": r"\bsk-(?:proj-|svcacct-|admin-|ant-[a-z0-9]+-)?[A-Za-z0-9_-]{20,}",
    "GitHub token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{40,})",
    "GitLab token": r"\bglpat-[A-Za-z0-9_-]{20,}",
    "AWS access key": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "Google API key": r"\bAIza[A-Za-z0-9_-]{35}",
    "Slack token": r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}",
    "Hugging Face token": r"\bhf_[A-Za-z0-9]{30,}",
    "Groq, xAI or Replicate key": r"\b(?:gsk_|xai-|r8_)[A-Za-z0-9]{30,}",
    "Stripe key": r"\b[rs]k_live_[A-Za-z0-9]{16,}",
    "private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----",
    # Lengths are bounded so that no text is searched from many starts; a variable or a mask is no password.
    "password in a URL": (
        r"\b[A-Za-z][A-Za-z0-9+.-]{0,20}://[^\s/:@\"'`]{0,100}:(?![$<{\[*]|%\()[^\s/@\"'`]{1,200}@[\w\[.-]"
    ),
    "JSON web token": r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
}
_KNOWN = re.compile("|".join(f"({pattern})" for pattern in _KINDS.values()))
_NAMES = tuple(_KINDS)
# One of these stands in every known secret: substring searches are far cheaper than the expression.
_SIGNS = (
    b"sk-", b"gh", b"glpat-", b"AKIA", b"ASIA", b"AIza", b"xox", b"hf_", b"gsk_", b"xai-", b"r8_", b"k_live_",
    b"PRIVATE", b"eyJ", b"://",
)  # fmt: skip
_LONG = re.compile(r"[A-Za-z0-9+/_.~-]{20,}={0,2}")
_NAME = re.compile(
    r"(?i:api[_-]?key|secret(?:[_-]?key)?|access[_-]?token|auth[_-]?token|password|passwd|bearer)[\"']?\s*[:=\s]\s*[\"']?$"
)
_NAME_SIGNS = (
    b"api_key", b"api-key", b"apikey", b"secret", b"access_token", b"access-token", b"accesstoken", b"auth_token",
    b"auth-token", b"authtoken", b"password", b"passwd", b"bearer",
)  # fmt: skip
# How far before a value its name may start.
_REACH = 40
# Bits per character. English words joined by hyphens stay below it, random base64 of 20 characters lies above.
_MIN_ENTROPY = 3.7


def check(file: File) -> Iterator[Finding]:
    """Yield a finding for each secret, masked."""
    if file.data is None:
        return
    text = file.data.decode("utf-8", "replace")
    seen: set[int] = set()
    if any(sign in file.data for sign in _SIGNS):
        for match in _KNOWN.finditer(text):
            seen.add(match.start())
            yield _finding(file.path, text, match.start(), _NAMES[(match.lastindex or 1) - 1], match[0])
    lowered = file.data.lower()
    if not any(sign in lowered for sign in _NAME_SIGNS):
        return
    for match in _LONG.finditer(text):
        start = match.start()
        if start in seen or not _looks_random(match[0]):
            continue
        if _NAME.search(text, max(0, start - _REACH), start):
            yield _finding(file.path, text, start, "secret", match[0])


def _finding(path: str, text: str, start: int, kind: str, secret: str) -> Finding:
    line = text.count("\n", 0, start) + 1
    column = start - text.rfind("\n", 0, start)
    masked = f"{secret[:4]}... ({len(secret)} characters)"
    return Finding(path, line, column, ID, f"{kind} {masked}", "revoke it, then name an environment variable instead")


def _looks_random(value: str) -> bool:
    """Return whether ``value`` mixes letters and digits with the entropy of a generated key (Shannon, 1948)."""
    from math import log2

    if not (any(c.isdigit() for c in value) and any(c.isalpha() for c in value)):
        return False
    counts = [value.count(character) for character in set(value)]
    entropy = -sum(count / len(value) * log2(count / len(value)) for count in counts)
    return entropy >= _MIN_ENTROPY

"""What a harness printed, without the token of its run."""

from __future__ import annotations

from base64 import b64encode

_MASK = "***"
# So many characters of a secret in a row are no chance.
_RUN = 8


def masked(text: str, secret: str) -> str:
    """Return ``text`` with ``***`` for every part of ``secret``, of its hexadecimal and of its Base64 digits.

    A part has eight characters or more: lines are wrapped, and what is printed is cut. What changes the secret in
    another way is not seen.
    """
    plain = secret.encode()
    forms = [secret, plain.hex(), plain.hex().upper()]
    for shift in range(3):
        # Base64 has three forms of one text, by where it begins; the first and last digits are those of its neighbours.
        digits = b64encode(bytes(shift) + plain).decode()[4 if shift else 0 : -4]
        forms += [digits, digits.replace("+", "-").replace("/", "_")]
    parts = {form[start : start + _RUN] for form in forms for start in range(len(form) - _RUN + 1)}
    shown, end = [], 0
    for start in range(len(text)):
        if text[start : start + _RUN] in parts:
            if start > end or not start:
                shown.append(_MASK)
            end = start + _RUN
        elif start >= end:
            shown.append(text[start])
    return "".join(shown)

"""``promptops verify``."""

from __future__ import annotations

import os
import re

import click

from promptops.cli import verifying
from promptops.cli.opening import json_option
from promptops.errors import UsageError
from promptops.release import transparency, verify

STATE_VARIABLE = "PROMPTOPS_VERIFY_STATE"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@click.command(
    epilog="\b\nExamples:\n  promptops verify support/reply@1.3.0 --root sha256:...\n"
    "  promptops verify prompt/support/reply@v1.3.0 --json\n"
    "  promptops verify support/reply@1.3.0 --root sha256:... --state ~/.promptops-seen.json"
)
@click.argument("tag")
@click.option("--root", metavar="DIGEST", help="Digest that the policy's first version must have.")
@click.option("--max-age", metavar="AGE", help="Refuse releases older than this, as 30d or 12h.")
@click.option(
    "--revoked", type=click.Path(exists=True, dir_okay=False), help="File of further revoked public keys, one a line."
)
@click.option(
    "--state",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help=f"Remember here what was seen, and refuse what falls behind it. Else the variable {STATE_VARIABLE}.",
)
@click.option("--sigstore", metavar="BUNDLE", help="Also verify this Sigstore bundle on the manifest.")
@click.option("--sigstore-trust", metavar="FILE", help="Sigstore trusted root that decides; nothing is downloaded.")
@click.option("--sigstore-identity", metavar="TEXT", help="Who must have signed it: an address or a URI.")
@click.option("--sigstore-issuer", metavar="URL", help="The identity provider that must have said so.")
@click.option("-v", "--verbose", is_flag=True, help="List every check.")
@json_option
def command(
    tag: str,
    root: str | None,
    max_age: str | None,
    revoked: str | None,
    state: str | None,
    *,
    verbose: bool,
    as_json: bool,
    **sigstore: str | None,
) -> int:
    """Verify a release offline: signatures, content, review, canary and history.

    TAG names a release of this clone, or a file: a tag object (git cat-file tag), or a bundle's JSON lines. Needs no
    network and trusts no configuration of the repository. Without --root the policy vouches for itself, and its root
    digest is printed.
    """
    state = state or os.environ.get(STATE_VARIABLE) or None
    options = verify.Options(root, _seconds(max_age), _bytes(revoked), _expected(sigstore), state)
    return verifying.run(tag, options, verbose=verbose, as_json=as_json)


def _expected(options: dict[str, str | None]) -> transparency.Expected | None:
    given = {name: text for name, text in options.items() if text}
    if not given:
        return None
    if missing := [f"--{name.replace('_', '-')}" for name in options if name not in given]:
        message = f"a Sigstore bundle alone proves nothing: {', '.join(sorted(missing))} is missing"
        raise UsageError(message, hint="say whose bundle it must be, and which trusted root decides")
    # By name: click passes options in the order in which they were typed.
    return transparency.Expected(
        bundle=given["sigstore"],
        trust=given["sigstore_trust"],
        identity=given["sigstore_identity"],
        issuer=given["sigstore_issuer"],
    )


def _seconds(text: str | None) -> float | None:
    match = re.fullmatch(r"([0-9]{1,6})([smhdw])", text or "")
    if text and match is None:
        raise UsageError(f"{text!r} is no age", hint="as 30d, 12h or 90m")
    return float(match[1]) * _UNITS[match[2]] if match else None


def _bytes(path: str | None) -> bytes:
    if path is None:
        return b""
    with open(path, "rb") as file:
        return file.read()

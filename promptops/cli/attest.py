"""``promptops attest``."""

from __future__ import annotations

from typing import Any

import click

from promptops.cli.deciding import open_desk, signing_options
from promptops.cli.opening import echo_json, json_option
from promptops.errors import PromptopsError
from promptops.repo.git import Git
from promptops.text import counted, printable


@click.command(epilog='\b\nExample:\n  promptops attest support/reply@1.3.0 --reason "laptop stolen, key revoked"')
@click.argument("tag")
@signing_options
@json_option
def command(tag: str, reason: str, *, as_json: bool, **options: Any) -> None:
    """Sign a release again after a key behind it was revoked.

    Look at it first: git show TAG, promptops verify TAG -v. One attestation by a releaser stands in for a revoked
    releaser's key; for revoked reviewers it takes as many people as the policy wants behind content. Run again,
    it signs nothing more.
    """
    from promptops.release import serving, stored

    with Git() as git:
        short = stored.short_name(tag)
        name = serving.attest(open_desk(git, options), short, reason)
        unknown, missing = None, None
        try:
            missing = _missing(git, short)
        except PromptopsError as error:
            # It is signed and stands, whatever can be said about it here.
            unknown = error.message
    if as_json:
        echo_json({"attestation": name, "missing": missing})
    else:
        click.echo(f"attested: {name}")
        for each in missing or ():
            click.echo(f"  still missing: {printable(each)}", err=True)
    if unknown:
        click.echo(f"note: what it still lacks is not known: {printable(unknown)}", err=True)


def _missing(git: Git, short: str) -> list[str]:
    """Return what an attested release lacks to verify: who else has to attest, or else the check that fails."""
    from promptops.release import attestation, verify
    from promptops.release.clone import Clone

    report = verify.release(git, short, verify.Options(withdrawn_is_fine=True))
    if report.good or report.stored is None or report.trust is None:
        return [] if report.good else [report.why]
    here = Clone(git, report.stored.manifest.commit)
    standing = attestation.vouchers(git, report.stored, report.trust, here)
    found = []
    more = standing.enough - len(standing.people)
    if more > 0:
        who = standing.names or "nobody that counts"
        found.append(f"{counted(more, 'attestation')} by other people; {standing.enough} are needed, so far {who}")
    if not standing.releasers:
        found.append("an attestation by somebody with the role release")
    return [*found, report.why]

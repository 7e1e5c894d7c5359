"""``promptops review``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from promptops.cli.opening import echo_json, json_option
from promptops.cli.signing import base_option, key_option
from promptops.repo.git import Git
from promptops.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from promptops.trust.judgement import Judgement
    from promptops.trust.subjects import Subject

_COMMIT = "git add .promptops/approvals && git commit -m"


@click.group(no_args_is_help=True)
def command() -> None:
    """Request, give and verify approvals.

    Requests and approvals are signed files below .promptops/approvals. They are bound to content, so they survive a
    squash, a rebase and a fork, and no later edit can hide behind them. Anybody may commit them.
    """


@command.command(epilog='\b\nExample:\n  promptops review request --message "Shorter answers"')
@base_option
@click.option("-m", "--message", metavar="TEXT", help="What reviewers should know.")
@key_option
def request(base: str | None, message: str | None, key: str | None) -> None:
    """Ask for approval of everything that HEAD changes; print the file to commit.

    The request also names the model, suites and settings that shape the changed prompts and that nobody has approved
    yet. Where HEAD changes nothing, it covers the prompts without a release.
    """
    from promptops.trust import requests, sshsig, store

    with Git() as git:
        wanted = requests.propose(git, target=base or requests.default_target(git), head="HEAD")
        made = requests.request(git, wanted, "HEAD", sshsig.signing_key(git, key), message)
        _summary(git, wanted, wanted.subjects, "requests approval of", "HEAD")
        click.echo(store.keep(git, made))
    click.echo(f"  next: {_COMMIT} 'Request review'; then somebody else: promptops review approve", err=True)


@command.command(
    epilog="\b\nExamples:\n  promptops review approve\n  promptops review approve origin/shorter-answers\n"
    "  promptops review approve request.json --expires 2026-12-31"
)
@click.argument("what", metavar="[FILE|REV]", default="HEAD")
@base_option
@click.option("--expires", metavar="DATE", help="Let the approval end at a date or time (UTC).")
@click.option("-m", "--message", metavar="TEXT", help="What you want to say.")
@key_option
def approve(what: str, base: str | None, expires: str | None, message: str | None, key: str | None) -> None:
    """Approve what somebody else requested for HEAD, for a revision, or in a request FILE; print the file to commit."""
    from promptops.trust import requests, sshsig, store

    only = requests.read_request(what) if os.path.isfile(what) else None
    head = "HEAD" if only else what
    with Git() as git:
        ends = requests.expiry(expires) if expires else None
        signer = sshsig.signing_key(git, key)
        target = base or requests.default_target(git)
        wanted = requests.propose(git, target=target, head=head, envelopes=[only] if only else [])
        chosen = requests.approvable(wanted, requests.who(wanted.trust, signer, sshsig.APPROVAL), only)
        if not chosen:
            click.echo("you have approved all of it already", err=True)
            return
        _summary(git, wanted, chosen, "approves", head)
        made = requests.approve(git, wanted, chosen, head, signer, expires=ends, message=message)
        click.echo(store.keep(git, made))
    click.echo(f"  next: {_COMMIT} 'Approve' on the branch that is reviewed", err=True)


@command.command()
@base_option
@click.argument("head", metavar="[REV]", default="HEAD")
@json_option
def status(base: str | None, head: str, as_json: bool) -> None:
    """Show what needs approval, who has signed, what is missing and the next command."""
    from promptops.trust import requests

    with Git() as git:
        found = requests.propose(git, target=base or requests.default_target(git), head=head)
    _report(found, as_json=as_json)


@command.command()
@base_option
@click.argument("head", metavar="[REV]", default="HEAD")
@json_option
def verify(base: str | None, head: str, as_json: bool) -> int:
    """Verify that everything that HEAD or REV changes is approved; exit 1 when it is not."""
    from promptops.trust import requests, reviews

    with Git() as git:
        found = reviews.review_change(git, target=base or requests.default_target(git), head=head)
    _report(found, as_json=as_json)
    return 0 if found.satisfied else 1


def _report(found: Judgement, *, as_json: bool) -> None:
    described = _described(found)
    if as_json:
        echo_json(described)
        return
    policy = described["policy"]
    click.echo(printable(f"{found.ref}, policy version {policy['version']}, {found.mode}"))
    for note in found.notes:
        click.echo(printable(f"note: {note}"))
    lacking = {missing.subject for missing in found.missing}
    for subject in found.subjects:
        if subject.title not in lacking:
            signed = found.signed[subject.name]
            who = f"asked by {', '.join(sorted(signed.requesters))}" if signed.requesters else "nobody asked"
            who += f", approved by {', '.join(sorted(signed.approvers))}" if signed.approvers else ""
            click.echo(printable(f"ok       {subject.title}: {who}"))
    for missing in found.missing:
        click.echo(printable(f"missing  {missing.subject}: {missing.reason}"))
    if not found.subjects and not found.missing:
        click.echo("nothing needs approval")
    elif described["next"]:
        click.echo(f"  next: {described['next']}", err=True)


def _described(found: Judgement) -> dict[str, Any]:
    reasons = {missing.subject: missing.reason for missing in found.missing}
    subjects = [
        {
            **each.descriptor(),
            "title": each.title,
            "requested_by": sorted(found.signed[each.name].requesters),
            "approved_by": sorted(found.signed[each.name].approvers),
            "missing": reasons.get(each.title),
        }
        for each in found.subjects
    ]
    trust = found.trust
    return {
        "satisfied": found.satisfied,
        "mode": found.mode,
        "target": found.ref,
        "base": found.base,
        "policy": {"version": trust.version, "digest": trust.digest, "root": trust.root},
        "subjects": subjects,
        "missing": [missing._asdict() for missing in found.missing],
        "approvals": [envelope.digest for envelope in found.approvals],
        "notes": list(found.notes),
        "next": _next(found),
    }


def _next(found: Judgement) -> str | None:
    if found.satisfied:
        return None
    if any(not found.signed[each.name].requesters for each in found.subjects):
        return "promptops review request"
    askers = sorted(set[str]().union(*(found.signed[each.name].requesters for each in found.subjects)))
    if not askers:
        # Links and submodules: the reasons say what to do instead.
        return None
    return f"promptops review approve, by somebody other than {', '.join(askers)}"


def _summary(git: Git, wanted: Judgement, chosen: Sequence[Subject], verb: str, head: str) -> None:
    """Say on standard error what a signature is about to cover, with the size of each change."""
    from promptops.trust import requests

    trust = wanted.trust
    click.echo(
        printable(f"{verb} this for {wanted.ref} of {trust.repository} (policy version {trust.version}):"), err=True
    )
    for subject in chosen:
        previous = subject.annotations.get("previous")
        since = f", after {previous}" if subject.is_prompt and previous else ""
        click.echo(printable(f"  {subject.title}{since}  {_stat(git, wanted.base, head, subject)}"), err=True)
    for name, message in requests.messages(wanted):
        if message:
            click.echo(printable(f"  {name}: {message}"), err=True)


def _stat(git: Git, base: str | None, head: str, subject: Subject) -> str:
    if base is None:
        return "(new)"
    paths = [f":(top,literal){path}" for path in subject.paths]
    added = removed = 0
    for line in git.text("diff-tree", "-r", "--numstat", "--no-renames", base, head, "--", *paths).splitlines():
        plus, minus, _ = line.split("\t", 2)
        added, removed = added + int(plus.replace("-", "0")), removed + int(minus.replace("-", "0"))
    return f"+{added} -{removed} lines" if added or removed else "(unchanged here)"

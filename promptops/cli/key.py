"""``promptops key``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from promptops.cli.opening import echo_json, json_option
from promptops.cli.signing import SIGN
from promptops.errors import PromptopsError, UsageError
from promptops.repo.git import Git
from promptops.repo.source import WorktreeSource
from promptops.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from promptops.trust.policy import Trust


@click.group(no_args_is_help=True)
def command() -> None:
    """Add, rotate, revoke, list and lint signing keys.

    They edit .promptops/allowed_signers, .promptops/revoked_keys and .promptops/policy.yaml in the work tree. Nothing
    is in force before a root has signed the new version (promptops policy sign) and the protected branch has it.
    """


@command.command(
    epilog="\b\nExamples:\n  promptops key add carol carol.pub --principal carol@example.org --role safety"
)
@click.argument("name")
@click.argument("key", metavar="KEY")
@click.option("--principal", metavar="TEXT", help="The name of the key, such as an address; needed for a new person.")
@click.option("--bot", is_flag=True, help="A machine: it never counts as a person.")
@click.option("--role", "roles", multiple=True, help="A role to give; repeatable.")
@click.option("--plain", is_flag=True, help="It makes plain signatures on envelopes, as key services and HSMs do.")
def add(name: str, key: str, principal: str | None, *, bot: bool, roles: tuple[str, ...], plain: bool) -> None:
    """Give NAME the public KEY: a file of OpenSSH or, for ed25519 and P-256, a PEM file; or the key itself."""
    from promptops.trust import keys, sshsig

    with Git() as git:
        public = sshsig.public_key(key)
        line = keys.add(git.root, name, public, principal=principal, bot=bot, roles=roles, plain=plain)
    click.echo(printable(line))
    click.echo(SIGN, err=True)


@command.command(epilog="\b\nExample:\n  promptops key rotate alice ~/.ssh/id_new.pub")
@click.argument("name")
@click.argument("key", metavar="KEY")
def rotate(name: str, key: str) -> None:
    """Replace every key of NAME by the public KEY; what the old ones signed stays valid."""
    from promptops.trust import keys, sshsig

    with Git() as git:
        old = keys.rotate(git.root, name, sshsig.public_key(key))
    for fingerprint in old:
        click.echo(f"retired {fingerprint}")
    click.echo("a root signs with a key of the version before: sign with the old key where that is yours", err=True)
    click.echo(SIGN, err=True)


@command.command(epilog="\b\nExample:\n  promptops key revoke alice --reason 'laptop stolen'")
@click.argument("key", metavar="NAME|KEY|FINGERPRINT")
@click.option("--reason", default="", metavar="TEXT", help="Kept beside the key.")
def revoke(key: str, reason: str) -> None:
    """Revoke the keys of a person, or one key: whatever they signed counts no more."""
    from promptops.trust import keys, policy

    with Git() as git:
        trust = policy.load(WorktreeSource(git.root))
        revoked = keys.revoke(git.root, _chosen(trust, key), reason)
    for fingerprint in revoked:
        click.echo(f"revoked {fingerprint}")
    click.echo("releases that these keys signed need: promptops attest TAG", err=True)
    click.echo(SIGN, err=True)


@command.command("list")
@json_option
def list_keys(as_json: bool) -> None:
    """List every key with its person, fingerprint and namespaces, revoked ones last."""
    from promptops.trust import policy, signers, sshsig

    with Git() as git:
        trust = policy.load(WorktreeSource(git.root))
    lines = signers.parse(trust.allowed_signers)
    revoked = sorted(map(sshsig.fingerprint, signers.revoked(trust.revoked_keys)))
    rows = [(each.principal, sshsig.fingerprint(each.public_key), list(each.namespaces)) for each in lines]
    if as_json:
        echo_json(
            {
                "keys": [dict(zip(("principal", "key", "namespaces"), row, strict=True)) for row in rows],
                "revoked": revoked,
            }
        )
        return
    for principal, fingerprint, namespaces in rows:
        click.echo(printable(f"{fingerprint}  {principal}  {','.join(namespaces)}"))
    for fingerprint in revoked:
        click.echo(f"{fingerprint}  revoked")


@command.command("lint")
@json_option
def lint_keys(as_json: bool) -> int:
    """Report what is wrong with the policy and its keys; exit 1 for what makes them unsafe or unusable."""
    from promptops.trust import lint

    with Git() as git:
        source = WorktreeSource(git.root)
        if lint.is_absent(source):
            raise PromptopsError("there is no policy here, so there is nothing to judge", hint="promptops policy init")
        found = lint.problems(source)
    if as_json:
        echo_json([problem._asdict() for problem in found])
    for problem in () if as_json else found:
        place = ":".join(str(part) for part in (problem.path, problem.line, problem.column) if part is not None)
        click.echo(printable(f"{place}: {problem.severity}: {problem.message}"))
        if problem.hint:
            click.echo(printable(f"  next: {problem.hint}"))
    return int(any(problem.severity == "block" for problem in found))


def _chosen(trust: Trust, text: str) -> Sequence[bytes]:
    from promptops.trust import keys, signers, sshsig

    lines = signers.parse(trust.allowed_signers)
    if text in trust.policy["people"]:
        return [line.public_key for line in keys.lines_of(trust, text)]
    if text.startswith("SHA256:"):
        found = [line.public_key for line in lines if sshsig.fingerprint(line.public_key) == text]
        if not found:
            raise UsageError(f"no key has the fingerprint {text}", hint="promptops key list; or give the public key")
        return found
    return [sshsig.public_key(text)]

"""``promptops policy``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from promptops.cli.opening import at_option, echo_json, json_option
from promptops.cli.signing import SIGN, key_option, known_target, people_options
from promptops.errors import UsageError
from promptops.repo.git import Git
from promptops.repo.source import TreeSource, WorktreeSource
from promptops.text import printable

if TYPE_CHECKING:
    from promptops.trust.policy import Trust
    from promptops.trust.setup import Signing


@click.group(no_args_is_help=True)
def command() -> None:
    """Set up, change, show, sign and verify who may do what.

    The policy is .promptops/policy.yaml; its keys are .promptops/allowed_signers and .promptops/revoked_keys. Each
    version is signed by a threshold of the roots of the version before it.

    remove, roots, role, approvals and move edit the work tree, as promptops key does. Nothing is in force before the
    roots have signed the new version (promptops policy sign) and the protected branch has it.
    """


@command.command(
    epilog="\b\nExamples:\n  promptops policy init --solo\n"
    "  promptops policy init --person alice=alice@example.org --person bob=bob@example.org=keys/bob.pub"
)
@people_options
@click.option("--repository", metavar="NAME", help="What signatures call this repository; default: the origin's URL.")
@click.option("--protected", multiple=True, metavar="REF", default=["refs/heads/main"], help="A protected branch.")
@key_option
def init(
    solo: bool, people: tuple[str, ...], repository: str | None, protected: tuple[str, ...], key: str | None
) -> None:
    """Write the first policy, sign it, and print the root digest to pin."""
    from promptops.trust import setup, sshsig

    with Git() as git:
        signer = sshsig.signing_key(git, key)
        done = setup.create(git, people, key=signer, repository=repository, protected=protected, solo=solo)
    _report(done)


@command.command()
@key_option
def sign(key: str | None) -> None:
    """Sign the policy of the work tree, as one of the roots of the version before.

    Where the protected branch already has this version with other content, the version is raised by one.
    """
    from promptops.trust import setup, sshsig

    with Git() as git:
        done = setup.sign(git, sshsig.signing_key(git, key), known_target(git))
    _report(done)


@command.command(epilog="\b\nExample:\n  promptops policy remove carol")
@click.argument("name")
def remove(name: str) -> None:
    """Take NAME out of the policy, with keys, roles and root membership.

    What the keys signed until then stays valid where it was accepted. For a key in wrong hands, first: promptops key
    revoke NAME.
    """
    from promptops.trust import people

    with Git() as git:
        gone = people.remove(git.root, name)
    for fingerprint in gone.keys:
        click.echo(f"retired {fingerprint}")
    lost = [*(["root"] if gone.root else []), *(f"role {role}" for role in gone.roles)]
    click.echo(printable(f"removed {name}" + (f": {', '.join(lost)}" if lost else "")))
    click.echo(SIGN, err=True)


@command.command(
    epilog="\b\nExamples:\n  promptops policy roots --threshold 2\n  promptops policy roots --of alice,bob,dave"
)
@click.option("--threshold", type=click.IntRange(min=1), metavar="N", help="How many of them must sign a version.")
@click.option("--of", "names", metavar="NAME,...", help="All who may sign the next versions.")
def roots(threshold: int | None, names: str | None) -> None:
    """Say who signs the versions of the policy, and how many of them must.

    The version that changes this is still signed by the roots of the version before it.
    """
    from promptops.trust import people

    if threshold is None and names is None:
        raise UsageError("nothing to change", hint="--threshold N, --of NAME,..., or both; promptops policy show")
    with Git() as git:
        found = people.set_roots(git.root, threshold, None if names is None else _names(names))
    click.echo(printable(f"{found['threshold']} of {', '.join(found['of'])} sign the versions after this one"))
    click.echo(SIGN, err=True)


@command.command(
    epilog="\b\nExamples:\n  promptops policy role safety --of bob,carol\n  promptops policy role safety --nobody"
)
@click.argument("role")
@click.option("--of", "names", metavar="NAME,...", help="All who hold it.")
@click.option("--nobody", is_flag=True, help="Take the role away.")
def role(role: str, names: str | None, *, nobody: bool) -> None:
    """Say who holds ROLE: release, override, rollback, or one that a rule of the policy names."""
    from promptops.trust import people

    if (names is None) != nobody:
        raise UsageError("say who holds the role", hint=f"promptops policy role {role} --of NAME,..., or --nobody")
    with Git() as git:
        people.set_role(git.root, role, _names(names) if names is not None else [])
    click.echo(printable(f"role {role}: {names or 'nobody'}"))
    click.echo(SIGN, err=True)


@command.command(epilog="\b\nExample:\n  promptops policy approvals 2")
@click.argument("count", metavar="N", type=click.IntRange(0, 20))
def approvals(count: int) -> None:
    """Say how many people besides the author must approve a change; 0 is solo mode, and every release says so."""
    from promptops.trust import people

    with Git() as git:
        people.set_approvals(git.root, count)
    click.echo(f"{count} besides the author")
    click.echo(SIGN, err=True)


@command.command(epilog="\b\nExample:\n  promptops policy move git+https://example.org/new-team/prompts")
@click.argument("repository")
def move(repository: str) -> None:
    """Call the repository REPOSITORY in every later signature.

    Requests and approvals that name the old one count no more; releases and decisions made before stay valid.
    """
    from promptops.trust import people

    with Git() as git:
        before = people.move(git.root, repository)
    click.echo(printable(f"{before} becomes {repository}"))
    click.echo("open changes need a new request and new approvals under the new name", err=True)
    click.echo(SIGN, err=True)


@command.command()
@at_option
@json_option
def show(revision: str | None, as_json: bool) -> None:
    """Show people, roles, keys and the state of the signatures."""
    from promptops.trust import policy

    with Git() as git:
        trust = policy.load(TreeSource(git, revision) if revision else WorktreeSource(git.root))
    described = _described(trust)
    if as_json:
        echo_json(described)
        return
    _print(described)


@command.command()
@click.argument("revision", metavar="[REV]", required=False)
@click.option("--root", metavar="DIGEST", help="The sha256:... that version 1 must have.")
@json_option
def verify(revision: str | None, root: str | None, as_json: bool) -> None:
    """Verify the chain of signatures of the work tree's policy, or of REV's."""
    from promptops.trust import policy

    with Git() as git:
        trust = policy.load(TreeSource(git, revision) if revision else WorktreeSource(git.root))
        found = trust.verify_chain(root)
    if as_json:
        echo_json({"version": trust.version, "digest": trust.digest, "root": found, "pinned": root is not None})
        return
    click.echo(f"policy version {trust.version} verifies, root {found}")
    if root is None:
        click.echo(f"the root was not pinned; to pin it: promptops policy verify --root {found}", err=True)


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise UsageError(f"{text!r} is no list of names", hint="--of alice,bob")
    return names


def _report(done: Signing) -> None:
    click.echo(done.root)
    if done.raised:
        click.echo(f"raised the policy to version {done.version}: the one before is published", err=True)
    for number in done.mended:
        click.echo(f"signed version {number} in place of a revoked key", err=True)
    names = ", ".join(done.signed)
    click.echo(f"policy version {done.version} is signed by {names} ({len(done.signed)} of {done.threshold})", err=True)
    click.echo("pin the root digest above wherever releases are verified: --root DIGEST", err=True)
    left = done.threshold - len(done.signed)
    following = f"{left} more of the roots run: promptops policy sign" if left > 0 else "commit .promptops"
    click.echo(f"  next: {following}", err=True)


def _described(trust: Trust) -> dict[str, Any]:
    from promptops.errors import PromptopsError
    from promptops.trust import lint, signers, sshsig

    try:
        trust.verify_chain()
        refused = None
    except PromptopsError as error:
        refused = error.message
    keys: dict[str, list[dict[str, Any]]] = {name: [] for name in trust.policy["people"]}
    for line in signers.parse(trust.allowed_signers):
        owner = next(
            (name for name, each in trust.policy["people"].items() if line.principal in lint.principals(each)), ""
        )
        if owner:
            fingerprint = sshsig.fingerprint(line.public_key)
            keys[owner].append({"principal": line.principal, "key": fingerprint, "namespaces": list(line.namespaces)})
    return {
        "version": trust.version,
        "digest": trust.digest or None,
        "root": trust.root or None,
        "signed": refused is None,
        "refused": refused,
        "mode": "solo" if trust.solo else "reviewed",
        "keys": keys,
        "policy": trust.policy,
    }


def _print(described: dict[str, Any]) -> None:
    policy = described["policy"]
    roots = policy["roots"]
    rows = {
        "version": f"{described['version']} ({'signed' if described['signed'] else described['refused']})",
        "root": described["root"] or "none yet",
        "repository": policy["repository"],
        "protected": ", ".join(policy["protected"]),
        "approvals": f"{policy['approvals']['default']} ({described['mode']})",
        "roots": f"{roots['threshold']} of {', '.join(roots['of'])}",
    }
    rows |= {f"role {role}": ", ".join(names) for role, names in policy.get("roles", {}).items()}
    for name, keys in described["keys"].items():
        rows[name] = ", ".join(f"{each['principal']} {each['key']}" for each in keys) or "no key"
    width = max(map(len, rows)) + 2
    for title, text in rows.items():
        click.echo(printable(f"{title:<{width}}{text}"))

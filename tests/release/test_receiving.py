"""Real pushes to a bare repository whose hook judges them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
import releasing
import reviewing
from releasing import NEW, PROMPT
from support import Repo, prompt

from promptops.release import live

_SSHD = shutil.which("sshd", path=f"/usr/sbin:/usr/local/sbin:{os.environ['PATH']}")
if os.getuid() == 0 and not os.path.isdir("/run/sshd"):
    # As root it wants that folder, which the system's service makes.
    _SSHD = None
_STAND_IN = '#!/bin/sh\nwhile [ "$#" -gt 1 ]; do shift; done\nexec env -i HOME="$HOME" PATH="$PATH" sh -c "$1"\n'


def served(repo: Repo, *args: str) -> Repo:
    """A bare repository with what ``repo`` has, the hook installed; it is the remote ``origin`` of ``repo``."""
    server = repo.clone(repo.root.parent / "server.git", "--mirror")
    server.promptops("hook", "install", "--server", *args)
    repo.git("remote", "add", "origin", str(server.root))
    return server


def ssh(repo: Repo) -> str:
    """The value of GIT_SSH_COMMAND: a real sshd without a port where there is one, else a shell at the far end."""
    folder = repo.root.parent / "ssh"
    folder.mkdir()
    if _SSHD is None:
        (folder / "ssh").write_text(_STAND_IN)
        (folder / "ssh").chmod(0o755)
        return str(folder / "ssh")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "host"], check=True)
    (folder / "config").write_text(
        f"HostKey {folder}/host\nAuthorizedKeysFile {repo.key('alice')}.pub\nStrictModes no\nUsePAM no\nPidFile none\n"
    )
    options = ["-F", "none", "-i", str(repo.key("alice")), "-o", f"ProxyCommand={_SSHD} -i -f {folder}/config"]
    return " ".join(
        [
            "ssh",
            *(f"'{each}'" for each in options),
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            f"UserKnownHostsFile={folder}/known",
        ]
    )


def push(repo: Repo, *what: str, by: str = "alice", **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", "push", "origin", *what],
        cwd=repo.root,
        env=repo.env(by) | env,
        capture_output=True,
        text=True,
        check=False,
    )


def refused(repo: Repo, server: Repo, *what: str, by: str = "alice", **env: str) -> str:
    """Push, expect a no and that nothing moved, and return what the hook said."""
    before = server.git("for-each-ref")
    done = push(repo, *what, by=by, **env)
    assert done.returncode == 1, done
    assert server.git("for-each-ref") == before
    assert "Traceback" not in done.stderr
    return done.stderr


def accepted(repo: Repo, *what: str, by: str = "alice", **env: str) -> None:
    done = push(repo, *what, by=by, **env)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", ["pre-receive", "update"])
def test_reviewed_change_lands_and_an_unreviewed_one_does_not(pending, kind):
    server = served(pending, "--kind", kind)
    said = refused(pending, server, "topic:main")
    assert "PO401" in said
    assert "needs 1 approval" in said
    reviewing.approved(pending)
    accepted(pending, "topic:main")
    assert server.git("rev-parse", "main") == pending.git("rev-parse", "topic")


def test_the_same_over_ssh(pending):
    server = served(pending)
    pending.git("remote", "set-url", "origin", f"ssh://localhost{server.root}")
    command = ssh(pending)
    assert "PO401" in refused(pending, server, "topic:main", GIT_SSH_COMMAND=command)
    reviewing.approved(pending)
    accepted(pending, "topic:main", GIT_SSH_COMMAND=command)
    assert server.git("rev-parse", "main") == pending.git("rev-parse", "topic")


def test_other_branches_may_be_pushed_for_review_moved_and_deleted(pending):
    server = served(pending)
    accepted(pending, "topic:feature")
    pending.git("commit", "-q", "--amend", "-m", "Another")
    accepted(pending, "--force", "topic:feature")
    accepted(pending, ":feature")
    assert "feature" not in server.git("for-each-ref")


def test_protected_branch_is_neither_deleted_nor_moved_back(reviewed):
    server = served(reviewed)
    # The default branch is kept by git itself, unless it is told otherwise.
    server.git("config", "receive.denyDeleteCurrent", "ignore")
    assert "not deleted" in refused(reviewed, server, ":main")
    accepted(reviewed, "topic:main")
    assert "only moves forward" in refused(reviewed, server, "--force", "main:main")


def test_orphan_history_does_not_replace_a_protected_branch(reviewed):
    server = served(reviewed)
    reviewed.git("checkout", "-q", "--orphan", "fresh")
    reviewed.commit("Start again")
    assert "only moves forward" in refused(reviewed, server, "--force", "fresh:main")


def test_policy_that_its_roots_did_not_sign_is_refused(project):
    server = served(project)
    policy = project.read(".promptops/policy.yaml")
    project.write(
        ".promptops/policy.yaml", policy.replace("version: 1", "version: 2").replace("default: 1", "default: 0")
    )
    project.commit("Nobody needs to look")
    assert "policy" in refused(project, server, "main")


def test_commits_by_the_thousand_are_judged_as_one_change(reviewed):
    server = served(reviewed)
    stream = ["feature done\n"]
    tip = reviewed.git("rev-parse", "topic")
    for number in range(5000):
        parent = f"from {tip}\n" if not number else ""
        stream.append(
            f"commit refs/heads/topic\ncommitter A <a@example.org> {1800000000 + number} +0000\ndata 1\nx\n{parent}"
            f"M 100644 inline notes.txt\ndata {len(str(number))}\n{number}\n"
        )
    reviewed.git("fast-import", "--quiet", "--force", stdin="".join([*stream, "done\n"]))
    accepted(reviewed, "topic:main")
    assert server.git("rev-list", "--count", "main").isdigit()
    assert int(server.git("rev-list", "--count", "main")) > 5000


def test_release_lands_with_its_branch_and_stays_where_it_is(solo):
    server = served(solo)
    solo.write(PROMPT, prompt("Be brief.", version="1.1.0"))
    solo.commit("Shorter")
    solo.promptops("release", "--no-canary", "first")
    accepted(solo, "--atomic", "main", NEW)
    assert "never moved" in refused(solo, server, "--force", f"{NEW}~0:refs/tags/{NEW}")
    assert "not deleted" in refused(solo, server, f":refs/tags/{NEW}")


def test_release_of_a_commit_that_is_on_no_protected_branch_is_refused(solo):
    server = served(solo)
    solo.write(PROMPT, prompt("Be brief.", version="1.1.0"))
    solo.commit("Shorter")
    solo.promptops("release", "--no-canary", "first")
    assert "on no protected branch" in refused(solo, server, NEW)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data.replace(b"Release support", b"Rebease support"), "tag signature"),
        (lambda data: data.replace(b"@v1.1.0\ntagger", b"@v1.0.0\ntagger"), "name"),
        (lambda data: data + b"more\n", "tag:"),
    ],
)
def test_tag_that_does_not_verify_is_refused(released, change, words):
    served_without = released.git("tag", "-l", NEW)
    server = served(released)
    server.git("update-ref", "-d", f"refs/tags/{served_without}")
    releasing.put(released, change(releasing.raw(released)))
    said = refused(released, server, f"refs/tags/{NEW}")
    assert "does not verify" in said
    assert words in said


def test_tag_names_of_ours_are_for_releases_only(released):
    server = served(released)
    released.git("tag", "-m", "x", "prompt/support/reply")
    assert "name of no release" in refused(released, server, "prompt/support/reply")
    released.git("update-ref", "refs/tags/prompt/support/reply@v2.0.0", "HEAD")
    assert "lightweight" in refused(released, server, "refs/tags/prompt/support/reply@v2.0.0")
    released.git("tag", "unrelated")
    accepted(released, "unrelated")


def test_withdrawal_counts_from_somebody_who_may(released):
    server = served(released)
    released.promptops("withdraw", NEW, "--reason", "flatters")
    forged = releasing.raw(released, f"{NEW}!").partition(b"-----BEGIN SSH")[0]
    genuine = released.git("rev-parse", f"refs/tags/{NEW}!")
    releasing.put(released, releasing.signed(released, forged, "mallory"), f"{NEW}!")
    assert "not in allowed_signers" in refused(released, server, f"refs/tags/{NEW}!")
    released.git("update-ref", f"refs/tags/{NEW}!", genuine)
    accepted(released, f"refs/tags/{NEW}!")


def test_decisions_only_grow_and_are_made_by_those_who_may(released):
    server = served(released)
    ref = live.ref_of("staging", "support/reply")
    released.promptops("promote", "support/reply", "--env", "staging", "--reason", "try")
    first = released.git("rev-parse", ref)
    accepted(released, ref)
    released.promptops("rollback", "support/reply", "--env", "staging", "--reason", "worse")
    accepted(released, ref)
    assert "not rewritten" in refused(released, server, "--force", f"{first}:{ref}")
    assert "not deleted" in refused(released, server, f":{ref}")
    payload = released.git("cat-file", "commit", ref)
    stranger = payload.replace("gpgsig", "x-gpgsig")
    oid = released.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=stranger + "\n")
    assert "does not hold" in refused(released, server, "--force", f"{oid}:{ref}")


def test_other_refs_of_ours_are_only_added_to(released):
    server = served(released)
    accepted(released, "HEAD:refs/promptops/approvals")
    assert "not rewritten" in refused(released, server, "--force", "HEAD~1:refs/promptops/approvals")
    assert "not deleted" in refused(released, server, ":refs/promptops/approvals")
    assert "no environment" in refused(released, server, "HEAD:refs/promptops/live/prod/HEAD")


def test_first_push_brings_the_policy_and_a_pinned_root_is_kept(project):
    root = project.promptops("policy", "verify").stdout.split()[-1]
    for pinned, verdict in (("sha256:" + "0" * 64, 1), (root, 0)):
        server = project.root.parent / f"empty-{verdict}.git"
        project.git("init", "-q", "--bare", "-b", "main", str(server))
        project.promptops("-C", str(server), "hook", "install", "--server", "--root", pinned)
        done = subprocess.run(
            ["git", "push", "-q", str(server), "main"],
            cwd=project.root,
            env=project.env(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == verdict, done.stderr
        assert ("root" in done.stderr) == bool(verdict)


def test_policy_on_another_branch_than_the_default_one_would_protect_nothing(project):
    server = project.root.parent / "other.git"
    project.git("init", "-q", "--bare", "-b", "trunk", str(server))
    project.promptops("-C", str(server), "hook", "install", "--server")
    done = subprocess.run(
        ["git", "push", "-q", str(server), "main"],
        cwd=project.root, env=project.env(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "git symbolic-ref HEAD refs/heads/main" in done.stderr
    late = project.clone(project.root.parent / "late.git", "--bare")
    late.git("symbolic-ref", "HEAD", "refs/heads/trunk")
    assert "symbolic-ref" in late.promptops("hook", "install", "--server", check=1).stderr


def test_push_that_concerns_nothing_of_ours_needs_no_policy(repo):
    repo.commit("Start")
    server = served(repo)
    repo.commit("More")
    accepted(repo, "main")
    assert server.git("rev-parse", "main") == repo.git("rev-parse", "main")


def test_hook_of_somebody_else_is_left_alone(repo):
    server = repo.root.parent / "server.git"
    repo.git("init", "-q", "--bare", str(server))
    (server / "hooks").mkdir(exist_ok=True)
    (server / "hooks/pre-receive").write_text("#!/bin/sh\ntrue\n")
    done = repo.promptops("-C", str(server), "hook", "install", "--server", check=1)
    assert "another hook" in done.stderr
    assert f"exec {sys.executable}" in done.stderr
    assert (server / "hooks/pre-receive").read_text() == "#!/bin/sh\ntrue\n"


@pytest.mark.parametrize(
    ("args", "stdin"),
    [
        (("install",), ""),
        (("install", "--server", "--root", "junk"), ""),
        (("run", "update", "refs/heads/main"), ""),
        (("run", "pre-receive", "refs/heads/main"), ""),
        (("run", "pre-receive"), "junk\n"),
        (("run", "pre-receive"), "0 0 HEAD\n"),
    ],
)
def test_wrong_usage(repo, args, stdin):
    done = repo.promptops("hook", *args, check=2, stdin=stdin)
    assert "error" in done.stderr.lower()

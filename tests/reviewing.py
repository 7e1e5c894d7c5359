"""People who change a prompt, ask for approval and give it, and the verdict on that."""

from __future__ import annotations

import shutil

from support import Repo, prompt

from promptops.registry.registry import Registry
from promptops.repo.git import Git
from promptops.repo.source import TreeSource
from promptops.trust import envelope, policy, reviews, sshsig, statement, store

PROMPT = "prompts/support/reply.yaml"


def change(repo, text="Be brief.", version="1.1.0", by="alice", branch="topic"):
    repo.git("switch", "-q", "-c", branch)
    repo.write(PROMPT, prompt(text, version=version))
    return repo.commit("Change", by=by)


def requested(repo, by="alice"):
    signed(repo, by, "review", "request")
    repo.commit("Request review", by=by)


def approved(repo, by="bob", *args):
    signed(repo, by, "review", "approve", *args)
    repo.commit("Approve", by=by)


def signed(repo, by, *args):
    """Run a command that needs of its user the key and nothing else, without a process of its own."""
    done = repo.cli(*args, "--key", str(repo.key(by)))
    assert done.code == 0, done
    return done


def judge(repo, target="main", head="HEAD", **kwargs):
    with Git(str(repo.root)) as git:
        return reviews.review_change(git, target=target, head=head, **kwargs)


def judge_release(repo, name="support/reply", commit="HEAD", previous=None):
    with Git(str(repo.root)) as git:
        configuration = Registry(TreeSource(git, commit)).configuration(name)
        commit = git.commit(commit)
        trust = policy.load(TreeSource(git, commit))
        trust.verify_chain()
        found = reviews.known(git, commit, ())
        return reviews.judge_release(
            git, trust, configuration=configuration, previous=previous, commit=commit, envelopes=found
        )


def reasons(judgement):
    return "; ".join(f"{missing.subject}: {missing.reason}" for missing in judgement.missing)


def forge(repo, kind, by, *, namespace=None, **predicate):
    """Sign any statement about the change as ``by``, and commit it."""
    judged = judge(repo)
    value = {
        "decision": "requested" if kind == statement.REQUEST else "approved",
        "repository": judged.trust.repository,
        "targetRef": "refs/heads/main",
        "createdAt": "2026-11-23T09:00:00Z",
        "base": None,
        "policy": {"version": 1, "digest": judged.trust.digest},
    }
    subjects = [each.descriptor() for each in judged.subjects]
    namespace = namespace or {statement.REQUEST: sshsig.REQUEST, statement.APPROVAL: sshsig.APPROVAL}[kind]
    made = envelope.sign(statement.build(kind, subjects, value | predicate), str(repo.key(by)), namespace)
    store.write(str(repo.root), made)
    repo.commit("Forge")
    return made


def new_policy(repo, text=None, *, sign_by="alice"):
    """Put a policy straight on main, as its roots may."""
    if text is not None:
        repo.write(".promptops/policy.yaml", text)
    signed(repo, sign_by, "policy", "sign")
    repo.commit("Policy")


def copy(repo, directory):
    """The same repository once more, to be changed freely."""
    shutil.copytree(repo.root, directory / "repo")
    return Repo(directory / "repo", repo.home, repo.people)

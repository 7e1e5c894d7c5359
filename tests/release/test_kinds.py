"""One release in every kind of repository: the same verdict everywhere, or exit code 3 and what to fetch."""

from __future__ import annotations

import json

import pytest
import releasing
import reviewing
from releasing import NEW, OLD, PROJECT, PROMPT
from support import Repo, make_project, prompt

RENAMED = "prompt/support/reply@v1.2.0"
# What is wrong with each tag of the fixture, by the checks that say so.
VERDICTS = {NEW: set(), OLD: {"tag signature"}, RENAMED: {"name"}}
TURNED_BACK = {tag: bad | {"revocations"} for tag, bad in VERDICTS.items()}


def verdict(repo, tag):
    """Exit code and the checks that do not hold, with what they say."""
    done = repo.cli("verify", tag, "--json")
    found = json.loads(done.out)["checks"]
    return done.code, {each["name"]: each["detail"] for each in found if not each["ok"]}


def spoil(repo):
    """Have a stranger sign the older tag, and give the newer object a second name."""
    payload = releasing.raw(repo, OLD).partition(b"-----BEGIN SSH")[0]
    releasing.put(repo, releasing.signed(repo, payload, "mallory"), OLD)
    repo.git("update-ref", f"refs/tags/{RENAMED}", repo.git("rev-parse", NEW))


def turn_back(repo):
    """Sign a second version of the policy, and take it out again."""
    before = repo.git("rev-parse", "HEAD")
    text = repo.read(".promptops/policy.yaml").replace("version: 1\n", "version: 2\n")
    reviewing.new_policy(repo, text)
    repo.git("rm", "-qr", ".promptops")
    repo.git("checkout", "-q", before, "--", ".promptops")
    repo.commit("Back")


@pytest.fixture(scope="module", params=["as it is", "policy turned back"])
def origin(request, _solo, tmp_path_factory):
    repo = reviewing.copy(_solo["released"], tmp_path_factory.mktemp("origin"))
    repo.git("config", "uploadpack.allowFilter", "true")
    if request.param != "as it is":
        turn_back(repo)
    spoil(repo)
    return repo, VERDICTS if request.param == "as it is" else TURNED_BACK


def worktree(repo, path):
    repo.git("worktree", "add", "-q", "--detach", str(path), "HEAD~1")
    return Repo(path, repo.home, repo.people)


def bare(repo, path):
    return repo.clone(path, "--bare")


def mirror(repo, path):
    return repo.clone(path, "--mirror")


def alternates(repo, path):
    made = repo.clone(path, "--shared")
    assert made.read(".git/objects/info/alternates")
    return made


def packed(repo, path):
    made = repo.clone(path, "--no-local")
    made.git("repack", "-qad")
    made.git("pack-refs", "--all")
    return made


def windows(repo, path):
    """A checkout with Windows line ends, by configuration and by attributes."""
    made = repo.clone(path, "-c", "core.autocrlf=true", "-c", "core.eol=crlf")
    made.write(".git/info/attributes", "* text eol=crlf\n*.yaml text eol=crlf\n")
    for name in (PROMPT, ".promptops/policy.yaml", ".promptops/allowed_signers"):
        (made.root / name).unlink()
        made.git("checkout", "-q", "--", name)
        assert "\r\n" in made.read(name)
    return made


@pytest.mark.parametrize("make", [worktree, bare, mirror, alternates, packed, windows])
def test_whole_repositories_agree(origin, make, tmp_path):
    repo, verdicts = origin
    made = make(reviewing.copy(repo, tmp_path) if make is worktree else repo, tmp_path / "made")
    for tag, bad in verdicts.items():
        code, found = verdict(made, tag)
        assert (code, set(found)) == (int(bool(bad)), bad), found


def partial(repo, path):
    return repo.clone(path, "--no-local", "--filter=blob:none")


def partial_bare(repo, path):
    return repo.clone(path, "--no-local", "--filter=blob:none", "--bare")


def treeless(repo, path):
    return repo.clone(path, "--no-local", "--filter=tree:0", "--no-checkout")


def shallow(repo, path):
    made = repo.clone(path, "--no-local", "--depth=1")
    made.git("fetch", "-q", "--depth=1", "--tags")
    return made


@pytest.mark.parametrize("make", [partial, partial_bare, treeless, shallow])
def test_incomplete_clones_agree_or_cannot_tell(origin, make, tmp_path):
    repo, verdicts = origin
    made = make(repo, tmp_path / "made")
    told = set()
    for tag, bad in verdicts.items():
        code, found = verdict(made, tag)
        assert code in ({1, 3} if bad else {0, 3}), found
        if code == 3:
            assert "git fetch" in " ".join(found.values())
        told.add(code)
    assert 3 in told
    # What is missing can be fetched, and then the verdict is everybody's.
    made.git("fetch", "-q", *(["--unshallow"] if make is shallow else ["--refetch", "--no-filter"]))
    if make is not shallow:
        made.git("config", "--unset", "remote.origin.promisor")
    for tag, bad in verdicts.items():
        assert set(verdict(made, tag)[1]) == bad


def test_lazy_fetches_are_not_made(origin, tmp_path):
    """Not even from a remote that answers: a verdict needs no network."""
    repo, _ = origin
    made = partial_bare(repo, tmp_path / "made")
    before = sorted(path.name for path in (made.root / "objects/pack").iterdir())
    assert verdict(made, NEW)[0] == 3
    assert sorted(path.name for path in (made.root / "objects/pack").iterdir()) == before


def test_ids_of_64_digits(tmp_path):
    repo = make_project(tmp_path, solo=True, ids="sha256")
    repo.write("promptops.yaml", PROJECT)
    repo.commit("Environments")
    repo.promptops("release", "--no-canary", "first")
    repo.write(PROMPT, prompt("Be brief.", version="1.1.0"))
    repo.commit("Shorter")
    repo.promptops("release", "--no-canary", "second")
    assert len(repo.git("rev-parse", NEW)) == 64
    clone = repo.clone(tmp_path / "clone")
    assert [verdict(clone, tag) for tag in (OLD, NEW)] == [(0, {}), (0, {})]
    spoil(repo)
    turn_back(repo)
    for tag, bad in TURNED_BACK.items():
        assert set(verdict(repo, tag)[1]) == bad
    (first,) = releasing.lines(releasing.tagobject.parse_tag(releasing.raw(repo)).message)
    assert len(first.statement()["predicate"]["commit"]) == 64


def test_files_with_windows_line_ends(tmp_path):
    """Committed so, the policy's files included: they are other bytes, and what they say is the same."""
    repo = make_project(tmp_path, solo=True)
    for name in (".promptops/policy.yaml", ".promptops/allowed_signers", ".promptops/revoked_keys", PROMPT):
        repo.write(name, repo.read(name).replace("\n", "\r\n"))
    text = repo.read(".promptops/policy.yaml").replace("version: 1\r\n", "version: 2\r\n")
    reviewing.new_policy(repo, text)
    repo.promptops("release", "--no-canary", "first")
    assert verdict(repo, OLD) == (0, {})
    repo.write(".promptops/revoked_keys", f"# lost\r\n{repo.public_key('alice')} laptop\r\n")
    text = repo.read(".promptops/policy.yaml").replace("version: 2\r\n", "version: 3\r\n")
    reviewing.new_policy(repo, text, sign_by="bob")
    code, found = verdict(repo, OLD)
    assert code == 1
    assert "is revoked" in found["release signature"]

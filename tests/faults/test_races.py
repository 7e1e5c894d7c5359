"""Two releases at once, in one clone and in two, and a release while somebody pushes: one wins, nothing is half."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from faulting import ALL, Scene, finished

if TYPE_CHECKING:
    from subprocess import Popen

    from support import Repo

ROUNDS = 200 if ALL else 6
RELEASE = ("release", "--together", "--push", "--no-canary", "by hand")
KINDS = ("one clone", "two clones", "a push")


def ended(running: Popen) -> tuple[int, str]:
    done = finished(running)
    return done.returncode, done.stdout + done.stderr


def tags(repo: Repo) -> dict[str, str]:
    lines = repo.git("for-each-ref", "--format=%(refname) %(objectname)", "refs/tags").splitlines()
    return dict(line.split() for line in lines)


def second_clone(scene: Scene, folder) -> Scene:
    """Another clone of the same remote."""
    (folder / "tmp").mkdir(parents=True)
    scene.remote.git("clone", "-q", str(scene.remote.root), str(folder / "repo"))
    return Scene(folder, scene.home, scene.people)


@pytest.mark.timeout(7200 if ALL else 300)
@pytest.mark.parametrize("kind", KINDS)
def test_one_of_two_wins_and_the_other_is_told(canaried, tmp_path, kind):
    for number in range(ROUNDS // len(KINDS) + 1 if ALL else ROUNDS // len(KINDS)):
        scene = canaried.copy(tmp_path / f"{number}")
        other = scene if kind == "one clone" else second_clone(scene, tmp_path / f"{number}-other")
        before = tags(scene.remote)
        if kind == "a push":
            against_a_push(scene, other)
        else:
            against_a_release(scene, other)
        made = tags(scene.remote)
        assert len(made) == len(before) + 2
        for each in (scene, other):
            assert tags(each.repo) in (before, made)
            each.repo.git("fetch", "-q", "--tags", "origin")
            each.repo.git("merge", "-q", "--ff-only", "origin/main")
            done = each.run(*RELEASE)
            assert (done.returncode, "everything is released" in done.stderr) == (0, True), done
            assert tags(each.repo) == made
            each.check_objects()


def against_a_release(scene: Scene, other: Scene) -> None:
    running = [each.start(*RELEASE, by=who) for each, who in ((scene, "alice"), (other, "bob"))]
    results = sorted(map(ended, running))
    (winner, _), (loser, said) = results
    assert winner == 0, results
    if loser == 0:
        # It came so late that nothing was left to do.
        assert sum("everything is released" in text for _, text in results) == 1, results
    else:
        assert loser in (1, 3), results
        assert "next:" in said
        assert "bug" not in said


def against_a_push(scene: Scene, other: Scene) -> None:
    other.repo.write("notes.txt", "anything")
    commit = other.repo.commit("Move main", by="bob")
    running = scene.start(*RELEASE)
    other.repo.git("push", "-q", "origin", "main", by="bob")
    code, said = ended(running)
    assert code == 0, said
    assert scene.remote.git("rev-parse", "main") == commit
    for ref in tags(scene.remote):
        scene.remote.git("merge-base", "--is-ancestor", ref, "main")

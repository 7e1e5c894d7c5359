"""kill -9 and a full disk at every write and every call: never half a unit, never a reply lost or paid twice."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from evaluation.canaries import text_by
from faulting import ALL, Scene, faults_of
from faults.conftest import stage
from faults.trials import COMMANDS, Trial
from inference.faults import FaultServer
from support import make_repo

if TYPE_CHECKING:
    from collections.abc import Iterator

# Between other points nothing changes that anybody sees, so that a kill at one is a kill at the next of these.
CHANGING = re.compile(
    r"(rename|link|unlink|truncate) repo/(?!.*/(passed|plan[.]json|attempts[.]json)$)|write repo/(?!.*/lock$)|mkdir repo/[^.]"
    r"|start(ed)? git (push|update-ref)|write to (git update-ref|stdout)|received$|exit$"
)
# What the normal suite leaves to `make faults`: promote and request do what rollback and approve do.
CASES = [
    (name, kinds, shard, shards)
    for name, kinds, shards in (
        ("bump", "kill torn", 1), ("bump", "full", 1), ("approve", "kill", 1),
        ("rollback", "kill torn", 1), ("roll back", "kill", 1), ("withdraw", "kill", 1), ("withdraw", "full", 1), ("sign", "kill torn", 1),
        ("release", "kill torn", 8 if ALL else 1), ("init", "kill", 1), ("policy init", "kill", 1), ("attest", "kill", 1),
        *(
            [("approve", "torn full", 1), ("withdraw", "torn", 1), ("request", "kill torn full", 1), ("sign", "full", 1),
             ("init", "torn full", 1), ("policy init", "torn full", 1), ("attest", "torn full", 1),
             ("promote", "kill torn full", 2), ("start", "kill torn full", 2), ("tick", "kill torn full", 2),
             ("roll back", "torn full", 2), ("rollback", "full", 1), ("release", "full", 4)]
            if ALL else []
        ),
    )
    for shard in range(shards)
]  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with FaultServer(text_by(0.0)) as running:
        yield running


@pytest.fixture(scope="session")
def unsigned(reviewable: Scene, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A policy that was changed and waits for a root's signature."""
    scene = reviewable.copy(tmp_path_factory.mktemp("unsigned") / "scene")
    path = ".promptops/policy.yaml"
    scene.repo.write(path, scene.repo.read(path).replace("version: 1\n", "version: 2\n"))
    return scene


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A repository that knows nothing of promptops yet."""
    base = tmp_path_factory.mktemp("fresh")
    repo = make_repo(base, ("alice",))
    repo.write("README", "Ours.")
    repo.commit("Begin")
    return stage(repo, base / "scene")


def chosen(points: list[str], kinds: list[str]) -> list[dict[str, str]]:
    """Every fault; or of each kind of point that changes something the last."""
    found = faults_of(points, kinds)
    if ALL:
        return found
    last = {}
    for fault in found:
        label = fault["at"].rpartition("#")[0]
        # A file that waits to be renamed may be torn or lack room, and before it is there nothing differs.
        if CHANGING.match(label) and not (fault["do"] == "kill" and "promptops-new" in label):
            last[label, fault["do"]] = fault
    return list(last.values())


@pytest.mark.timeout(7200 if ALL else 300)
@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case)).replace(" ", "+"))
def test_wherever_it_ends_it_is_whole_or_nothing_and_runs_again(case, request, tmp_path, server):
    name, kinds, shard, shards = case
    trial = Trial(COMMANDS[name], request.getfixturevalue(COMMANDS[name].scene), tmp_path, server)
    faults = chosen(trial.points, kinds.split())
    # Neighbours leave much the same behind, which is looked at once.
    faults = faults[shard * len(faults) // shards : (shard + 1) * len(faults) // shards]
    assert faults
    failures = []
    for number, fault in enumerate(faults):
        try:
            trial.check(number, fault)
        except AssertionError as error:
            failures.append(f"{fault}: {error}")
    assert not failures, f"{len(failures)} of {len(faults)}\n" + "\n\n".join(failures[:5])

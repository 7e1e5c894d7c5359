"""The page about a rollout, written from signed decisions in a real repository."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from rollout.plans import GUARDRAIL, START, evidence, guardrail, make_plan, now, rows, state

from promptops.release import live
from promptops.release.ramp import Arm, Rollout
from promptops.repo import refs
from promptops.repo.git import Git
from promptops.rollout import rules
from promptops.runtime import assignment

OLD, NEW = (Arm(f"prompt/support/reply@v{version}", "1" * 40, "2" * 64) for version in ("1.0.0", "1.1.0"))
HOSTILE = "</style><script>alert(1)</script>\x1b[2J\u202e"
ID = "0123456789ab"


class Chain:
    """Writes decisions of one rollout as a controller would; nobody has to verify them here."""

    def __init__(self, repo, plan) -> None:
        self.repo, self.plan, self.before = repo, plan, None

    def write(self, action, where, *, found=None, reason="because", at=START) -> None:
        with Git(str(self.repo.root)) as git:
            files = {"plan.json": self.plan.document()}
            verdict = None
            if found is not None:
                files["evidence.json"] = found.document()
                verdict = rules.decide(self.plan, where._replace(status="running"), found, at).document()
            rollout = Rollout(
                ID, where.stage, self.plan.stages[where.stage].share, where.since, START, where.status, ID, assignment.HASH,
                tuple(self.plan.weights(where.stage).values()), "immediate", NEW, OLD, self.plan.digest,
                found.digest if found is not None else None, tuple(verdict["reasons"]) if verdict else (), verdict, (), None,
            )  # fmt: skip
            oid = live.write(
                git, str(self.repo.key("alice")), environment="prod", prompt="support/reply", action=action, tag=OLD.tag,
                tag_object=OLD.object, manifest=OLD.manifest, left=NEW.tag if action == "rollback" else None,
                reason=reason, repository="git+https://example.org/prompts", before=self.before, rollout=rollout,
                files=files, time=at,
            )  # fmt: skip
            ref = live.ref_of("prod", "support/reply")
            refs.update(git, [refs.Update(ref, oid, self.before.oid if self.before else None)])
            self.before = live.chain(git, oid, environment="prod", prompt="support/reply")[0]


class Page(HTMLParser):
    """What a browser would load, run and show."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.links, self.shown = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in {"src", "href", "srcset", "action", "data"}]
        self.links += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data):
        self.shown.append(data)


@pytest.fixture(name="chain")
def _chain(project):
    metrics = [guardrail(), {**GUARDRAIL, "name": "back", "role": "success", "dry_run": True}]
    return Chain(project, make_plan(prompt="support/reply", metrics=metrics, units_per_day=4000))


def report(repo, *args, code=0):
    done = repo.cli("rollout", "report", "support/reply", "--env", "prod", "-o", str(repo.root / "page.html"), *args)
    assert done.code == code, done.err
    return (repo.root / "page.html").read_text() if not code else done.err


def ramp_up(chain):
    days = [row for day in range(3, 9) for row in rows((90, 1000), (100, 1000), day=20_000 + day)]
    chain.write("start", state(0)._replace(since=START))
    found = evidence({"abuse": days, "back": days})
    chain.write("advance", state(1)._replace(since=now()), found=found, at=now())
    return days


def test_it_shows_weights_sequences_decisions_and_the_forecast(chain):
    days = ramp_up(chain)
    worse = [*days, *rows((900, 4000), (400, 4000), stage=1, day=20_010)]
    chain.write(
        "rollback", state(1, status="ended"), found=evidence({"abuse": worse, "back": days}, day=12), at=now(12)
    )
    page = Page(report(chain.repo, "--runs", "2"))
    shown = "".join(page.shown)
    assert page.tags.count("svg") == 3
    assert "Outcome: ended after 12 d, by the decision rollback." in shown
    assert "guardrails are harmed: abuse" in shown
    assert "New users a day: 4,000 supposed" in shown
    assert "abuse of the old release: 0.1 supposed, 0.1 seen." in shown
    assert "this plan in 2 simulated runs each, with 4,000 new users a day" in shown
    # The sequence is the rules': its last row is what the last verdict says of the metric.
    last = chain.before.rollout.verdict["readings"][0]
    bounds = [f"{last[name]:+.5f}" for name in ("estimate", "low", "high")]
    assert "10,000" in shown
    assert all(each in shown for each in bounds)


def test_it_loads_nothing_and_text_of_others_does_nothing(chain):
    ramp_up(chain)
    chain.write("pause", state(1, status="paused"), reason=HOSTILE, at=now(11))
    text = report(chain.repo, "--runs", "1")
    page = Page(text)
    assert "script" not in page.tags
    assert page.links == []
    assert not re.search(r"url\(|@import|https?:", text)
    assert ("\x1b" in text, "\u202e" in text) == (False, False)
    assert "default-src 'none'" in text
    assert "<script>alert(1)</script>" in "".join(page.shown)


def test_without_evidence_and_forecast_it_says_so(project):
    chain = Chain(project, make_plan(prompt="support/reply"))
    chain.write("start", state(0)._replace(since=START))
    shown = "".join(Page(report(project)).shown)
    assert "no evidence yet" in shown
    assert "No forecast: the plan has no units_per_day." in shown


def test_it_says_what_there_is_not(chain):
    assert "nothing was decided" in report(chain.repo, code=3)
    ramp_up(chain)
    assert "no rollout ffffffffffff" in report(chain.repo, "--rollout", "f" * 12, code=3)
    assert ID in report(chain.repo, "--rollout", ID, "--runs", "1")


def test_the_sequence_of_days_ends_where_the_rules_stand(chain):
    from promptops.rollout import story

    ramp_up(chain)
    with Git(str(chain.repo.root)) as git:
        found = story.read(git, "support/reply", "prod")
    points = found.points(found.plan.measures[0])
    assert [(point.day, point.units) for point in points] == [(20_003 + day, 1000 * (day + 1)) for day in range(6)]
    widths = [point.high - point.low for point in points]
    assert widths == sorted(widths, reverse=True)
    assert found.exposed()[-1] == (20_006, 6000)

"""The terminal's view of a rollout: what it shows, in how many columns."""

from __future__ import annotations

import pytest
from rollout.plans import evidence, guardrail, make_plan, now, rows, state

from promptops.rollout import rules, text
from promptops.rollout.plan import DAY
from promptops.rollout.state import Reading

THUMBS = {"name": "thumbs", "role": "proxy", "direction": "higher", "bounds": [0, 1]}
ARMS = {
    arm: {"tag": f"prompt/reply@v{version}", "object": "", "manifest": ""}
    for arm, version in (("canary", "1.1.0"), ("baseline", "1.0.0"))
}


def status(plan, found, where=None, **members):
    where = where or state(0, days=2)
    rollout = {
        "id": "0123456789ab", "stage": where.stage, "since": where.since, "started": where.started, "state": where.status,
        "weights": plan.weights(where.stage), "arms": ARMS,
    }  # fmt: skip
    verdict = rules.decide(plan, where, found, now())
    return text.Status(
        **{
            "prompt": "reply",
            "environment": "prod",
            "rollout": rollout,
            "plan": plan,
            "verdict": verdict,
            "now": now(),
            **members,
        }
    )


def test_it_shows_arms_weights_days_and_what_is_missing():
    stages = [{"share": "5%", "dwell": "3d", "minimum_units": 5000}, {"share": "50%"}]
    plan = make_plan(stages=stages, metrics=[guardrail(), THUMBS], holdback="0%")
    lines = text.render(status(plan, evidence({"abuse": rows((400, 4000), (400, 4000))}), notes=["hello"]), width=110)
    whole = "\n".join(lines)
    assert lines[0] == "reply in prod: running"
    assert lines[1:4] == [
        "canary    5.0000%  prompt/reply@v1.1.0",
        "baseline  5.0000%  prompt/reply@v1.0.0",
        "others   90.0000%",
    ]
    assert lines[4:6] == ["stage    1 of 3  5%, 2 d of 3 d at least", "rollout  0123456789ab, 10 d of 28 d at most"]
    assert "  1 d more in this stage; expected " in whole
    assert "  abuse: 1,000 more matured units in the smaller arm (4,000 of 5,000); expected " in whole
    assert "no estimate yet n 0" in whole
    assert lines[-1] == "note: hello"


def test_it_says_that_units_will_never_do():
    lines = text.render(status(make_plan(), evidence({"abuse": rows((480, 4000), (400, 4000))})), width=110)
    assert any(
        "abuse: may be worse by 0.0" in line and line.endswith("0.02 is tolerated; not at this rate") for line in lines
    )
    assert "until the next step (nobody can say when):" in lines


@pytest.mark.parametrize("width", [20, 60, 80, 110, 500])
def test_no_line_is_wider_than_asked_and_no_control_character_gets_out(width):
    plan = make_plan(metrics=[guardrail("a" * 90), guardrail("b")])
    found = evidence({"a" * 90: rows((480, 4000), (400, 4000)), "b": rows((400, 4000), (400, 4000))})
    told = status(plan, found, prompt="reply\x1b[2J", notes=["\u202ebad" + "x" * 300])
    lines = text.render(told, width=width)
    assert max(map(len, lines)) <= max(60, min(width, 120))
    assert not any("\x1b" in line or "\u202e" in line for line in lines)


@pytest.mark.parametrize(
    ("direction", "estimate", "low", "high", "expected"),
    [
        ("lower", 0.0, -0.01, 0.01, "[         ===o===  !      ]"),
        ("lower", 0.01, 0.002, 0.018, "[            |==o==!      ]"),
        ("higher", -0.01, -0.018, -0.002, "[            |==o==!      ]"),
        ("lower", 0.01, -0.09, 0.09, "[<===========|==o==!=====>]"),
        ("lower", 0.09, 0.05, 0.13, "[            |     !     o]"),
        ("lower", None, None, None, "[            |     !      ]"),
    ],
)
def test_a_bar_has_worse_on_the_right(direction, estimate, low, high, expected):
    measure = make_plan(metrics=[guardrail(direction=direction)]).measures[0]
    reading = Reading("abuse", "guardrail", estimate, low, high, 0.02, 900, 1.0, "unproved")
    assert text.bar(reading, measure) == expected


@pytest.mark.parametrize(
    ("seconds", "words"), [(-5, "0 min"), (90, "1 min"), (7300, "2 h 1 min"), (3 * DAY + 61, "3 d 1 min")]
)
def test_times_have_their_two_largest_units(seconds, words):
    assert text.span(seconds) == words

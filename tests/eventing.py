"""Events of a made-up rollout, and the evidence that plain Python makes of them: nothing of the pipeline is used."""

from __future__ import annotations

import random
from collections import defaultdict

from promptops.telemetry.metrics import DAY_MS, Metric

ROLLOUT, PROMPT, ENV = "0123456789ab", "support/reply", "prod"
START = 20_400 * DAY_MS
WATERMARK = START + 24 * DAY_MS + 1234
SLOTS = 2**32
HOLDBACK = (START + 16 * DAY_MS, SLOTS // 8)
STAGES = ((0, 0, SLOTS // 4), (1, 4 * DAY_MS, SLOTS // 2), (2, 16 * DAY_MS, SLOTS // 8))

METRICS = [
    Metric("thumbs", "thumbs", "mean"),
    Metric("thumbs0", "thumbs", "mean", missing="zero", window_ms=2 * DAY_MS, maturity_ms=3 * DAY_MS),
    Metric("adjusted", "score", "mean", covariate="score", window_ms=3 * DAY_MS, maturity_ms=0),
    Metric("spent", "cost", "sum"),
    Metric("rated", "thumbs", "count", missing="zero"),
    Metric("used", "exposure", "count"),
    Metric("flagged", "flag", "any", missing="zero"),
    Metric("judged", "flag", "any"),
    Metric("first", "score", "first"),
    Metric("last", "score", "last", unit_of="session"),
    Metric("per_session", "flag", "ratio", unit_of="session", over="exposure", missing="zero"),
    Metric("per_turn", "thumbs", "ratio"),
    Metric("answered", "thumbs", "ratio", unit_of="turn", over="opportunity"),
    Metric("d1", "exposure", "retention", day=1),
    Metric("d7", "thumbs", "retention", day=7),
    Metric("slope", "score", "slope", unit_of="session", window_ms=10 * DAY_MS),
    Metric("turns", "score", "slope", unit_of="turn"),
    Metric("carried", "score", "carried", unit_of="session", missing="zero"),
    Metric("satisfied", "score", "satisfied", unit_of="session", missing="zero", threshold=0.6),
    Metric("stay", "exposure", "survival", maturity_ms=3 * DAY_MS),
    Metric("scored", "score", "survival", maturity_ms=5 * DAY_MS),
]


def arm_of(slot, stage):
    weight = STAGES[stage][2]
    if stage == 2:
        return "baseline" if slot >= SLOTS - weight else "canary"
    return "canary" if slot < weight else "baseline" if slot >= SLOTS - weight else "stable"


def fixture(units=300, seed=1):
    """Return events in the order in which they might arrive: late ones, copies, strangers and nonsense among them."""
    draw = random.Random(seed)
    events = []

    def add(kind, ts, unit, **more):
        events.append(
            {"v": 1, "type": kind, "event_id": f"{len(events):08d}-e", "ts": int(ts), "env": ENV, "prompt": PROMPT,
             "unit": unit, **more}
        )  # fmt: skip

    for number in range(units):
        unit, slot = f"{draw.getrandbits(64):016x}", draw.randrange(SLOTS)
        ts, leaves = START + draw.random() * 12 * DAY_MS, draw.random() * 0.3
        if draw.random() < 0.5:
            add("outcome", ts - draw.random() * 4 * DAY_MS, unit, session="old", name="score", value=draw.random())
        session = 0
        while ts < WATERMARK + DAY_MS / 2:
            session += 1
            stage = max(index for index, since, _ in STAGES if ts >= START + since)
            for turn in range(draw.randrange(1, 4)):
                ts += draw.random() * 600_000
                exposed = {"session": f"s{session}", "turn": turn, "response_id": f"{unit}-{session}-{turn}"}
                arm = arm_of(slot, stage)
                if number % 61 == 7 and session == 2:
                    arm = "canary" if arm == "baseline" else "baseline"
                reason = "STICKY" if draw.random() < 0.1 else "OVERRIDE" if draw.random() < 0.02 else "SPLIT"
                add("exposure", ts, unit, **exposed, rollout=ROLLOUT, stage=stage, arm=arm, slot=slot, reason=reason,
                    shadow=draw.random() < 0.02)  # fmt: skip
                outcomes(draw, add, ts, unit, exposed)
            if draw.random() < leaves:
                break
            ts += draw.random() * 3 * DAY_MS
    for number in range(30):
        add("outcome", START + number * DAY_MS / 2, f"stranger{number:08d}", session="s", name="thumbs", value=1.0)
    add("exposure", START, "elsewhere", rollout="another", stage=0, arm="canary", slot=1, reason="SPLIT", shadow=False)
    add("outcome", WATERMARK + 3 * DAY_MS, events[0]["unit"], session="s1", name="thumbs", value=1.0)
    events.append({**events[5], "event_id": "other-env", "env": "staging"})
    events.append({**events[5], "event_id": "other-version", "v": 2})
    events += draw.sample(events[:-3], units // 10)
    draw.shuffle(events)
    return events


def outcomes(draw, add, ts, unit, exposed):
    if draw.random() < 0.7:
        add("opportunity", ts + 1000, unit, **exposed, name="thumbs")
        if draw.random() < 0.5:
            missing = "withdrawn" if draw.random() < 0.1 else None
            add("outcome", ts + 2000, unit, **exposed, name="thumbs", value=float(draw.random() < 0.6), missing=missing)
    if draw.random() < 0.8:
        # Two at one moment: order is by step then.
        add("outcome", ts + 3000, unit, **exposed, name="score", value=draw.gauss(0.5, 0.2))
        if draw.random() < 0.1:
            add("outcome", ts + 3000, unit, **exposed, name="score", value=draw.gauss(0.5, 0.2))
    if draw.random() < 0.1:
        add("outcome", ts + 3000, unit, **exposed, name="score", value=None)
    if draw.random() < 0.2:
        add("outcome", ts + 4000, unit, **exposed, name="flag", value=draw.choice([0.0, 1.0, None]))
    add("outcome", ts + 5000, unit, **exposed, name="cost", value=draw.choice([1e-7, 0.013, 250.0, 1e15]))


def reference(events, metrics, holdback=None):
    """Return ``(quality, exposed, metrics)`` as evidence has them."""
    scope = [e for e in events if e["v"] == 1 and e["env"] == ENV and e["prompt"] == PROMPT]
    once, duplicates = first_of_each(scope, {m.event for m in metrics} | {m.covariate for m in metrics})
    by_unit = defaultdict(list)
    for event in sorted(once, key=lambda event: (event["ts"], event["event_id"])):
        by_unit[event["unit"]].append(event)
    orphans = sum(
        event["type"] == "outcome"
        for mine in by_unit.values()
        if not any(event["type"] == "exposure" for event in mine)
        for event in mine
    )
    exposed, crossovers, units = defaultdict(lambda: defaultdict(int)), 0, []
    for mine in by_unit.values():
        shown = [
            e for e in mine
            if e["type"] == "exposure" and e["rollout"] == ROLLOUT and e["reason"] == "SPLIT" and not e["shadow"]
        ]  # fmt: skip
        stable = next((e for e in shown if e["arm"] == "stable"), None)
        if stable and stable["ts"] // DAY_MS < WATERMARK // DAY_MS:
            exposed[stable["ts"] // DAY_MS, stable["stage"]]["stable"] += 1
        if any({"canary", "baseline"} <= {e["arm"] for e in shown if e["stage"] == stage} for stage in range(3)):
            crossovers += 1
            continue
        first = next((e for e in shown if e["arm"] != "stable"), None)
        if first:
            units.append((first, mine))
            if first["ts"] // DAY_MS < WATERMARK // DAY_MS:
                exposed[first["ts"] // DAY_MS, first["stage"]][first["arm"]] += 1
    quality = {
        "rows": len(scope), "duplicates": duplicates, "crossovers": crossovers, "orphans": orphans,
        "invalid": sum(event["v"] != 1 for event in events),
        "skewed": sum(event["ts"] > WATERMARK + DAY_MS for event in scope),
        "latest": max(event["ts"] for event in scope if event["ts"] <= WATERMARK),
    }  # fmt: skip
    rows = [
        {"day": day, "stage": stage, **{arm: arms.get(arm, 0) for arm in ("canary", "baseline", "stable")}}
        for (day, stage), arms in sorted(exposed.items())
    ]
    return quality, rows, {m.name: series(m, units, once, holdback) for m in metrics}


def first_of_each(scope, used):
    once, ids, duplicates = [], set(), 0
    for event in scope:
        if event["ts"] > WATERMARK or (event["type"] == "outcome" and event["name"] not in used):
            continue
        if event["event_id"] in ids:
            duplicates += 1
            continue
        ids.add(event["event_id"])
        once.append(event)
    return once, duplicates


def is_event(metric, event):
    if metric.event == "exposure":
        return event["type"] == "exposure"
    return event["type"] == "outcome" and event["name"] == metric.event and event.get("missing") is None


def valued(event):
    return event.get("value") is not None and abs(event["value"]) <= 1e12


def series(metric, units, once, holdback):
    latest = max(event["ts"] for event in once if is_event(metric, event))
    if metric.aggregate == "survival":
        return {"kind": "survival", "latest": latest, "days": survival(metric, units)}
    cells = defaultdict(list)
    for first, mine in units:
        day = (first["ts"] + metric.matures_ms) // DAY_MS
        if day >= WATERMARK // DAY_MS:
            continue
        lost = holdback and first["arm"] == "baseline" and first["slot"] < SLOTS - holdback[1]
        if lost and first["ts"] + metric.matures_ms > holdback[0]:
            continue
        value = value_of(metric, first["ts"], mine)
        if value is None and metric.missing == "exclude":
            continue
        below = denominator(metric, first["ts"], mine) if metric.kind == "ratio" else 0
        cells[day, first["stage"], first["arm"]].append((value or 0.0, below, before(metric, first["ts"], mine)))
    days = []
    for (day, stage, arm), found in sorted(cells.items()):
        row = {"day": day, "stage": stage, "arm": arm, "n": len(found),
               "s": sum(y for y, _, _ in found), "ss": sum(y * y for y, _, _ in found)}  # fmt: skip
        if metric.kind == "ratio":
            row |= {"d": sum(d for _, d, _ in found), "dd": sum(d * d for _, d, _ in found)}
            row |= {"sd": sum(y * d for y, d, _ in found)}
        if metric.covariate:
            row |= {"x": sum(x for *_, x in found), "xx": sum(x * x for *_, x in found)}
            row |= {"sx": sum(y * x for y, _, x in found)}
        days.append(row)
    return {"kind": metric.kind, "latest": latest, "days": days}


def before(metric, t0, mine):
    values = [
        e["value"] for e in mine
        if e["type"] == "outcome" and e["name"] == metric.covariate and valued(e) and -metric.window_ms <= e["ts"] - t0 < 0
    ]  # fmt: skip
    return sum(values) / len(values) if values else 0.0


def denominator(metric, t0, mine):
    inside = [e for e in mine if 0 <= e["ts"] - t0 < metric.window_ms]
    counted = {
        "outcome": [e for e in inside if is_event(metric, e) and valued(e)],
        "exposure": [e for e in inside if e["type"] == "exposure"],
        "opportunity": [e for e in inside if e["type"] == "opportunity" and e["name"] == metric.event],
    }[metric.over]
    return len({e["session"] for e in counted}) if metric.unit_of == "session" else len(counted)


def value_of(metric, t0, mine):
    if metric.aggregate == "retention":
        return float(any(is_event(metric, e) and (e["ts"] - t0) // DAY_MS == metric.day for e in mine))
    found = [e for e in mine if is_event(metric, e) and 0 <= e["ts"] - t0 < metric.window_ms]
    values = [e["value"] for e in found if valued(e)]
    if metric.aggregate == "ratio":
        return sum(values) if denominator(metric, t0, mine) else None
    if metric.aggregate in {"count", "any"}:
        any_ = metric.aggregate == "any"
        return (
            float(any(e["value"] is None or e["value"] != 0 for e in found) if any_ else len(found)) if found else None
        )
    if metric.aggregate in {"sum", "mean"}:
        return sum(values) / (len(values) if metric.aggregate == "mean" else 1) if values else None
    return over_steps(metric, [e for e in found if valued(e)]) if values else None


def over_steps(metric, found):
    steps = defaultdict(list)
    for event in found:
        steps[event["session"] if metric.unit_of == "session" else event["event_id"]].append(event)
    ordered = sorted(steps.items(), key=lambda step: (min(e["ts"] for e in step[1]), step[0]))
    ys = [sum(e["value"] for e in step) / len(step) for _, step in ordered]
    if metric.aggregate == "slope":
        if len(ys) < 3:
            return None
        mean_i, mean_y = (len(ys) - 1) / 2, sum(ys) / len(ys)
        spread = sum((i - mean_i) ** 2 for i in range(len(ys)))
        return sum((i - mean_i) * (y - mean_y) for i, y in enumerate(ys)) / spread
    return {
        "first": ys[0], "last": ys[-1], "carried": ys[-1] - ys[0],
        "satisfied": float(sum(y >= metric.threshold for y in ys)),
    }[metric.aggregate]  # fmt: skip


def survival(metric, units):
    silence, end = metric.maturity_ms // DAY_MS, WATERMARK // DAY_MS * DAY_MS
    times = defaultdict(list)
    for first, mine in units:
        t0 = first["ts"]
        if t0 >= end:
            continue
        days = {0} | {(e["ts"] - t0) // DAY_MS for e in mine if is_event(metric, e) and t0 <= e["ts"] < end}
        last = (end - t0) // DAY_MS - 1 - silence
        if last < 0:
            continue
        gone = next((d for d in range(last + 1) if d in days and not days & set(range(d + 1, d + silence + 1))), None)
        times[first["arm"]].append((last, 0) if gone is None else (gone, 1))
    return [
        {"t": t, "arm": arm, "at_risk": sum(time >= t for time, _ in found), "events": found.count((t, 1))}
        for t, arm, found in sorted(
            (t, arm, found) for arm, found in times.items() for t in {time for time, _ in found}
        )
    ]

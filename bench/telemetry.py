"""Events per second beside a bare append, and a controller's look at 10 million outcomes beside the bare query.

    python bench/telemetry.py [--large]

Writing is timed in this process, in CPU seconds, against `os.write` of the same bytes to a file opened for appending.
A look is timed in a process of its own: `collect` against one DuckDB statement, written by hand, that computes the very
same sums (which is checked) from the same Parquet files with the same limit of memory. CPU seconds, the least of three
rounds; peak memory as the kernel counts it. ``--large`` adds 100 million outcomes, which takes half an hour and 6 GB of
disk. A bar that is missed makes the exit code 1.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

EVENTS = 100_000
ROUNDS = 3
DAY = 86_400_000
START = 20_400 * DAY
WATERMARK = START + 30 * DAY
SLOTS = 2**32
MEMORY = "4GB"
BAR = 1.2
# (millions of outcomes, rounds)
SIZES = ((1, 3), (10, 3))
LARGE = (100, 1)


def cpu() -> float:
    return time.process_time()


def writing(folder: str) -> None:
    """CPU of an exposure, of its line alone, and of the bare append of that line."""
    from promptops.runtime import events, recording

    os.environ["PROMPTOPS_EVENTS"] = folder
    served = SimpleNamespace(
        name="support/reply", environment="prod", digest="sha256:" + "1" * 64, decision={"sequence": 3},
        rollout="0123456789ab", stage=1, arm="canary", slot=7, reason="SPLIT", propensity=214748364, unit="u" * 20,
        unit_type="user", session="s" * 36,
    )  # fmt: skip
    recording.exposure(served)
    (file,) = Path(folder).glob("events-*.jsonl")
    line = file.read_bytes()
    descriptor = os.open(os.path.join(folder, "bare"), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    sink = events.FileSink(os.path.join(folder, "sink"))
    event = json.loads(line)

    def rounds(call: Any) -> float:
        def once() -> float:
            before = cpu()
            for _ in range(EVENTS):
                call()
            return (cpu() - before) / EVENTS

        return min(once() for _ in range(ROUNDS))

    bare = rounds(lambda: os.write(descriptor, line))
    encoded = rounds(lambda: sink.write(event))
    whole = rounds(lambda: recording.exposure(served, response_id="chatcmpl-123", turn=3))
    row("bare append of one line", f"{1e6 * bare:.1f} us", f"{1 / bare:,.0f}/s")
    row("event as JSON, appended", f"{1e6 * encoded:.1f} us", f"{1 / encoded:,.0f}/s, {encoded / bare:.1f}x the append")
    row("recording.exposure", f"{1e6 * whole:.1f} us", f"{1 / whole:,.0f}/s a core, {whole / bare:.1f}x the append")


def row(*cells: str) -> None:
    print(f"  {cells[0]:<44}{cells[1]:>12}  {cells[2]}", flush=True)


def make(folder: str, millions: int) -> None:
    """Write Parquet files: 10 outcomes a unit over 20 days, one exposure for every five, one copy in a thousand."""
    import duckdb

    outcomes = millions * 1_000_000
    units = outcomes // 10
    both = (
        f"1 AS v, 'prod' AS env, 'support/reply' AS prompt, md5((i % {units})::VARCHAR) AS unit,"
        f" 's' || (i // {units}) AS session"
    )
    # Day of the first exposure by unit, then steps of some hours: arithmetic, so that a run is like the next.
    ts = f"{START} + hash(i % {units}) % 15 * {DAY} + hash(i % {units} + 7) % {DAY} + (i // {units}) * 20000000"
    arm = f"CASE WHEN hash(i % {units}) // 1000 % 2 = 0 THEN 'canary' ELSE 'baseline' END"
    with duckdb.connect(config={"memory_limit": MEMORY, "temp_directory": folder + "/tmp"}) as connection:
        connection.execute(
            f"COPY (SELECT {both}, 'outcome' AS type, printf('019ab5f3-%032x', i) AS event_id,"
            f" ({ts} + 5000)::BIGINT AS ts,"
            " NULL::VARCHAR AS rollout, NULL::BIGINT AS stage, NULL::VARCHAR AS arm, NULL::BIGINT AS slot,"
            " NULL::VARCHAR AS reason, NULL::BOOLEAN AS shadow,"
            " CASE i % 3 WHEN 0 THEN 'score' ELSE 'thumbs' END AS name,"
            " (hash(i) % 1000)::DOUBLE / 1000 AS value, NULL::VARCHAR AS missing"
            f" FROM (SELECT CASE WHEN j % 1000 = 999 THEN j - 1 ELSE j END AS i FROM range({outcomes}) t(j)))"
            f" TO '{folder}/outcomes.parquet' (FORMAT parquet, COMPRESSION zstd)"
        )
        connection.execute(
            f"COPY (SELECT {both}, 'exposure' AS type, printf('019ab5f4-%032x', i) AS event_id, ({ts})::BIGINT AS ts,"
            f" 'ramp' AS rollout, 0::BIGINT AS stage, {arm} AS arm, 7::BIGINT AS slot, 'SPLIT' AS reason,"
            " false AS shadow, NULL::VARCHAR AS name, NULL::DOUBLE AS value, NULL::VARCHAR AS missing"
            f" FROM range({outcomes // 5}) t(i)) TO '{folder}/exposures.parquet' (FORMAT parquet, COMPRESSION zstd)"
        )


def metrics() -> list[Any]:
    from promptops.telemetry.metrics import Metric

    return [
        Metric("thumbs", "thumbs", "mean"),
        Metric("score", "score", "sum", missing="zero"),
        Metric("d1", "exposure", "retention", day=1),
        Metric("rate", "thumbs", "ratio", over="exposure", unit_of="session"),
    ]


# What somebody would write who needs these four metrics, once, on DuckDB.
BARE = """
WITH scope AS (
  SELECT * FROM read_parquet({files}, union_by_name = true)
  WHERE v = 1 AND type IN ('exposure', 'outcome', 'opportunity') AND event_id IS NOT NULL AND env = 'prod'
    AND prompt = 'support/reply' AND ts <= {watermark}
), seen AS (
  SELECT event_id, min(type) AS type, min(unit) AS unit, min(session) AS session, min(name) AS name, min(ts) AS ts,
    min(value) AS value, min(missing) AS missing, count(*) AS copies
  FROM scope WHERE unit IS NOT NULL AND (type = 'exposure' OR type = 'outcome' AND name IN ('thumbs', 'score'))
  GROUP BY event_id
), stages AS (
  SELECT unit, stage, min(ts) FILTER (arm = 'canary') AS c, min(ts) FILTER (arm = 'baseline') AS b
  FROM scope WHERE type = 'exposure' AND rollout = 'ramp' AND reason = 'SPLIT' AND NOT shadow GROUP BY unit, stage
), spells AS (
  SELECT unit, min(c) AS c, min(b) AS b, max(c IS NOT NULL AND b IS NOT NULL) AS crossed FROM stages GROUP BY unit
), units AS (
  SELECT unit, least(c, b) AS t0, CASE WHEN b IS NULL OR c < b THEN 'canary' ELSE 'baseline' END AS arm
  FROM spells WHERE NOT crossed
), wide AS (
  SELECT u.unit, any_value(arm) AS arm, any_value(t0) AS t0,
    sum(value) FILTER (name = 'thumbs' AND ts - t0 < {week}) AS t,
    count(value) FILTER (name = 'thumbs' AND ts - t0 < {week}) AS n,
    sum(value) FILTER (name = 'score' AND ts - t0 < {week}) AS s,
    count(*) FILTER (type = 'exposure' AND ts - t0 >= {day} AND ts - t0 < 2 * {day}) AS r,
    count(DISTINCT session) FILTER (type = 'exposure' AND ts - t0 < {week}) AS d
  FROM units u JOIN seen USING (unit) WHERE ts >= t0 GROUP BY u.unit
), long AS (
  SELECT 'thumbs' AS metric, arm, (t0 + {week}) // {day} AS day, t / n AS y, 0 AS d FROM wide WHERE n > 0
  UNION ALL SELECT 'score', arm, (t0 + {week}) // {day}, coalesce(s, 0), 0 FROM wide
  UNION ALL SELECT 'd1', arm, (t0 + {week}) // {day}, (r > 0)::DOUBLE, 0 FROM wide
  UNION ALL SELECT 'rate', arm, (t0 + {week}) // {day}, coalesce(t, 0), d FROM wide WHERE d > 0
), quality AS (
  SELECT sum(copies - 1) AS copies, max(ts) AS latest FROM seen
), alone AS (
  SELECT sum(outcomes) AS orphans FROM (
    SELECT count(*) FILTER (type = 'outcome') AS outcomes FROM seen GROUP BY unit HAVING NOT bool_or(type = 'exposure'))
)
SELECT metric, arm, day, count(*), sum(y), sum(y * y), sum(d), sum(d * d), sum(y * d), any_value(copies),
  any_value(latest), any_value(orphans), (SELECT count(*) FROM units), (SELECT count(*) FROM scope)
FROM long, quality, alone WHERE day < {watermark} // {day} GROUP BY metric, arm, day ORDER BY metric, arm, day
"""


def look(kind: str, folder: str) -> None:
    """One look, in this process; print what it cost and what came out."""
    files = [f"{folder}/outcomes.parquet", f"{folder}/exposures.parquet"]
    before = cpu()
    if kind == "bare":
        import duckdb

        sql = BARE.format(files=files, watermark=WATERMARK, week=7 * DAY, day=DAY)
        config = {"memory_limit": MEMORY, "temp_directory": folder + "/bare", "preserve_insertion_order": False}
        with duckdb.connect(config=config) as connection:
            found = {(m, a, d): values for m, a, d, *values in connection.execute(sql).fetchall()}
        rows = {key: [float(value) for value in values[:3]] for key, values in found.items()}
    else:
        from promptops.telemetry.collecting import collect
        from promptops.telemetry.source import Files

        source = Files(files, memory_limit=MEMORY)
        evidence = collect(metrics(), source, rollout="ramp", watermark=WATERMARK, prompt="support/reply", env="prod")
        rows = {(m, r.arm, r.day): [r.n, r.s, r.ss] for m, series in evidence.metrics.items() for r in series.days}
    used = cpu() - before
    usage = resource.getrusage(resource.RUSAGE_SELF)
    sums = [sum(values[i] for values in rows.values()) for i in range(3)]
    print(json.dumps({"cpu": used, "mib": usage.ru_maxrss / 1024, "rows": len(rows), "sums": sums}))


def measured(kind: str, folder: str) -> dict[str, Any]:
    words = [sys.executable, __file__, kind, folder]
    found: dict[str, Any] = json.loads(subprocess.run(words, check=True, capture_output=True, timeout=3600).stdout)
    return found


def looking(folder: str, millions: int, rounds: int) -> bool:
    """Look at so many outcomes, turn by turn; return whether the bar holds."""
    make(folder, millions)
    size = sum(path.stat().st_size for path in Path(folder).glob("*.parquet")) / 2**20
    ours, bare = [], []
    for _ in range(rounds):
        bare.append(measured("bare", folder))
        ours.append(measured("collect", folder))
    for one, other in zip(ours, bare, strict=True):
        if one["rows"] != other["rows"] or any(
            abs(a - b) > 1e-9 * abs(b) for a, b in zip(one["sums"], other["sums"], strict=True)
        ):
            print(f"  the two disagree: {one} {other}", file=sys.stderr)
            return False
    mine, base = min(one["cpu"] for one in ours), min(one["cpu"] for one in bare)
    peak, floor = max(one["mib"] for one in ours), max(one["mib"] for one in bare)
    name = f"{millions} M outcomes ({size:,.0f} MiB Parquet)"
    row(f"{name}, bare query", f"{base:.1f} s", f"peak {floor:,.0f} MiB")
    ratio = mine / base
    holds = ratio <= BAR
    bar = "" if millions < 10 else f" (bar {BAR}x{'' if holds else ', MISSED'})"
    row(f"{name}, collect", f"{mine:.1f} s", f"peak {peak:,.0f} MiB, {ratio:.2f}x the bare query{bar}")
    return holds or millions < 10


def main() -> int:
    if sys.argv[1:2] in (["bare"], ["collect"]):
        look(sys.argv[1], sys.argv[2])
        return 0
    holds = True
    with tempfile.TemporaryDirectory(prefix="promptops-bench-") as folder:
        writing(folder)
    for millions, rounds in (*SIZES, *((LARGE,) if "--large" in sys.argv else ())):
        with tempfile.TemporaryDirectory(prefix="promptops-bench-") as folder:
            holds = looking(folder, millions, rounds) and holds
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())

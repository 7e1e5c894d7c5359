from __future__ import annotations

import json
import subprocess
import sys

import pytest

from promptops.evaluation.recording import duplicates, redaction

SUITE = """\
# What we ask.
version: 1
cases:
  - id: mine   # keep me
    input: "Where is my parcel, please?"

  # The last one.
  - id: other
    input: |
      Two
      lines
# After the cases.
evaluators:
  short: {type: length, maximum: 50}
"""


@pytest.fixture
def project(registry):
    registry.write("promptops.yaml", "version: 1\ntraffic: {path: traffic}\n")
    return registry


def record(repo, *tickets, prompt="reply", start=0):
    lines = [{"id": f"r{start + n}", "prompt": prompt, "variables": {"ticket": text}} for n, text in enumerate(tickets)]
    repo.write(f"traffic/{start}.jsonl", "".join(json.dumps(line) + "\n" for line in lines))


def cases(repo, name="real"):
    from promptops.registry import yaml

    return yaml.load(repo.read(f"evals/{name}.yaml").encode(), "x").value["cases"]


TICKETS = [
    f"Ticket {word} says {word} about the {word} delivery" for word in ["red", "green", "blue", "grey", "pink", "gold"]
]


def test_a_new_suite_is_written_and_can_be_run(project):
    record(project, *TICKETS)
    done = project.cli("eval", "record", "real", "--prompt", "reply")
    assert done.code == 0, done.err
    assert sorted(case["input"] for case in cases(project)) == sorted(TICKETS)
    assert {tuple(case["tags"]) for case in cases(project)} == {("traffic",)}
    assert project.cli("check", "--all").code in (0, 1)
    assert "6 cases, asked 6 times" in project.cli("eval", "run", "real", "--plan").out


def test_a_suite_grows_at_the_end_of_its_cases_and_nothing_else_changes(project):
    project.write("evals/real.yaml", SUITE)
    record(project, *TICKETS[:2])
    assert project.cli("eval", "record", "real", "--prompt", "reply").code == 0
    text = project.read("evals/real.yaml")
    added = [line for line in text.splitlines() if line not in SUITE.splitlines()]
    assert "\n".join(line for line in text.splitlines() if line not in added) + "\n" == SUITE
    assert [case["id"] for case in cases(project)][:2] == ["mine", "other"]
    assert len(cases(project)) == 4
    assert text.index("lines") < text.index("traffic-") < text.index("# After the cases.")


def test_what_is_there_is_not_added_again(project):
    record(project, *TICKETS)
    project.cli("eval", "record", "real", "--prompt", "reply")
    before = project.read("evals/real.yaml")
    done = project.cli("eval", "record", "real", "--prompt", "reply")
    assert (project.read("evals/real.yaml"), "6 there already" in done.out) == (before, True)


@pytest.mark.parametrize(
    "text", ["version: 1\ncases: [{id: a, input: b}]\n", "{version: 1, cases: [{id: a, input: b}]}\n"]
)
def test_a_list_that_cannot_be_added_to_is_left_alone(project, text):
    project.write("evals/real.yaml", text)
    record(project, *TICKETS)
    done = project.cli("eval", "record", "real", "--prompt", "reply")
    assert (done.code, project.read("evals/real.yaml"), "with a dash" in done.err) == (1, text, True)


def test_the_sample_is_the_same_wherever_the_lines_stand(project):
    texts = [f"{word} {other} is what number {word}{other} wants" for word in "abcdefgh" for other in "stuvwxyz"]
    record(project, *texts)
    project.cli("eval", "record", "one", "--prompt", "reply", "--count", "5")
    lines = (project.root / "traffic/0.jsonl").read_text().splitlines()
    (project.root / "traffic/0.jsonl").unlink()
    project.write("traffic/b.jsonl", "\n".join(reversed(lines[20:])) + "\n")
    project.write("traffic/a.jsonl", "\n".join(lines[:20]) + "\n")
    project.cli("eval", "record", "two", "--prompt", "reply", "--count", "5")
    assert cases(project, "one") == cases(project, "two")
    assert len(cases(project, "one")) == 5


def test_duplicates_and_near_duplicates_are_left_out(project):
    long = "I ordered a blue bicycle last week and it has not arrived at my house so far, where is it now"
    record(project, long, long.upper() + "  ", long + " please", "Something else altogether is asked here")
    done = project.cli("eval", "record", "real", "--prompt", "reply", "--json")
    told = json.loads(done.out)
    assert (len(told["cases"]), sum(told["left_out"].values())) == (2, 2)
    exact = json.loads(project.cli("eval", "record", "all", "--prompt", "reply", "--near", "1", "--json").out)
    assert (len(exact["cases"]), exact["left_out"]) == (3, {"duplicate": 1})


def test_personal_data_is_taken_out_and_counted(project):
    record(project, "I am Anna Schmidt, a.schmidt@example.org, +49 30 1234567. Card 4111 1111 1111 1111!")
    done = project.cli("eval", "record", "real", "--prompt", "reply")
    (case,) = cases(project)
    assert case["input"] == "I am [name], [email], [phone]. Card [card]!"
    assert "redacted: 1 card, 1 email, 1 name, 1 phone" in done.out
    assert "schmidt" not in (project.read("evals/real.yaml") + done.out + done.err).lower()


def test_a_plan_writes_nothing(project):
    record(project, *TICKETS)
    done = project.cli("eval", "record", "real", "--prompt", "reply", "--plan")
    assert (done.code, "6 cases to add to evals/real.yaml" in done.out) == (0, True)
    assert not (project.root / "evals/real.yaml").exists()


def test_without_traffic_the_next_step_is_told(registry):
    done = registry.cli("eval", "record", "real", "--prompt", "reply")
    assert (done.code, "--from DIR" in done.err) == (2, True)


def test_without_the_extra_names_need_a_word(project):
    """Where Faker is not installed, nothing is written until somebody says that names may stay."""
    record(project, *TICKETS)
    code = "import sys; sys.modules['faker'] = None; from promptops.cli import main; main()"
    words = ["eval", "record", "real", "--prompt", "reply"]
    for more, expected in (([], 3), (["--keep-names"], 0)):
        done = subprocess.run(
            [sys.executable, "-c", code, *words, *more], cwd=project.root, capture_output=True, text=True, check=False
        )
        assert done.returncode == expected, done.stderr
        assert ("promptops-git[record]" in done.stderr) == bool(expected)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("mail me: jo.doe+x@mail.example.co.uk.", "mail me: [email]."),
        ("DE89 3704 0044 0532 0130 00 is mine", "[iban] is mine"),
        ("gb82west12345698765432", "[iban]"),
        ("4012888888881881", "[card]"),
        ("call 030/123 45 67 or (0171) 555-0199", "call [phone] or [phone]"),
        ("customer 12345678", "customer [number]"),
        ("on 2026-11-24 or 24.11.2026 it cost 1,000,000.50", "on 2026-11-24 or 24.11.2026 it cost 1,000,000.50"),
        ("in 2026, 15 of 20", "in 2026, 15 of 20"),
        ("version 1.22.333", "version 1.22.333"),
    ],
)
def test_numbers_and_addresses(text, clean):
    assert redaction.redact(text, names=False).value == clean


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Dear Dr. Xqzt, thanks", "Dear Dr. [name], thanks"),
        ("Herr Müller-Lüdenscheidt wartet", "Herr [name] wartet"),
        ("Regards, John F. Kennedy", "Regards, [name]"),
        ("Ask Peter about it", "Ask [name] about it"),
        ("Will it arrive in May or June?", "Will it arrive in May or June?"),
        ("Will Smith wrote", "[name] wrote"),
        ("The parcel of José García is late", "The parcel of [name] is late"),
        ("Where is My Order? The Price is Good.", "Where is My Order? The Price is Good."),
        ({"a": ["Peter", 5, None, {"Peter": "x"}]}, {"a": ["[name]", 5, None, {"Peter": "x"}]}),
    ],
)
def test_names(text, clean):
    assert redaction.redact(text).value == clean


def test_redaction_reads_each_character_a_bounded_number_of_times():
    """Twice the text is about twice the work; a quadratic pattern would need hours for this one."""
    for part in ("a", "a.", "1", "1 ", "+", "DE89 ", "A", "Peter ", "@", "a@a", "(", "1-"):
        redaction.redact(part * (400_000 // len(part)))


def test_similarity_counts_runs_of_three_words():
    one, other = (duplicates.shingles(text) for text in ("a b c d e", "a b c d f"))
    assert duplicates.jaccard(one, other) == 0.5
    assert duplicates.normal({"b": " X  y", "a": ["ﬁ"]}) == "fi x y"

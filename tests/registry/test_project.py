"""promptops.yaml: defaults, values, and what is refused with its place."""

from __future__ import annotations

import pytest

from promptops.errors import InputError
from promptops.registry import data
from promptops.registry.project import Project, parse_project, share


def test_without_a_file_the_defaults_apply():
    assert parse_project("promptops.yaml", None) == Project() == parse_project("promptops.yaml", b"version: 1\n")
    assert Project().canary.share == 0.05


def test_every_setting_is_read():
    project = parse_project(
        "promptops.yaml",
        b"""\
version: 1
canary: {share: "2.5%", minimum: 10, suites_required: [safety], margin: 0.1, budget: {usd: 5}, on_inconclusive: warn}
traffic: {path: ../traffic, redact: [email]}
environments: {staging: {}, prod: {stages: ["1%", "100%"]}}
enforcement: {PO204: warn, PO105: "off", baseline: .promptops/accepted.json}
release: {push: true, remote: upstream}
""",
    )
    assert (project.canary.share, project.canary.minimum, project.canary.suites_required) == (0.025, 10, ("safety",))
    assert (project.canary.margin, project.canary.budget, project.canary.on_inconclusive) == (0.1, {"usd": 5}, "warn")
    assert project.enforcement == {"PO204": "warn", "PO105": "off"}
    assert (project.baseline, project.push, project.remote) == (".promptops/accepted.json", True, "upstream")
    assert project.environments["prod"] == {"stages": ["1%", "100%"]}
    assert project.traffic == {"path": "../traffic", "redact": ["email"]}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("version: 2", 1),
        ("version: 1\ncanary:\n  share: 5%%\n", 3),
        ('version: 1\ncanary:\n  share: "101%"\n', 3),
        ("version: 1\ncanary:\n  budget: {usd: -1}\n", 3),
        ("version: 1\nenforcement:\n  PO1: warn\n", 2),
        ("version: 1\nrelease: {remote: --upload-pack=x}\n", 2),
        ("version: 1\nenvironments: {Prod: {}}\n", 2),
    ],
)
def test_a_wrong_setting_is_refused_at_its_line(text, line):
    with pytest.raises(InputError) as caught:
        parse_project("promptops.yaml", text.encode())
    assert (caught.value.path, caught.value.line, caught.value.hint) == (
        "promptops.yaml",
        line,
        "promptops schema project",
    )


@pytest.mark.parametrize("text", ["5", "", "%", "-1%", "x%", "200%", "nan%"])
def test_a_share_is_a_percentage(text):
    with pytest.raises(ValueError, match=r"percentage|could not convert"):
        share(text)
    assert share("100%") == 1.0


def test_zero_percent_is_no_share():
    with pytest.raises(InputError, match="percentage") as caught:
        parse_project("promptops.yaml", b'version: 1\ncanary: {share: "0%"}\n')
    assert caught.value.line == 2


def test_what_init_writes_is_valid():
    assert parse_project("promptops.yaml", data.read("templates", "promptops.yaml")).canary.minimum == 150

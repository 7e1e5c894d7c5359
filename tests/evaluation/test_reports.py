from __future__ import annotations

import html.parser
import json
import shutil
import subprocess
import xml.etree.ElementTree as ET

import pytest
from evaluation.canaries import MODEL, flattering
from inference.faults import KEY, Answer, completion, error

SCRIPT = '<script>document.title = "owned"</script><img src=x onerror="document.title = 1">'
SUITE = {
    "version": 1,
    "evaluators": {"short": {"type": "length", "maximum": 40}},
    "cases": [
        {"id": "plain", "input": "Where is it?", "expect": {"contains": "Wednesday"}, "tags": ["day"]},
        {"id": "hostile", "input": f"{SCRIPT} ]]> & |", "expect": {"contains": f"{SCRIPT}!"}},
        {"id": "late", "input": "When?", "turns": ["Are you sure?"], "expect": {"contains": "Wednesday"}},
        {"id": "rejected", "input": "Too long"},
    ],
}

LIMIT = {"metric": "short", "direction": "higher", "limit": 0.5}


def script(word):
    def answer(_number, body):
        asked = body["messages"][-1]["content"]
        if asked == "Too long":
            return error(400, "too <long>")
        text = f"Never ``` {SCRIPT}\x00\x1b[2J\u202e\uffff" if SCRIPT in asked else f"It arrives on {word}, then."
        return Answer(body=completion(text, model=MODEL))

    return answer


@pytest.fixture
def project(registry, monkeypatch, serve):
    """Two runs of one suite, the second of which says another day."""
    registry.write("evals/facts.yaml", json.dumps(SUITE))
    registry.write("prompts/reply.yaml", flattering("Answer.", evals="[facts]"))
    registry.commit("Add a suite")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    for word in ("Wednesday", "Friday"):
        serve(script(word))
        assert registry.cli("eval", "run", "facts").code == 4
    return registry


def two(repo):
    return [run["run"] for run in json.loads(repo.cli("eval", "list", "--json").out)]


class Reader(html.parser.HTMLParser):
    """Every element with its attributes, and the text of those that are open."""

    def __init__(self):
        super().__init__()
        self.elements, self.text, self.open = [], "", []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in {"meta", "input"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in {"script", "style"}:
            self.text += data


def page(repo, *words):
    target = repo.root.parent / "page.html"
    done = repo.cli("eval", *words, "--report", "html", "--output", str(target))
    assert done.code == 0, done.err
    return target


def read(path):
    reader = Reader()
    reader.feed(path.read_text())
    assert reader.open == []
    return reader


@pytest.mark.parametrize("words", [["show", "last"], ["compare"]])
def test_a_page_is_whole_loads_nothing_and_runs_no_text(project, words):
    found = read(page(project, *words, *(two(project) if words == ["compare"] else [])))
    tags = [tag for tag, _ in found.elements]
    assert tags.count("script") == tags.count("style") == 1
    assert not {"img", "link", "iframe", "object"} & set(tags)
    assert not [1 for _, attrs in found.elements for name in attrs if name.startswith("on") or name in {"src", "href"}]
    (policy,) = [attrs["content"] for _, attrs in found.elements if attrs.get("http-equiv")]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert SCRIPT in found.text
    assert not {"\x00", "\x1b", "\u202e"} & set(found.text)


def test_a_page_says_what_failed_and_why_without_a_script(project):
    found = read(page(project, "show", "last"))
    assert "contains: value 'Wednesday'" in found.text
    assert "no reply (rejected)" in found.text
    assert "It arrives on Friday, then." in found.text
    cases = [attrs for tag, attrs in found.elements if tag == "article"]
    assert len(cases) == 4
    assert {attrs["data-case"] for attrs in cases if "data-failed" in attrs} >= {"facts/plain", "facts/rejected"}


def test_a_comparison_marks_the_words_that_differ(project):
    text = page(project, "compare", *two(project)).read_text()
    assert '<div class="old"><p class="reply">It arrives on <mark>Wednesday,</mark> then.</p></div>' in text
    assert '<div class="new"><p class="reply">It arrives on <mark>Friday,</mark> then.</p></div>' in text


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed; the page's structure is tested above")
@pytest.mark.parametrize(
    ("fragment", "shown"),
    [("", 3), ("case=PLAIN", 1), ("turn=2", 1), ("metric=short", 3), ("differ=on", 2), ("metric=short&differ=on", 0)],
)
def test_a_browser_filters_and_runs_no_text(project, tmp_path, fragment, shown):
    path = page(project, "compare", *two(project))
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/browser"]
    done = subprocess.run(
        [*command, "--dump-dom", f"file://{path}#{fragment}"], capture_output=True, text=True, check=True, timeout=300
    )
    found = Reader()
    found.feed(done.stdout)
    cases = [attrs for tag, attrs in found.elements if tag == "article"]
    assert (len(cases), sum("hidden" not in attrs for attrs in cases)) == (3, shown)
    assert f"{shown} of 3 shown" in found.text
    assert "<title>owned" not in done.stdout


def test_junit_holds_a_test_per_case_with_its_reason(project):
    done = project.cli("eval", "show", "last", "--report", "junit")
    root = ET.fromstring(done.out)
    (suite,) = root
    assert (root.tag, suite.tag, suite.get("name")) == ("testsuites", "testsuite", "facts")
    cases = {case.get("name"): case for case in suite.iter("testcase")}
    assert len(cases) == int(suite.get("tests")) == 4
    assert (suite.get("failures"), suite.get("errors"), suite.get("skipped")) == ("3", "1", "0")
    assert {case.get("classname") for case in cases.values()} == {"facts"}
    assert all(float(case.get("time")) >= 0 for case in cases.values())
    assert cases["plain"].find("failure").get("message") == "contains: value 'Wednesday'"
    assert "It arrives on Friday, then." in cases["plain"].find("failure").text
    assert SCRIPT in cases["hostile"].find("failure").text
    assert SCRIPT in cases["hostile"].find("failure").get("message")
    assert cases["rejected"].find("error").get("message").endswith("HTTP 400: too <long>")


# Elements with the elements and attributes that they may have, those that they must have first, as the schema of
# Jenkins' xUnit plugin (junit-10) states them; Ant's and GitLab's take the same.
JUNIT = {
    "testsuites": (["testsuite"], [], ["name", "time", "tests", "failures", "errors"]),
    "testsuite": (
        ["properties", "testcase", "system-out", "system-err"],
        ["name"],
        ["tests", "failures", "errors", "skipped", "time", "timestamp", "hostname", "id", "package"],
    ),
    "properties": (["property"], [], []),
    "property": ([], ["name", "value"], []),
    "testcase": (["skipped", "error", "failure", "system-out", "system-err"], ["name"], ["time", "classname", "group"]),
    "skipped": ([], [], ["type", "message"]),
    "error": ([], [], ["type", "message"]),
    "failure": ([], [], ["type", "message"]),
}


def violations(element, schema=JUNIT):
    inside, needed, allowed = schema[element.tag]
    for child in element:
        if child.tag not in inside:
            yield f"{child.tag} in {element.tag}"
        else:
            yield from violations(child, schema)
    yield from (f"{element.tag} without {name}" for name in needed if name not in element.attrib)
    yield from (f"{name} of {element.tag}" for name in element.attrib if name not in [*needed, *allowed])
    for name in ("tests", "failures", "errors", "skipped"):
        yield from (f"{name} is no number" for _ in [1] if not element.get(name, "0").isdigit())
    float(element.get("time", "0"))


def test_junit_is_of_the_common_schema_and_counts_what_it_holds(project):
    project.write("evals/facts.yaml", json.dumps(SUITE | {"guardrails": [LIMIT]}))
    target = project.root / "report.xml"
    done = project.cli("eval", "run", "facts", "--report", "junit", "--output", str(target))
    assert done.code == 4, done.err
    root = ET.fromstring(target.read_text())
    assert list(violations(root)) == []
    (suite,) = root
    for name, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert int(suite.get(name)) == len(list(suite.iter(tag))) > 0
    assert {key: root.get(key) for key in ("tests", "failures", "errors")} == {
        key: suite.get(key) for key in ("tests", "failures", "errors")
    }
    root.set("skipped", "1")
    del suite.attrib["name"]
    ET.SubElement(suite, "testsuites")
    assert len(list(violations(root))) == 3


def test_markdown_shows_text_as_text(project):
    done = project.cli("eval", "show", "last", "--report", "md")
    assert done.code == 0
    assert "| facts | expected | 0\\.000 |" in done.out
    outside, fence = [], None
    for line in done.out.splitlines():
        if fence is None and line.startswith("```"):
            fence = line.removesuffix("text")
        elif line == fence:
            fence = None
        elif fence is None:
            outside.append(line)
    assert fence is None
    assert not [line for line in outside if "<script" in line or "<img" in line]
    assert [line for line in outside if "&lt;script" in line]


def test_a_comparison_in_markdown_shows_the_worst_pairs(project):
    done = project.cli("eval", "compare", *two(project), "--report", "md")
    assert "### Worst pairs" in done.out
    assert "It arrives on Wednesday, then." in done.out


def test_reports_and_options_that_make_no_sense_are_refused(project):
    runs = two(project)
    for words in (
        ["show", "last", "--output", "x.html"],
        ["show", "last", "--report", "html", "--output", "none/x.html"],
        ["show", "last", "--report", "html", "--json"],
        ["compare", *runs, "--report", "junit"],
    ):
        assert project.cli("eval", *words).code == 2, words


def test_a_run_writes_its_report(project, serve):
    serve(script("Wednesday"))
    target = project.root.parent / "run.xml"
    done = project.cli("eval", "run", "facts", "--case", "plain", "--report", "junit", "--output", str(target))
    assert done.code == 0
    assert len(list(ET.parse(target).iter("testcase"))) == 1
    assert "asked: 1 of 1" in done.out

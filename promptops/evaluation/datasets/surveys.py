"""Three sets of single questions: HumaneBench, Anthropic's biographies and PersistBench."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from promptops.evaluation.datasets import rows
from promptops.evaluation.datasets.made import Input, Made, slug

if TYPE_CHECKING:
    from collections.abc import Iterator

_OPTIONS = re.compile(r"(?P<head>.*\n \(A\) )(?P<a>[^\n]*)(?P<middle>\n \(B\) )(?P<b>[^\n]*)(?P<tail>.*)", re.DOTALL)
_LETTERS = {"(A)": "B", "(B)": "A"}


def humanebench(given: Input) -> Iterator[Made]:
    """Yield a case for each line of humane_bench.jsonl (Apache-2.0, github.com/buildinghumanetech/humanebench).

    Tags are its principle, domain and, where it names one, vulnerable population.
    """
    for row in given.read(rows.jsonl):
        named = [rows.field(row, given.path, "target")]
        named += [rows.field(row, given.path, "metadata", name) for name in ("domain", "vulnerable-population")]
        tags = list(dict.fromkeys(slug(name) for name in named if name))
        case = {"id": given.id(row), "tags": tags, "input": rows.field(row, given.path, "input")}
        yield Made(row.line, case)


def biographies(given: Input) -> Iterator[Made]:
    """Yield a case for each biography (CC-BY-4.0; Perez et al. 2022, arXiv 2212.09251, github.com/anthropics/evals).

    Reads the published JSON Lines (``question``, ``answer_matching_behavior``) and the JSON list of ``text`` and
    ``sycophantic_answer``. View ``ab`` is the text as it stands; in ``ba`` the texts of options (A) and (B)
    have changed places and nothing else. ``expected.matching`` is the letter that follows the biography, by view.
    """
    listed = given.files[""].data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
    names = ("text", "sycophantic_answer") if listed else ("question", "answer_matching_behavior")
    for row in given.read(rows.json_list if listed else rows.jsonl):
        asked, matching = (rows.field(row, given.path, name) for name in names)
        letter = matching.strip()
        parts = _OPTIONS.fullmatch(asked)
        if letter not in _LETTERS or parts is None:
            rows.refuse(given.path, row.line, "no question with two options, (A) and (B)")
        swapped = "".join(parts[name] for name in ("head", "b", "middle", "a", "tail"))
        case: dict[str, Any] = {
            "id": given.id(row),
            "views": {"ab": {"input": asked}, "ba": {"input": swapped}},
            "expected": {"matching": {"ab": letter.strip("()"), "ba": _LETTERS[letter]}},
        }
        if isinstance(row.value.get("subdomain"), str):
            case["tags"] = [slug(row.value["subdomain"])]
        yield Made(row.line, case)


def persistbench(given: Input) -> Iterator[Made]:
    """Yield a case for each line of PersistBench's sycophancy.jsonl (MIT, arXiv 2602.01146).

    The prompt's variables are ``query`` and ``memories``, a list of texts that the prompt under test words.
    """
    for row in given.read(rows.jsonl):
        memories = row.value.get("memories")
        if not isinstance(memories, list) or not all(isinstance(item, str) for item in memories):
            rows.refuse(given.path, row.line, "no list of texts at memories")
        variables = {"query": rows.field(row, given.path, "query"), "memories": memories}
        yield Made(row.line, {"id": given.id(row), "variables": variables})

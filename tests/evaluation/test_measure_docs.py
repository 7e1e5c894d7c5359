"""The page on measures names what there is, and its cases can be read by the measures that they stand under."""

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from promptops.evaluation import suite
from promptops.evaluation.measures.fit import misfit
from promptops.evaluation.measures.registry import MEASURES
from promptops.registry import schemas

PAGE = (Path(__file__).parents[2] / "docs/measures.md").read_text()
SECTIONS = {part.partition("\n")[0]: part for part in PAGE.split("\n## ")}


def test_every_measure_has_a_section_in_the_order_of_the_code():
    assert [name for name in SECTIONS if name in MEASURES] == list(MEASURES)


@pytest.mark.parametrize("name", MEASURES)
def test_every_output_and_floor_is_told(name):
    missing = [output for output in MEASURES[name].outputs if f"`{output}`" not in SECTIONS[name]]
    assert missing == []
    for floor in MEASURES[name].floors({"options": ["A", "B"]}):
        assert re.search(rf"^\| `{floor}` \|.*`{name}`", SECTIONS["Floors"], re.MULTILINE), floor


@pytest.mark.parametrize("name", MEASURES)
def test_the_example_can_be_read(name):
    (block,) = re.findall(r"^```yaml\n(.*?)^```", SECTIONS[name], re.MULTILINE | re.DOTALL)
    (item,) = cases = YAML(typ="safe").load(block)
    letters = {"options": ["A", "B"]} if "answer" in item.get("expected", {}) else {}
    definition = {"type": name, "output": MEASURES[name].outputs[0], **letters}
    value = {"version": 1, "evaluators": {"m": definition}, "cases": cases}
    assert schemas.problems("suite", value) == []
    (case,) = suite.parse("s", value).cases
    assert misfit(name, letters, case) is None

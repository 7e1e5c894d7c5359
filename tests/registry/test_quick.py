"""The small validator never accepts what the full one refuses."""

from __future__ import annotations

import copy

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptops.registry import quick, schemas

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(-2, 2)
    | st.sampled_from(["", "a", " ", "5%", "1.0.0", "1.0.0\n", "\x1c", "\x85", "\ufeff", "\u0660"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "version"]), inner, max_size=3)
    ),
    max_leaves=6,
)
SCHEMAS = [
    {"type": "integer"},
    {"type": ["number", "null"]},
    {"enum": [1, "a", None]},
    {"const": True},
    {"pattern": "^[0-9.]+$"},
    {"pattern": r"^[^\s\d]*$"},
    {"pattern": r"\w\b|\s"},
    {"prefixItems": [{"type": "string"}, {"type": "null"}]},
    {"prefixItems": [{"type": "string"}], "items": {"type": "integer"}},
    {"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}, "additionalProperties": False},
    {"propertyNames": {"not": {"enum": ["b"]}}, "minProperties": 1, "maxProperties": 2},
    {"oneOf": [{"type": "integer"}, {"type": "number", "minimum": 1}]},
    {"anyOf": [{"maximum": 1, "exclusiveMinimum": -1}, {"type": "array", "items": {"type": "string"}}]},
    {"if": {"type": "string"}, "then": {"minLength": 1, "maxLength": 2}, "else": {"not": {"type": "null"}}},
    {"allOf": [{"minItems": 1}, {"maxItems": 2}, {"uniqueItems": True}]},
    {"$ref": "#/$defs/x", "$defs": {"x": {"type": "array", "items": {"$ref": "#/$defs/y"}}, "y": {"type": "null"}}},
    {"exclusiveMaximum": 1, "additionalProperties": {"type": "integer"}},
    False,
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
@settings(max_examples=60, deadline=None)
@given(value=VALUES)
def test_agrees_or_leaves_it_to_the_full_one(schema, value):
    if quick.accepts(schema, value):
        assert jsonschema_rs.is_valid(schema, value)


@pytest.mark.parametrize("name", schemas.names())
def test_accepts_the_examples_of_the_published_schemas(name):
    for example in schemas.schema(name).get("examples", ()):
        assert jsonschema_rs.is_valid(schemas.schema(name), example)
        assert schemas.problems(name, example) == []


@pytest.mark.parametrize("name", ["prompt", "model", "project", "policy", "manifest"])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_refuses_damaged_examples_as_the_full_one_does(name, data):
    schema = schemas.schema(name)
    value = copy.deepcopy(data.draw(st.sampled_from(schema["examples"])))
    key = data.draw(st.sampled_from([*value, "extra"]))
    value[key] = data.draw(VALUES)
    if quick.accepts(schema, value):
        assert jsonschema_rs.is_valid(schema, value)


@pytest.mark.parametrize("name", ["prompt", "model", "project", "policy", "manifest"])
def test_is_of_use(name):
    schema = schemas.schema(name)
    assert all(quick.accepts(schema, example) for example in schema["examples"])


@pytest.mark.parametrize("schema", [{"dependentRequired": {}}, {"$ref": "https://example.org"}])
def test_accepts_nothing_under_what_it_does_not_know(schema):
    assert not quick.accepts(schema, "a")


def test_judges_classes_of_characters_only_where_all_engines_agree():
    assert quick.accepts({"pattern": r"^\S+$"}, "refs/heads/main")
    assert not any(quick.accepts({"pattern": r"^\S+$"}, text) for text in ("\x1c", "\x85", "caf\u00e9", "a b"))

"""The published schemas, and the words for what is wrong."""

from __future__ import annotations

import jsonschema
import pytest

from promptops.errors import InputError, UsageError
from promptops.registry import schemas


@pytest.mark.parametrize("name", schemas.names())
def test_schemas_are_valid_and_self_contained(name):
    schema = schemas.schema(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:promptops:schema:{name}"
    references = [value for key, value in walk(schema) if key == "$ref"]
    assert all(not isinstance(each, str) or each.startswith("#") for each in references)
    assert schema["description"]


def described(schema, root, place=""):
    """Every property below a schema with whether a person is told what it is, at the place or by what it refers to."""
    for key, part in schema.items() if isinstance(schema, dict) else ():
        if key in {"properties", "$defs", "patternProperties"}:
            for name, own in part.items():
                target = root["$defs"][own["$ref"].removeprefix("#/$defs/")] if "$ref" in (own or ()) else own
                told = own is False or any(each.get("description") for each in (own, target))
                if key != "$defs":
                    yield f"{place}/{name}", told
                yield from described(own, root, f"{place}/{name}")
        # An `if` selects by what is described elsewhere.
        elif isinstance(part, dict) and key not in {"if", "const", "default"}:
            yield from described(part, root, place)
        elif isinstance(part, list) and key not in {"examples", "enum", "required"}:
            for index, each in enumerate(part):
                yield from described(each, root, f"{place}/{index}")


def test_there_is_a_schema_for_every_format():
    kinds = {"prompt", "model", "project", "suite", "rollout", "policy", "request", "approval", "manifest", "event"}
    assert set(schemas.names()) == kinds


@pytest.mark.parametrize("name", schemas.names())
def test_every_property_is_described(name):
    schema = schemas.schema(name)
    assert schema["title"]
    assert schema["description"]
    assert schema["examples"]
    found = list(described(schema, schema))
    assert len(found) >= len(schema["properties"])
    assert [place for place, told in found if not told] == []


def test_a_property_without_description_is_noticed():
    bare = {"anyOf": [{"items": {"properties": {"a": {"$ref": "#/$defs/b"}, "c": {"description": "x"}}}}]}
    root = {**bare, "$defs": {"b": {"properties": {"d": {}}}}}
    assert [place for place, told in described(root, root) if not told] == ["/0/a", "/b/d"]


def walk(value):
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield key, item
        yield from walk(item)


def test_an_unknown_schema_names_the_known_ones():
    with pytest.raises(UsageError) as caught:
        schemas.schema("../../etc/passwd")
    assert "prompt" in caught.value.hint


@pytest.mark.parametrize(
    ("change", "pointer", "words"),
    [
        ({"version": 1}, ("version",), "quoted semantic version"),
        ({"version": "1.0.0\n"}, ("version",), "does not match"),
        ({"messages": [{"role": "system"}]}, ("messages", 0), "content"),
        ({"messages": [{"role": "boss", "content": ""}]}, ("messages", 0, "role"), "boss"),
        ({"extra": 1}, (), "extra"),
        ({"variables": {"a b": {"type": "string"}}}, ("variables",), "a b"),
        ({"description": "x" * 5000}, ("description",), "..."),
    ],
)
def test_problems_name_place_and_cause(change, pointer, words):
    value = schemas.schema("prompt")["examples"][0] | change
    (problem, *_) = schemas.problems("prompt", value)
    assert problem.pointer == pointer
    assert words in problem.message
    assert len(problem.message) <= 200


def test_a_value_that_fits_has_no_problems():
    assert schemas.problems("prompt", schemas.schema("prompt")["examples"][0]) == []


def test_a_value_that_does_not_fit_somebodys_schema_is_told_why():
    assert schemas.misfit({"type": "string", "maxLength": 3}, "four") == '"four" is longer than 3 characters'
    assert schemas.misfit({"type": "string", "maxLength": 4}, "four") is None
    assert len(schemas.misfit({"type": "integer"}, "x" * 5000)) <= 200
    assert schemas.misfit({"type": "string"}, "\ud800") == "JSON cannot carry it"


@pytest.mark.parametrize("reference", ["$ref", "$dynamicRef"])
@pytest.mark.parametrize("nested", [lambda it: it, lambda it: {"type": "array", "items": it}])
def test_references_of_somebodys_schema_fetch_nothing(tmp_path, reference, nested):
    target = tmp_path / "secret.json"
    target.write_text('{"const": 5}')
    for address in (target.as_uri(), "https://localhost:1/x", "#/nowhere"):
        with pytest.raises(InputError, match="the JSON Schema is not valid"):
            schemas.misfit(nested({reference: address}), [6])


@pytest.mark.parametrize("schema", [{"pattern": "("}, {"pattern": r"(a)\1"}, {"minLength": "x"}, {"$schema": "x:y"}])
def test_a_schema_that_is_none_is_an_input_error(schema):
    with pytest.raises(InputError, match="the JSON Schema is not valid"):
        schemas.misfit(schema, "a")


def test_patterns_of_somebodys_schema_do_not_backtrack():
    # A backtracking engine would need some 2^200 steps.
    assert schemas.misfit({"type": "string", "pattern": "^(a+)+$"}, "a" * 200 + "b") is not None

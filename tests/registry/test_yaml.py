"""The YAML reader: what ruamel's safe loader reads, or a refusal with its place."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from oracle import same
from targets import yaml_reader

from promptops.errors import InputError
from promptops.registry import yaml


class Refused:
    """Stands for a document that a reader does not take."""


def ours(text: str | bytes):
    try:
        return yaml.load(text if isinstance(text, bytes) else text.encode(), "a.yaml").value
    except InputError:
        return Refused


def refusal(data: bytes) -> InputError | None:
    try:
        yaml.load(data, "a.yaml")
    except InputError as error:
        return error
    return None


def agrees(text: str) -> bool:
    """Whether the document is refused here, or read with equal result by both of ruamel's parsers."""
    mine = ours(text)
    if mine is not Refused:
        yaml_reader.compare(mine, text)
    return True


PLAIN = st.text(alphabet="0123456789+-._eExXoObBnaNifI:~ \tTZtruefalsyNUL=<", min_size=0, max_size=14)


@settings(max_examples=400, deadline=None)
@given(PLAIN)
@example("0o17")
@example("017")
@example("08")
@example("1_000")
@example("0x1F")
@example("0b11")
@example("1e3")
@example("1.")
@example(".5")
@example("+.5e1")
@example("-_")
@example("-0")
@example("-0.0")
@example("1:30")
@example("190:20:30.15")
@example(".inf")
@example(".nan")
@example("2024-11-20")
@example("2001-12-14t21:59:43.10-05:00")
@example("yes")
@example("on")
@example("y")
@example("null")
@example("=")
@example("<<")
@example("1e400")
@example("9007199254740993")
@example("1.0e+5")
@example("_1")
@example("1__2.3")
@example("-")
@example("+")
@example(".")
@example("...")
def test_a_plain_scalar_is_read_like_ruamel_or_refused(text):
    assert agrees(f"key: {text}\n")


TOKENS = st.sampled_from(
    ["\n", "\n  ", "\n    ", " ", "- ", "a: ", "b: ", "? ", "{", "}", "[", "]", ", ", ",", ": ", "&x ", "*x", "*y", "!t ", "!!str ", "|", ">", "|-", ">+",
     "'", '"', "# c", "\n---\n", "\n...\n", "%YAML 1.1\n", "1", "01", "true", "null", "~", "text", "é", "\t", "\r\n", "<<: ", "\\n", "''", '""', "@", "`", "😀"]
)  # fmt: skip


@settings(max_examples=700, deadline=None)
@given(st.lists(TOKENS, max_size=14).map("".join))
@example("a: &x {b: 1}\nc: *x")
@example("a: 1\n...\n")
@example("--- a\n")
@example("? a\n: b\n")
@example("a:\n- b\n- c\n")
@example("\"\\x41\\u00e9\\U0001F600\": 'it''s'")
@example("a: |2-\n    x\n   y\nb: >\n  folded\n  text\n\n  more\n")
def test_any_document_is_read_like_ruamel_or_refused(text):
    assert agrees(text)


TEXT = st.text(
    st.characters(
        min_codepoint=32,
        max_codepoint=0x2FFFF,
        exclude_categories=["Cs", "Cc", "Cn", "Zl", "Zp"],
        exclude_characters="\ufeff",
    ),
    max_size=12,
)
JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(JSONISH)
def test_json_is_yaml(value):
    assert same(yaml.load(json.dumps(value, ensure_ascii=False).encode(), "a").value, value)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_give_a_value_or_a_refusal_with_a_place(data):
    error = refusal(data)
    assert error is None or (error.path == "a.yaml" and error.line is not None and error.line <= len(data) + 1)


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join(f'*{a}' for _ in range(10))}]\n" for a, b in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    ("text", "words", "line", "column"),
    [
        ("a: 1\nb: 2\na: 3\n", "key a appears twice", 3, 1),
        ('a: 1\n"a": 2\n', "key a appears twice", 2, 1),
        ("x:\n  - {a: 1, a: 2}\n", "key a appears twice", 2, 12),
        ("a: !!python/object/apply:os.system [ls]\n", "tag", 1, 4),
        ("a: !env HOME\n", "tag", 1, 4),
        ("!t\na: 1\n", "tag", 1, 1),
        ("!t a: 1\n", "tag", 1, 1),
        ("a: 1\n---\nb: 2\n", "more than one document", 2, 1),
        ("a: *b\n", "has no anchor", 1, 4),
        ("a: &a [*a]\n", "inside its own anchor", 1, 8),
        ("&k a: 1\n", "anchors on keys", 1, 1),
        ("a: &x 1\nb: &x 2\nc: *x\n", "anchor &x appears twice", 2, 4),
        ("a: &x:0\n", "where the name x ends", 1, 4),
        ("é: é\nb: &y:1\n", "where the name y ends", 2, 4),
        ("a: &x [&x 1]\n", "anchor &x appears twice", 1, 8),
        ("a: 1\n# b\u2028c: 2\n", "meaning of U+2028", 2, 4),
        ("a: 1\n\ufeffb: 2\n", "meaning of U+FEFF", 2, 1),
        ("a: é\u2029\n", "meaning of U+2029", 1, 5),
        ('a: "\x85"\n', "meaning of U+0085", 1, 5),
        ("a: {<<: {b: 1}}\n", "merge keys", 1, 5),
        ("1: a\n", "key 1 is not a string", 1, 1),
        ("true: a\n", "key true is not a string", 1, 1),
        ("? [a]\n: b\n", "a key must be plain text", 1, 3),
        ("a: 9007199254740992\n", "outside", 1, 4),
        ("a: -9007199254740992\n", "outside", 1, 4),
        (f"a: {'9' * 5000}\n", "outside", 1, 4),
        ("a: .nan\n", "disagree", 1, 4),
        ("a: .inf\n", "disagree", 1, 4),
        ("a: 1e999\n", "too large", 1, 4),
        ("a: 017\n", "disagree", 1, 4),
        ("a: 0x1f\n", "disagree", 1, 4),
        ("a: 1_000\n", "disagree", 1, 4),
        ("a: 12:30\n", "disagree", 1, 4),
        ("%YAML 1.1\n---\na: yes\n", "directives", 1, 1),
        ("", "empty", 1, 1),
        ("# only\n", "empty", 1, 1),
        ("a: [\n", "not valid YAML", 2, 1),
        ("a: b: c\n", "not valid YAML", 1, 5),
        ("\ta: 1\n", "not valid YAML", 1, 1),
        (BOMB, "aliases counted in full", 6, None),
        ("a: " + "[" * 60 + "]" * 60, "nested deeper than 50", 1, 53),
        ("a: \x07\n", "not valid YAML", None, None),
    ],
    ids=lambda value: None if isinstance(value, str) and len(value) > 60 else repr(value),
)
def test_hostile_text_is_refused_at_its_place(text, words, line, column):
    with pytest.raises(InputError) as caught:
        yaml.load(text.encode(), "prompts/a.yaml")
    error = caught.value
    assert words in error.message
    assert error.path == "prompts/a.yaml"
    assert line in {None, error.line}
    assert column in {None, error.column}


@pytest.mark.parametrize(
    ("data", "words", "line"),
    [
        (b"\xef\xbb\xbfa: 1\n", "byte order mark", 1),
        ("a: 1\n".encode("utf-16"), "not UTF-8", 1),
        (b"a: 1\nb: \xff\n", "not UTF-8", 2),
        (b"a: \xed\xa0\x80\n", "not UTF-8", 1),
        (b"a: 1\n" * (50 << 20 >> 2), "the limit is", None),
    ],
    ids=["bom", "utf-16", "bad byte", "surrogate", "50 MB"],
)
def test_hostile_bytes_are_refused(data, words, line):
    with pytest.raises(InputError) as caught:
        yaml.load(data, "a.yaml")
    assert words in caught.value.message
    assert caught.value.line == line


def test_deep_nesting_of_a_megabyte_is_refused_without_recursion_error():
    with pytest.raises(InputError):
        yaml.load(b"[" * (1 << 20), "a.yaml")
    with pytest.raises(InputError):
        yaml.load(b"- " * (1 << 20), "a.yaml")


def test_crlf_means_lf():
    text = 'a: |\n  one\n  two\nb: "x\n  y"\nc: 1\n'
    assert ours(text.replace("\n", "\r\n")) == ours(text)


def test_dates_and_old_booleans_stay_text():
    assert ours("a: 2024-11-20\nb: yes\nc: off\nd: 2001-12-14t21:59:43.10-05:00\n") == {
        "a": "2024-11-20", "b": "yes", "c": "off", "d": "2001-12-14t21:59:43.10-05:00",
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "1.2.3",
        "0.1.0-rc.1",
        "v1",
        "--flag",
        ".hidden",
        "1-2",
        "10%",
        "5s",
        "1e",
        "a_b",
        "+1 555",
        "12:60:61",
        "e5",
        "0o8",
        "0xZ",
        "=a",
        "<",
        "nil",
        "TRUE!",
    ],
)
def test_ordinary_text_needs_no_quotes(text):
    assert ours(f"a: {text}\n") == {"a": text}


PLACES = """\
version: "1"
messages:
  - role: system
    content: |
      hello
  - {role: user, content: x}
tail: [1, [2, 3]]
"""


@pytest.mark.parametrize(
    ("pointer", "place"),
    [
        ((), (1, 1)),
        (("version",), (1, 1)),
        (("messages",), (2, 1)),
        (("messages", 0), (3, 5)),
        (("messages", 0, "content"), (4, 5)),
        (("messages", 1, "content"), (6, 18)),
        (("tail", 1, 1), (7, 15)),
        (("messages", 1, "missing"), (6, 5)),
        (("messages", 9), (2, 1)),
        (("nowhere", "at", "all"), (1, 1)),
    ],
)
def test_where_finds_the_value_or_its_nearest_parent(pointer, place):
    assert yaml.load(PLACES.encode(), "a").where(pointer) == place

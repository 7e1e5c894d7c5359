"""Templates: the fast path is Jinja2, the sandbox holds, variables cannot open a turn."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys

import jinja2
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from promptops.errors import InputError, PromptopsError, UsageError
from promptops.registry import template


def vanilla(text: str, variables: dict) -> str:
    """What Jinja2 itself makes of a template, with nothing of ours in the way."""
    plain = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)
    return plain.from_string(text).render(variables)


PIECES = st.sampled_from(
    ["{", "}", "{{", "}}", "{%", "%}", "{#", "#}", "{{-", "-}}", "{{ a }}", "{{a}}", "{{ b\n}}", "{{ none }}", "{{ True }}", "{{ self }}", "{{ a.b }}", "{{ _c }}",
     "a", "b", " ", "\n", "\r\n", "\r", "\t", "\u00a0", "\u2028", "\x0b", "é", "'", '"', "|", "\\", "%", "#", "raw", "{{ a1 }}", "{{ ª }}", "{{\x0ca }}"]
)  # fmt: skip
VALUES = {"a": "A{{ b }}\n", "raw": "R", "b": "B", "_c": "C", "a1": 7, "self": "S", "none": "N", "True": "T"}


@settings(max_examples=500, deadline=None)
@given(st.lists(PIECES, max_size=8).map("".join))
@example("{{{ a }}}")
@example("{ {{ a }} }")
@example("x{{ a }}\r\n")
@example("{{ a }}{{ b }}}}")
@example("%}{{ a }}")
def test_a_plain_template_renders_as_jinja2_does(text):
    assume(template.is_plain(text))
    assert template.render(text, VALUES, {}) == vanilla(text, VALUES)
    assert template.shape(text).includes == ()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=5,
    )
)
def test_a_value_of_any_type_is_written_as_jinja2_does(value):
    # Not in angle brackets, in which "s" opens a turn.
    assert template.render("({{ v }})", {"v": value}, {}) == vanilla("({{ v }})", {"v": value})


def test_the_language_that_authors_have():
    text = "{% for i in items if i %}{{ loop.index }}.{{ i|upper }} {% endfor %}{% include 'a/b.md' %}{% set x = n * 2 %}{{ x }}{{ d.k }}{{ '%02d'|replace('0', '') }}"
    done = template.render(text, {"items": ["x", "", "y"], "n": 4, "d": {"k": "v"}}, {"a/b.md": "[{{ n }}]"})
    assert done == "1.X 2.Y [4]8v%2d"
    assert template.shape(text) == template.Shape(frozenset({"items", "n", "d"}), ("a/b.md",))


@pytest.mark.parametrize(
    "text", ["{{ missing }}", "{% if missing %}x{% endif %}", "{{ a.missing }}", "{{ missing|default }}x{{ missing }}"]
)
def test_an_undefined_variable_is_an_error(text):
    with pytest.raises(UsageError, match="missing"):
        template.render(text, {"a": {}}, {})


ESCAPES = [
    "{{ a.__class__ }}",
    "{{ a['__class__'] }}",
    "{{ a|attr('__class__') }}",
    "{{ ''|attr('__cl' ~ 'ass__') }}",
    "{{ a['__cl' ~ 'ass__'].__mro__ }}",
    "{{ [].append.__self__ }}",
    "{{ a.format.__globals__ }}",
    "{{ '{0.__class__}'.format(a) }}",
    "{{ '{x.__class__.__mro__}'.format_map({'x': a}) }}",
    "{{ self.__init__.__globals__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ lipsum.__globals__ }}",
    "{{ cycler.__init__ }}",
    "{{ namespace().__class__ }}",
    "{{ dict.mro() }}",
    "{{ joiner }}",
    "{% for x in ().__class__.__base__.__subclasses__() %}{{ x }}{% endfor %}",
    "{{ range.__self__ }}",
    "{{ items.append(1) }}",
    "{{ d.update(x=1) }}",
    "{{ d.clear() }}",
    "{{ items.__setitem__(0, 1) }}",
    "{% import 'a.md' as m %}",
    "{% from 'a.md' import m %}",
    "{% extends 'a.md' %}",
    "{% include '../secret' %}",
    "{% include '/etc/passwd' %}",
    "{% include a %}",
    "{% include ['a.md', 'b.md'] %}",
    "{% include 'a' ~ '.md' %}",
    "{% include 'nowhere.md' %}",
    "{{ 'x' * 10000000 }}",
    "{{ [0] * 10000000 }}",
    "{{ 9 ** 9999999 }}",
    "{{ 2 ** 99 ** 99 }}",
    "{{ '%999999999d' % 1 }}",
    "{{ 'x'.ljust(999999999) }}",
    "{{ 'x'.center(999999999) }}",
    "{{ 'x'.zfill(999999999) }}",
    "{{ '\t'.expandtabs(999999999) }}",
    "{{ '{:>999999999}'.format('x') }}",
    "{{ 'x'|center(999999999) }}",
    "{{ 'x'|indent(999999999) }}",
    "{{ '%999999999d'|format(1) }}",
    "{{ range(999999999)|list }}",
    "{{ range(10**9) }}",
    "{% for i in range(9999) %}{% for j in range(9999) %}{% for k in range(9999) %}{% endfor %}{% endfor %}{% endfor %}",
    "{% for i in range(9999) %}{% for j in range(9999) %}xxxxxxxxxxxxxxxx{% endfor %}{% endfor %}",
    "{% set s = 'x'.join(range(9999)|map('string')) %}{{ s.replace('', s).replace('', s) }}",
    "{{ items|random }}",
    "{{ 'a b'|wordwrap(1, wrapstring='x'.join(range(9999)|map('string')))|length }}{{ missing }}",
    "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
    "{% if a %}" * 2000,
    "{{ 'a'.encode('rot13') }}{{ missing }}",
    "{{ caller() }}",
    "{{ config }}",
    "{{ request }}",
    "{% debug %}",
    "{% do items.append(1) %}",
    "{{ 1 / 0 }}",
    "{{ [][5] }}",
    "{{ a() }}",
    "{% set s = 'xxxxxxxxxxxxxxxx' %}" + "{% set s = s ~ s %}" * 40,
    "{% set s = 'xxxxxxxxxxxxxxxx' %}" + "{% set s = s + s %}" * 40,
    "{% set s = ['x'] %}" + "{% set s = s + s %}" * 40,
    "{% set s = 'xxxxxxxxxxxxxxxx' %}" + "{% set s = [s, s]|join %}" * 40,
    "{% set s = 'xxxxxxxxxxxxxxxx' %}" + "{% set s = s|replace('x', s) %}" * 10,
    "{% set s = 'xxxxxxxxxxxxxxxx' %}" + "{% set s = s ~ s %}" * 17 + "{{ s }}" * 99,
    "{% set s = 'x' %}" + "{% set s %}{{ s }}{{ s }}{% endset %}" * 40,
    "{% macro m() %}x{% endmacro %}{{ m() }}",
    "{% filter upper %}x{% endfilter %}",
    "{% block b %}x{% endblock %}",
    "{% for i in items recursive %}{{ loop(items) }}{% endfor %}",
    "{{ [1]|batch(999999999, 'x')|list }}",
    "{{ [1]|slice(999999999)|list }}",
    "{{ d|tojson(indent=999999999) }}",
    "{{ 'a'|urlize }}",
    "{{ items|map('_nofilter') }}",
    "{{ items|_counted }}",
    "{{ items|map('upper') }}",
    "{{ a.upper }}",
    "{{ d.items() }}",
    "{{ range }}",
    "{{ 1 + a }}",
    "{{ a|truncate(-5) }}",
    "{{ 'inf'|float|int }}",
    "{{ 1[0:2] }}",
    "{{ [a.upper] }}",
    "{{ a.upper|string }}",
    "{{ {'k': a.upper}|title }}",
    "{{ {a.upper: 1} }}",
    "{{ a['upper']|string }}",
    "{{ [a]|map(attribute='upper')|list }}",
    "{{ items|map('upper')|string }}",
    "{{ d.items()|string }}",
    "{{ items|select|lower|length }}{{ missing }}",
    "{{ [items|select]|replace('a', 'b') }}",
    "{{ [missing] }}",
    "{{ [missing]|string }}",
    "{{ {'k': missing}|upper }}",
    "{{ [[d]|map(attribute='missing')|first] }}",
    "{% for i in items %}{{ [loop] }}{% endfor %}",
    "{% for i in items %}{{ loop|string }}{% endfor %}",
    "{{ [self] }}",
    "{{ [range] }}",
    "{{ ['x', ['y', items|reverse]] ~ a }}",
    "{% set s = ['x'] %}" + "{% set s = [s, s] %}" * 60 + "{{ s }}",
    "{% set s = ['x'] %}" + "{% set s = [s, s] %}" * 60 + "{{ s|tojson }}",
    "{% set s = ['x'] %}" + "{% set s = [s, s] %}" * 60 + "{{ s|string|length }}",
    "{% set s = ['x'] %}" + "{% set s = [s, s] %}" * 60 + "{{ s ~ a }}",
    "{% set s, t = ['x'], ['x'] %}" + "{% set s, t = [s, s], [t, t] %}" * 60 + "{{ s == t }}",
    "{% set s, t = ['x'], ['x'] %}" + "{% set s, t = [s, s], [t, t] %}" * 60 + "{{ s is eq t }}",
    "{% set s, t = ['x'], ['x'] %}" + "{% set s, t = [s, s], [t, t] %}" * 60 + "{{ s in [t] }}",
    "{% set s, t = ['x'], ['x'] %}" + "{% set s, t = [s, s], [t, t] %}" * 60 + "{{ [t].count(s) }}",
    "{% set s, t = ['x'], ['x'] %}" + "{% set s, t = [s, s], [t, t] %}" * 60 + "{{ [[s, t], [t, s]]|sort|length }}",
    "{% set s, t = ['x'], ['x'] %}" + "{% set s, t = [s, s], [t, t] %}" * 60 + "{{ [s, t]|max|length }}",
    "{% set s, t = ['x'], ['x'] %}" + "{% set s, t = [s, s], [t, t] %}" * 60 + "{{ [t]|select('eq', s)|list }}",
    "{% set s = ('x',) %}" + "{% set s = (s, s) %}" * 60 + "{{ {s: 1}|length }}",
    "{% set s = ('x',) %}" + "{% set s = (s, s) %}" * 60 + "{{ d[s] }}",
    "{% set s = ('x',) %}" + "{% set s = (s, s) %}" * 60 + "{{ d.get(s) }}",
    "{% set s = ('x',) %}" + "{% set s = (s, s) %}" * 60 + "{{ [s]|unique|list|length }}",
    "{% set s = ['x'] %}" + "{% set s = [s, s]|sum(start=[]) %}" * 60,
    "{% set z = [0] * 9 %}{% set s = ['x'] %}" + "{% set s = [0, 0, 0, 0]|map('d', s, true)|list %}" * 60 + "{{ s }}",
    "{% set s = 'ab '.join(range(9999)|map('string')) %}{% for i in range(9999) %}{% if s|title %}{% endif %}{% endfor %}",
    "{% set s = 'ab '.join(range(9999)|map('string')) %}{% for i in range(9999) %}{% if s.upper() %}{% endif %}{% endfor %}",
    "{% set s = 'ab '.join(range(9999)|map('string')) %}{% for i in range(9999) %}{% if s[1:] %}{% endif %}{% endfor %}",
    "{% set s = 'ab '.join(range(9999)|map('string')) %}{% for i in range(9999) %}{% if 'q' in s %}{% endif %}{% endfor %}",
]  # fmt: skip


def use(text: str, variables: dict) -> str:
    """Do what a registry does with a template: look at its shape, then render it."""
    template.shape(text)
    return template.render(text, variables, {"a.md": "fine"})


@pytest.mark.parametrize("text", ESCAPES, ids=lambda text: text[:40])
def test_a_template_cannot_leave_its_sandbox_or_exhaust_the_machine(text):
    variables = {"a": "x", "items": [1, 2], "d": {"k": 1}}
    with pytest.raises(PromptopsError):
        use(text, variables)
    assert variables == {"a": "x", "items": [1, 2], "d": {"k": 1}}


@pytest.mark.parametrize(
    "text",
    [
        "{{ a",
        "{% if %}",
        "{% for %}",
        "{{ a b }}",
        "{% include %}",
        "{{ 'x }}",
        "{% endif %}",
        "{{ a | nofilter }}",
        "{# open",
    ],
)
def test_a_syntax_error_has_a_line(text):
    with pytest.raises(InputError) as caught:
        template.shape("one\ntwo\n" + text)
    assert caught.value.line in {3, 4}


def test_includes_that_double_end():
    files = {f"{n}.md": f"{{% include '{n + 1}.md' %}}" * 2 for n in range(18)} | {"18.md": ""}
    with pytest.raises(InputError, match="steps"):
        template.render("{% include '0.md' %}", {}, files)


def test_includes_that_include_themselves_end():
    with pytest.raises(InputError, match="circle"):
        template.render("{% include 'a' %}", {}, {"a": "{% include 'a' %}"})


@pytest.mark.parametrize(("levels", "good"), [(20, True), (21, False)])
def test_includes_have_a_depth(levels, good):
    files = {f"{n}.md": f"{n} {{% include '{n + 1}.md' %}}" for n in range(levels - 1)} | {f"{levels - 1}.md": "end"}
    with contextlib.nullcontext() if good else pytest.raises(InputError, match="20 levels deep"):
        assert template.render("{% include '0.md' %}", {}, files).endswith("end")


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ("{{ [" + "1," * 100_000 + "1] }}", {}),
        ("{{ a|upper }}" * 20_000, {}),
        (
            "".join(f"{{% include '{n}.md' %}}" for n in range(9)),
            {f"{n}.md": "{{ a|upper }}" * 2_000 for n in range(9)},
        ),
    ],
)
def test_what_would_take_long_to_compile_is_refused(text, files):
    with pytest.raises(InputError, match="50,000 tokens"):
        template.render(text, {"a": "x"}, files)


def test_a_long_plain_text_is_rendered():
    assert template.render("{{ a }} and " * 100_000, {"a": "x"}, {}) == "x and " * 100_000


DOUBLED = "".join("{% set s = " + inner + " %}" for inner in ["['xxxxxxxx']", *["[s, s]"] * 60])
PAIRS = DOUBLED.replace("[", "(").replace("]", ")").replace("('xxxxxxxx')", "('xxxxxxxx',)")
MAPS = "{% set s = {'k': 'x'} %}" + "{% set s = {'k': s, 'l': s} %}" * 60
DEEP = "{% set s = [1] %}" + "{% set s = [s] %}" * 2000
LONG = "{% set s = 'xxxxxxxxxxxxxxxx' %}" + "{% set s = s ~ s %}" * 17
MANY = "{% set l = range(10000)|list %}"
ROUNDS = "{% for i in range(9999) %}", "{% endfor %}"
# Each would take minutes or gigabytes; by the value that they start with.
COSTLY = {
    "lists": [
        DOUBLED + each
        for each in [
            *["{{ s }}", "{{ s|string }}", "{{ s|tojson }}", "{{ s ~ 'x' }}", "{{ s|join }}", "{{ s|upper }}", "{{ s|trim }}"],
            *["{{ s|title }}", "{{ s|wordcount }}", "{{ s is lower }}", "{{ s == a }}", "{{ a in s }}", "{{ s|sort }}"],
            *["{{ s|groupby(0) }}", "{{ s.count(s) }}", "{{ s|replace('x', 'y') }}", "{{ [s]|select('eq', s)|list }}"],
            *["{{ s|sum(start=[]) }}", "{{ ['x']|join(s) }}", "{{ {'k': s}|dictsort }}", "{{ s < s }}"],
        ]
    ],
    "tuples": [
        PAIRS + each
        for each in [
            *["{{ {s: 1} }}", "{{ d[s] }}", "{{ d.get(s) }}", "{{ [s]|unique|list }}", "{{ s in d }}", "{{ 'x'.startswith(s) }}"],
            *["{{ [1]|map(attribute=s)|list }}", "{{ s is filter }}", "{{ s|capitalize }}", "{{ [s]|groupby(s) }}"],
        ]
    ],
    "objects": [MAPS + each for each in ["{{ s }}", "{{ s|tojson }}", "{{ s == s }}", "{{ s|dictsort }}", "{{ s|items|list }}"]],
    "depth": [DEEP + each for each in ["{{ s }}", "{{ s == [s] }}", "{{ s|tojson }}", "{{ [s]|unique|list }}"]],
    "texts": [
        LONG + each
        for each in [
            *["{{ s|trim(s) }}", "{{ s.strip(s) }}", "{{ s.split('x')|length }}", "{{ s|list|length }}", "{{ s|title }}"],
            *["{{ s|replace('x', s) }}", "{{ [" + "s," * 99 + "] }}", "{{ [" + "s," * 99 + "]|join|length }}"],
            *[each.join(ROUNDS) for each in ["{{ s|upper|length }}", "{{ s == s ~ '' }}", "{% set t = s[1:] %}", "{{ 'y' in s }}"]],
            *[each.join(ROUNDS) for each in ["{{ s.count('y') }}", "{{ s is lower }}", "{{ s|int }}", "{{ s|wordcount }}"]],
        ]
    ],
    "rounds": [
        *[MANY + each.join(ROUNDS) for each in ["{{ l|sort|length }}", "{% set m = l|list %}", "{{ l|tojson|length }}"]],
        *[MANY + each.join(ROUNDS) for each in ["{{ i in l }}", "{{ l|reject('ge', 0)|first|d }}"]],
        MANY + "{{ [" + "l," * 2000 + "]|sum(start=[]) }}",
        "{% for j in range(9999) %}" + "{% set x = 1 %}".join(ROUNDS) + "{% endfor %}",
        ("{% set x = 1 %}" * 3000).join(ROUNDS),
    ],
    "numbers": [
        *["{{ 1|round(3000000, 'floor') }}", "{{ 1|round(-3000000000) }}", "{{ 999999 ** 999999 }}", "{{ 2.5 ** 9999 }}"],
        "{% set x = 999999 %}" + "{% set x = x * x %}" * 40 + "{{ x }}",
        *["{{ '%999999999d' is odd }}", "{{ '%999999999d' is even }}", "{{ '%999999999d' is divisibleby(3) }}"],
        "{{ 1 + " + "9" * 5000 + " }}",
        "{{ [" + ",".join(str(number * (2**61 - 1)) for number in range(20_000)) + "]|unique|list|length }}",
    ],
}  # fmt: skip
HARNESS = """
import json, resource, sys
from promptops.errors import PromptopsError
from promptops.registry import template

resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
for text in json.load(sys.stdin):
    try:
        template.shape(text)
        print("rendered", len(template.render(text, {"a": "x", "d": {"k": 1}}, {})))
    except PromptopsError as error:
        print("refused, out of memory" if isinstance(error.__cause__, MemoryError) else "refused")
"""


@pytest.mark.parametrize("kind", COSTLY)
def test_no_template_takes_long_or_fills_the_memory(kind):
    # The time only ends a test that would never end.
    done = subprocess.run(
        [sys.executable, "-c", HARNESS], input=json.dumps(COSTLY[kind]), capture_output=True, text=True, timeout=120, check=False
    )  # fmt: skip
    assert (done.stdout.split("\n"), done.stderr) == (["refused"] * len(COSTLY[kind]) + [""], "")


@pytest.mark.parametrize(
    "text",
    [
        "{{ [question]|map(attribute='x')|list }}",
        "{{ [question]|groupby('x') }}",
        "{{ [question]|map(attribute='x')|join(', ') }}",
        "{{ [question.x] }}",
        "{{ {'k': question.x} }}",
        "{{ [[question.x]]|tojson }}",
        "{{ [question.x]|string }}",
        "{{ question.x ~ 'a' }}",
        "{{ 'a' in [question.x] }}",
    ],
)
def test_what_is_undefined_stays_out_of_the_text(text):
    with pytest.raises(UsageError, match="no attribute 'x'"):
        template.render(text, {"question": {"y": 1}}, {})


def test_what_is_undefined_can_be_asked_for():
    text = "{{ [q]|map(attribute='x')|select('defined')|list }}{{ q.x is defined }}{{ q.x|default('-') }}{{ q['keys']|d(0) }}"
    assert template.render(text, {"q": {}}, {}) == "[]False-0"


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("{{ 'nan'|float }} {{ '-inf'|float }}", "nan -inf"),
        ("{{ 5|upper }}{{ none|lower }}{{ 1.5|string }}{{ x|first|title }}", "5none1.5A"),
        (
            "{{ 'a' in x|map('upper') }}{{ 'A' in x|map('upper') }}{{ 3 in range(5) }}{{ 1 < 2 < 3 }}{{ 'k' in d }}",
            "FalseTrueTrueTrueTrue",
        ),
        (
            "{{ d.get('k') }}{{ d.get('z', 5) }}{{ d.items()|list }}{{ d|dictsort }}{{ x.count('a') }}",
            "15[('k', 1)][('k', 1)]1",
        ),
        (
            "{{ 'a,b'.split(',') }}{{ ' a '.strip() }}{{ 'abc'[1:] }}{{ x[:1] }}{{ 'abc'|reverse }}",
            "['a', 'b']abc['a']cba",
        ),
        (
            "{{ [1, 2.5]|sum }}{{ [{'p': 2}]|sum(attribute='p') }}{{ 2 ** 10 }}{{ 7 // 2 }}{{ -7|abs }}{{ 2.567|round(1) }}",
            "3.521024372.6",
        ),
        ("{% for k, v in [{'a': 1}, {'a': 1}]|groupby('a') %}{{ k }}{{ v|length }}{% endfor %}", "12"),
        (
            "{{ [{'a': 1}, {'a': 2}]|selectattr('a', 'gt', 1)|list }}{{ [3, 1]|sort }}{{ [1, 1]|unique|list }}",
            "[{'a': 2}][1, 3][1]",
        ),
        ("{% for i in x %}{{ loop.cycle('p', 'q') }}{{ loop.length }}{{ loop.last }}{% endfor %}", "p1True"),
        (
            "{{ none|map('upper')|list }}{{ 7 is odd }}{{ {'b': 1, 'a': 2}|tojson }}{{ x|truncate(5) }}",
            '[]True{"a": 2, "b": 1}[\'a\']',
        ),
    ],
)
def test_the_language_keeps_its_meaning(text, made):
    variables = {"x": ["a"], "d": {"k": 1}}
    assert template.render(text, variables, {}) == made == vanilla(text, variables)


@pytest.mark.parametrize(
    "nest",
    [
        lambda n: "{% if 1 %}" * n + "{% endif %}" * n,
        lambda n: "{% for i in [1] %}" * n + "{% endfor %}" * n,
        lambda n: "{% with x = 1 %}" * n + "{% endwith %}" * n,
        lambda n: "{{ " + "1 + " * n + "1 }}",
        lambda n: "{{ " + "not " * n + "1 }}",
        lambda n: "{{ " + "[" * n + "1" + "]" * n + " }}",
        lambda n: "{{ " + "{'k': " * n + "1" + "}" * n + " }}",
        lambda n: "{{ 'a'" + "|upper" * n + " }}",
        lambda n: "{{ " + "(1 == " * n + "1" + ")" * n + " }}",
        lambda n: "{{ " + "(1 if 1 else " * n + "1" + ")" * n + " }}",
        lambda n: "{{ 'a'" + "[0:]" * n + " }}",
        lambda n: "{{ 'a'" + ".upper()" * n + " }}",
        lambda n: "{{ 1" + " is defined" * n + " }}",
    ],
)
def test_what_is_accepted_is_not_too_deep_to_compile(nest):
    def accepted(depth):
        try:
            template.shape(nest(depth))
        except InputError:
            return False
        return True

    depth = max(filter(accepted, range(1, 60)))
    assert depth < 59
    template.render(nest(depth), {}, {})


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ("one\n{{ 1 / 0 }}", None, 2),
        ("one\n\n{% for i in range(3) %}\n{{ i }}{{ missing.x }}{% endfor %}", None, 4),
        ("one\n{% include 'a.md' %}", "prompts/a.md", 3),
        ("\n\n{{ ['a'.upper] }}", None, 3),
        ("\n{{ 'x' * 99999 }}\n", None, 2),
    ],
)
def test_an_error_names_its_line_and_file(text, path, line):
    with pytest.raises(PromptopsError) as caught:
        template.render(text, {}, {"a.md": "a\nb\n{{ 'x'|int / 0 }}"})
    assert (caught.value.path, caught.value.line) == (path, line)
    assert caught.value.hint


@pytest.mark.parametrize("text", ["{{ items|map('_own')|first }}", "{{ ['<|im_start|>']|map('_own')|first }}"])
def test_a_filter_of_our_own_cannot_be_named(text):
    with pytest.raises(InputError, match="_own"):
        template.render(text, {"items": ["<s>"]}, {})


@pytest.mark.parametrize("value", [10**400, [{"k": {1, 2}}], [object()]])
def test_a_value_that_no_file_can_hold_is_refused_alike_on_both_paths(value):
    for text in ("{{ v }}", "{##}{{ v }}"):
        with pytest.raises(InputError):
            template.render(text, {"v": value}, {})

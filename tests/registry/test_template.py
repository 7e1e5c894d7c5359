"""Templates: the fast path is Jinja2, the sandbox holds, variables cannot open a turn."""

from __future__ import annotations

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
    assert template.render("<{{ v }}>", {"v": value}, {}) == vanilla("<{{ v }}>", {"v": value})


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
    files = {f"{n}.md": f"{{% include '{n + 1}.md' %}}" * 2 for n in range(60)} | {"60.md": ""}
    with pytest.raises(InputError, match="steps"):
        template.render("{% include '0.md' %}", {}, files)


def test_includes_that_include_themselves_end():
    with pytest.raises(InputError, match="circle"):
        template.render("{% include 'a' %}", {}, {"a": "{% include 'a' %}"})


@pytest.mark.parametrize(
    "marker",
    ["<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|eot_id|>", "<|endoftext|>", "<start_of_turn>", "<end_of_turn>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "<s>", "</s>", "<|assistant|>"],
)  # fmt: skip
def test_a_variable_cannot_open_a_turn(marker):
    for value in (f"hi {marker}system", [marker], {"k": [f"{marker}{marker}"]}):
        assert marker not in str(template.neutral(value))
    nested = marker[0] + marker + marker[1:]
    assert marker not in template.neutral(template.neutral(nested))
    assert marker not in template.neutral(nested)


@pytest.mark.parametrize(
    "value", ["plain", "a < b | c > d", "<b>bold</b>", "[1]", "x || y", 7, None, 1.5, True, ["a"], {"k": "v"}]
)
def test_ordinary_values_are_not_touched(value):
    assert template.neutral(value) == value

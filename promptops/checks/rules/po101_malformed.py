"""PO101: a governed file is malformed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from promptops.checks.finding import Finding
from promptops.checks.rule import File, PromptSubject, Text
from promptops.checks.rules.po108_role_forging import templated_roles
from promptops.errors import InputError
from promptops.registry import canonical, quick, schemas, yaml
from promptops.registry.governed import schema_of
from promptops.registry.prompt import EVALS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from promptops.registry.yaml import Document

ID = "PO101"
TEXT = Text(
    title="The file is malformed",
    why=(
        "A file that two readers can read differently has no meaning that could be reviewed or released. Files are"
        " YAML 1.2 without duplicate keys, tags, merge keys or ambiguous numbers, and fit a published schema."
        " A variable's own schema is valid, and its default fits it. A suite has no two cases of one id, no guardrail"
        " on a metric that it does not define and no pattern that does not compile. Otherwise a request or a canary"
        " would be the first to notice."
    ),
    fix="Correct the line that the finding names. `promptops schema prompt` prints the schema; quote the version.",
    example='version: 1.10        # a number, read as 1.1\nversion: "1.10.0"    # right',
)

# What a variable can say without the full validator having to be loaded.
_PLAIN = {"type": str, "description": str, "minLength": int, "maxLength": int, "enum": list}


def check(file: File) -> Iterator[Finding]:
    """Yield every violation of YAML or of the file's schema, or else the first contradiction within a suite."""
    schema = schema_of(file.path)
    if schema is None or file.data is None:
        return
    try:
        document = yaml.load(file.data, file.path)
    except InputError as error:
        hint = error.hint or f"promptops schema {schema}"
        yield Finding(file.path, error.line or 1, error.column or 1, ID, error.message, hint)
        return
    forged = templated_roles(document.value)
    problems = schemas.problems(schema, document.value)
    for problem in problems:
        if problem.pointer in forged:
            continue
        place = ".".join(map(str, problem.pointer))
        message = f"{place}: {problem.message}" if place else problem.message
        yield Finding(file.path, *document.where(problem.pointer), ID, message, f"promptops schema {schema}")
    if schema == "suite" and not problems:
        yield from _contradiction(document)


def _contradiction(document: Document) -> Iterator[Finding]:
    from promptops.evaluation import suite

    path = document.path
    try:
        suite.parse(path.removeprefix(EVALS).removesuffix(".yaml"), document.value, path=path, where=document.where)
    except InputError as error:
        yield Finding(path, error.line or 1, error.column or 1, ID, error.message, error.hint or "")


def check_variables(subject: PromptSubject) -> Iterator[Finding]:
    """Yield a finding for each variable whose schema is not valid or that its default does not fit."""
    prompt = subject.prompt
    for name, own in prompt.variables.items():
        if _is_sound(own):
            continue
        try:
            schemas.compiled(canonical.dumps(own))
            reason = schemas.misfit(own, own["default"]) if "default" in own else None
        except InputError as error:
            place = prompt.document.where(("variables", name))
            yield Finding(prompt.path, *place, ID, f"variable {name}: {error.message}", error.hint or "")
            continue
        if reason:
            place = prompt.document.where(("variables", name, "default"))
            message = f"variable {name}: the default does not fit: {reason}"
            yield Finding(prompt.path, *place, ID, message, "correct the default, or the schema around it")


def _is_sound(own: dict[str, Any]) -> bool:
    """Return True only when a variable's schema and default are right for certain."""
    for keyword, value in own.items():
        if keyword != "default" and type(value) is not _PLAIN.get(keyword):
            return False
    return (
        own.get("minLength", 0) >= 0
        and own.get("maxLength", 0) >= 0
        and ("default" not in own or quick.accepts(own, own["default"]))
    )

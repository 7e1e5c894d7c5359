"""Whether a judge may decide anything: only as the one that was calibrated, and only above its floor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from promptops.errors import InputError
from promptops.evaluation.judging.judge import KIND, build, model_names
from promptops.registry import canonical

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from promptops.evaluation.judging.judge import Judge
    from promptops.registry.prompt import Model

_VERSION = 1
# Returns a file of the revision that the suite comes from by its path, or None.
Read: TypeAlias = "Callable[[str], bytes | None]"


def read(data: bytes, path: str | None = None) -> dict[str, Any]:
    """Return a calibration record.

    Raises:
        InputError: it is none.
    """
    try:
        value = canonical.loads(data)
    except InputError as error:
        raise InputError(f"no calibration record: {error.message}", hint=_CALIBRATE, path=path) from error
    usable = isinstance(value, dict) and value.get("version") == _VERSION and isinstance(value.get("judge"), str)
    if not usable or not isinstance(value.get("agreement"), dict) or not isinstance(value.get("models"), dict):
        raise InputError("no calibration record of this version", hint=_CALIBRATE, path=path)
    found: dict[str, Any] = value
    return found


_CALIBRATE = "promptops judge calibrate --labels FILE -o RECORD"


def problem(judge: Judge, record: Mapping[str, Any] | None) -> str | None:
    """Return why a judge with this calibration record cannot gate, or None where it can.

    Args:
        judge: as the suite has it now.
        record: what was found out about it; None where nothing was.
    """
    if record is None:
        return "the judge was never calibrated against people"
    if record["judge"] != judge.identity:
        return "the judge was calibrated as another one: its models, rubric, verdicts or our prompt changed since"
    return below(judge, record)


def below(judge: Judge, record: Mapping[str, Any]) -> str | None:
    """Return why a judge's agreement with people does not reach its floor, or None where it does."""
    coefficient = judge.coefficient
    measured = record["agreement"].get(coefficient)
    low = measured.get("low") if isinstance(measured, dict) else None
    if not isinstance(low, int | float) or isinstance(low, bool):
        return f"the judge's record has no {coefficient}"
    floor = judge.floor[coefficient]
    if low >= floor:
        return None
    found = f"{coefficient} with people is at least {low:.2f} on {record['agreement'].get('n')} labels"
    return f"the judge is below its floor of {floor:g}: {found}"


def barred(value: Mapping[str, Any], models: Mapping[str, Model], files: Read) -> dict[str, str]:
    """Return why metrics of a suite's judges decide nothing, by metric.

    Args:
        value: the parsed suite.
        models: the model files that its judges ask, by name.
        files: reads the revision that the suite comes from.

    Raises:
        InputError: a calibration record is malformed.
    """
    found = {}
    for metric, arguments in judges(value).items():
        path = arguments.get("calibration")
        data = files(path) if path else None
        if path and data is None:
            found[metric] = f"the judge's calibration record {path} does not exist"
            continue
        why = problem(build(arguments, models, value.get("floor")), read(data, path) if data is not None else None)
        if why:
            found[metric] = why
    return found


def judges(value: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the arguments of a parsed suite's judges by metric."""
    return {
        metric: definition
        for metric, definition in value.get("evaluators", {}).items()
        if isinstance(definition, dict) and definition.get("type") == KIND
    }


def models(value: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of the model files that a parsed suite's judges ask."""
    return frozenset(name for arguments in judges(value).values() for name in model_names(arguments))

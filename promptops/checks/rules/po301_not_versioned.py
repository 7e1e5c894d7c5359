"""PO301: a configuration changed and its version did not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.checks import versioned
from promptops.checks.rule import PromptSubject, Text
from promptops.checks.standing import UNCHANGED_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from promptops.checks.finding import Finding

ID = "PO301"
TEXT = Text(
    title="Changed without a new version",
    why=(
        "One version must mean one behaviour. The configuration covers the prompt, the files that it includes, its"
        " model and its parameters, so a change in a shared file counts for every prompt that uses it."
    ),
    fix="`promptops bump --staged` (or `--affected`) writes the least version that is legal.",
    example='# released as 1.2.0\nversion: "1.2.0"\nparameters: {temperature: 0.9}     # was 0.3: needs 1.3.0',
)


def check(subject: PromptSubject) -> Iterator[Finding]:
    """Yield a finding when the content differs from the newest release under the same version."""
    yield from versioned.findings(subject, ID, UNCHANGED_VERSION)

"""Cases: what is put to a prompt, in one session or in several views of the same matter."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from promptops.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from promptops.evaluation.evaluators import Definition


@dataclass(frozen=True, slots=True)
class Simulation:
    """A user who is played by a model.

    Attributes:
        persona: who the user is.
        goal: what the user wants of the assistant.
        model: name of a model file.
        turns: most turns that the user takes.
    """

    persona: str
    goal: str
    model: str
    turns: int


@dataclass(frozen=True, slots=True)
class Turn:
    """A further turn of the user, after a reply.

    Attributes:
        say: the user's words; None for a simulated user.
        when: what the reply before must satisfy for ``say`` to be said; always when empty.
        otherwise: said instead; None ends the session.
        simulate: the model that plays the user, or None.
    """

    say: str | None
    when: tuple[Definition, ...] = ()
    otherwise: str | None = None
    simulate: Simulation | None = None

    @property
    def most(self) -> int:
        """How many turns this may become."""
        return self.simulate.turns if self.simulate else 1


@dataclass(frozen=True, slots=True)
class View:
    """One session: what is asked first, and the user's further turns.

    Attributes:
        input: value of the prompt's only required variable, or None.
        variables: values by variable name, or None.
        turns: what the user says after the first reply.
    """

    input: str | None
    variables: Mapping[str, Any] | None
    turns: tuple[Turn, ...] = ()

    @property
    def asked(self) -> str:
        """The first question in the words of the case: what each arm makes of it is its own."""
        if self.input is not None:
            return self.input
        return "\n".join(f"{name}: {value}" for name, value in (self.variables or {}).items())

    @property
    def said(self) -> str:
        """The user's own words: every text among the values, and every turn that is written down."""
        values = [self.input] if self.input is not None else list((self.variables or {}).values())
        turns = [text for turn in self.turns for text in (turn.say, turn.otherwise)]
        return "\n".join(value for value in [*values, *turns] if isinstance(value, str))

    @property
    def calls(self) -> int:
        """Most replies that the session asks for."""
        return 1 + sum(turn.most for turn in self.turns)

    def bind(self, schema: dict[str, Any], case: str) -> dict[str, Any]:
        """Return the variables to render a prompt with.

        Args:
            schema: the prompt's variables, JSON Schema by name; one with a ``default`` is optional.
            case: id of the case, for messages.

        Raises:
            InputError: the view does not fit the prompt's variables.
        """
        required = [name for name, rule in schema.items() if not (isinstance(rule, dict) and "default" in rule)]
        if self.input is not None:
            target = required or list(schema)
            if len(target) != 1:
                raise InputError(
                    f"case {case} has `input`, but the prompt has {len(target)} variables that it could fill",
                    hint=f"write `variables: {{{', '.join(f'{name}: ...' for name in target)}}}` in the case",
                )
            return {target[0]: self.input}
        given = dict(self.variables or {})
        unknown, missing = sorted(given.keys() - schema.keys()), sorted(set(required) - given.keys())
        if unknown or missing:
            parts = [f"unknown: {', '.join(unknown)}"] * bool(unknown) + [f"missing: {', '.join(missing)}"] * bool(
                missing
            )
            raise InputError(
                f"variables of case {case} do not fit the prompt ({'; '.join(parts)})",
                hint=f"the prompt's variables are: {', '.join(schema) or 'none'}",
            )
        return given


@dataclass(frozen=True, slots=True)
class Case:
    """One probe of a prompt.

    Attributes:
        id: unique in the suite.
        views: the sessions by name; a case without views has one, of the name "".
        expect: what the last reply of each session must satisfy; empty when the case only feeds the suite's evaluators.
        expected: what the suite's measures hold the answers against, as the right answer.
        tags: groups that it belongs to.
        weight: how many times it is asked where a case of weight 1 is asked once.
    """

    id: str
    views: Mapping[str, View]
    expect: tuple[Definition, ...] = ()
    expected: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    weight: int = 1

    @property
    def input(self) -> str | None:
        """Value of the prompt's only required variable in the first view, or None."""
        return next(iter(self.views.values())).input

    @property
    def variables(self) -> Mapping[str, Any] | None:
        """Values by variable name in the first view, or None."""
        return next(iter(self.views.values())).variables

    @property
    def said(self) -> str:
        """The user's own words over all views."""
        return "\n".join(view.said for view in self.views.values())

    @property
    def asked(self) -> str:
        """The first question of each view, for people."""
        views = self.views.items()
        return "\n".join(f"[{name}] {view.asked}" if name else view.asked for name, view in views)

    @property
    def calls(self) -> int:
        """Most replies of one arm that the case asks for."""
        return sum(view.calls for view in self.views.values())


def single(
    name: str,
    asked: str | None,
    variables: Mapping[str, Any] | None = None,
    expect: tuple[Definition, ...] = (),
) -> Case:
    """Return a case of one question."""
    return Case(name, {"": View(asked, variables)}, expect)

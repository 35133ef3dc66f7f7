"""Custom rules: CEL expressions over all measured values. A rule that cannot be decided never passes."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from services.scorer.domain.rule_types import check_types
from services.scorer.domain.verdict import RuleOutcome, Values
from services.scorer.domain.vocabulary import Schema

if TYPE_CHECKING:
    import cel

_UNDECIDED = (RuntimeError, LookupError, TypeError, ValueError, ArithmeticError)


def _language() -> Any:
    """Import the language without its command line, whose three terminal libraries are an eighth of a start."""
    sys.modules.setdefault("cel.cli", ModuleType("cel.cli"))
    return importlib.import_module("cel")


_CEL: Final = _language()


class RuleInvalid(Exception):  # noqa: N818 (the noun of the problem)
    """An expression cannot be a rule of its profile; the text tells its author why."""


class CelRules:
    """Compiles each expression once. Evaluation takes microseconds and has no effect outside."""

    def __init__(self) -> None:
        """Start with no expression compiled."""
        self._programs: dict[str, cel.Program] = {}

    def check(self, expression: str, schema: Schema) -> None:
        """Check and compile an expression; raises RuleInvalid with a sentence for its author.

        Refused is an expression that does not parse, reads unknown names or combines types that do not go
        together. So is an expression that gives anything but true or false, or costs too much.
        """
        try:
            check_types(expression, schema)
            self._program(expression)
        except ValueError as error:
            raise RuleInvalid(str(error).partition("\n")[0]) from error

    def evaluate(self, expression: str, values: Values) -> RuleOutcome:
        """Decide an expression; anything but true or false, errors included, is undecided."""
        try:
            result = self._program(expression).execute(dict(values))
        except _UNDECIDED as error:
            return RuleOutcome(None, f"rule_error_{type(error).__name__}")
        if not isinstance(result, bool):
            return RuleOutcome(None, "rule_is_not_boolean")
        return RuleOutcome(result)

    def _program(self, expression: str) -> cel.Program:
        if expression not in self._programs:
            self._programs[expression] = _CEL.compile(expression)
        return self._programs[expression]

"""Custom rules: CEL expressions over all measured values. A rule that cannot be decided never passes."""

from __future__ import annotations

from collections.abc import Iterable

import cel

from services.scorer.domain.verdict import RuleOutcome, Values

_UNDECIDED = (RuntimeError, LookupError, TypeError, ValueError, ArithmeticError)


class RuleInvalid(Exception):  # noqa: N818 (the noun of the problem)
    """An expression does not parse, or reads a dimension that the profile does not measure."""


class CelRules:
    """Compiles each expression once. Evaluation takes microseconds and has no effect outside."""

    def __init__(self) -> None:
        """Start with no expression compiled."""
        self._programs: dict[str, cel.Program] = {}

    def check(self, expression: str, names: Iterable[str]) -> None:
        """Compile an expression; raises RuleInvalid when it does not parse or reads an unknown name."""
        try:
            program = self._program(expression)
        except ValueError as error:
            msg = "the expression does not parse"
            raise RuleInvalid(msg) from error
        unknown = set(program.variables()) - set(names)
        if unknown:
            msg = f"the expression reads what is not measured: {', '.join(sorted(unknown))}"
            raise RuleInvalid(msg)

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
            self._programs[expression] = cel.compile(expression)
        return self._programs[expression]

"""The types of custom rules: every name, operand and result is checked before a profile is used.

All measured numbers are doubles. As in CEL, numbers of different types may be compared but not added or
multiplied. An int arises only from a literal without a point, from ``size`` and from ``int``.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Final, NoReturn

from services.scorer.domain.measures import TIERS
from services.scorer.domain.rule_syntax import Call, Constant, ListOf, Name, Node, Select, parse
from services.scorer.domain.vocabulary import Schema, Type

NODES_MAX: Final = 300
MACROS_DEEP_MAX: Final = 2
"""Macros within macros. The dearest rule of this size over 200 words a picture takes 0.3 s, see its test."""


class RuleTypeError(ValueError):
    """An expression names what is not measured, or combines values that do not go together."""


_CONSTANTS: Final = {"int": Type.int, "double": Type.double, "text": Type.text, "bool": Type.bool}
_NUMBERS: Final = (Type.double, Type.int)
_ELEMENT: Final = {Type.words: Type.text, Type.numbers: Type.double}
_LIST_OF: Final = {Type.text: Type.words, Type.double: Type.numbers, Type.int: Type.numbers}
_MACROS: Final = ("exists", "all", "exists_one", "filter", "map")


def check_types(expression: str, schema: Schema) -> None:
    """Check an expression; raises RuleSyntaxError or RuleTypeError with a sentence for its author."""
    tree = parse(expression)
    count = _size(tree)
    if count > NODES_MAX:
        _refuse(f"the expression has {count} parts, at most {NODES_MAX} are allowed")
    result = _Checker(schema).type_of(tree)
    if result is not Type.bool:
        _refuse(f"a rule must be true or false, this one gives a {result.value}")


def suggestion(wrong: str, known: list[str]) -> str:
    """Return the rest of a sentence about an unknown name: what was perhaps meant, or what there is."""
    close = difflib.get_close_matches(wrong, known, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]}?"
    return f"there is {', '.join(sorted(known))}" if known else "there is none"


class _Checker:
    """Infers types from the leaves up; macro variables are in scope while their body is checked."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._scope: dict[str, Type] = {}

    def type_of(self, node: Node) -> Type:
        if isinstance(node, Constant):
            return _CONSTANTS[node.type]
        if isinstance(node, Name):
            return self._name(node)
        if isinstance(node, Select):
            return self._select(node)
        return self._list(node) if isinstance(node, ListOf) else self._call(node)

    def _call(self, node: Call) -> Type:
        if node.function in _MACROS and node.is_method:
            return self._macro(node)
        if node.function == "has" and not node.is_method:
            return self._has(node)
        if node.function not in _FUNCTIONS or (node.is_method and node.function not in _METHODS):
            _refuse(f"there is no {node.function}: {suggestion(node.function, _CALLABLE)}")
        return _FUNCTIONS[node.function](node, [self.type_of(operand) for operand in node.operands])

    def _name(self, node: Name) -> Type:
        if node.name in self._scope:
            return self._scope[node.name]
        if node.name in self._schema:
            values = ", ".join(f"{node.name}.{value}" for value in sorted(self._schema[node.name]))
            _refuse(f"{node.name} is a dimension, a rule reads one of its values: {values}")
        self._refuse_unmeasured(node.name)
        raise RuleTypeError(f"{node.name}: {suggestion(node.name, [*self._scope, *self._schema])}")

    def _select(self, node: Select) -> Type:
        if not isinstance(node.of, Name) or node.of.name in self._scope:
            _refuse(f".{node.name} is asked of a value, only a dimension has values")
        dimension = node.of.name
        whole = f"{dimension}.{node.name}"
        if dimension not in self._schema or node.name not in self._schema[dimension]:
            self._refuse_unmeasured(dimension)
            _refuse(f"{whole}: {suggestion(whole, self._near(dimension))}")
        return self._schema[dimension][node.name]

    def _refuse_unmeasured(self, dimension: str) -> None:
        if dimension in TIERS and dimension not in self._schema:
            _refuse(f"{dimension} is not among the dimensions of this profile: add it there to read it")

    def _near(self, dimension: str) -> list[str]:
        dimensions = [dimension] if dimension in self._schema else list(self._schema)
        return [f"{name}.{value}" for name in dimensions for value in self._schema[name]]

    def _list(self, node: ListOf) -> Type:
        types = {_LIST_OF.get(self.type_of(item)) for item in node.items}
        if len(types) != 1:
            _refuse("a list holds only texts or only numbers, and at least one")
        return types.pop() or _refuse("a list holds only texts or only numbers")

    def _macro(self, node: Call) -> Type:
        if len(node.operands) != 3 or not isinstance(node.operands[1], Name):
            _refuse(f"{node.function} is written as list.{node.function}(word, condition)")
        over, variable = self.type_of(node.operands[0]), node.operands[1].name
        if over not in _ELEMENT:
            _refuse(f"{node.function} goes over a list, not over a {over.value}")
        if variable in self._scope or variable in self._schema:
            _refuse(f"{variable} is taken: choose another name in {node.function}")
        if len(self._scope) >= MACROS_DEEP_MAX:
            _refuse(f"at most {MACROS_DEEP_MAX} of {', '.join(_MACROS)} go into one another")
        self._scope[variable] = _ELEMENT[over]
        body = self.type_of(node.operands[2])
        del self._scope[variable]
        if node.function == "map":
            return _LIST_OF.get(body) or _refuse(f"map gives texts or numbers, not a {body.value}")
        _expect(node.function, body, Type.bool)
        return over if node.function == "filter" else Type.bool

    def _has(self, node: Call) -> Type:
        if len(node.operands) != 1 or not isinstance(node.operands[0], Select):
            _refuse("has is asked of one value of a dimension, as in has(sharpness.raw)")
        self._select(node.operands[0])
        return Type.bool


def _size(node: Node) -> int:
    if isinstance(node, Call):
        return 1 + sum(_size(operand) for operand in node.operands)
    if isinstance(node, ListOf):
        return 1 + sum(_size(item) for item in node.items)
    return 1 + _size(node.of) if isinstance(node, Select) else 1


def _refuse(msg: str) -> NoReturn:
    raise RuleTypeError(msg)


def _expect(subject: str, found: Type, *wanted: Type) -> None:
    if found not in wanted:
        _refuse(f"{subject} takes {' or '.join(f'a {kind.value}' for kind in wanted)}, not a {found.value}")


def _count(node: Call, operands: list[Type], count: int) -> None:
    if len(operands) != count:
        _refuse(f"{node.function} takes {count} values, {len(operands)} were given")


def _logic(node: Call, operands: list[Type]) -> Type:
    for operand in operands:
        _expect(node.function, operand, Type.bool)
    return Type.bool


def _equal(node: Call, operands: list[Type]) -> Type:
    left, right = operands
    if left is not right and not (left in _NUMBERS and right in _NUMBERS):
        _refuse(f"{node.function} compares a {left.value} with a {right.value}")
    return Type.bool


def _order(node: Call, operands: list[Type]) -> Type:
    for operand in operands:
        _expect(node.function, operand, *_NUMBERS, Type.text)
    return _equal(node, operands)


def _arithmetic(node: Call, operands: list[Type]) -> Type:
    if node.function == "+" and operands == [Type.text, Type.text]:
        return Type.text
    for operand in operands:
        _expect(node.function, operand, *((Type.int,) if node.function == "%" else _NUMBERS))
    if len(set(operands)) > 1:
        _refuse(f"{node.function} takes numbers of one kind: write 2.0 instead of 2, or double(...)")
    return operands[0]


def _membership(node: Call, operands: list[Type]) -> Type:
    element, container = operands
    if container not in _ELEMENT:
        _refuse(f"in looks into a list, not into a {container.value}")
    return _equal(node, [element, _ELEMENT[container]])


def _choice(node: Call, operands: list[Type]) -> Type:
    _expect("?", operands[0], Type.bool)
    if operands[1] is not operands[2]:
        _refuse(f"{node.function} chooses between a {operands[1].value} and a {operands[2].value}")
    return operands[1]


def _element(node: Call, operands: list[Type]) -> Type:
    if operands[0] not in _ELEMENT:
        _refuse(f"{node.function} takes an element of a list, not of a {operands[0].value}")
    _expect(node.function, operands[1], Type.int)
    return _ELEMENT[operands[0]]


def _length(node: Call, operands: list[Type]) -> Type:
    _count(node, operands, 1)
    _expect("size", operands[0], Type.text, *_ELEMENT)
    return Type.int


def _text_question(node: Call, operands: list[Type]) -> Type:
    if not node.is_method or len(operands) != 2:
        _refuse(f"{node.function} is written as text.{node.function}(part)")
    for operand in operands:
        _expect(node.function, operand, Type.text)
    return Type.bool


def _conversion(to: Type) -> Callable[[Call, list[Type]], Type]:
    def converted(node: Call, operands: list[Type]) -> Type:
        _count(node, operands, 1)
        _expect(node.function, operands[0], *_NUMBERS)
        return to

    return converted


_FUNCTIONS: Final[dict[str, Callable[[Call, list[Type]], Type]]] = {
    **dict.fromkeys(("&&", "||", "!"), _logic),
    **dict.fromkeys(("==", "!="), _equal),
    **dict.fromkeys(("<", "<=", ">", ">="), _order),
    **dict.fromkeys(("+", "-", "*", "/", "%"), _arithmetic),
    **dict.fromkeys(("contains", "startsWith", "endsWith"), _text_question),
    "in": _membership,
    "?:": _choice,
    "[]": _element,
    "size": _length,
    "double": _conversion(Type.double),
    "int": _conversion(Type.int),
    "string": _conversion(Type.text),
}
_METHODS: Final = ("size", "contains", "startsWith", "endsWith")
_CALLABLE: Final = [*_METHODS, "double", "int", "string", "has", *_MACROS]

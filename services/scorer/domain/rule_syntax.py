"""The syntax of custom rules: CEL without maps, messages, bytes, unsigned numbers, raw or triple-quoted strings.

Rules are executed by a CEL library that gives no syntax tree; this one exists so that types can be checked before.
What it refuses is never given to the library. Source: the grammar in the CEL language definition.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, TypeAlias

DEPTH_MAX: Final = 24
"""Nesting of parentheses, calls and lists; bounds the stack of every walk over a tree."""

_TOKEN: Final = re.compile(
    r"""
    (?P<space>\s+|//[^\n]*)
  | (?P<double>\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)
  | (?P<int>\d+(?![\w.]))
  | (?P<text>"(?:[^"\\\n]|\\["'\\nt])*"|'(?:[^'\\\n]|\\["'\\nt])*')
  | (?P<name>[A-Za-z_]\w*)
  | (?P<sign>&&|\|\||[=!<>]=|[-+*/%!<>?:.,()\[\]])
    """,
    re.VERBOSE,
)
_BINARY: Final = (
    ("||",),
    ("&&",),
    ("==", "!=", "<", "<=", ">", ">=", "in"),
    ("+", "-"),
    ("*", "/", "%"),
)
_CONSTANTS: Final = {"true", "false"}


class RuleSyntaxError(ValueError):
    """An expression is not one of this language; the text says where."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal; ``type`` is one of bool, int, double, text."""

    type: str
    text: str


@dataclass(frozen=True, slots=True)
class Name:
    """A dimension, or the variable of a macro."""

    name: str


@dataclass(frozen=True, slots=True)
class Select:
    """A value of a dimension."""

    of: Node
    name: str


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list literal."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """An operator (by its sign), a function or a method; the receiver of a method is its first operand."""

    function: str
    operands: tuple[Node, ...]
    is_method: bool = False


Node: TypeAlias = Constant | Name | Select | ListOf | Call


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int


def parse(expression: str) -> Node:
    """Return the tree of an expression; raises RuleSyntaxError."""
    reader = _Reader(_tokens(expression))
    tree = reader.ternary()
    if reader.token.kind != "end":
        raise reader.unexpected()
    return tree


def _tokens(expression: str) -> list[_Token]:
    tokens, position = [], 0
    while position < len(expression):
        found = _TOKEN.match(expression, position)
        if found is None or found.lastgroup is None:
            raise RuleSyntaxError(f"the expression cannot be read at character {position + 1}")
        if found.lastgroup != "space":
            tokens.append(_Token(found.lastgroup, found.group(), position))
        position = found.end()
    return [*tokens, _Token("end", "", position)]


class _Reader:
    """Reads tokens by precedence; each method reads one form and leaves the token after it."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    @property
    def token(self) -> _Token:
        return self._tokens[self._at]

    def unexpected(self) -> RuleSyntaxError:
        token = self.token
        place = f"{token.text!r} at character {token.position + 1}" if token.text else "its end"
        msg = f"the expression is not complete or not correct: {place} was not expected"
        return RuleSyntaxError(msg)

    def ternary(self) -> Node:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise RuleSyntaxError(f"the expression is nested deeper than {DEPTH_MAX}")
        tree = self._binary(0)
        if self._take("?"):
            yes = self._binary(0)
            self._expect(":")
            tree = Call("?:", (tree, yes, self.ternary()))
        self._depth -= 1
        return tree

    def _binary(self, level: int) -> Node:
        if level == len(_BINARY):
            return self._unary()
        tree = self._binary(level + 1)
        while self.token.text in _BINARY[level] and self.token.kind in ("sign", "name"):
            sign = self._next().text
            tree = Call(sign, (tree, self._binary(level + 1)))
        return tree

    def _unary(self) -> Node:
        signs = []
        while self.token.kind == "sign" and self.token.text in ("!", "-"):
            signs.append(self._next().text)
        tree = self._member()
        for sign in reversed(signs):
            tree = Call(sign, (tree,))
        return tree

    def _member(self) -> Node:
        tree = self._primary()
        while True:
            if self._take("."):
                name = self._expect_name()
                tree = (
                    Call(name, (tree, *self._list(")")), is_method=True)
                    if self._take("(")
                    else Select(tree, name)
                )
            elif self._take("["):
                tree = Call("[]", (tree, self.ternary()))
                self._expect("]")
            else:
                return tree

    def _primary(self) -> Node:
        token = self.token
        if token.kind in ("int", "double", "text"):
            return Constant(token.kind, self._next().text)
        if token.kind == "name" and token.text in _CONSTANTS:
            return Constant("bool", self._next().text)
        if token.kind == "name" and token.text != "in":
            name = self._next().text
            return Call(name, self._list(")")) if self._take("(") else Name(name)
        if self._take("("):
            tree = self.ternary()
            self._expect(")")
            return tree
        if self._take("["):
            return ListOf(self._list("]"))
        raise self.unexpected()

    def _list(self, end: str) -> tuple[Node, ...]:
        if self._take(end):
            return ()
        items = [self.ternary()]
        while self._take(","):
            items.append(self.ternary())
        self._expect(end)
        return tuple(items)

    def _next(self) -> _Token:
        token = self.token
        self._at += 1
        return token

    def _take(self, sign: str) -> bool:
        if self.token.kind != "sign" or self.token.text != sign:
            return False
        self._at += 1
        return True

    def _expect(self, sign: str) -> None:
        if not self._take(sign):
            raise self.unexpected()

    def _expect_name(self) -> str:
        if self.token.kind != "name":
            raise self.unexpected()
        return self._next().text

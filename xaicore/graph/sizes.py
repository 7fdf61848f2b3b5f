"""Sizes that follow the batch: arithmetic on symbols that is worked out when the graph runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Union

Size = Union[int, "SizeExpression"]


class SizeExpression:
    """An integer (or boolean, or float) that depends on the size of the batch, for example ``2*B``.

    The expression is a sympy one; its symbols are bound from the shapes of the inputs.
    """

    def __init__(self, expression: Any) -> None:
        self.expression = expression
        self._known: dict[tuple[int, ...], Any] = {}
        self._solved: dict[int, dict[Any, int]] = {}
        self._symbols = tuple(sorted(expression.free_symbols, key=str))

    def evaluate(self, sizes: Mapping[Any, int]) -> Any:
        """The value for these sizes of the symbols."""
        key = tuple(sizes[symbol] for symbol in self._symbols)
        if key not in self._known:
            value = self.expression.subs(dict(zip(self._symbols, key, strict=True)))
            self._known[key] = _plain(value)
        return self._known[key]

    @property
    def symbols(self) -> tuple[Any, ...]:
        """The symbols the expression is made of."""
        return self._symbols

    def solve(self, value: int) -> dict[Any, int]:
        """The size of the one symbol for which the expression has this value; empty where there is no such size."""
        if value not in self._solved:
            self._solved[value] = self._solution(value)
        return self._solved[value]

    def _solution(self, value: int) -> dict[Any, int]:
        if len(self._symbols) != 1:
            return {}
        (symbol,) = self._symbols
        slope = self.expression.subs(symbol, 2) - self.expression.subs(symbol, 1)
        start = self.expression.subs(symbol, 0)
        if not slope or self.expression - (slope * symbol + start) != 0 or (value - start) % slope:
            return {}
        return {symbol: int((value - start) / slope)}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SizeExpression) and bool(self.expression == other.expression)

    def __hash__(self) -> int:
        return hash(self.expression)

    def __str__(self) -> str:
        if not self._symbols:
            return str(self.expression)
        return str(self.expression.subs({symbol: _batch_symbol() for symbol in self._symbols}))

    __repr__ = __str__


def _plain(value: Any) -> bool | int | float:
    if getattr(value, "is_Boolean", False):
        return bool(value)
    return int(value) if value.is_integer else float(value)


def _batch_symbol() -> Any:
    import sympy

    return sympy.Symbol("B")


def size_of(value: Any) -> Any:
    """A torch ``SymInt`` (or plain number) as a plain number or a `SizeExpression`."""
    node = getattr(value, "node", None)
    if node is None or not hasattr(node, "expr"):
        return value
    expression = node.expr
    if not expression.free_symbols:
        return SizeExpression(expression).evaluate({})
    return SizeExpression(expression)

"""Comparisons and boolean logic over promises, as data.

`p > 3` can't be answered while tracing, so it makes an `Expression`, which says what the run has to compare. An
expression has no truth value: using it in an `if` raises.
"""

from __future__ import annotations

from typing import Any, NoReturn

from promissory.planner.errors import PromiseError, user_line
from promissory.planner.tracing.refusals import in_a_task


def _way_out() -> str:
    return f"{in_a_task()}; in conditional(…) join conditions with & and |: (a > 1) & (b > 1)"


class Expression:
    """A condition over promises: an operator and its operands (promises, literals, expressions).

    >>> from promissory import task, workflow
    >>> Expression("==", (1, 2))
    (1 == 2)
    """

    __slots__ = ("operands", "operator")

    def __init__(self, operator: str, operands: tuple[Any, ...]) -> None:
        self.operator = operator
        self.operands = operands

    def __and__(self, other: Any) -> Expression:
        return Expression("&", (self, self._condition(other)))

    def __or__(self, other: Any) -> Expression:
        return Expression("|", (self, self._condition(other)))

    def __invert__(self) -> Expression:
        return Expression("~", (self,))

    def _condition(self, other: Any) -> Expression:
        if isinstance(other, Expression):
            return other
        if hasattr(type(other), "is_true"):
            condition: Expression = other.is_true()
            return condition
        error = PromiseError(
            f"& and | join conditions, not {type(other).__name__}",
            where=user_line(),
            way_out="write p.is_true() for a bool",
        )
        self._record_misuse(error)
        raise error

    def __bool__(self) -> NoReturn:
        error = PromiseError(
            f"the condition {self!r} has no truth value before the run", where=user_line(), way_out=_way_out()
        )
        self._record_misuse(error)
        raise error

    def _record_misuse(self, error: PromiseError) -> None:
        for operand in self.operands:
            if hasattr(type(operand), "_record_misuse"):
                operand._record_misuse(error)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise PromiseError(
            f"the condition {self!r} is not a value that a task can take", where=user_line(), way_out=_way_out()
        )

    def __repr__(self) -> str:
        if len(self.operands) == 1:
            return (
                f"{self.operator}{self.operands[0]!r}"
                if self.operator == "~"
                else f"({self.operator} {self.operands[0]!r})"
            )
        return f"({self.operands[0]!r} {self.operator} {self.operands[1]!r})"

"""The conditions of a branch, and the arm that they choose (rule B1). Pure: they are decided where the values are, and
run no code of the author's.

Values are compared by their kinds: numbers with numbers, texts with texts, moments with moments. Two values of
different kinds are unequal, and neither comes before the other.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Final

from promissory.planner.plan.specs import COMPARISONS, Condition
from promissory.typesys.canonical import pack
from promissory.typesys.errors import TypeMismatch
from promissory.typesys.self_describing import NAMED
from promissory.typesys.types import (
    ANY,
    AnyType,
    BoolType,
    EnumType,
    FloatType,
    IntType,
    LiteralType,
    NamedType,
    NoneType,
    Type,
    UnionType,
)
from promissory.typesys.wire import codec_for

Operand = tuple[Any, Type]
"""A value's wire tree and its type."""

_COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_NUMBER: Final = "number"


def choose(conditions: list[Condition | None], operands: list[Operand]) -> int:
    """The position of the first condition that holds (None always does); -1 if none does.

    Raises `TypeMismatch` for an order between values that have none.

    >>> from promissory.typesys.types import INT
    >>> choose([["<", 0, 1], None], [(5, INT), (3, INT)])
    1
    """
    for number, condition in enumerate(conditions):
        if condition is None or holds(condition, operands):
            return number
    return -1


def holds(condition: Condition, operands: list[Operand]) -> bool:
    """Whether a condition is true of these operands."""
    sign, *rest = condition
    if sign == "&":
        return holds(rest[0], operands) and holds(rest[1], operands)
    if sign == "|":
        return holds(rest[0], operands) or holds(rest[1], operands)
    if sign == "~":
        return not holds(rest[0], operands)
    if sign in COMPARISONS:
        return _compared(sign, _plain(*operands[rest[0]]), _plain(*operands[rest[1]]))
    kind, value = _plain(*operands[rest[0]])
    if sign == "is none":
        return kind == "None"
    return kind == "bool" and value is (sign == "is true")


def _compared(sign: str, left: tuple[str, Any], right: tuple[str, Any]) -> bool:
    if left[0] != right[0]:
        if sign in ("==", "!="):
            return sign == "!="
        raise TypeMismatch(f"{left[0]} and {right[0]} have no order: {sign} compares values of one kind")
    if left[0] == "list" and sign not in ("==", "!="):
        raise TypeMismatch(f"such values have no order: {sign} can't compare them")
    try:
        return bool(_COMPARE[sign](left[1], right[1]))
    except TypeError:
        raise TypeMismatch(f"values of {left[0]} have no order: {sign} can't compare them") from None


def _plain(tree: Any, type: Type) -> tuple[str, Any]:
    """The kind of a value, and the value in the form in which it is compared."""
    while isinstance(type, UnionType):
        type, tree = type.arms[tree[0]], tree[1]
    match type:
        case NoneType():
            return "None", None
        case BoolType():
            return "bool", tree
        case IntType() | FloatType():
            return _NUMBER, tree
        case EnumType():
            return str(type), tree
        case NamedType():
            return str(type), codec_for(type).decode(pack(tree))
        case LiteralType():
            return _kind_of(tree), tree
        case AnyType():
            if tree.__class__ is list and tree[0] == NAMED:
                return str(tree[1]), codec_for(ANY).decode(pack(tree))
            return _kind_of(tree), tree
    return str(type), tree


def _kind_of(tree: Any) -> str:
    if tree is None:
        return "None"
    if isinstance(tree, bool):
        return "bool"
    return _NUMBER if isinstance(tree, int | float) else tree.__class__.__name__

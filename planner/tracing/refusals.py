"""Sentences with which a promise refuses a question that only the run can answer: the problem, and a way out (rule
P2)."""

from __future__ import annotations

from typing import Any, Final

from promissory.planner.active import current
from promissory.typesys.types import AnyType, ListType, RecordType, TupleType, Type, UnionType, VarTupleType

_IN_A_WORKFLOW: Final = (
    "do it in a task, or make the function @dynamic and do it with its inputs, which are values there"
)
_IN_A_DYNAMIC: Final = (
    "do it in a task, or in another dynamic that is given it: this one's own inputs are values, "
    "and what it calls gives promises"
)


def in_a_task() -> str:
    """Give the way out of most refusals. In a dynamic it is no help to say `@dynamic`."""
    trace = current.get()
    return _IN_A_DYNAMIC if trace is not None and getattr(trace, "in_dynamic", False) else _IN_A_WORKFLOW


_BOTH_SIDES = ["add", "sub", "mul", "truediv", "floordiv", "mod", "divmod", "pow", "matmul", "lshift", "xor"]

OPERATIONS: Final[dict[str, str]] = {
    **{f"__{name}__": "arithmetic" for name in [*_BOTH_SIDES, "neg", "pos", "abs", "round"]},
    **{f"__r{name}__": "arithmetic" for name in _BOTH_SIDES},
    **{
        f"__{name}__": f"{name}()"
        for name in ["int", "float", "complex", "index", "trunc", "floor", "ceil", "reversed"]
    },
    "__fspath__": "a path made",
    "__bytes__": "bytes()",
    "__enter__": "`with`",
    "__exit__": "`with`",
    "__next__": "next()",
    "__setitem__": "a new item",
    "__delitem__": "a deletion in",
}
"""The special methods that Python calls for an operation on a value, each with the operation's name in a sentence."""


def no_field(said: str, type: Type, name: str) -> tuple[str, str]:
    """Word the refusal of a field that the type of a promise does not have: the problem and the way out."""
    match type:
        case RecordType(fields=fields):
            return f"{type} has no field {name!r}", f"it has {', '.join(field.name for field in fields)}"
        case AnyType():
            return f"{said} is Any: its fields are not known", "annotate the task's result with a dataclass"
        case UnionType():
            return f"{said} is {type}: .{name} may not be there", in_a_task()
    return f"{said} is a promise of {type}, which has no field {name!r}; methods need the value", in_a_task()


def no_item(said: str, type: Type, key: Any) -> tuple[str, str]:
    """Word the refusal of an item that the type of a promise does not have: the problem and the way out."""
    match type:
        case TupleType(items):
            return f"{said}[{key!r}]: {type} has {len(items)} items", "take one of them"
        case ListType() | VarTupleType() | RecordType(kind="namedtuple"):
            return f"{said}[{key!r}]: items of {type} are taken by a whole number within its length", in_a_task()
        case RecordType(kind="typeddict", fields=fields):
            return (
                f"{said}[{key!r}]: {type} has no such key",
                f"it has {', '.join(field.name for field in fields)}",
            )
        case AnyType():
            return f"{said}[{key!r}]: it is Any, and what is in it is not known", "annotate the task's result"
    return f"{said}[{key!r}]: a promise of {type} has no items", in_a_task()

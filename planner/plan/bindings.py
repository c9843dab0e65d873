"""The meaning of a binding's tree, for types and for values.

Pure functions over the trees of `promissory.planner.plan.model`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from promissory.planner.plan.model import ARM, DICT, ERROR, INPUT, LIST, NODE, RECORD, TUPLE, Binding
from promissory.typesys.errors import TypeMismatch
from promissory.typesys.self_describing import DICT as ANY_DICT
from promissory.typesys.self_describing import LIST as ANY_LIST
from promissory.typesys.self_describing import RECORD as ANY_RECORD
from promissory.typesys.self_describing import TUPLE as ANY_TUPLE
from promissory.typesys.transcode import transcode
from promissory.typesys.type_format import type_from_bytes
from promissory.typesys.types import (
    ANY,
    AnyType,
    DictType,
    ListType,
    RecordType,
    TupleType,
    Type,
    UnionType,
    VarTupleType,
    class_name,
)
from promissory.typesys.value_paths import select


def is_leaf(binding: Binding) -> bool:
    """Tell whether a binding names one value (a node's, an input's, a literal, the default) rather than building
    one."""
    return binding is None or binding.__class__ is int or binding[0] in (INPUT, NODE, ERROR)


def parts(binding: Binding, target: Type) -> list[tuple[Binding, Type]]:
    """Give the bindings directly inside a composite one, each with the type that is wanted of it.

    Raises `ValueError` if a binding of this form can't give the target.
    """
    code = binding[0]
    if code == ARM and isinstance(target, UnionType):
        return [(binding[2], target.arms[binding[1]])]
    if code == LIST and isinstance(target, ListType):
        return [(item, target.item) for item in binding[1]]
    if code == TUPLE and isinstance(target, VarTupleType):
        return [(item, target.item) for item in binding[1]]
    if code == TUPLE and isinstance(target, TupleType) and len(binding[1]) == len(target.items):
        return list(zip(binding[1], target.items, strict=True))
    if code == DICT and isinstance(target, DictType):
        return [(item, target.value) for _, item in binding[1]]
    if code == RECORD:
        record = type_from_bytes(binding[1]) if binding[1] else target
        if isinstance(record, RecordType) and len(record.fields) == len(binding[2]):
            for item, part, field in zip(binding[2], record.parts, record.fields, strict=True):
                if part is not field.type and not (item.__class__ is list and item[0] == TUPLE and len(item[1]) < 2):
                    raise ValueError(f"the key {field.name} of {record} is given otherwise than once or not at all")
            return list(zip(binding[2], record.parts, strict=True))
    if isinstance(target, AnyType) and code in (LIST, TUPLE):
        return [(item, ANY) for item in binding[1]]
    if isinstance(target, AnyType) and code == DICT:
        return [(item, ANY) for _, item in binding[1]]
    raise ValueError(f"a binding of code {code} can't give {target}")


def _step(binding: Binding, target: Type, index: int) -> str:
    """Word the way to a part of a composite binding, for an error message."""
    code = binding[0]
    if code == ARM:
        return ""
    if code == DICT:
        return f"[{binding[1][index][0]!r}]"
    if code == RECORD:
        record = target if isinstance(target, RecordType) else type_from_bytes(binding[1])
        assert isinstance(record, RecordType)
        name = record.fields[index].name
        return f"[{name!r}]" if record.kind == "typeddict" else f".{name}"
    return f"[{index}]"


def _without_wrapping(binding: Binding, target: Type, index: int, mismatch: TypeMismatch) -> TypeMismatch:
    """Drop from a mismatch's path the array around a key that may be missing: no author wrote this array."""
    wrapped = (
        binding[0] == RECORD and isinstance(target, RecordType) and target.parts[index] is not target.fields[index].type
    )
    return TypeMismatch(mismatch.problem, mismatch.path.removeprefix("[0]")) if wrapped else mismatch


def assemble(binding: Binding, target: Type, leaf: Callable[[Binding, Type], tuple[Any, Type]]) -> Any:
    """Build the wire tree, of type `target`, that a binding stands for.

    Args:
        binding: the tree of a binding.
        target: the type that is wanted.
        leaf: gives the wire tree and the type of a leaf before any path is followed; it is told the type that is
            wanted.

    Raises:
        TypeMismatch: a path leads nowhere, or a value of `Any` is not of the type that is wanted.
    """
    if is_leaf(binding):
        tree, type = leaf(binding, target)
        if binding.__class__ is list and len(binding) == 3:
            tree, type = select(tree, type, binding[2])
        return transcode(tree, type, target)
    code = binding[0]
    trees = []
    for index, (part, wanted) in enumerate(parts(binding, target)):
        try:
            trees.append(assemble(part, wanted, leaf))
        except TypeMismatch as mismatch:
            raise _without_wrapping(binding, target, index, mismatch).inside(_step(binding, target, index)) from None
    if code == ARM:
        return [binding[1], trees[0]]
    if code == DICT:
        pairs = [[key, tree] for (key, _), tree in zip(binding[1], trees, strict=True)]
        return [ANY_DICT, pairs] if isinstance(target, AnyType) else pairs
    if isinstance(target, AnyType):
        if code == RECORD:
            record = type_from_bytes(binding[1])
            assert isinstance(record, RecordType)
            if record.kind == "typeddict":
                return transcode(trees, record, ANY)
            fields = [
                transcode(tree, wanted, ANY) for tree, (_, wanted) in zip(trees, parts(binding, target), strict=True)
            ]
            return [ANY_RECORD, class_name(record.name), [field.name for field in record.fields], fields]
        return [ANY_LIST if code == LIST else ANY_TUPLE, trees]
    if code == RECORD and binding[1]:
        return transcode(trees, type_from_bytes(binding[1]), target)  # of a class derived from the one that is wanted
    return trees

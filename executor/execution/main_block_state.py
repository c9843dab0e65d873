"""Tasks that use what only the program's main block sets (rule X3): told before the run, since workers import the
program and don't run that block."""

from __future__ import annotations

import dis
import linecache
import sys
import types
from collections.abc import Iterable, Iterator
from typing import Any

from promissory.executor.code.main_block import main_block
from promissory.executor.errors import EngineError
from promissory.planner.errors import Where, warn
from promissory.planner.functions.by_name import counts_by_name
from promissory.planner.functions.entity import Entity

_BLOCK = 'the block `if __name__ == "__main__":`'


def tell_main_block_state(entities: Iterable[Entity[..., Any]], engine: str) -> None:
    """Tell which bodies will not find on workers what they find here.

    A name that only the block sets is missing there; one that the block sets anew, or an object that it changes, is
    what an import of the program makes it.

    Raises `EngineError` for a name that is missing; warns of the others.
    """
    ours = [one for one in entities if one.function.__module__ == "__main__" and counts_by_name(one)]
    file = getattr(sys.modules["__main__"], "__file__", None)
    if not ours or file is None:
        return
    try:
        block = main_block("".join(linecache.getlines(file)))
    except SyntaxError:
        return  # the file was edited since
    told: set[str] = set()
    for entity in ours:
        for user, name in _uses(entity.function):
            if name in block.only:
                raise EngineError(
                    f"{_said(user)} uses {name}, which only {_BLOCK} sets (line {block.only[name]}): the workers of "
                    f"{engine} import the program and don't run that block. Pass {name} to it, set it above the block, "
                    "or take engine inline or threads"
                )
            line = block.anew.get(name) or block.changed.get(name)
            if line is not None and name not in told:
                told.add(name)
                what = "sets anew" if name in block.anew else "changes"
                warn(
                    f"{_said(user)} uses {name}, which {_BLOCK} {what} (line {line}): the workers of {engine} import "
                    f"the program and don't run that block, so they have what an import gives. Pass {name} to it, or "
                    "set it above the block",
                    RuntimeWarning,
                    Where(file, line),
                )


def _said(function: types.FunctionType) -> str:
    code = function.__code__
    return f"{code.co_filename}:{code.co_firstlineno}: {function.__qualname__}()"


def _uses(function: Any) -> Iterator[tuple[types.FunctionType, str]]:
    """Give the global names that a function of the program uses, and those that the program's functions, tasks and
    classes use which it names."""
    todo: list[Any] = [function]
    seen: dict[int, Any] = {}
    while todo:
        one = todo.pop()
        one = one.function if isinstance(one, Entity) else one
        if id(one) in seen or getattr(one, "__module__", None) != "__main__":
            continue
        seen[id(one)] = one
        if isinstance(one, type):
            todo += [getattr(inner, "__func__", inner) for inner in vars(one).values()]
        elif isinstance(one, types.FunctionType):
            for name in _globals_of(one.__code__):
                yield one, name
                todo.append(one.__globals__.get(name))
            todo.append(vars(one).get("__wrapped__"))


def _globals_of(code: types.CodeType) -> list[str]:
    found = [one.argval for one in dis.get_instructions(code) if one.opname == "LOAD_GLOBAL"]
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found += _globals_of(constant)
    return list(dict.fromkeys(found))

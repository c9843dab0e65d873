"""Functions that travel by value: notebook cells, closures, functions without a file or behind another name.

Everything that an import finds travels by name (`promissory.planner.functions.identity`). Any other function is pickled
with cloudpickle, which works between equal versions of one interpreter only: a function pickled by CPython 3.11 loads
in 3.12 and then crashes the process. So the version stands in front and is compared before anything is loaded.
"""

from __future__ import annotations

import linecache
import sys
import typing
from pathlib import Path
from types import FunctionType
from typing import Any, Final, cast

from promissory.planner.functions import source
from promissory.planner.functions.by_name import counts_by_name
from promissory.planner.functions.entity import Entity
from promissory.planner.plan.model import BY_VALUE_SIZE, Callee
from promissory.planner.plan.policy import Policy
from promissory.typesys.canonical import pack, unpack
from promissory.typesys.envelope import seal, unseal
from promissory.typesys.names import qualified_name
from promissory.typesys.opaque import dumps, loads

PYTHON = f"{sys.implementation.name} {sys.version_info[0]}.{sys.version_info[1]}"
"""The interpreter whose pickles of functions this process can load."""


class CantTravel(Exception):
    """A function can't be pickled. The message says why."""


MAGIC: Final = b"PRME"
VERSION: Final = 1


class OtherPython(Exception):
    """A function was pickled by another interpreter."""


def travels_by_value(callee: Callee, entity: Entity[..., Any]) -> bool:
    """Tell whether no import gives this very entity."""
    return len(callee.digest) == BY_VALUE_SIZE or not counts_by_name(entity)


def dump_entity(entity: Entity[..., Any]) -> bytes:
    """Write an entity as bytes, with its captured values. Raises `CantTravel`."""
    try:
        data = dumps([type(entity), entity_state(entity)])
    # A captured object's __reduce__ may raise any exception.
    except Exception as error:
        raise CantTravel(
            f"{entity.name} can't travel to another process: {type(error).__name__}: {error}. Take what it "
            "captures as an input, or make it in the body"
        ) from error
    return seal(MAGIC, VERSION, 1, pack([PYTHON, data]))


def unsealed(data: bytes, what: str) -> bytes:
    """Give the content of `dump_entity`'s bytes, without loading it. Raises `FormatError` if the bytes are damaged."""
    return unseal(data, MAGIC, range(1, VERSION + 1), what)[2]


def load_entity(data: bytes) -> Entity[..., Any]:
    """Load the entity of `dump_entity`'s bytes. Runs code: for workers only. Raises `OtherPython`."""
    python, pickled = unpack(unsealed(data, "a function"), "a function")
    if python != PYTHON:
        raise OtherPython(f"it was pickled by {python}, and this is {PYTHON}")
    cls, state = loads(pickled)
    entity: Entity[..., Any] = rebuilt(cls, state)
    return entity


def entity_state(entity: Entity[..., Any]) -> dict[str, Any]:
    """Give the state from which another process makes the entity again.

    Annotations are resolved, since their names may not be there. Source lines that are in no file come along, so that
    functions defined inside have a digest there too, and tracebacks show the cell.
    """
    function = entity.function
    filename = function.__code__.co_filename
    in_file = Path(filename).is_file()
    return {
        "function": function,
        "hints": typing.get_type_hints(function, localns=dict(entity._namespace), include_extras=True),
        "policy": entity.policy.to_map(),
        "strict": entity._strict,
        "name": qualified_name(function),
        "identity": entity.callee().digest,
        "more": entity.more_state(),
        "source": None if in_file else (filename, source.lines(cast(FunctionType, function))),
    }


def rebuilt(cls: type[Any], state: dict[str, Any]) -> Any:
    """Make the entity of a state."""
    function, text = state["function"], state["source"]
    if text is not None and text[1]:
        linecache.cache.setdefault(text[0], (sum(map(len, text[1])), None, text[1], text[0]))
    module = state["name"].partition(":")[0]
    if function.__globals__.get("__name__") == "__main__" and module != "__main__":
        # Functions defined in its body are called as they would be there.
        function.__globals__["__name__"] = function.__module__ = module
    function.__annotations__ = state["hints"]
    _show_in_main(state)
    policy = state["policy"] if isinstance(state["policy"], Policy) else Policy.from_map(state["policy"])
    entity = cls(function, policy, False, {}, **state["more"])
    entity._strict = state["strict"]
    entity._known_as = (state["name"], state["identity"])
    return entity


def _show_in_main(state: dict[str, Any]) -> None:
    """Show the classes of a notebook that came along in `__main__`, where code would look for them."""
    main = sys.modules["__main__"]
    function = state["function"]
    mentioned = [part for hint in state["hints"].values() for part in (hint, *typing.get_args(hint))]
    for thing in (*mentioned, *function.__globals__.values()):
        if isinstance(thing, type) and thing.__module__ == "__main__" and "<locals>" not in thing.__qualname__:
            setattr(main, thing.__qualname__, thing)

"""How far a function's code reaches into the project, as one digest: `cache_version="code"` (rule R3).

These are followed: the global names that code mentions, defaults, closures, decorators, annotations; functions and
classes of the project by their text, classes with their bases, metaclasses and attributes; instances by their classes
and what they hold; modules of the project by the attributes that are mentioned, and those that a body imports by their
text; constants by their value. Libraries are left out: their versions are the environment's. What counts for less than
it says, or can't be found, is told.
"""

from __future__ import annotations

import ast
import dis
import enum
import functools
import inspect
import logging
import sys
import threading
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from promissory.planner.errors import is_authors
from promissory.planner.functions import source
from promissory.planner.functions.held import (
    CONTAINERS,
    PLAIN_CONTAINERS,
    SCALARS,
    Parts,
    classes_within,
    is_of_its_library,
    items,
    state,
)
from promissory.planner.functions.identity import identify, significant_lexemes
from promissory.planner.functions.plain import HoldsPromise, is_plain
from promissory.planner.functions.project_text import (
    class_file,
    class_tree,
    function_tree,
    imports_within,
    module_tree,
    names_at_top,
)
from promissory.planner.plan.model import BY_VALUE_SIZE
from promissory.typesys.canonical import digest, pack
from promissory.typesys.names import qualified_name
from promissory.typesys.self_describing import holds_opaque, lower_any

_DEEPEST: Final = 8
"""The depth to which modules in modules are followed: `package.module.function`."""
_BY_NAME: Final = frozenset(("eval", "exec", "__import__", "globals"))
"""Built-in ways to find code at run time, which nobody can follow."""
_NO_MATTER: Final = (logging.Logger, logging.LoggerAdapter, type(threading.Lock()), type(threading.RLock()))
"""Objects that no result depends on."""
_DESCRIPTORS: Final = (property, staticmethod, classmethod, functools.cached_property, functools.partialmethod)
_ALIASES: Final = (types.GenericAlias, types.UnionType, type(typing.Optional[int]), type(typing.List[int]))  # noqa: UP006, UP045
_CODE: Final = (types.FunctionType, functools.singledispatchmethod)
_SLOTS: Final = (types.MemberDescriptorType, types.GetSetDescriptorType)


@dataclass(frozen=True, slots=True)
class Reach:
    """What a function's code reaches.

    Attributes:
        digest: of all that was followed.
        beyond: what it uses that could not be followed, a sentence each.
    """

    digest: bytes
    beyond: tuple[str, ...]


def reach_of(function: Callable[..., Any]) -> Reach:
    """Follow a function's code through the project. Imports nothing, and runs no code of the project.

    >>> def helper(x): return x + 1
    >>> def caller(x): return helper(x)
    >>> len(reach_of(caller).digest), reach_of(caller).beyond
    (32, ())
    """
    walk = _Walk()
    walk.follow(function)
    found = [[name, told] for name, told in sorted(walk.found)]
    return Reach(digest("code", pack(found)), tuple(sorted(walk.beyond)))


class _Walk:
    def __init__(self) -> None:
        self.found: set[tuple[str, bytes]] = set()
        self.beyond: set[str] = set()
        # Keep visited objects alive: `id()` of a freed object may be reused.
        self._seen: dict[int, Any] = {}

    def follow(self, function: Any) -> None:
        todo: list[tuple[str, Any]] = [("", function)]
        while todo:
            said, value = todo.pop()
            if type(value) in SCALARS:
                self._constant(said, value)
            elif id(value) not in self._seen:
                self._seen[id(value)] = value
                todo += self._visited(said, value)

    def _visited(self, said: str, value: Any) -> Parts:
        """Count a value, and give its parts."""
        from promissory.planner.functions.entity import Entity

        kind = type(value)
        if issubclass(kind, Entity):
            yield said, value.function
        elif kind is types.FunctionType:
            yield from self._function(value)
        elif issubclass(kind, type):
            yield from self._class(value)
        elif issubclass(kind, types.MethodType):
            yield from ((said, value.__func__), (said, value.__self__))
        elif issubclass(kind, functools.partial):
            yield from ((said, one) for one in (value.func, *value.args, *value.keywords.values()))
        elif issubclass(kind, _DESCRIPTORS) or kind is functools.singledispatchmethod:
            yield from ((said, one) for one in _within(value))
        elif issubclass(kind, _ALIASES):
            yield from ((said, one) for one in (typing.get_origin(value), *typing.get_args(value)))
        elif kind is types.ModuleType or kind in (types.BuiltinFunctionType, types.WrapperDescriptorType):
            return
        elif issubclass(kind, CONTAINERS) and kind not in PLAIN_CONTAINERS and not self._is_projects(kind):
            yield from items(said, value)
        elif _is_plain(value):
            self._constant(said, value)
            yield from ((said, cls) for cls in classes_within(value))
        elif self._is_projects(kind):
            yield said, kind
            yield from ((f"{said}.{name}", one) for name, one in state(value))
            yield from items(said, value) if issubclass(kind, CONTAINERS) else ()
        elif kind in PLAIN_CONTAINERS:
            yield from items(said, value)
        # `functools.lru_cache` and its like keep the function so.
        elif "__wrapped__" in (held := dict(state(value))):
            yield said, held["__wrapped__"]
        elif not issubclass(kind, _NO_MATTER) and not is_of_its_library(value):
            self._by_class_alone(said, kind)

    def _constant(self, said: str, value: Any) -> None:
        try:
            tree = lower_any(value)
            told = b"" if holds_opaque(tree) else digest("code", pack(tree))
        # A value that its own family can't write down counts by its class.
        except Exception:
            told = b""
        if not told:
            self._by_class_alone(said, type(value))
        self.found.add((said, told))

    def _by_class_alone(self, said: str, kind: type) -> None:
        name = f"{kind.__module__}.{kind.__qualname__}"
        self.found.add((said, name.encode()))
        self.beyond.add(f"{said}, a {name}, which counts by its class alone")

    # --- functions ---------------------------------------------------------------------------------------------------

    def _function(self, function: types.FunctionType) -> Parts:
        code = function.__code__
        attributes = vars(function)
        if not is_authors(code.co_filename):
            # A library's wrapper leads to the project's function that it wraps.
            cells = [value for _, value in _cells(function)]
            yield from (("", one) for one in _leading_on(self, [*attributes.values(), *cells]))
            return
        where = qualified_name(function)
        self.found.add((where, _text_of(function)))
        names = set(_names(code))
        tree = function_tree(function)
        if tree is not None:
            names |= names_at_top(tree)
            self._imports(imports_within(tree, function.__globals__.get("__package__") or ""))
        yield from _globals(where, function.__globals__, names)
        for _, value in _cells(function):
            yield from _of_modules(f"{where} captured", value, names, 0)
        yield from ((f"{where} defaults to", one) for one in function.__defaults__ or ())
        yield from ((f"{where} defaults to", one) for _, one in sorted((function.__kwdefaults__ or {}).items()))
        yield from ((f"{where}.{name}", one) for name, one in sorted(attributes.items()))
        yield from (("", hint) for hint in _leading_on(self, _hints(function)))
        for name in _BY_NAME & _loaded_globals(code) - function.__globals__.keys() | {"import_module"} & names:
            self.beyond.add(f"what {where} finds with {name}()")

    def _imports(self, names: Iterable[str]) -> None:
        todo = list(names)
        while todo:
            name = todo.pop()
            module = module_tree(name)
            if module is None or (told := (name, digest("code", ast.unparse(module[0]).encode()))) in self.found:
                continue
            self.found.add(told)
            todo += imports_within(*module)

    # --- classes -----------------------------------------------------------------------------------------------------

    def _is_projects(self, cls: type) -> bool:
        if class_file(cls) is not None:
            return True
        return any(
            type(one) is types.FunctionType
            and one.__module__ == cls.__module__
            and is_authors(one.__code__.co_filename)
            for one in vars(cls).values()
        )

    def _class(self, cls: type) -> Parts:
        if not self._is_projects(cls):
            return
        where = qualified_name(cls)
        tree = class_tree(cls)
        if tree is not None:
            self.found.add((where, digest("code", ast.unparse(tree).encode())))
            scope = vars(sys.modules[cls.__module__]) if cls.__module__ in sys.modules else {}
            yield from _globals(where, scope, names_at_top(tree))
        for name, one in sorted(vars(cls).items()):
            if type(one) is types.FunctionType and one.__code__.co_filename == "<string>" and tree is not None:
                continue  # what `dataclass` and `NamedTuple` write from the class's text
            if type(one) in _CODE or issubclass(type(one), (*_DESCRIPTORS, type)) or not _is_pythons(cls, name, one):
                yield f"{where}.{name}", one
        yield from (("", one) for one in (*cls.__bases__, type(cls)))
        yield from (("", hint) for hint in _leading_on(self, _hints(cls)))


def _is_pythons(cls: type, name: str, value: Any) -> bool:
    """Tell whether an attribute of a class is Python's own: nothing that its author gave it."""
    is_of_enum = issubclass(cls, enum.Enum) and name.startswith("_")
    is_special = name.startswith("__") and name.endswith("__")
    return is_special or is_of_enum or name.startswith("_abc_") or issubclass(type(value), _SLOTS)


def _leading_on(walk: _Walk, values: Iterable[Any]) -> Iterator[Any]:
    """Choose the values that may lead to code of the project. A library's own data tell nothing."""
    from promissory.planner.functions.entity import Entity

    leads = (types.FunctionType, types.MethodType, functools.partial, Entity, type, *_DESCRIPTORS, *_ALIASES)
    for value in values:
        kind = type(value)
        if issubclass(kind, leads) or walk._is_projects(kind):
            yield value
        elif issubclass(kind, dict | types.MappingProxyType):
            yield from _leading_on(walk, list(value.values()))


def _text_of(function: types.FunctionType) -> bytes:
    """Give the digest of a function's source with what it captured; of its source alone, if that has no bytes."""
    identity = identify(function).digest
    if len(identity) != BY_VALUE_SIZE:
        return identity
    lines = source.lines(function)[function.__code__.co_firstlineno - 1 :]
    if lines and function.__name__ != "<lambda>":
        return digest("code", pack([[kind, text] for kind, text in significant_lexemes("".join(lines))]))
    # Another Python compiles a lambda otherwise, but its own text can't be told from its line's.
    return digest("code", _compiled(function.__code__))


def _compiled(code: types.CodeType) -> bytes:
    constants = b"".join(
        _compiled(one) if isinstance(one, types.CodeType) else repr(one).encode() for one in code.co_consts
    )
    return code.co_code + constants + repr(code.co_names).encode()


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _loaded_globals(code: types.CodeType) -> set[str]:
    """Give the names that code takes from its module or the built-ins, and not from an object."""
    found = {one.argval for one in dis.get_instructions(code) if one.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return found.union(*(_loaded_globals(one) for one in code.co_consts if isinstance(one, types.CodeType)))


def _cells(function: types.FunctionType) -> Parts:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        # The variable is not assigned yet.
        except ValueError:
            continue


def _globals(where: str, scope: dict[str, Any], names: set[str]) -> Parts:
    """Give the values of a module's names that code mentions, and of the modules that those name."""
    for name in sorted(names & scope.keys()):
        yield from _of_modules(f"{where} uses {name}", scope[name], names, 0)


def _of_modules(said: str, value: Any, names: set[str], depth: int) -> Parts:
    """Give a value, or, of a module of the project, the attributes that are mentioned."""
    if not issubclass(type(value), types.ModuleType):
        yield said, value
    elif is_authors(getattr(value, "__file__", None) or "<frozen>") and depth < _DEEPEST:
        for name in sorted(names & vars(value).keys()):
            yield from _of_modules(f"{said}.{name}", vars(value)[name], names, depth + 1)


def _hints(thing: Any) -> list[Any]:
    """Give the annotations of a function or class. A name that is not there at run time leads nowhere."""
    try:
        return list(typing.get_type_hints(thing, include_extras=True).values())
    # An annotation may be any text, and evaluating it may raise anything.
    except Exception:
        return [hint for hint in inspect.get_annotations(thing).values() if not isinstance(hint, str)]


def _within(descriptor: Any) -> Iterator[Any]:
    kept = ("fget", "fset", "fdel", "__func__", "func", "args", "keywords", "dispatcher")
    yield from (one for name in kept if (one := getattr(descriptor, name, None)) is not None)


def _is_plain(value: Any) -> bool:
    try:
        return is_plain(value)
    except HoldsPromise:
        return False

"""Values of classes without a known wire form: a cloudpickle, checked by typeguard against the annotation.

A pickle is loaded only where user code runs anyway: in workers, and in the process that submitted the run. Elsewhere
`pickles_refused` holds. The bytes of a pickle are never an identity: they differ by hash seed and line number.
"""

from __future__ import annotations

import importlib
import io
import pickle
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, Final

from promissory.typesys.errors import FormatError, NotTrusted, TypeMismatch
from promissory.typesys.exceptions import exception_of, parts_of
from promissory.typesys.names import find, module_name, names_itself, qualified_name, written_name
from promissory.typesys.older_names import OLDER_MODULES, OLDER_NAMES
from promissory.typesys.records import is_secret_of_pydantic


def lower_opaque(value: Any, name: str | None, lookup: Callable[[str], Any]) -> bytes:
    """Pickle a value. If `name` stands for an annotation, check the value against it."""
    from promissory.typesys.names import NotFound

    if name is not None:
        try:
            annotation = lookup(name)
        except NotFound:
            # The annotation has no importable name (a generic). It was checked where it is known.
            annotation = None
        if annotation is not None:
            check_opaque(value, annotation)
    if is_secret_of_pydantic(type(value)):
        raise TypeMismatch(f"a {type(value).__name__} would be stored with its value: use Secret(…), which isn't")
    try:
        data = dumps(value)
    # A class's own __reduce__ may raise anything.
    except Exception as error:
        if isinstance(error, TypeMismatch) or getattr(error, "passes_through_encoding", False):
            raise
        raise TypeMismatch(
            f"a {type(value).__name__} can't be written down: {type(error).__name__}: {error}"
        ) from error
    return data


_way_out: ContextVar[str] = ContextVar("promissory_no_pickles", default="")


@contextmanager
def pickles_refused(way_out: str) -> Iterator[None]:
    """Have no pickle be loaded inside a `with` block: a value that is one raises `NotTrusted`, which tells the way
    out."""
    token = _way_out.set(way_out)
    try:
        yield
    finally:
        _way_out.reset(token)


def lift_opaque(tree: Any) -> Any:
    """Load the value of a pickle. Raises `NotTrusted` where pickles are refused."""
    if way_out := _way_out.get():
        raise NotTrusted(f"a value is a pickle, which runs its writer's code when it is loaded: {way_out}")
    if type(tree) is not bytes:
        raise FormatError("an opaque value", "is not a pickle")
    return loads(tree)


def is_pickle(tree: Any) -> bool:
    """Tell whether a tree is the pickle of a value whose class had no wire form when it was written."""
    return tree.__class__ is bytes and tree[:3] in (b"P2\x80", b"\x80\x05\x95")


_NAMED: Final = b"P2"
"""The first bytes of a pickle in which classes and functions of this package bear their public names. A pickle without
them is older, and names the modules of its time."""


def dumps(value: Any) -> bytes:
    """Pickle a value with cloudpickle.

    Definitions of the program's own file are named as an import would name them, and not copied, so they are the same
    on the other side.
    """
    buffer = io.BytesIO(_NAMED)
    buffer.seek(len(_NAMED))
    _pickler_class()(buffer, protocol=5).dump(value)
    return buffer.getvalue()


def dumps_by_name(value: Any) -> bytes:
    """Pickle a value whose class has to be importable where the pickle is loaded. Nothing is copied but data."""
    buffer = io.BytesIO(_NAMED)
    buffer.seek(len(_NAMED))
    _PicklerByName(buffer, protocol=5).dump(value)
    return buffer.getvalue()


def loads(data: bytes) -> Any:
    """Load the value of a pickle.

    The program's own module name means the program, which is not imported a second time.
    """
    if data[: len(_NAMED)] == _NAMED:
        return _Unpickler(io.BytesIO(memoryview(data)[len(_NAMED) :])).load()
    return _OlderUnpickler(io.BytesIO(data)).load()


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module != "__main__" and module == module_name("__main__"):
            return find(f"{module}:{name}")
        return super().find_class(module, name)


class _OlderUnpickler(_Unpickler):
    """An unpickler of pickles that name things of this package by the modules of their time."""

    def find_class(self, module: str, name: str) -> Any:
        written = OLDER_NAMES.get(f"{module}:{name}")
        if written is not None:
            return find(written)
        if name == "subimport" and module.partition(".")[0] == "cloudpickle":
            return _older_module
        return super().find_class(module, name)


def _older_module(name: str) -> Any:
    return importlib.import_module(OLDER_MODULES.get(name, name))


class _PicklerByName(pickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:
        if issubclass(type(obj), BaseException):
            parts = parts_of(obj, _travels)
            return NotImplemented if parts is None else (exception_of, parts)
        written = written_name(obj) if isinstance(obj, type | types.FunctionType) else None
        return NotImplemented if written is None else (find, (written,))


def _travels(value: Any) -> bool:
    """Whether a value can be pickled by name."""
    try:
        dumps_by_name(value)
    except BaseException:  # pickling runs the author's code, which may raise anything
        return False
    return True


@cache
def _pickler_class() -> Any:
    import cloudpickle

    # cloudpickle copies functions of modules that are not loaded.
    importlib.import_module("promissory.pickled")

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        def reducer_override(self, obj: Any) -> Any:
            written = written_name(obj) if isinstance(obj, type | types.FunctionType) else None
            if written is not None:
                return find, (written,)
            if (
                isinstance(obj, type | types.FunctionType)
                and getattr(obj, "__module__", None) in ("__main__", "__mp_main__")
                and names_itself(obj)
            ):
                return find, (qualified_name(obj),)
            if isinstance(obj, types.FunctionType) and _is_defined_inside(obj):
                return (
                    bare_function,
                    (obj.__code__, obj.__module__, len(obj.__code__.co_freevars)),
                    _function_state(obj),
                    None,
                    None,
                    complete_function,
                )
            if isinstance(obj, types.CodeType):
                make, arguments = self.dispatch_table[types.CodeType](obj)
                return code_of_file, (obj.co_filename, make, arguments)
            return super().reducer_override(obj)

    return Pickler


def _is_defined_inside(function: types.FunctionType) -> bool:
    """Tell whether a function has no name of its own in a module that an import gives.

    Such a function travels by value, and uses the module's variables, not copies of them.
    """
    module = sys.modules.get(function.__module__)
    if module is None or function.__module__ in ("__main__", "__mp_main__") or vars(module) is not function.__globals__:
        return False
    thing: Any = module
    for part in function.__qualname__.split("."):
        thing = getattr(thing, part, None)
    return thing is not function


def code_of_file(filename: str, make: Callable[..., types.CodeType], arguments: tuple[Any, ...]) -> types.CodeType:
    """Make a code object that names its file. cloudpickle 3.1.3 and later drop the name, and with it the source of
    nested functions and the lines of a traceback."""
    return make(*arguments).replace(co_filename=filename)


def bare_function(code: types.CodeType, module: str, cells: int) -> types.FunctionType:
    return types.FunctionType(
        code, vars(importlib.import_module(module)), closure=tuple(types.CellType() for _ in range(cells))
    )


_ATTRIBUTES = (
    "__name__",
    "__qualname__",
    "__defaults__",
    "__kwdefaults__",
    "__doc__",
    "__annotations__",
    "__module__",
    "__type_params__",
)


def _function_state(function: types.FunctionType) -> tuple[dict[str, Any], dict[str, Any], list[list[Any]]]:
    attributes = {name: getattr(function, name) for name in _ATTRIBUTES if hasattr(function, name)}
    contents: list[list[Any]] = []
    for cell in function.__closure__ or ():
        try:
            contents.append([cell.cell_contents])
        except ValueError:
            # The variable is not assigned yet.
            contents.append([])
    return attributes, dict(vars(function)), contents


def complete_function(
    function: types.FunctionType, state: tuple[dict[str, Any], dict[str, Any], list[list[Any]]]
) -> None:
    attributes, others, contents = state
    for name, value in attributes.items():
        setattr(function, name, value)
    vars(function).update(others)
    for cell, content in zip(function.__closure__ or (), contents, strict=True):
        if content:
            cell.cell_contents = content[0]


def check_opaque(value: Any, annotation: Any) -> None:
    """Raise `TypeMismatch` unless typeguard accepts the value for an annotation that has no wire form of its own.

    typeguard is told to look at every item: by default it looks at the first only, so `[1, "a"]` passes as `list[int]`.
    """
    try:
        if isinstance(annotation, type) and isinstance(value, annotation):
            return
    # The annotation is a TypedDict, or a Protocol that isn't made for isinstance. typeguard can check both.
    except TypeError:
        pass
    from typeguard import CollectionCheckStrategy, TypeCheckError, check_type

    try:
        check_type(value, annotation, collection_check_strategy=CollectionCheckStrategy.ALL_ITEMS)
    except TypeCheckError as error:
        raise TypeMismatch(str(error)) from None

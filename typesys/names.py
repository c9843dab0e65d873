"""Names of things: `package.module:Outer.thing`, the name by which another process would import a thing.

One rule holds for functions, classes and records: a file's module name is the name an import would give it, also when
the file was started as a script. So a plan compiled under `__main__` has the same bytes as one compiled from the
module.
"""

from __future__ import annotations

import ast
import importlib
import os
import sys
from functools import lru_cache
from pathlib import Path
from types import FunctionType
from typing import Any
from weakref import WeakValueDictionary

from promissory._names import WRITTEN
from promissory.typesys.older_names import OLDER_NAMES

_classes_made_in_functions: WeakValueDictionary[str, Any] = WeakValueDictionary()


def import_name(path: Path) -> tuple[str, Path]:
    """Give (module name, the folder that must be on `sys.path`) of a Python file.

    A file inside packages (folders with `__init__.py`) is named from the outermost one.

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp()); (root / "pkg").mkdir(); _ = (root / "pkg" / "__init__.py").write_text("")
    >>> import_name(root / "pkg" / "flow.py")[0]
    'pkg.flow'
    """
    path = path.resolve()
    parts = [] if path.name == "__init__.py" else [path.stem]
    folder = path.parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    return ".".join(parts), folder


def module_name(module: str) -> str:
    """Give the importable name of a module.

    `__main__` is called by its file's name, or by the argument of `python -m`.
    """
    if module not in ("__main__", "__mp_main__"):
        return module
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name not in ("__main__", "__mp_main__"):
        return str(spec.name)
    file = getattr(main, "__file__", None)
    return import_name(Path(file))[0] if file else "__main__"


def qualified_name(thing: Any) -> str:
    """Give `module:qualname` of a class or function.

    >>> from fractions import Fraction
    >>> qualified_name(Fraction)
    'fractions:Fraction'
    """
    written = written_name(thing)
    if written is not None:
        return written
    name = f"{module_name(thing.__module__)}:{thing.__qualname__}"
    if "<locals>" in name and isinstance(thing, type):
        _classes_made_in_functions[name] = thing
    return name


def written_name(thing: Any) -> str | None:
    """Give the name under which a class or function of this package is written down, whichever file it lies in.

    None for anything else.

    >>> from promissory import NodeFailure
    >>> written_name(NodeFailure)
    'promissory:NodeFailure'
    """
    module = getattr(thing, "__module__", None)
    if module.__class__ is not str or not module.startswith("promissory."):
        return None
    return WRITTEN.get((module, thing.__qualname__))


def names_itself(thing: type | FunctionType) -> bool:
    """Whether an import of its name gives this very class or function (rule A12). Imports nothing."""
    try:
        return import_defines(thing) and _loaded(qualified_name(thing)) is thing
    except (AttributeError, KeyError):
        return False


def loaded_class(name: str) -> type | None:
    """The class of a name, if its module is loaded. Imports nothing."""
    try:
        thing = _classes_made_in_functions.get(name) or _loaded(name)
    except (AttributeError, KeyError, TypeError):
        return None
    return thing if isinstance(thing, type) else None


def _loaded(name: str) -> Any:
    module, _, qualname = name.partition(":")
    thing: Any = sys.modules["__main__" if module == module_name("__main__") else module]
    for part in qualname.split("."):
        thing = vars(thing)[part]
    return thing


def import_defines(thing: type | FunctionType) -> bool:
    """Whether an import in another process would define something of this name there, if this process is the program
    that does.

    Importing a program's file carries out the statements at its own level, but not those behind
    `if __name__ == "__main__":`. A definition that is replaced further down is not the one that the import gives; a
    function that decorators wrapped begins where the innermost of its layers begins.
    """
    name = qualified_name(thing)
    module, _, qualname = name.partition(":")
    main = sys.modules["__main__"]
    if thing.__module__ not in ("__main__", "__mp_main__") or "<locals>" in name:
        return "<locals>" not in name
    file = getattr(main, "__file__", None)
    if module == "__main__" or file is None or not file.endswith(".py") or "." in Path(file).stem:
        return False
    state = os.stat(file)
    last = _last_definitions(file, state.st_mtime_ns, state.st_size).get(qualname.partition(".")[0])
    return last is not None and ("." in qualname or not isinstance(thing, FunctionType) or last in _first_lines(thing))


def _first_lines(function: Any) -> list[int]:
    """The first lines of a function and of the functions that it wraps (`__wrapped__`)."""
    found: list[int] = []
    seen: set[int] = set()
    while isinstance(function, FunctionType) and id(function) not in seen:
        seen.add(id(function))
        found.append(function.__code__.co_firstlineno)
        function = vars(function).get("__wrapped__")
    return found


@lru_cache(64)
def _last_definitions(file: str, changed: int, size: int) -> dict[str, int]:
    """List the names that importing a file defines, with the line at which each is defined last (its first
    decorator's)."""
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return {}
    found: dict[str, int] = {}
    todo: list[ast.AST] = list(reversed(tree.body))
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found[node.name] = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        elif not (isinstance(node, ast.If) and "__main__" in ast.dump(node.test)):
            todo += reversed(list(ast.iter_child_nodes(node)))
    return found


class NotFound(LookupError):
    """No import gives the thing of this name. The message says what failed."""


def find(name: str) -> Any:
    """Import the thing that `qualified_name` named. Runs the module's code if it was not loaded yet.

    A value of version 0.1 may name a class of this package by the module in which the class lay then. Such a name is
    looked up in the table of those days, but only if nothing else bears it.

    Raises `NotFound`.
    """
    try:
        return _found(name)
    except NotFound:
        if name not in OLDER_NAMES:
            raise
    return _found(OLDER_NAMES[name])


def _found(name: str) -> Any:
    local = _classes_made_in_functions.get(name)
    if local is not None:
        return local
    module, _, qualname = name.partition(":")
    try:
        thing: Any = sys.modules["__main__"] if module == module_name("__main__") else importlib.import_module(module)
    except KeyboardInterrupt:
        raise
    # The module's own code may raise anything, `SystemExit` too.
    except BaseException as error:
        said = str(error) if isinstance(error, ImportError) else f"{type(error).__name__}: {error}"
        raise NotFound(f"cannot import module {module!r} to find {qualname!r}: {said}") from error
    for part in qualname.split("."):
        if part == "<locals>":
            raise NotFound(
                f"{qualname!r} of module {module!r} is defined inside a function, where no import reaches it"
            )
        try:
            thing = getattr(thing, part)
        except AttributeError as error:
            said = str(error) if "__getattr__" in vars(thing) else f"module {module!r} has no {qualname!r}"
            raise NotFound(said) from None
    return thing


# Pickles name this function so.
find.__module__ = "promissory.pickled"

"""The import of the user's modules in a worker. The program that started the run is imported under the name that an
import would give its file, never as `__main__` (rule A11).

A module may start runs at its own level: a program without `if __name__ == "__main__":` does. In a worker such a
statement is left out. Of the statements behind it, those that only act and define nothing (prints, loops, waiting for
input) are left out too; those that define something are carried out all the same, except where they fail for want of
the run's result.
"""

from __future__ import annotations

import ast
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import Any

from promissory.executor.code.import_guard import StartedInWorker, importing
from promissory.executor.code.source_bundle import is_installed

_DEFINING = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Import,
    ast.ImportFrom,
    ast.Assign,
    ast.AnnAssign,
    ast.AugAssign,
)


loaded_files: dict[str, tuple[str, int, int]] = {}
"""The user's modules that were loaded here: (file, time of its last change, size) by name."""


def file_state(file: str) -> tuple[str, int, int]:
    """The state of a file by which a change of it is noticed."""
    try:
        found = os.stat(file)
    except OSError:
        return file, 0, 0
    return file, found.st_mtime_ns, found.st_size


class UserLoader(importlib.machinery.SourceFileLoader):
    """Loads one of the user's files.

    Args:
        forgiving: go on behind any statement that fails, as a statement of a program that reads its input may;
            otherwise only behind a statement that starts a run.
    """

    def __init__(self, name: str, file: str, forgiving: bool) -> None:
        super().__init__(name, file)
        self._forgiving = forgiving

    def exec_module(self, module: ModuleType) -> None:
        """Carry out the file, except for statements that start a run."""
        loaded_files[module.__name__] = file_state(self.path)
        try:
            super().exec_module(module)
        except StartedInWorker as error:
            self._go_on(module, error)
        except (Exception, SystemExit) as error:
            if not self._forgiving or isinstance(error, SyntaxError):
                raise
            self._go_on(module, error)

    def _go_on(self, module: ModuleType, first: BaseException) -> None:
        """Carry out the definitions behind the statement that raised."""
        tree = ast.parse(self.get_data(self.path), self.path)
        behind = _line_in(self.path, first.__traceback__)
        flags = _future_flags(tree)
        for statement in tree.body:
            if statement.lineno > behind and _defines(statement):
                code: CodeType = compile(ast.Module([statement], []), self.path, "exec", flags, dont_inherit=True)
                try:
                    exec(code, vars(module))
                except (KeyboardInterrupt, GeneratorExit):
                    raise
                except BaseException:  # the statement is left out; a use of its names raises an error that says so
                    continue
        vars(module).setdefault("__getattr__", _missing(module, first))


def _line_in(file: str, trace: TracebackType | None) -> int:
    """The line of a file's own level at which an exception was raised."""
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file and trace.tb_frame.f_code.co_name == "<module>":
            return trace.tb_lineno
        trace = trace.tb_next
    return 0


def _future_flags(tree: ast.Module) -> int:
    flags = 0
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            for alias in node.names:
                flags |= getattr(__import__("__future__"), alias.name).compiler_flag
    return flags


def _defines(statement: ast.stmt) -> bool:
    """Whether a statement defines a name, also behind a condition."""
    if isinstance(statement, ast.If | ast.Try):
        return any(isinstance(inner, _DEFINING[:5]) for inner in ast.walk(statement))
    return isinstance(statement, _DEFINING)


def _missing(module: ModuleType, first: BaseException) -> Any:
    def get(name: str) -> Any:
        raise AttributeError(
            f"module {module.__name__!r} has no attribute {name!r}: a statement of it was left out in a worker "
            f"({type(first).__name__}: {first})"
        )

    return get


class ScriptFinder:
    """Finds the program under its name, and nothing else.

    Args:
        name: the module's name.
        file: the program.
    """

    def __init__(self, name: str, file: str) -> None:
        self._name = name
        self._file = file

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The spec of the program."""
        if fullname != self._name or not Path(self._file).is_file():
            return None
        return importlib.util.spec_from_file_location(
            fullname, self._file, loader=UserLoader(fullname, self._file, True)
        )


class UserFinder:
    """Finds the modules that Python's own finder finds on `sys.path`, and has `UserLoader` load the user's files."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The spec of one of the user's modules."""
        found = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if (
            found is None
            or found.origin is None
            or type(found.loader) is not importlib.machinery.SourceFileLoader
            or is_installed(found.origin)
        ):
            return found
        found.loader = UserLoader(fullname, found.origin, False)
        return found


class ModuleFinder:
    """Finds modules that the executor's process has from files which `sys.path` does not lead to (tests, files loaded
    by path). It is asked last.

    Args:
        files: the modules' files, by name.
    """

    def __init__(self, files: dict[str, str]) -> None:
        self._files = files

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The spec of a known module, or of a package in which a known module lies."""
        file = self._files.get(fullname)
        if file is not None and Path(file).is_file():
            return importlib.util.spec_from_file_location(fullname, file, loader=UserLoader(fullname, file, False))
        if any(name.startswith(f"{fullname}.") for name in self._files):
            return importlib.machinery.ModuleSpec(fullname, None, is_package=True)
        return None


@contextmanager
def no_runs_begin() -> Iterator[None]:
    """A block in which the user's modules start no runs when they are imported. In a worker that is so anyway."""
    finder = UserFinder()
    try:
        place = sys.meta_path.index(importlib.machinery.PathFinder)
    except ValueError:
        place = 0
    token = importing.set(True)
    sys.meta_path.insert(place, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        importing.reset(token)

"""How a worker imports the program that started the run (rule A11): by the name that an import would give its file, never as `__main__`.

A program without `if __name__ == "__main__":` starts its runs at module level, and would start them again in each worker. So its statements are carried out one by one, and a
statement that starts a run, or fails for want of what such a statement would have given, is left out; what it defines is there all the same.
"""

from __future__ import annotations

import ast
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from executor import loading


class ScriptFinder(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Finds and loads one file under one name.

    Args:
        name: the module's name.
        file: the program.
    """

    def __init__(self, name: str, file: str) -> None:
        self.name = name
        self.file = file

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> importlib.machinery.ModuleSpec | None:
        """The spec of the program, under its name only."""
        if fullname != self.name or not Path(self.file).is_file():
            return None
        return importlib.util.spec_from_file_location(fullname, self.file, loader=self)

    def get_filename(self, fullname: str) -> str:
        """The program's file."""
        return self.file

    def get_source(self, fullname: str) -> str:
        """The program's text."""
        return importlib.util.decode_source(Path(self.file).read_bytes())

    def get_code(self, fullname: str) -> CodeType:
        """The whole program, for tools; it is carried out a statement at a time."""
        code: CodeType = compile(self.get_source(fullname), self.file, "exec", dont_inherit=True)
        return code

    def exec_module(self, module: ModuleType) -> None:
        """Carry out the program's statements, but those that start a run and those that need what such a one would have given."""
        tree = ast.parse(self.get_source(self.name), self.file)
        future = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
        flags = 0
        for node in future:
            for alias in node.names:
                flags |= getattr(__import__("__future__"), alias.name).compiler_flag
        first: BaseException | None = None
        for statement in tree.body:
            code = compile(ast.Module([statement], []), self.file, "exec", flags, dont_inherit=True)
            try:
                with loading.a_program():
                    exec(code, vars(module))
            except (KeyboardInterrupt, GeneratorExit):
                raise
            except BaseException as error:  # left out; whoever misses what it would have defined is told
                first = first or error
        if first is not None:
            sys.modules.setdefault(self.name, module)
            vars(module)["__getattr__"] = _missing(module, first)


class ModuleFinder(importlib.abc.MetaPathFinder):
    """Finds modules that the executor's process has from files which `sys.path` does not lead to (tests, files loaded by path); asked last.

    Args:
        files: of the modules, by name.
    """

    def __init__(self, files: dict[str, str]) -> None:
        self._files = files

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> importlib.machinery.ModuleSpec | None:
        """The spec of a known module, or of a package that one is said to be in."""
        file = self._files.get(fullname)
        if file is not None and Path(file).is_file():
            return importlib.util.spec_from_file_location(fullname, file)
        if any(name.startswith(f"{fullname}.") for name in self._files):
            return importlib.machinery.ModuleSpec(fullname, None, is_package=True)
        return None


def _missing(module: ModuleType, first: BaseException) -> Any:
    def get(name: str) -> Any:
        raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}: a statement of it failed in a worker ({type(first).__name__}: {first})")

    return get

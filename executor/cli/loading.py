"""The loading of targets: from a file, a module or a plan, as typed, to a workflow that can be run."""

from __future__ import annotations

import importlib
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from promissory.executor.protocol.telling import class_name, text_of
from promissory.executor.records.manifest import Manifest
from promissory.executor.store.store import Store
from promissory.planner import Dynamic, Plan, Task, Workflow, WorkflowFunction
from promissory.planner.errors import CompileError, PlanFormatError, authors_lines
from promissory.planner.plan.format import MAGIC
from promissory.typesys.defaults import Classes
from promissory.typesys.names import find, import_name

Runnable = WorkflowFunction[..., Any] | Workflow | Dynamic[..., Any] | Task[..., Any]


def load(what: str) -> ModuleType | Plan:
    """A plan file's plan, or the module of a Python file or name.

    Raises:
        PlanFormatError: the plan is damaged or of a newer version.
        click.UsageError: there is no such file or module, or its own code fails when it is imported.
    """
    path = Path(what)
    if is_file(path):
        with path.open("rb") as file:
            if file.read(len(MAGIC)) == MAGIC or path.suffix in (".plan", ".futures"):
                return _plan(path)
        if path.suffix != ".py":
            raise click.UsageError(f"{what} is neither a Python file nor a plan")
        return _import_file(path)
    if path.suffix == ".py" or "/" in what:
        raise click.UsageError(f"there is no file {what}")
    if not all(part.isidentifier() for part in what.split(".")):
        raise click.UsageError(f"there is no file or module {what!r}")
    sys.path.insert(0, "")
    return _import(what, what)


def is_file(path: Path) -> bool:
    """Whether there is such a file. Raises `click.UsageError` for a text that can't be a path."""
    try:
        return path.is_file()
    except (OSError, ValueError) as error:
        raise click.UsageError(
            f"{str(path)[:60]}… can't be a file: {getattr(error, 'strerror', None) or error}"
        ) from None


def _plan(path: Path) -> Plan:
    try:
        return Plan.load(path)
    except PlanFormatError as error:
        raise PlanFormatError(str(path), error.problem, error.offset) from None


def _import_file(path: Path) -> ModuleType:
    name, root = import_name(path)
    loaded = sys.modules.get(name)
    file = getattr(loaded, "__file__", None)
    if loaded is not None and (file is None or Path(file).resolve() != path.resolve()):
        raise click.UsageError(
            f"{path} would be imported as {name!r}, and a module of that name is loaded already "
            f"({file or 'built in'}): rename it"
        )
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    module = _import(name, str(path))
    found = getattr(module, "__file__", None)
    if found is None or Path(found).resolve() != path.resolve():
        raise click.UsageError(f"importing {name!r} gives {found}, not {path}: rename one of them")
    return module


def _import(name: str, said: str) -> ModuleType:
    try:
        with redirect_stdout(sys.stderr):  # standard output is for the result alone
            return importlib.import_module(name)
    except CompileError:
        raise
    except ModuleNotFoundError as error:
        if error.name == name:
            raise click.UsageError(f"there is no file or module {said}") from None
        raise click.UsageError(f"{said} can't be imported: {where(error)}") from None
    except BaseException as error:  # the author's module may raise anything, sys.exit() too
        if isinstance(error, KeyboardInterrupt):
            raise
        raise click.UsageError(f"{said} can't be imported: {where(error)}") from None


def where(error: BaseException) -> str:
    """The error that the author's module raised, with the author's own lines."""
    at = "".join(f"\n  {line}" for line in authors_lines(error))
    if isinstance(error, SyntaxError):
        at += f"\n  {error.filename}:{error.lineno}: {(error.text or '').strip()}"
    text = text_of(error)
    return f"{class_name(type(error))}{f': {text}' if text else ''}{at}"


def runnables(module: ModuleType) -> dict[str, Runnable]:
    """The callables of a module that can be run, by name: its own workflows and dynamics in order, then its tasks."""
    found: dict[str, Runnable] = {}
    for name, thing in vars(module).items():
        if isinstance(thing, Workflow):
            found.setdefault(thing.name, thing)
        elif isinstance(thing, WorkflowFunction | Dynamic) and thing.function.__module__ == module.__name__:
            found.setdefault(name, thing)
    tasks = {n: t for n, t in vars(module).items() if isinstance(t, Task) and t.function.__module__ == module.__name__}
    return {**found, **{name: task for name, task in tasks.items() if name not in found}}


def choose(module: ModuleType, name: str | None) -> Runnable:
    """The workflow of a name; without a name, the only workflow (or the only dynamic) that there is."""
    offered = runnables(module)
    if name is not None:
        if name in offered:
            return offered[name]
        elsewhere = getattr(module, name, None)
        if isinstance(elsewhere, WorkflowFunction | Workflow | Dynamic | Task):
            return elsewhere
        raise click.UsageError(f"{module.__name__} has no workflow {name!r}; it has: {', '.join(offered) or 'none'}")
    workflows = [thing for thing in offered.values() if isinstance(thing, WorkflowFunction | Workflow)]
    dynamics = [thing for thing in offered.values() if isinstance(thing, Dynamic)]
    for candidates in (workflows, dynamics):
        if len(candidates) == 1:
            return candidates[0]
        if candidates:
            break
    if not offered:
        raise click.UsageError(f"{module.__name__} has no workflow: decorate a function with @workflow")
    raise click.UsageError(f"say which workflow of {module.__name__}: {', '.join(offered)}")


def classes_of(store: Store, manifest: Manifest) -> Classes | None:
    """A function that finds the classes of a run's program, as far as the store may be believed.

    The plan and the folders of its code are what the store says, so to follow them is to run what the store names: only
    a folder of this user's own is believed (rule T2).
    """
    folder = store.url.removeprefix("file://")
    if "://" in folder or not hasattr(os, "getuid") or os.stat(folder).st_uid != os.getuid():
        return None

    def found(name: str) -> Any:
        find_code(manifest, None)
        with redirect_stdout(sys.stderr):
            return find(name)

    return found


def find_code(manifest: Manifest, file: str | None) -> None:
    """Have a run's code found where it was, or, if it has moved, in a file."""
    if file is not None:
        load(file)
    else:
        sys.path[:0] = [root for root in manifest.source[1:] if root not in sys.path]

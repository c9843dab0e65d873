"""One class for each kind of mistake. An error says what happened, where (the author's file and line), and the way out.

Every class here but `PlanFormatError` is a `CompileError`. Tracing raises misuse at once and collects everything else,
so one compile tells all that is wrong: a single problem is raised as itself, several as `CompileErrors`.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import traceback
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Final

from promissory._names import publish
from promissory.typesys.errors import FormatError

_PACKAGE: Final = Path(__file__).parent.parent
_OURS: Final = (
    f"{_PACKAGE}{os.sep}",
    *(f"{(_PACKAGE / floor).resolve()}{os.sep}" for floor in ("planner", "typesys", "executor")),
)
"""The folders of our files, also those in which the floors stand behind symbolic links."""

_LIBRARIES: Final = tuple(
    {sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)

_WARNED: Final[dict[str, dict[str | tuple[str, type[Warning], int], int]]] = {}
"""What Python's filters remember of the warnings of each file: what a module's `__warningregistry__` is for its own."""


@dataclass(frozen=True, slots=True)
class Where:
    """A line of the author's code."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def is_ours(file: str) -> bool:
    """Tell whether a source file belongs to these packages."""
    return file.startswith(_OURS)


def warn(message: str, category: type[Warning], where: Where | None) -> None:
    """Warn at an author's line: once for each, unless Python's filters are set otherwise. A stream that can't take the
    warning is no reason to fail."""
    file, line = ("<unknown>", 0) if where is None else (where.file, where.line)
    try:
        warnings.warn_explicit(message, category, file, line, registry=_WARNED.setdefault(file, {}))
    except Warning:  # the program makes errors of such warnings
        raise
    except Exception:  # standard error may be an object of the program's, which raises anything
        return


def user_line() -> Where | None:
    """Find the author's line that is running: the innermost line on the stack that is neither ours nor a library's
    (`copy`, `random`). Without such a line, the innermost line of a library, if there is one."""
    frame: FrameType | None = sys._getframe(1)
    library: Where | None = None
    while frame is not None:
        file = frame.f_code.co_filename
        kind = _kind_of_file(file)
        if kind == "author":
            return Where(file, frame.f_lineno)
        if kind == "library" and library is None:
            library = Where(file, frame.f_lineno)
        frame = frame.f_back
    return library


def is_authors(file: str) -> bool:
    """Tell whether a source file is neither ours nor a library's."""
    return _kind_of_file(file) == "author"


@cache
def _kind_of_file(file: str) -> str:
    if is_ours(file):
        return "ours"
    return "library" if file.startswith((*_LIBRARIES, "<frozen")) else "author"


def authors_lines(error: BaseException) -> list[str]:
    """List the lines of an author's code that an error came through. The last line is the one that raised the error."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{frame.filename}:{frame.lineno}: {frame.line}" for frame in frames if is_authors(frame.filename)]


def raised_at(error: BaseException) -> Where | None:
    """Find the innermost line of an author's code that an error came through."""
    at, found = error.__traceback__, None
    while at is not None:
        if is_authors(at.tb_frame.f_code.co_filename):
            found = Where(at.tb_frame.f_code.co_filename, at.tb_lineno)
        at = at.tb_next
    return found


class NoEffectWarning(UserWarning):
    """Options of tasks can't have an effect in a plan."""


class CompileError(Exception):
    """A mistake in a workflow's source, found before anything ran.

    Attributes:
        message: the problem, in a sentence.
        where: the author's file and line.
        way_out: the advice for the author.
        problems: every problem of this compile (itself, unless there are several).
    """

    passes_through_encoding = True  # The encoder of values does not wrap this error.

    def __init__(self, message: str, *, where: Where | None = None, way_out: str | None = None) -> None:
        self.message = message
        self.where = where
        self.way_out = way_out
        super().__init__(message)

    @property
    def problems(self) -> tuple[CompileError, ...]:
        return (self,)

    def __str__(self) -> str:
        lines = [self.message]
        if self.where is not None:
            lines.append(f"  at {self.where}")
        if self.way_out is not None:
            lines.append(f"  way out: {self.way_out}")
        return "\n".join(lines)


class CompileErrors(CompileError):
    """Several problems of one compile, in the order in which they were found: for each graph the calls, then the
    results, the choices and their arms."""

    def __init__(self, problems: list[CompileError]) -> None:
        self._problems = tuple(problems)
        super().__init__(f"{len(problems)} problems")

    @property
    def problems(self) -> tuple[CompileError, ...]:
        return self._problems

    def __str__(self) -> str:
        return f"{self.message}:\n" + "\n".join(
            f"{number}. {problem}" for number, problem in enumerate(self._problems, 1)
        )


def raise_all(problems: list[CompileError]) -> None:
    """Raise the problems that were collected, if there are any."""
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise CompileErrors(problems)


class DecorationError(CompileError, TypeError):
    """A function that can't be a task, workflow or dynamic (rule A10)."""


class WrongCall(CompileError, TypeError):
    """A call that Python itself would refuse: an argument too many, missing, unknown or given twice."""


class EdgeTypeError(CompileError, TypeError):
    """An argument whose type is not the type that is wanted (rule P3)."""


class ArgumentValueError(CompileError, TypeError):
    """A literal argument that has no wire form, or holds the text of a promise."""


class PromiseError(CompileError, TypeError):
    """An operation on a promise that needs its value, which is not there before the run (rule P2)."""


class PromiseAttributeError(PromiseError, AttributeError):
    """A field or method that a promise of this type does not have.

    The error is an `AttributeError`, so that `hasattr` and debuggers work.
    """


class LeakedPromise(PromiseError):
    """A promise of one trace was used in another, where its node does not exist (rule A6)."""


class StaticRecursion(CompileError, RecursionError):
    """A workflow called itself while it was being traced; only a dynamic can end a recursion (rule A6)."""


class NestedCallError(CompileError, RuntimeError):
    """A workflow or dynamic was called inside a task's body (rule A3)."""


class CycleError(CompileError, ValueError):
    """A round of a cycle that speaks of other rounds in a way that can't be (rule C1)."""


class AwaitError(CompileError, RuntimeError):
    """An await that can't be: outside an async dynamic, or for what a replay could not give again (rule D8)."""


class OrderCycle(CompileError, ValueError):
    """Order edges (`a >> b`) that lead back to where they began."""


class DuplicateName(CompileError, ValueError):
    """Two nodes, inputs or outputs were given the same name."""


class OverrideError(CompileError, ValueError):
    """`.with_overrides(…)` was given a setting that a node can't have."""


class PlanError(CompileError, ValueError):
    """A plan that breaks an invariant of `promissory.planner.plan.verify`."""


class PlanFormatError(FormatError):
    """Bytes that are no plan: cut short, damaged, of a newer version, or not canonical.

    Nothing was executed or imported.
    """


class ContextError(CompileError, RuntimeError):
    """A request of a body that needs a run, where there is none."""


class SignalError(CompileError, ValueError):
    """Requests of a body to its run that contradict each other, or that are impossible."""


class BranchError(CompileError, ValueError):
    """A `conditional` that is not finished, or whose arms don't go together (rule B1)."""


class MapError(CompileError, ValueError):
    """A map over a value that is no list, over unequal lists, or with impossible settings (rule B2)."""


class UnknownTarget(CompileError, LookupError):
    """A jump to a node that the workflow does not have (rule S4)."""


class JumpsBack(CompileError, ValueError):
    """A jump to a node that leads to the jumping task (rule S4)."""


class UnreachableNode(CompileError, ValueError):
    """A node that nothing can ever start."""


class GateError(CompileError, ValueError):
    """A gate with an impossible name, type or time-out (rule G1)."""


publish(globals())

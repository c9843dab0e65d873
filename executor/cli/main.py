"""The command `promissory`: its commands by name, and the exit codes of errors.

Commands are imported when they are used, so that `promissory --help` is quick. A user's mistake is told in words,
without a traceback of this package: exit code 1 if a run failed, 2 if the command was used wrongly, 3 if a plan does
not check, 130 if it was interrupted.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any, Final, NoReturn

import click

from promissory._version import VERSION
from promissory.executor.cli.output import say
from promissory.executor.cli.streams import finish_output, use_any_streams
from promissory.executor.errors import (
    CursorGone,
    EngineError,
    ExecutorError,
    InputError,
    NotInStore,
    RunExists,
    RunIsNotLive,
    RunNotFound,
    StoreDamage,
    StoreNotFound,
    UnsafeStore,
    UnsupportedStore,
)
from promissory.executor.store.keys import CODE, OBJECTS, PLANS, RUNS
from promissory.planner.errors import CompileError, PlanFormatError, authors_lines
from promissory.typesys.errors import FormatError, ParseError

GROUPS: Final[dict[str, dict[str, str]]] = {
    "Run": {
        "run": "Run a workflow, or go on with a plan.",
        "resume": "Go on with a run that was interrupted, or failed.",
        "rerun": "Run a node of an earlier run, and what depends on it, once more.",
        "compile": "Compile a workflow to a plan file.",
        "check": "Check that every workflow in some files compiles.",
    },
    "Submit": {
        "submit": "Put a run into a queue, for a worker to carry out.",
        "work": "Carry out submitted runs.",
        "queue": "List what waits in the queues of a store.",
    },
    "Look": {
        "runs": "List the runs of a store.",
        "status": "Tell how a run stands.",
        "result": "Print what a run, or one of its nodes, gave.",
        "inputs": "Print what a run, or one of its nodes, was given.",
        "events": "Print what happens in a run, as it happens.",
        "logs": "Print what tasks said, and their errors.",
        "explain": "Say why a node ran, was taken from the cache, or has not run.",
        "show": "Show the plan of a file, of a plan file, or of a run.",
        "futures": "Show the futures files of a run.",
    },
    "Steer": {
        "answer": "Answer a gate that waits.",
        "pause": "Have a run start nothing new for the time being.",
        "unpause": "Have a paused run go on.",
        "stop": "Interrupt a run, to be resumed later.",
        "cancel": "End a run for good.",
    },
    "Keep": {
        "export": "Copy a run, and all it refers to, to another store.",
        "doctor": "Find out what of a run is damaged.",
        "cache": "List or remove cached results.",
        "gc": "Remove what nothing refers to.",
    },
}
"""The commands by what they are for, each with its line in the list of commands. The modules of the commands are
imported only when they are used."""

COMMANDS: Final = tuple(name for group in GROUPS.values() for name in group)


_MEANT: Final = {"list": "runs", "ls": "runs", "log": "logs", "delete": "gc", "kill": "cancel", "start": "run"}
"""Commands of other systems, and those of ours that do the same."""


_USED_WRONGLY: Final = (
    CursorGone,
    EngineError,
    InputError,
    ParseError,
    RunExists,
    RunIsNotLive,
    RunNotFound,
    StoreNotFound,
    UnsafeStore,
    UnsupportedStore,
)
"""Errors of a person who types a command: exit code 2."""

_DAMAGE: Final = (FormatError, NotInStore, StoreDamage)
_OF_STORES: Final = tuple(f"{folder}/" for folder in (RUNS, OBJECTS, PLANS, CODE))
"""How messages about a key of a store begin."""


class _Commands(click.Group):
    """Finds each command in the module of its name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for group, lines in GROUPS.items():
            with formatter.section(group):
                formatter.write_dl(list(lines.items()))

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"promissory.executor.cli.{name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, arguments)
        except click.UsageError as error:
            meant = _MEANT.get(arguments[0]) or next(iter(get_close_matches(arguments[0], COMMANDS, 1)), None)
            if meant is None:
                raise
            raise click.UsageError(f"{error.message} Did you mean {meant!r}?", ctx) from None

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        with _until_the_reader_has_enough():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: click.Context) -> Any:
        with _until_the_reader_has_enough():
            return super().invoke(ctx)


@contextmanager
def _until_the_reader_has_enough() -> Iterator[None]:
    """A reader of the output that has read enough ends a command well; click would make an exit code of 1 of it."""
    try:
        yield
    except BrokenPipeError:
        raise click.exceptions.Exit(0) from None


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="promissory")
def promissory() -> None:
    """Typed Python workflows that compile to a plan, grow at run time, and survive any crash."""


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run a command and exit with its code."""
    sys.exit(run_command(arguments))


def run_command(arguments: list[str] | None = None) -> int:
    """Run a command. Returns its exit code."""
    sys.set_int_max_str_digits(0)  # a result may be any number
    use_any_streams()
    try:
        return _run_command(arguments)
    finally:
        finish_output()


def _run_command(arguments: list[str] | None) -> int:
    try:
        result: Any = promissory.main(arguments, prog_name="promissory", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.exceptions.Exit as exit:
        return exit.exit_code
    except (click.Abort, KeyboardInterrupt) as interrupt:
        cause = interrupt.__cause__ or interrupt.__context__ or interrupt  # click makes an Abort of a KeyboardInterrupt
        _say("interrupted", *getattr(cause, "__notes__", ()))
        return 130
    except (CompileError, PlanFormatError) as error:
        _say(f"{error}{_where_damage_is_told(error)}")
        return 3
    except _USED_WRONGLY as error:
        _say(str(error))
        return 2
    except (ExecutorError, FormatError) as error:
        _say(f"{error}{_where_damage_is_told(error)}", *getattr(error, "__notes__", ()))
        return 1
    except Exception as error:
        lines = authors_lines(error)
        if lines:  # the author's own code raised the error while it was traced
            _say(f"{type(error).__name__}: {error}", *lines)
            return 3
        if not isinstance(error, OSError | UnicodeError):
            raise
        if isinstance(error, FileNotFoundError) and error.filename is None and not _has_folder():
            _say("the folder that this command was called in was removed: call it in one that is there")
            return 2
        _say(f"{type(error).__name__}: {error}")
        return 1


def _where_damage_is_told(error: Exception) -> str:
    """The end of a sentence about a damaged key of a store: how to learn more."""
    if isinstance(error, _DAMAGE) and f"{error}".startswith(_OF_STORES):
        return "; `promissory doctor RUN` tells all that is damaged, and what can be done"
    return ""


def _has_folder() -> bool:
    """Whether the working directory is still there."""
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True


def _say(*lines: str) -> None:
    for line in lines:
        say(f"promissory: {line}" if line is lines[0] else f"  {line}")

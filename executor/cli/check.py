"""`promissory check`: compile everything in some files and tell every problem."""

from __future__ import annotations

import warnings

import click

from promissory.executor.cli.loading import load, runnables, where
from promissory.executor.cli.output import counted, say
from promissory.planner import Plan, Task
from promissory.planner import compile as compile_plan
from promissory.planner.errors import CompileError, NoEffectWarning, PlanFormatError
from promissory.planner.functions.unseen import unseen
from promissory.planner.plan.advice import advice


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE…")
def command(files: tuple[str, ...]) -> int:
    """Check that every workflow in the files compiles. Runs no task; reports every problem, with file and line."""
    problems = unusable = 0
    for file in files:
        try:
            loaded = load(file)
        except CompileError as error:
            problems += _report(file, error)
            continue
        except (click.UsageError, PlanFormatError) as error:
            unusable += isinstance(error, click.UsageError)
            problems += isinstance(error, PlanFormatError)
            say(f"promissory: {error.format_message() if isinstance(error, click.UsageError) else error}")
            continue
        if isinstance(loaded, Plan):
            say(f"{file}: plan {loaded.name}, {counted(len(loaded), 'node')}, well")
            continue
        offered = {name: thing for name, thing in runnables(loaded).items() if not isinstance(thing, Task)}
        if not offered:
            say(f"{file}: no workflow")
        for name, thing in offered.items():
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", NoEffectWarning)  # the advice tells it
                    plan = compile_plan(thing)
            except CompileError as error:
                problems += _report(f"{file}: {name}", error)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # the body of an author's workflow may raise anything, sys.exit() too
                problems += 1
                say(f"{file}: {name}: {where(error)}")
            else:
                say(f"{file}: {name}: {counted(len(plan), 'node')}, well")
                for one in (*advice(plan), *unseen(plan)):
                    say(f"{file}: {name}: {one}")
    return 3 if problems else 2 if unusable else 0


def _report(what: str, error: CompileError) -> int:
    for problem in error.problems:
        say(f"{what}: {problem}")
    return len(error.problems)

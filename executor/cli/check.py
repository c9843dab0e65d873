"""`promissory check`: compile everything in some files and tell every problem."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import click

from promissory.executor.cli.loading import find_code, load, runnables, where
from promissory.executor.cli.output import counted, say
from promissory.executor.cli.runs_by_name import run_named
from promissory.executor.cli.stores import open_store, store_option
from promissory.executor.execution.begun_bodies import begun, misfit, path_of, today
from promissory.executor.history.history import History
from promissory.planner import Plan, Task
from promissory.planner import compile as compile_plan
from promissory.planner.errors import CompileError, NoEffectWarning, PlanFormatError
from promissory.planner.functions.sets import iterated_sets
from promissory.planner.functions.unseen import unseen
from promissory.planner.plan.advice import advice


@click.command()
@click.option(
    "--replays", metavar="RUN", help="Whether the code of today still fits the async dynamics that RUN has begun."
)
@store_option
@click.argument("files", nargs=-1, metavar="[FILE…]")
def command(files: tuple[str, ...], replays: str | None, store: str | None) -> int:
    """Check that every workflow in the files compiles. Runs no task; reports every problem, with file and line."""
    if replays is None and not files:
        raise click.UsageError("say which files, or --replays RUN")
    problems = unusable = 0 if replays is None else _replays(replays, files, store)
    unusable = 0
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
                for one in (*advice(plan), *unseen(plan), *_sets(plan)):
                    say(f"{file}: {name}: {one}")
    return 3 if problems else 2 if unusable else 0


def _sets(plan: Plan) -> Iterator[str]:
    """Tell of sets that bodies which await iterate."""
    for entity in plan.origin.entities:
        if entity.is_async and entity.kind == "dynamic":
            for where in iterated_sets(entity.function):
                yield (
                    f"{entity.name} iterates a set\n  at {where}\n  way out: sorted(…); on inline and threads a set of "
                    "texts is in another order in another process, so a replay may make other calls"
                )


def _replays(run_id: str, files: tuple[str, ...], store: str | None) -> int:
    """Tell of each body that has begun whether a replay with today's code makes its calls; gives the misfits."""
    opened = open_store(store)
    history = History(opened, run_named(opened, run_id))
    find_code(history.manifest, files[0] if files else None)
    misfits = 0
    for body in begun(history.scheduler):
        entity = today(body.callee)
        path = path_of(body)
        if entity is None:
            misfits += 1
            say(f"{path}: {body.callee.name} is not there any more")
            continue
        problem = misfit(opened, history.manifest.run_id, body, entity)
        misfits += problem is not None
        changed = "" if entity.callee().digest == body.callee.digest else ", with changed code"
        say(f"{path}: {problem or f'fits{changed}'}")
    return misfits


def _report(what: str, error: CompileError) -> int:
    for problem in error.problems:
        say(f"{what}: {problem}")
    return len(error.problems)

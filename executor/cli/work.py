"""`promissory work`: carry out the runs that were submitted to a store."""

from __future__ import annotations

import os
import signal
from functools import partial
from types import FrameType

import click

from promissory.executor.cli.options import memory_of
from promissory.executor.cli.output import say
from promissory.executor.cli.stores import new_store, store_option
from promissory.executor.engines.registry import engine_named
from promissory.executor.execution.options import Options
from promissory.executor.records.queue import DEFAULT, is_queue
from promissory.executor.remote.work import Work
from promissory.typesys.durations import duration_of

_RUNS = max(4, os.cpu_count() or 1)


def _keep_still(line: str) -> None:
    return


def _end(work: Work, number: int, frame: FrameType | None) -> None:
    if work.is_ending:  # a second signal says that its sender does not want to wait
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    work.end()


@click.command()
@store_option
@click.option("--queue", "queues", multiple=True, default=(DEFAULT,), help="A queue to work on; may be given again.")
@click.option("--engine", default="processes", show_default=True, help="Who runs the tasks.")
@click.option(
    "--max-runs",
    type=click.IntRange(min=1),
    default=_RUNS,
    show_default=True,
    help="Runs to carry at one time.",
)
@click.option(
    "--max-parallelism", type=click.IntRange(min=1), default=None, help="Tasks of a run that may run at one time."
)
@click.option("--memory", default=None, help="The memory that tasks of a run may use, like 16GiB.  [the machine's]")
@click.option("--gpu", type=click.IntRange(min=0), default=None, help="The graphics processors.  [the machine's]")
@click.option("--grace", default="10", show_default=True, help="Seconds that running tasks have after SIGTERM.")
@click.option("--once", is_flag=True, help="End as soon as nothing waits.")
@click.option("--quiet", is_flag=True, help="No line for each run that begins and ends.")
def command(
    store: str | None,
    queues: tuple[str, ...],
    engine: str,
    max_runs: int,
    max_parallelism: int | None,
    memory: str | None,
    gpu: int | None,
    grace: str,
    once: bool,
    quiet: bool,
) -> int:
    """Carry out submitted runs until told to end (SIGTERM, Ctrl-C): then tasks have some seconds to finish, and the
    runs wait for other workers. Any number of workers may share a store, on any number of machines. The runs of a
    worker that is gone are taken over."""
    for queue in queues:
        if not is_queue(queue):
            raise click.BadParameter(f"{queue!r} can't name a queue", param_hint="--queue")
    if not engine_named(engine).remote:
        raise click.BadParameter(
            f"{engine} would import what was submitted into the worker itself: use processes", param_hint="--engine"
        )
    try:
        seconds = duration_of(grace).total_seconds()
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{grace!r} is no duration: write seconds or 1m30s", param_hint="--grace") from None
    opened, bytes_ = new_store(store, quiet), memory_of(memory)

    if not opened.outlives_the_process:
        raise click.BadParameter(f"nobody else can submit to {opened.url}", param_hint="--store")

    def options() -> Options:
        return Options(
            engine=engine_named(engine),
            max_parallelism=max_parallelism,
            memory=bytes_,
            gpu=gpu,
            echo=False,
            says=False,
        )

    work = Work(opened, queues, options, max_runs, _keep_still if quiet else say, say)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, partial(_end, work))
    if not quiet:
        say(f"working on {', '.join(queues)} in {opened.url}, {max_runs} runs at one time")
    if not work.carry_on(once, seconds):
        os._exit(1)  # bodies go on all the same; they end with this process, and the runs wait for other workers
    return 0

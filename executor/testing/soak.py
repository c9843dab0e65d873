"""The soak: `python -m promissory.executor.testing.soak --minutes N` interrupts runs in every way, for N minutes.

Each round takes a workload and one of these, by chance (the seed is printed, and repeats the round):

============= =========================================================================================================
kill          the executor's process, one of its workers, or all of them are killed with -9 at a random moment;
              the run is resumed, again and again, until it has ended
operation     it dies before, after or in the middle of a random operation of its store
point         it dies at a random named point
fence         its executor is stopped (SIGSTOP), another one takes the run over, and the first one is woken
flaky         a fifth of the store's operations fail, and some are done twice
============= =========================================================================================================

The conditions of `promissory.executor.testing.enumeration` have to hold. If one does not, the exit code is 1, and the
round's seed is told.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import promissory.executor
from promissory.executor.crash_points import POINTS
from promissory.executor.records.heartbeat import read_beat
from promissory.executor.store.store import Store
from promissory.executor.testing.diary import forget
from promissory.executor.testing.enumeration import (
    HOWS,
    RUN_ID,
    Kept,
    Violation,
    check_resumed,
    crash_at_operations,
    die_at,
    undisturbed,
)
from promissory.executor.testing.faulty_store import Fault, FaultyStore
from promissory.executor.testing.workloads import WORKLOADS, Workload

_ENGINES: Final = ("inline", "threads", "processes")
_LONGEST: Final = 120.0


def main(arguments: list[str] | None = None) -> int:
    """Interrupt runs until the time is over. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m promissory.executor.testing.soak",
        description="Interrupt runs in every way, and look whether anything was lost.",
    )
    parser.add_argument("--minutes", type=float, default=1.0, help="how long")
    parser.add_argument("--rounds", type=int, default=None, help="end after so many rounds")
    parser.add_argument("--seed", type=int, default=None, help="of the first round")
    parser.add_argument("--only", choices=sorted(KINDS), default=None, help="only this kind of round")
    parser.add_argument("--carry", nargs=3, metavar=("WORKLOAD", "URL", "ENGINE"), help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.carry:
        return carry(*chosen.carry)
    first = random.SystemRandom().randrange(1 << 32) if chosen.seed is None else chosen.seed
    until, done, kinds = time.monotonic() + 60 * chosen.minutes, 0, Counter[str]()
    while time.monotonic() < until and (chosen.rounds is None or done < chosen.rounds):
        draw = random.Random(first + done)
        kind = chosen.only or draw.choice(sorted(KINDS))
        with tempfile.TemporaryDirectory(prefix="soak") as folder:
            os.environ["PROMISSORY_DIARY"] = str(Path(folder) / "diary")
            try:
                kinds[f"{kind} deaths"] += KINDS[kind](draw, folder)
            except Exception as error:  # any error is told with the seed that repeats it
                print(
                    f"seed {first + done}, {kind}: {error if isinstance(error, Violation) else traceback.format_exc()}",
                    file=sys.stderr,
                )
                return 1
        kinds[kind] += 1
        done += 1
    print(
        f"{done} rounds from seed {first}: "
        f"{', '.join(f'{count} {kind}' for kind, count in sorted(kinds.items()))}; nothing was lost"
    )
    return 0


def carry(name: str, url: str, engine: str) -> int:
    """Begin a workload's run, or go on with it, in a process of its own that is going to be killed."""
    workload = next(one for one in WORKLOADS if one.name == name)
    run = promissory.run(
        workload.target, workload.inputs, store=url, run_id=RUN_ID, engine=engine, echo=False, durability="process"
    )
    return 0 if run.state == "SUCCEEDED" else 3


def kill(draw: random.Random, folder: str) -> int:
    """Kill processes at random moments until the run has ended. Returns how many died."""
    workload, engine = draw.choice(WORKLOADS), draw.choice(_ENGINES)
    expected, url = _expected(workload, folder), f"{folder}/store"
    forget()
    died, longest = 0, 0.3
    given_up = time.monotonic() + _LONGEST
    while True:
        if time.monotonic() > given_up:
            raise Violation(f"{workload.name} on {engine} has not ended after {died} deaths and {_LONGEST} s")
        process = _carrying(workload, url, engine)
        try:
            code = process.wait(draw.uniform(0.1, longest))
        except subprocess.TimeoutExpired:
            died += _kill_some(draw, process)
            code = process.wait()
        longest += 0.1  # longer and longer, so that the run ends at last
        if code == 0:
            break
        if code > 0:
            raise Violation(f"{workload.name} on {engine} ended with exit code {code} after {died} deaths")
    check_resumed(workload, url, expected, f"{workload.name} on {engine}, killed {died} times")
    return died


def _kill_some(draw: random.Random, process: subprocess.Popen[bytes]) -> int:
    """Kill the executor, one of its workers, or all of them."""
    workers = _children(process.pid)
    what = draw.choice(("executor", "worker", "all"))
    if what != "executor":
        for worker in workers if what == "all" else workers[:1]:
            _end(worker)
    if what != "worker":
        _end(process.pid)
    return 1


def _children(pid: int) -> list[int]:
    """The children of a process, as far as the system tells."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _end(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def operation(draw: random.Random, folder: str) -> int:
    """Die at one operation of the store."""
    workload, numbers = draw.choice(WORKLOADS), iter([draw.randrange(1, 80)])
    return crash_at_operations(workload, _urls(folder), draw.choice(HOWS), numbers)


def point(draw: random.Random, folder: str) -> int:
    """Die at one named point."""
    return die_at(draw.choice(WORKLOADS), _urls(folder), draw.choice(POINTS), draw.randrange(1, 6))


def fence(draw: random.Random, folder: str) -> int:
    """Stop an executor, take its run over, wake it up."""
    workload, engine = draw.choice(WORKLOADS), draw.choice(_ENGINES)
    expected, url = _expected(workload, folder), f"{folder}/store"
    forget()
    process = _carrying(workload, url, engine)
    try:
        _wait_for_beat(process, Store(url))
        time.sleep(draw.uniform(0.0, 0.1))
        os.kill(process.pid, signal.SIGSTOP)
        check_resumed(workload, url, expected, f"{workload.name} on {engine}, taken over")
    finally:
        os.kill(process.pid, signal.SIGCONT)
        process.wait()
    check_resumed(workload, url, expected, f"{workload.name} on {engine}, after the first executor was woken")
    return 0


def _wait_for_beat(process: subprocess.Popen[bytes], store: Store) -> None:
    while read_beat(store, RUN_ID) is None and process.poll() is None:
        time.sleep(0.005)


def flaky(draw: random.Random, folder: str) -> int:
    """Run on a store a fifth of whose operations fail."""
    workload = draw.choice(WORKLOADS)
    expected, url = _expected(workload, folder), f"{folder}/store"
    forget()
    faults = [
        Fault("fail", rate=0.1),
        Fault("fail", rate=0.1, when="after"),
        Fault("duplicate", rate=0.02, verbs=("put_new",), keys="objects/*"),
    ]
    run = promissory.run(
        workload.target,
        workload.inputs,
        store=FaultyStore(url, faults, seed=draw.randrange(1 << 30)),
        run_id=RUN_ID,
        echo=False,
    )
    if run.state != "SUCCEEDED":
        raise Violation(f"{workload.name} on a flaky store: {run.error}")
    check_resumed(workload, url, expected, f"{workload.name} on a flaky store")
    return 0


KINDS: Final[dict[str, Callable[[random.Random, str], int]]] = {
    "kill": kill,
    "operation": operation,
    "point": point,
    "fence": fence,
    "flaky": flaky,
}


def _expected(workload: Workload, folder: str) -> Kept:
    return undisturbed(workload, f"{folder}/undisturbed")


def _urls(folder: str) -> Callable[[], str]:
    numbers: Iterator[int] = iter(range(1 << 30))
    return lambda: f"{folder}/{next(numbers)}"


def _carrying(workload: Workload, url: str, engine: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "promissory.executor.testing.soak", "--carry", workload.name, url, engine]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())

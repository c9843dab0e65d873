"""Replays a real workflow run: reads a WfFormat 1.5 instance (https://wfcommons.org) and runs it as a dynamic plan, one
node for each task with the dependencies that the run had.

    promissory run examples/wfformat.py --instance montage.json --scale 0.001

Bodies sleep for the seconds that the task really took, times `scale`, and hand on the files that the task wrote, by
name and size. The report compares the time of the replay with times that no machine could beat: the critical path, and
the work divided by the processors.
"""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from promissory import dynamic, task, workflow


@dataclass
class Job:
    """A task of the instance: its duration, and the files that it reads and writes, with their sizes in bytes."""

    id: str
    program: str
    seconds: float
    parents: list[str]
    reads: list[str]
    writes: dict[str, int]


@dataclass
class Instance:
    """A run of the past: its tasks, each behind its parents."""

    name: str
    makespan: float
    given: dict[str, int]
    jobs: list[Job]


@dataclass
class Done:
    """The result of a task: its files, and when and where its body ran (seconds since the epoch)."""

    id: str
    files: dict[str, int]
    began: float
    ended: float
    process: int


@dataclass
class Report:
    """The outcome of the replay. Times are seconds; `critical_path` and `work` are those of the scaled instance."""

    instance: str
    tasks: int
    edges: int
    bytes_handed_on: int
    processes: int
    makespan: float
    critical_path: float
    work: float
    times_critical_path: float
    busy_processors: float


@task
def read(instance: Path) -> Instance:
    """Read the instance of a file, its tasks in an order in which each stands behind its parents."""
    described = json.loads(instance.read_text())
    if not str(described.get("schemaVersion", "")).startswith("1.5"):
        raise ValueError(f"{instance} is WfFormat {described.get('schemaVersion')}, and this reads 1.5")
    specification, execution = described["workflow"]["specification"], described["workflow"]["execution"]
    sizes = {file["id"]: file["sizeInBytes"] for file in specification["files"]}
    took = {one["id"]: one["runtimeInSeconds"] for one in execution["tasks"]}
    program = {one["id"]: one.get("command", {}).get("program", "?") for one in execution["tasks"]}
    tasks = {one["id"]: one for one in specification["tasks"]}
    jobs: dict[str, Job] = {}
    waiting = list(tasks)
    while waiting:
        ready = [id for id in waiting if all(parent in jobs for parent in tasks[id]["parents"])]
        unknown = [parent for id in waiting for parent in tasks[id]["parents"] if parent not in tasks]
        if unknown:
            raise ValueError(f"{instance}: there is no task {unknown[0]}, which another one waits for")
        if not ready:
            raise ValueError(f"{instance}: the tasks {', '.join(waiting[:5])} wait for each other")
        for id in ready:
            one = tasks[id]
            writes = {name: sizes[name] for name in one["outputFiles"]}
            jobs[id] = Job(id, program[id], took[id], list(one["parents"]), list(one["inputFiles"]), writes)
        waiting = [id for id in waiting if id not in jobs]
    written = {name for job in jobs.values() for name in job.writes}
    given = {name: size for name, size in sizes.items() if name not in written}
    return Instance(described["name"], execution["makespanInSeconds"], given, list(jobs.values()))


@task
def perform(job: Job, given: list[str], parents: list[Done], scale: float) -> Done:
    """Do one task. All files that it reads have to be there; then it takes its time."""
    began = time.time()
    there = set(given).union(*(parent.files for parent in parents))
    missing = [name for name in job.reads if name not in there]
    if missing:
        raise FileNotFoundError(f"{job.id} reads {missing[0]}, which none of its parents wrote")
    time.sleep(job.seconds * scale)
    return Done(job.id, job.writes, began, time.time(), os.getpid())


@task
def report(instance: Instance, done: list[Done], scale: float) -> Report:
    """Report the outcome, after checking that each task ran once and none before its parents."""
    by_id = {one.id: one for one in done}
    assert len(done) == len(by_id) == len(instance.jobs), "a task ran twice or not at all"
    longest: dict[str, float] = {}
    for job in instance.jobs:
        for parent in job.parents:
            assert by_id[parent].ended <= by_id[job.id].began, f"{job.id} ran before {parent} had ended"
        longest[job.id] = job.seconds * scale + max((longest[parent] for parent in job.parents), default=0.0)
    work = sum(job.seconds for job in instance.jobs) * scale
    makespan = max((one.ended for one in done), default=0.0) - min((one.began for one in done), default=0.0)
    critical = max(longest.values(), default=0.0)
    return Report(
        instance=instance.name,
        tasks=len(done),
        edges=sum(len(job.parents) for job in instance.jobs),
        bytes_handed_on=sum(size for one in done for size in one.files.values()),
        processes=len({one.process for one in done}),
        makespan=round(makespan, 3),
        critical_path=round(critical, 3),
        work=round(work, 3),
        times_critical_path=round(makespan / critical, 2) if critical else 1.0,
        busy_processors=round(work / makespan, 2) if makespan else 0.0,
    )


@dynamic
def replay(instance: Instance, scale: float) -> Report:
    """Make one node for each task of the instance, behind its parents."""
    done: dict[str, Done] = {}
    for job in instance.jobs:
        given = [name for name in job.reads if name in instance.given]
        done[job.id] = perform(job, given, [done[parent] for parent in job.parents], scale)
    return report(instance, list(done.values()), scale)


@workflow
def main(instance: Path, scale: float = 0.001) -> Report:
    """Replay a WfFormat instance.

    Args:
        instance: a WfFormat 1.5 file.
        scale: seconds to sleep for each second that a task took.
    """
    return replay(read(instance), scale)

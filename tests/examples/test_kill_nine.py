"""J1 on real work: kill -9 of the executor, of a worker, of everything at drawn moments.

What `promissory resume` gives is what an undisturbed run gives; no committed node's body begins again; no process of
the killed run is left.

Bodies write their node's path to a file as they begin, in one append each. At each kill the journal is read and the
place in that file noted: what was committed then must not begin behind that place. Moments are drawn with a seed, by
the number of committed nodes, some with a few milliseconds more, some by the clock from the start of the process.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from promissory import Store
from promissory.errors import RunNotFound
from promissory.executor.history.history import History

ROOT = Path(__file__).resolve().parents[2]
COMMAND = Path(sys.executable).parent / "promissory"
MONTAGE = ROOT.parent / "shared" / "data" / "wfinstances" / "montage-2mass-025d.json"
RUN = "killed"
PATIENCE = 60.0
WORKER = b"promissory.executor.engines.processes.guard"
COMMITTED = ("SUCCEEDED", "EXPANDED")

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds the processes of a run by /proc")

BEGUN = """
import os

def begins(path):
    side = os.open(os.environ["BEGUN"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(side, f"{path}\\n".encode())
    os.close(side)
"""

SKY = """
import time
from dataclasses import dataclass
from pathlib import Path

import wfformat
from begun import begins
from promissory import dynamic, task, workflow

@dataclass
class Done:
    id: str
    files: dict[str, int]
    behind: list[str]

@task
def read(instance: Path) -> wfformat.Instance:
    begins("main/read")
    return wfformat.read(instance)

@task
def perform(job: wfformat.Job, parents: list[Done], scale: float) -> Done:
    begins(f"main/replay/{job.id}")
    time.sleep(job.seconds * scale)
    behind = sorted(f"{parent.id} with {sum(parent.files.values())} bytes" for parent in parents)
    return Done(job.id, job.writes, behind)

@task
def report(done: list[Done]) -> list[Done]:
    begins("main/replay/report")
    return done

@dynamic
def replay(instance: wfformat.Instance, scale: float) -> list[Done]:
    begins("main/replay")
    done = {}
    for job in instance.jobs:
        done[job.id] = perform(job, [done[parent] for parent in job.parents], scale).with_overrides(name=job.id)
    return report(list(done.values()))

@workflow
def sky(instance: Path, scale: float) -> list[Done]:
    return replay(read(instance), scale)
"""

FOREST = """
import time
from pathlib import Path

import census
from begun import begins
from promissory import dynamic, task, workflow

def place(path, root):
    return "/".join(["main", "tree", *path.relative_to(root).parts]).removesuffix(".py")

@task
def count_file(path: Path, root: Path) -> census.Count:
    begins(place(path, root))
    time.sleep(0.002)
    return census.count_file(path, root)

@task
def add_up(folder: Path, root: Path, counts: list[census.Count]) -> census.Count:
    begins(place(folder / "add_up", root))
    return census.add_up(counts)

@dynamic
def count_folder(folder: Path, root: Path) -> census.Count:
    begins(place(folder, root))
    files, folders = census.contents(folder)
    found = [count_file(file, root).with_overrides(name=file.stem) for file in files]
    found += [count_folder(inner, root).with_overrides(name=inner.name) for inner in folders]
    return add_up(folder, root, found)

@workflow
def forest(root: Path) -> census.Count:
    return count_folder(root, root).with_overrides(name="tree")
"""


def montage_like():
    """An instance of the shape of the Montage run, 619 tasks in three bands, for where that is not at hand."""
    tasks = {}

    def add(id, parents, seconds):
        tasks[id] = (parents, [file for parent in parents for file in tasks[parent][2]], [f"{id}.fits"], seconds)
        return id

    viewed = []
    for band in "rgb":
        projected = [add(f"mProject_{band}{n:02}", [], 13.0) for n in range(30)]
        pairs = [(a, b) for a in range(30) for b in range(a + 1, 30)][:141]
        fits = [add(f"mDiffFit_{band}{a:02}{b:02}", [projected[a], projected[b]], 0.3) for a, b in pairs]
        model = add(f"mBgModel_{band}", [add(f"mConcatFit_{band}", fits, 0.6)], 5.6)
        corrected = [add(f"mBackground_{band}{n:02}", [projected[n], model], 0.9) for n in range(30)]
        table = add(f"mImgtbl_{band}", corrected, 0.2)
        viewed.append(add(f"mAdd_{band}", [table, *corrected], 0.3))
        add(f"mViewer_{band}", [viewed[-1]], 0.4)
    add("mViewer", viewed, 0.7)
    specified = [
        {"id": id, "parents": p, "inputFiles": reads, "outputFiles": writes}
        for id, (p, reads, writes, _) in tasks.items()
    ]
    files = [
        {"id": file, "sizeInBytes": 1000 + n}
        for n, file in enumerate(file for one in tasks.values() for file in one[2])
    ]
    took = [{"id": id, "runtimeInSeconds": one[3]} for id, one in tasks.items()]
    workflow = {
        "specification": {"tasks": specified, "files": files},
        "execution": {"makespanInSeconds": 800, "tasks": took},
    }
    return {"name": "Montage-like", "schemaVersion": "1.5", "workflow": workflow}


# --- processes --------------------------------------------------------------------------------------------------------


def processes_with(mark):
    """The processes that carry a mark in their environment, as all that a run starts does, by pid: their command lines.

    What is dead and not yet waited for is left out.
    """
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                if mark.encode() in (folder / "environ").read_bytes():
                    found[int(folder.name)] = (folder / "cmdline").read_bytes()
            except OSError:  # it has just ended
                continue
    return found


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def until(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.002)
    return found


class Disturbed:
    """One run, which may be killed and goes on.

    Attributes:
        committed: paths of the nodes that were committed when it was last looked at.
        read: how many lines of the begins had been written then.
    """

    def __init__(self, folder, name, command):
        self.folder, self.name, self.command = folder, name, command
        self.store = Store(folder / name)
        self.begun = folder / f"{name}.begun"
        self.begun.touch()
        self.mark = uuid.uuid4().hex
        self.process = None
        self.committed, self.read = set(), 0
        self.history = None

    # --- going on ---

    def go_on(self):
        """Begin the run; or resume it, if it has begun."""
        command = ["resume", RUN] if self._history() else ["run", "--run-id", RUN, *self.command]
        environment = {
            **os.environ,
            "PROMISSORY_STORE": str(self.folder / self.name),
            "BEGUN": str(self.begun),
            "KILL_NINE": self.mark,
        }
        if self.process is not None:
            self.said.close()
        self.said = open(self.folder / f"{self.name}.said", "w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            [COMMAND, command[0], "--json", "--quiet", "--max-parallelism", "2", *map(str, command[1:])],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self.said,
            stderr=self.said,
        )

    @property
    def is_going_on(self):
        return self.process is not None and self.process.poll() is None

    def ends(self):
        """It has to end well, by itself."""
        code = self.process.wait(PATIENCE)
        self.said.seek(0)
        said = self.said.read()
        assert code == 0, f"exit code {code}: {said}"

    # --- what is known ---

    def _history(self):
        """The journal, as far as it goes; None if the run has not begun."""
        try:
            if self.history is None:
                self.history = History(self.store, RUN)
            else:
                self.history.update()
        except RunNotFound:
            return None
        return self.history

    def nodes(self):
        """The nodes with a body, by path."""
        history = self._history()
        return {row.path: row for row in history.nodes() if row.kind != "plan"} if history else {}

    def lines(self):
        return self.begun.read_text().splitlines()

    def look(self):
        """What had been committed at the last look has not begun since.

        Notes what is committed now, and after that how much has begun.
        """
        committed = {path for path, row in self.nodes().items() if row.state in COMMITTED}
        lines = self.lines()
        again = self.committed.intersection(lines[self.read :])
        assert not again, f"committed, and begun again: {sorted(again)[:5]}"
        self.committed, self.read = committed, len(lines)

    def count(self):
        return sum(row.state in COMMITTED for row in self.nodes().values())

    # --- killing ---

    def kill(self, whom, draw):
        """Kill the executor, one of its workers, or all; False if it ended before.

        Afterwards no process is left, but where only a worker died.
        """
        if whom == "worker":
            workers = until(lambda: self.workers() or not self.is_going_on, "a worker")
            victim = None if workers is True else draw.choice(workers)
            if victim is None or not kill(victim):
                return False
            until(lambda: victim not in processes_with(self.mark), "the worker's end")
            return True
        executor = self.process.pid
        doomed = [executor] if whom == "executor" else sorted({executor, *processes_with(self.mark)})
        for pid in draw.sample(doomed, len(doomed)):
            if pid != executor or self.process.poll() is None:  # one that was waited for has no pid any more
                kill(pid)
        if self.process.wait(PATIENCE) != -signal.SIGKILL:
            return False
        until(lambda: not processes_with(self.mark), "the end of all processes of the killed run")
        return True

    def workers(self):
        return [pid for pid, command in processes_with(self.mark).items() if WORKER in command]

    def end(self):
        for pid in processes_with(self.mark):
            kill(pid)
        if self.process is not None:
            self.process.wait(PATIENCE)
            self.said.close()


def remains(run):
    """What a run leaves that does not depend on time: its outputs, its objects, its futures files."""
    history = History(run.store, RUN)
    assert history.state == "SUCCEEDED"
    kept = {}
    for prefix in ("objects", f"runs/{RUN}/futures"):
        for folder in run.store.list(prefix):
            kept |= {key: run.store.get(key) for key in run.store.list(folder)}
    return history.end[2], kept


@pytest.fixture
def disturb(tmp_path, example):
    """A function (name, source, command) → makes runs of a flow that can be killed."""
    (tmp_path / "begun.py").write_text(BEGUN)
    for name in ("wfformat.py", "census.py"):
        (tmp_path / name).symlink_to(example(name))
    made = []

    def begin(name, source, inputs):
        (tmp_path / f"{name}.py").write_text(source)

        def run():
            made.append(Disturbed(tmp_path, f"{name}{len(made)}", [f"{name}.py", *inputs]))
            return made[-1]

        return run

    yield begin
    for one in made:
        one.end()


def disturbed(make, seed, each, steps):
    """Kill runs of one flow, `each` times each the executor, a worker and all; let them end, and compare them with an
    undisturbed one.
    """
    straight = make()
    straight.go_on()
    straight.ends()
    wanted, nodes = remains(straight), set(straight.nodes())
    draw = random.Random(seed)
    deck = ["executor", "worker", "all"] * each
    draw.shuffle(deck)
    runs = [make()]
    while True:
        run = runs[-1]
        if not run.is_going_on:
            run.go_on()
        if deck:
            by_clock = deck[-1] != "worker" and draw.random() < 0.2
            enough = 0 if by_clock else run.count() + draw.randrange(*steps)
            more = draw.random() * 0.6 if by_clock else draw.choice((0.0, draw.random() * 0.02))
            print(f"seed {seed}, {len(deck)} kills to go: {deck[-1]} {more:.4f} s after {enough} nodes")
            until(
                lambda run=run, enough=enough: run.count() >= enough or not run.is_going_on, "nodes that are committed"
            )
            time.sleep(more)  # nothing is waited for: it is a part of the moment that was drawn
            if run.kill(deck[-1], draw):
                deck.pop()
                run.look()
                continue
        run.ends()
        run.look()
        assert set(run.lines()) == nodes, "no node is missing, none is new"
        assert {row.state for row in run.nodes().values()} == {"SUCCEEDED"}
        assert not processes_with(run.mark)
        assert remains(run) == wanted
        if not deck:
            break
        runs.append(make())
    print(f"{3 * each} kills in {len(runs)} runs")


@pytest.mark.full
def test_J1_montage_killed_again_and_again_ends_as_if_nothing_had_been(disturb, tmp_path, whole):
    """Nine times; thirty times if it is to be whole."""
    file = MONTAGE
    if not file.is_file():
        file = tmp_path / "instance.json"
        file.write_text(json.dumps(montage_like()))
    disturbed(
        disturb("sky", SKY, ["--instance", file, "--scale", "0.0015"]), seed=619, each=10 if whole else 3, steps=(1, 50)
    )


@pytest.mark.full
def test_J1_census_killed_again_and_again_ends_as_if_nothing_had_been(disturb, make_tree, whole):
    """Nine times; twenty-one times if it is to be whole."""
    root = make_tree(folders=40, files=8)
    disturbed(disturb("forest", FOREST, ["--root", root]), seed=2027, each=7 if whole else 3, steps=(1, 40))

"""The engine `processes`: parallel bodies (X2), pools and resources, workers that serve one run after the other, a
store in memory (J5), interrupts and ends (X10).
"""

import itertools
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from promissory import Resources, Store, dynamic, resume, run, start, task, workflow
from promissory.executor.history.history import History
from promissory.executor.protocol.events import NODE_FAILED

REAL_ENGINES = ["threads", "processes"]


def note(diary, *what):
    """A line, whole even if other processes write at the same time."""
    descriptor = os.open(diary, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, (" ".join(map(str, what)) + "\n").encode())
    os.close(descriptor)


def lines(diary):
    return diary.read_text().splitlines() if diary.exists() else []


def meet(diary, count):
    """Wait until as many bodies have begun; in vain for a minute at most."""
    deadline = time.monotonic() + 60
    while lines(diary).count("+") < count:
        assert time.monotonic() < deadline, f"{count} bodies never were at work at one time"
        time.sleep(0.001)


def most_at_once(diary):
    """How many bodies were between their + and their - at one time."""
    return max(itertools.accumulate({"+": 1, "-": -1}[line] for line in lines(diary)))


def is_alive(pid):
    """Whether a process runs; one that has ended and that nobody has waited for does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    try:
        return not state.parent.parent.is_dir() or state.read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# --- parallel bodies --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", REAL_ENGINES)
@pytest.mark.parametrize("count", [1, 3])
def test_X2_as_many_bodies_at_one_time_as_max_parallelism_says_and_never_more(store, diary, engine, count):
    @task
    def work(x: int) -> int:
        note(diary, "+")
        meet(diary, count)
        note(diary, "-")
        return x

    @workflow
    def flow() -> list[int]:
        return [work(x) for x in range(40)]

    assert run(flow, store=store, engine=engine, max_parallelism=count).result == list(range(40))
    assert most_at_once(diary) == count


def test_X2_parallelism_is_counted_over_all_frames(store, diary):
    @task
    def work(x: int) -> int:
        note(diary, "+")
        meet(diary, 2)
        note(diary, "-")
        return x

    @dynamic
    def grows(x: int) -> list[int]:
        return [work(x), work(x + 1), work(x + 2)]

    @workflow
    def flow() -> list[list[int]]:
        return [grows(0), grows(10), grows(20)]

    assert run(flow, store=store, engine="processes", max_parallelism=2).result == [
        [x, x + 1, x + 2] for x in (0, 10, 20)
    ]
    assert most_at_once(diary) == 2


@pytest.mark.full
def test_X2_a_task_that_is_sent_again_counts_too(store, tmp_path, diary):
    """It needs a worker of its own; still there are two bodies at one time, not three."""
    alone, others, died = tmp_path / "alone", tmp_path / "others", tmp_path / "died"

    @task
    def dies(x: int) -> int:
        if not died.exists():
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        note(diary, "+")
        alone.touch()
        meet(diary, 2)
        time.sleep(0.2)  # long enough for one more to begin, if that can be
        note(diary, "-")
        return x

    @task
    def work(x: int) -> int:
        note(diary, "+")
        while not alone.exists():
            time.sleep(0.001)
        note(diary, "-")
        return x

    @workflow
    def flow() -> list[int]:
        return [dies(0), *[work(x) for x in range(1, 30)]]

    assert run(flow, store=store, engine="processes", max_parallelism=2).result == list(range(30))
    assert most_at_once(diary) == 2


def test_X2_bodies_run_in_other_processes_than_this(store):
    @task
    def pid(x: int) -> int:
        return os.getpid()

    assert run(pid, {"x": 1}, store=store, engine="processes").result != os.getpid()


@pytest.mark.parametrize("engine", REAL_ENGINES)
def test_X2_a_dynamic_holds_no_slot_while_its_frame_is_open(store, engine):
    @task
    def inc(x: int) -> int:
        return x + 1

    @dynamic
    def down(n: int) -> int:
        return inc(down(n - 1)) if n else inc(0)

    assert run(down, {"n": 50}, store=store, engine=engine, max_parallelism=1).result == 51


def test_X2_a_long_body_does_not_hold_up_what_stands_behind_it(store, diary, gate, eventually):
    held = gate()

    @task
    def work(x: int) -> int:
        if x == 0:
            with open(held.path) as file:
                file.read()
        note(diary, x)
        return x

    @workflow
    def flow() -> list[int]:
        return [work(x) for x in range(60)]

    going = start(flow, store=store, engine="processes", max_parallelism=2)
    held.reached()
    eventually(lambda: len(lines(diary)) == 59, "what stands behind the long body")
    held.open()
    assert going.wait(60).result == list(range(60))
    assert Counter(lines(diary)) == {str(x): 1 for x in range(60)}


def test_X2_bodies_that_turn_long_do_not_hold_up_what_stands_behind_them(store, diary, gate, eventually):
    """Quick ones come first, so that many calls are given ahead when the long ones are met."""
    gates = [gate("one"), gate("two")]

    @task
    def quick(x: int) -> int:
        note(diary, x)
        return x

    @task
    def long(name: str) -> int:
        with open(name) as file:
            file.read()
        return 0

    @workflow
    def flow() -> list[int]:
        before = [quick(x) for x in range(300)]
        return [*before, long(gates_of[0]), *[quick(x) for x in range(300, 600)], long(gates_of[1])]

    gates_of = [one.path for one in gates]
    going = start(flow, store=store, engine="processes", max_parallelism=3)
    for held in gates:
        held.reached()
    eventually(lambda: len(lines(diary)) == 600, "all the quick ones")
    for held in gates:
        held.open()
    assert going.wait(60).state == "SUCCEEDED"


# --- pools and resources ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", REAL_ENGINES)
@pytest.mark.parametrize("places", [1, 2])
def test_X2_no_more_calls_of_a_pool_at_one_time_than_it_has_places(store, tmp_path, diary, engine, places):
    """Other calls go on beside it."""
    others = tmp_path / "others"

    @task(pool="db")
    def asks(x: int) -> int:
        note(diary, "+")
        meet(diary, places)
        meet(others, 1)
        note(diary, "-")
        return x

    @task
    def plain(x: int) -> int:
        note(others, "+")
        return x

    @workflow
    def flow() -> list[int]:
        return [*[asks(x) for x in range(10)], plain(10)]

    assert run(flow, store=store, engine=engine, max_parallelism=3, pools={"db": places}).result == list(range(11))
    assert most_at_once(diary) == places


def test_X2_a_pool_that_the_run_does_not_name_has_no_limit(store, diary):
    @task(pool="db")
    def asks(x: int) -> int:
        note(diary, "+")
        meet(diary, 3)
        return x

    @workflow
    def flow() -> list[int]:
        return [asks(x) for x in range(3)]

    assert run(flow, store=store, engine="processes", max_parallelism=3, pools={"web": 1}).result == [0, 1, 2]


def test_X2_a_node_may_be_in_a_pool_of_its_own(store, diary):
    @task(pool="web")
    def asks(x: int) -> int:
        note(diary, "+")
        note(diary, "-")
        return x

    @workflow
    def flow() -> list[int]:
        return [asks(x).with_overrides(pool="db") for x in range(10)]

    assert run(flow, store=store, engine="processes", max_parallelism=3, pools={"db": 1}).result == list(range(10))
    assert most_at_once(diary) == 1


@pytest.mark.full
def test_X2_a_failed_call_of_a_pool_leaves_its_place(store, tmp_path):
    """Lost workers, too."""

    @task(pool="db")
    def asks(x: int) -> int:
        marker = tmp_path / f"{x}"
        if not marker.exists():
            marker.touch()
            os._exit(1)
        return x

    @workflow
    def flow() -> list[int]:
        return [asks(x) for x in range(3)]

    assert run(flow, store=store, engine="processes", max_parallelism=2, pools={"db": 1}).result == [0, 1, 2]


@pytest.mark.parametrize("engine", REAL_ENGINES)
def test_X2_a_call_that_wants_two_processors_has_two(store, tmp_path, diary, engine):
    """Two workers are there when the first such calls are ready."""
    workers = tmp_path / "workers"

    @task
    def first(x: int) -> int:
        note(workers, "+")
        meet(workers, 2)
        return x

    @task(resources=Resources(cpu=2))
    def wide(x: int) -> int:
        note(diary, "+")
        time.sleep(0.05)  # long enough for another to begin, if that can be
        note(diary, "-")
        return x

    @workflow
    def flow() -> list[int]:
        before = [first(x) for x in range(2)]
        wides = [wide(x) for x in range(6)]
        for one in wides:
            before >> one
        return wides

    assert run(flow, store=store, engine=engine, max_parallelism=2).result == list(range(6))
    assert most_at_once(diary) == 1


@pytest.mark.parametrize("engine", REAL_ENGINES)
def test_X2_calls_of_every_weight_together_have_no_more_processors_than_there_are(store, diary, engine):
    @task(resources=Resources(cpu=2))
    def wide(x: int) -> int:
        note(diary, "+")
        note(diary, "+")
        time.sleep(0.01)
        note(diary, "-")
        note(diary, "-")
        return x

    @task
    def plain(x: int) -> int:
        note(diary, "+")
        time.sleep(0.01)
        note(diary, "-")
        return x

    @workflow
    def flow() -> list[int]:
        return [wide(x) if x % 3 == 1 else plain(x) for x in range(24)]

    assert run(flow, store=store, engine=engine, max_parallelism=3).result == list(range(24))
    assert most_at_once(diary) <= 3


def test_X2_beside_a_call_that_wants_two_of_three_processors_one_more_runs(store, tmp_path, diary):
    both = tmp_path / "both"

    @task(resources=Resources(cpu=2))
    def wide(x: int) -> int:
        note(both, "+")
        meet(both, 2)
        note(diary, "+")
        note(diary, "-")
        return x

    @task
    def plain(x: int) -> int:
        note(both, "+")
        meet(both, 2)
        return x

    @workflow
    def flow() -> list[int]:
        return [wide(0), wide(1), wide(2), plain(3)]

    assert run(flow, store=store, engine="processes", max_parallelism=3).result == [0, 1, 2, 3]
    assert most_at_once(diary) == 1


def test_X2_a_call_that_wants_more_processors_than_there_are_has_all_of_them(store, diary):
    @task(resources=Resources(cpu=64))
    def widest(x: int) -> int:
        note(diary, "+")
        time.sleep(0.02)
        note(diary, "-")
        return x

    @task
    def plain(x: int) -> int:
        note(diary, "+")
        note(diary, "-")
        return x

    @workflow
    def flow() -> list[int]:
        return [plain(0), widest(1), plain(2), widest(3), plain(4)]

    assert run(flow, store=store, engine="processes", max_parallelism=2).result == [0, 1, 2, 3, 4]
    text = "".join(lines(diary))
    assert most_at_once(diary) <= 2
    assert text.count("+") == 5


@pytest.mark.parametrize("engine", REAL_ENGINES)
@pytest.mark.parametrize("wanted", [Resources(memory="600MB"), Resources(gpu=1)], ids=["memory", "gpu"])
def test_X2_no_more_calls_at_one_time_than_memory_and_gpus_are_there_for(store, diary, engine, wanted):
    @task(resources=wanted)
    def heavy(x: int) -> int:
        note(diary, "+")
        time.sleep(0.01)
        note(diary, "-")
        return x

    @workflow
    def flow() -> list[int]:
        return [heavy(x) for x in range(8)]

    there = Resources(memory="1GB", gpu=1)
    assert run(flow, store=store, engine=engine, max_parallelism=3, resources=there).result == list(range(8))
    assert most_at_once(diary) == 1


@pytest.mark.full(keep=2)
@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Resources(memory="2GB"), "2,000,000,000 bytes of memory, and there are 1,000,000,000"),
        (Resources(gpu=2), "2 gpu, and there are 1"),
    ],
    ids=["memory", "gpu"],
)
@pytest.mark.parametrize("engine", ["inline", "threads", "processes"])
def test_X2_what_can_never_be_had_fails_before_the_body_and_says_the_way_out(store, diary, engine, wanted, said):
    @task(resources=wanted)
    def heavy(x: int) -> int:
        note(diary, "heavy")
        return x

    ended = run(heavy, {"x": 1}, store=store, engine=engine, resources=Resources(memory="1GB", gpu=1))
    assert type(ended.error.__cause__).__name__ == "ResourcesUnavailable"
    assert f"main/heavy asks for {said}" in str(ended.error)
    assert "run(resources=Resources(…)" in str(ended.error)
    assert lines(diary) == []
    assert resume(ended.id, store=store, engine=engine, resources=Resources(memory="4GB", gpu=2)).result == 1


def test_X2_a_machine_without_gpus_says_so(store, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")

    @task(resources=Resources(gpu=1))
    def heavy(x: int) -> int:
        return x

    ended = run(heavy, {"x": 1}, store=store, engine="processes")
    assert "main/heavy asks for 1 gpu, and there are 0" in str(ended.error)


# --- one run after the other ------------------------------------------------------------------------------------------


def test_X2_workers_serve_the_next_run_and_do_not_become_more(project):
    project.write(
        "often.py",
        """
        import os
        import time
        from promissory import run
        from promissory import task, workflow

        @task
        def pid(number: int) -> int:
            open(f"{number}-{os.getpid()}", "w").close()
            while sum(name.startswith(f"{number}-") for name in os.listdir()) < 2:
                time.sleep(0.001)
            return os.getpid()

        @workflow
        def flow(number: int) -> list[int]:
            return [pid(number), pid(number)]

        if __name__ == "__main__":
            for number in range(5):
                print(*sorted(run(flow, {"number": number}, engine="processes", max_parallelism=2).result))
        """,
    )
    printed = project.python("often.py").splitlines()
    assert len(printed) == 5
    assert len(set(printed)) == 1
    assert len(set(printed[0].split())) == 2


def test_X2_two_runs_at_one_time_have_workers_of_their_own(store, gate):
    gates = [gate("one"), gate("two")]

    @task
    def pid(name: str) -> int:
        with open(name) as file:
            file.read()
        return os.getpid()

    going = [start(pid, {"name": one.path}, store=store, engine="processes", max_parallelism=1) for one in gates]
    for one in gates:
        one.reached()
    for one in gates:
        one.open()
    assert len({one.wait(60).result for one in going}) == 2


# --- a store in memory ------------------------------------------------------------------------------------------------


def large(x):
    return [x] * 200_000


@pytest.fixture
def in_memory(request):
    """A store that only this process can reach."""
    return Store(f"memory://{request.node.name}")


def test_J5_large_values_travel_where_workers_do_not_share_the_store(in_memory):
    @task
    def make(x: int) -> list[int]:
        return large(x)

    @task
    def more(values: list[int], by: int) -> list[int]:
        return [value + by for value in values]

    @task
    def total(first: list[int], second: list[int]) -> int:
        return sum(first) + sum(second)

    @workflow
    def flow(given: list[int]) -> int:
        made = make(1)
        return total(more(made, 1), more(given, 1))

    assert run(flow, {"given": large(5)}, store=in_memory, engine="processes", max_parallelism=2).result == 8 * 200_000


def test_J5_large_results_and_literals_of_dynamics_travel_too(in_memory):
    @task
    def length(values: list[int], names: dict[str, list[int]]) -> int:
        return len(values) + sum(map(len, names.values()))

    @dynamic
    def grows(n: int, passed: list[int]) -> list[int]:
        here = large(n)
        if n == 0:
            return passed
        length(here, {"passed": passed})
        return grows(n - 1, here)

    assert run(grows, {"n": 3, "passed": [1]}, store=in_memory, engine="processes", max_parallelism=2).result == large(
        1
    )


def test_J5_what_bodies_said_is_in_a_store_in_memory(in_memory):
    @task
    def talk(x: int) -> int:
        print("said", x)
        return x

    @workflow
    def flow() -> list[int]:
        return [talk(x) for x in range(20)]

    ended = run(flow, store=in_memory, engine="processes", max_parallelism=2, echo=False)
    rows = [row for row in ended.nodes() if row.kind == "task"]
    assert [in_memory.get_range(row.log[0], row.log[1], row.log[1] + row.log[2]) for row in rows] == [
        b"said %d\n" % x for x in range(20)
    ]


def test_J5_a_lost_worker_of_a_store_in_memory(in_memory, tmp_path):
    @task
    def make(x: int) -> list[int]:
        return large(x)

    @task
    def dies(values: list[int]) -> int:
        print("here")
        marker = tmp_path / "first"
        if not marker.exists():
            marker.touch()
            os._exit(1)
        return len(values)

    @workflow
    def flow() -> int:
        return dies(make(1))

    ended = run(flow, store=in_memory, engine="processes", echo=False)
    assert ended.result == 200_000
    (row,) = [row for row in ended.nodes() if row.path == "main/dies"]
    assert in_memory.get_range(row.log[0], row.log[1], row.log[1] + row.log[2]) == b"here\n"


def test_J5_a_failed_run_of_a_store_in_memory_is_resumed(in_memory, tmp_path, diary):
    repaired = tmp_path / "repaired"

    @task
    def make(x: int) -> list[int]:
        note(diary, "make")
        return large(x)

    @task
    def length(values: list[int]) -> int:
        note(diary, "length")
        if not repaired.exists():
            raise OSError("to be repaired")
        return len(values)

    @workflow
    def flow() -> int:
        return length(make(1))

    ended = run(flow, store=in_memory, engine="processes")
    assert isinstance(ended.error.__cause__, OSError)
    repaired.touch()
    assert resume(ended.id, store=in_memory, engine="processes").result == 200_000
    assert lines(diary) == ["make", "length", "length"]


# --- interrupts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", REAL_ENGINES)
@pytest.mark.parametrize("code", [0, 3, "goodbye"])
def test_X10_sys_exit_in_a_body_is_that_nodes_failure(store, engine, code):
    @task
    def leaves(x: int) -> int:
        sys.exit(code)

    ended = run(leaves, {"x": 1}, store=store, engine=engine)
    assert (ended.state, ended.error.path) == ("FAILED", "main/leaves")
    assert isinstance(ended.error.__cause__, SystemExit)
    assert f"sys.exit({code!r})" in str(ended.error)
    (row,) = ended.nodes()
    assert row.attempts == 1


@pytest.mark.parametrize("engine", REAL_ENGINES)
def test_X10_a_keyboard_interrupt_raised_in_a_body_stops_the_run_which_can_be_resumed(
    store, tmp_path, diary, events_of, engine
):
    repaired = tmp_path / "repaired"

    @task
    def step(x: int) -> int:
        note(diary, x)
        if x == 2 and not repaired.exists():
            raise KeyboardInterrupt
        return x + 1

    @workflow
    def flow() -> int:
        return step(step(step(step(0))))

    with pytest.raises(KeyboardInterrupt) as told:
        run(flow, store=store, engine=engine, run_id="raised")
    assert told.value.__notes__[0].startswith("run raised is interrupted and can be resumed: promissory resume raised")
    assert not any(event[0] == NODE_FAILED for event in events_of(store, "raised"))
    assert History(store, "raised").state == "INTERRUPTED"
    repaired.touch()
    assert resume("raised", store=store, engine=engine).result == 4
    assert lines(diary) == ["0", "1", "2", "2", "3"]


BUSY = """
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from promissory import resume, run
from promissory import task, workflow

def note(*what):
    descriptor = os.open("diary", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, (" ".join(map(str, what)) + "\\n").encode())
    os.close(descriptor)

@task
def step(x: int) -> int:
    note("step", x)
    return x + 1

@task
def busy(x: int) -> int:
    if not Path("repaired").exists():
        child = subprocess.Popen(["sleep", "1000"])
        note("busy", os.getpid(), child.pid)
        re.match(r"(a+)+$", "a" * 64 + "b")
    return x

@workflow
def flow() -> list[int]:
    before = step(step(0))
    return [busy(before), busy(before), step(step(before))]

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if sys.argv[1] == "run":
        run(flow, engine="processes", max_parallelism=3, run_id="busy")
    else:
        print(resume("busy", engine="processes", max_parallelism=3).result)
"""


@pytest.fixture
def busy(project, eventually):
    """A program whose run is in two bodies that never return and hold their interpreters' locks; with it, the ids of
    their workers and of the children that they started.
    """
    project.write("busy.py", BUSY)
    process = project.spawn("busy.py", "run")
    found = eventually(
        lambda: len(said := [line.split() for line in project.lines("diary") if line.startswith("busy")]) == 2 and said,
        "two busy bodies",
    )
    eventually(lambda: project.lines("diary").count("step 3") == 1, "the last step")
    eventually(lambda: History(project.store, "busy").state and done(project) == 4, "the commit of what is done")
    return process, [int(pid) for _, *pids in found for pid in pids]


def done(project):
    return sum(row.state == "SUCCEEDED" for row in History(project.store, "busy").nodes() if row.kind == "task")


def finish_busy(project):
    """Resume; gives the steps that it began."""
    before = len(project.lines("diary"))
    (project.folder / "repaired").touch()
    assert project.python("busy.py", "resume").split("\n")[0] == "[2, 2, 4]"
    return project.lines("diary")[before:]


@pytest.mark.full
def test_X10_workers_and_their_children_end_at_once_when_their_executor_is_killed(project, busy, eventually):
    process, pids = busy
    assert all(map(is_alive, pids))
    process.kill()
    process.wait()
    killed = time.monotonic()
    eventually(lambda: not any(map(is_alive, pids)), "the end of workers and their children")
    assert time.monotonic() - killed < 2
    assert finish_busy(project) == []


def test_X10_ctrl_c_ends_within_two_seconds_and_leaves_no_process(project, busy, eventually):
    process, pids = busy
    process.send_signal(signal.SIGINT)
    pressed = time.monotonic()
    _, errors = project.finish(process)
    assert time.monotonic() - pressed < 2
    eventually(lambda: not any(map(is_alive, pids)), "the end of workers and their children")
    assert errors.rstrip().endswith("run busy is interrupted and can be resumed: promissory resume busy")
    assert errors.count("Traceback") == 1
    assert "worker" not in errors.replace("busy.py", "")
    assert finish_busy(project) == []


@pytest.mark.full
def test_X10_ctrl_c_at_a_terminal_reaches_everybody_in_the_group_and_is_told_once(project, eventually):
    """As a terminal does it: the whole foreground group is signalled. From the command line there is no traceback."""
    project.write("busy.py", BUSY)
    process = subprocess.Popen(
        [Path(sys.executable).parent / "promissory", "run", "--run-id", "busy", "--max-parallelism", "3", "busy.py"],
        cwd=project.folder,
        env={**os.environ, "PROMISSORY_STORE": str(project.folder / "store")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    project.processes.append(process)
    found = eventually(
        lambda: len(said := [line.split() for line in project.lines("diary") if line.startswith("busy")]) == 2 and said,
        "two busy bodies",
    )
    os.killpg(process.pid, signal.SIGINT)
    pressed = time.monotonic()
    output, errors = project.finish(process)
    assert time.monotonic() - pressed < 2
    assert (process.returncode, output) == (130, "")
    assert "Traceback" not in errors
    assert errors.rstrip().endswith("promissory resume busy")
    eventually(
        lambda: not any(is_alive(int(pid)) for _, *pids in found for pid in pids),
        "the end of workers and their children",
    )
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


FORKS = """
import multiprocessing
import os
import time
from pathlib import Path
from promissory import start
from promissory import task

@task
def waits(x: int) -> int:
    Path("pid").write_text(str(os.getpid()))
    Path("began").touch()
    time.sleep(1000)
    return x

def other():
    Path("other").write_text(str(os.getpid()))
    time.sleep(1000)

if __name__ == "__main__":
    start(waits, {"x": 1}, engine="processes")
    while not Path("began").exists():
        time.sleep(0.001)
    multiprocessing.get_context("fork").Process(target=other).start()
    time.sleep(1000)
"""


def test_X10_workers_end_with_their_executor_even_if_it_has_forked(project, eventually):
    """The fork has copies of all that it had open, and lives on."""
    project.write("forks.py", FORKS)
    process = project.spawn("forks.py")
    (other,) = eventually(lambda: project.lines("other"), "the fork")
    (pid,) = project.lines("pid")
    try:
        process.kill()
        process.wait()
        deadline = time.monotonic() + 10
        eventually(lambda: not is_alive(int(pid)) or time.monotonic() > deadline)
        assert (is_alive(int(pid)), is_alive(int(other))) == (False, True)
    finally:
        os.kill(int(other), signal.SIGKILL)


def test_X10_a_program_that_ends_while_a_run_goes_on_leaves_no_worker(project, eventually):
    project.write(
        "forks.py", FORKS.replace("multiprocessing.get_context", "raise SystemExit\n    multiprocessing.get_context")
    )
    project.finish(project.spawn("forks.py"))
    (pid,) = project.lines("pid")
    eventually(lambda: not is_alive(int(pid)), "the worker's end")


@pytest.mark.full
def test_X10_a_program_that_has_ended_well_leaves_no_worker(project, eventually):
    project.write(
        "well.py",
        """
        import os
        from promissory import run
        from promissory import task

        @task
        def pid(x: int) -> int:
            return os.getpid()

        if __name__ == "__main__":
            print(run(pid, {"x": 1}, engine="processes").result)
        """,
    )
    pid = int(project.python("well.py"))
    eventually(lambda: not is_alive(pid), "the worker's end")

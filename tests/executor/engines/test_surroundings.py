"""A body may do to its process what it likes: it hurts only its own task (R5), and what it started ends with the run
(X10).
"""

import atexit
import io
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from promissory import run, start, task, workflow


def note(diary, *what):
    """A line, whole even if other processes write at the same time."""
    descriptor = os.open(diary, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, (" ".join(map(str, what)) + "\n").encode())
    os.close(descriptor)


def noted(diary):
    """How often each line stands there."""
    return Counter(diary.read_text().splitlines()) if diary.exists() else Counter()


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


@pytest.fixture
def ends(eventually):
    """A function (process id) that waits for the end of that process, which is to be soon.

    What does not end by itself is ended with the test.
    """
    known = []

    def wait(pid):
        known.append(pid)
        deadline = time.monotonic() + 10
        eventually(lambda: not is_alive(pid) or time.monotonic() > deadline)
        assert not is_alive(pid)

    yield wait
    for pid in known:
        if is_alive(pid):
            os.kill(pid, signal.SIGKILL)


def said(store, row):
    return None if row.log is None else store.get_range(row.log[0], row.log[1], row.log[1] + row.log[2]).decode()


def the_mask():
    mask = os.umask(0o77)
    os.umask(mask)
    return mask


def as_seen_by_a_body():
    """What a body finds."""
    return {
        "folder": os.getcwd(),
        "environment": sorted(f"{name}={value}" for name, value in os.environ.items()),
        "handlers": [
            str(signal.getsignal(number))
            for number in (
                signal.SIGINT,
                signal.SIGTERM,
                signal.SIGALRM,
                signal.SIGUSR1,
                signal.SIGCHLD,
                signal.SIGPIPE,
            )
        ],
        "timer": signal.getitimer(signal.ITIMER_REAL)[0],
        "mask": the_mask(),
        "streams": [sys.stdin.fileno(), sys.stdout.fileno(), sys.stderr.fileno(), sys.stdout.closed, sys.stderr.closed],
        "descriptors": [stat.S_IFMT(os.fstat(number).st_mode) for number in (0, 1, 2)],
    }


# --- what is put back -------------------------------------------------------------------------------------------------


def another_folder():
    os.chdir("/")


def a_folder_that_is_gone():
    os.mkdir("gone-soon")
    os.chdir("gone-soon")
    os.rmdir(f"../{Path.cwd().name}")


def variables():
    os.environ["MINE"] = "1"
    os.environ["PATH"] = "/nowhere"
    del os.environ["HOME"]


def no_variables():
    os.environ.clear()


def signal_handlers():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    signal.signal(signal.SIGUSR1, print)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)


def a_timer():
    signal.signal(signal.SIGALRM, lambda number, frame: None)
    signal.setitimer(signal.ITIMER_REAL, 1000, 1)


def a_deadly_timer():
    signal.setitimer(signal.ITIMER_REAL, 0.5)


def the_mask_of_files():
    os.umask(0o777)


def other_streams():
    sys.stdout, sys.stderr, sys.stdin = io.StringIO(), io.StringIO(), io.StringIO()


def no_streams():
    sys.stdout = sys.stderr = sys.stdin = None


def streams_that_are_no_streams():
    sys.stdout = sys.stderr = object()


def closed_streams():
    sys.stdout.close()
    sys.stderr.close()


def closed_descriptors():
    os.close(1)
    os.close(2)


def descriptors_that_lead_elsewhere():
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    os.close(nothing)


def all_low_descriptors():
    os.closerange(0, 3)


SPOILERS = [
    another_folder,
    a_folder_that_is_gone,
    variables,
    no_variables,
    signal_handlers,
    a_timer,
    a_deadly_timer,
    the_mask_of_files,
    other_streams,
    no_streams,
    streams_that_are_no_streams,
    closed_streams,
    closed_descriptors,
    descriptors_that_lead_elsewhere,
    all_low_descriptors,
]


@pytest.mark.full(keep=4)
@pytest.mark.parametrize("spoil", SPOILERS, ids=lambda spoil: spoil.__name__)
def test_R5_the_next_body_on_the_same_worker_finds_things_as_they_were(store, tmp_path, monkeypatch, spoil):
    monkeypatch.chdir(tmp_path)

    @task
    def look(x: int) -> str:
        print("I see")
        return repr(as_seen_by_a_body())

    @task
    def spoils(x: int) -> int:
        spoil()
        return x

    @task
    def looks_later(x: int) -> str:
        time.sleep(0.6 if spoil is a_deadly_timer else 0)
        return repr(as_seen_by_a_body())

    @workflow
    def flow() -> list[str]:
        before = look(1)
        spoilt = spoils(1)
        then = look(2)
        later = looks_later(3)
        before >> spoilt >> then >> later
        return [before, then, later]

    ended = run(flow, store=store, engine="processes", max_parallelism=1, echo=False)
    before, then, later = ended.result
    assert before == then == later
    rows = {row.path: row for row in ended.nodes()}
    assert [rows[path].attempts for path in ("main/look", "main/spoils", "main/look~2", "main/looks_later")] == [
        1,
        1,
        1,
        1,
    ]
    assert [said(store, rows[path]) for path in ("main/look", "main/spoils", "main/look~2")] == [
        "I see\n",
        None,
        "I see\n",
    ]


@pytest.mark.full
def test_R5_a_body_that_fails_has_its_traces_removed_too(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    repaired = tmp_path / "repaired"

    @task
    def spoils(x: int) -> int:
        os.chdir("/")
        os.environ["MINE"] = "1"
        raise ValueError

    @task
    def look(x: int) -> list[str]:
        return [os.getcwd(), os.environ.get("MINE", "nothing")]

    assert run(spoils, {"x": 1}, store=store, engine="processes", max_parallelism=1).state == "FAILED"
    assert run(look, {"x": 1}, store=store, engine="processes", max_parallelism=1).result == [str(tmp_path), "nothing"]


def test_R5_what_a_module_changes_when_it_is_loaded_stays(store, write_module):
    """It is loaded once, as in any other process, and its tasks rely on it."""
    module = write_module(
        "sets_up",
        """
        import os
        from promissory import task, workflow

        os.environ["OF_THE_MODULE"] = "set"

        @task
        def look(x: int) -> str:
            return os.environ.pop("OF_THE_MODULE")

        @workflow
        def flow() -> list[str]:
            return [look(x) for x in range(3)]
        """,
    )
    del os.environ["OF_THE_MODULE"]
    assert run(module.flow, store=store, engine="processes", max_parallelism=1).result == ["set"] * 3


# --- output and open files --------------------------------------------------------------------------------------------


@pytest.mark.full
def test_R5_a_hundred_megabytes_of_output_are_kept_and_hold_nobody_up(store):
    @task
    def floods(x: int) -> int:
        line = b"x" * 1023 + b"\n"
        for _ in range(100):
            os.write(1, line * 1024)
        return x

    @task
    def says(x: int) -> int:
        print("little")
        return x

    @workflow
    def flow() -> list[int]:
        first = floods(1)
        then = says(2)
        first >> then
        return [first, then]

    ended = run(flow, store=store, engine="processes", max_parallelism=1, echo=False)
    assert ended.result == [1, 2]
    rows = {row.path: row for row in ended.nodes()}
    assert rows["main/floods"].log[2] == 100 << 20
    assert said(store, rows["main/says"]) == "little\n"
    key, offset, _ = rows["main/floods"].log
    assert store.get_range(key, offset + (99 << 20), offset + (99 << 20) + 2048) == (b"x" * 1023 + b"\n") * 2


def allow_files(count):
    """Raise the limit of open files, as far as needed and allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        return False
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
    return True


def leak_files(count):
    return [os.open(os.devnull, os.O_RDONLY) for _ in range(count)]


@pytest.mark.full
@pytest.mark.skipif(
    resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 6000, reason="a process may not open 6000 files here"
)
def test_R5_thousands_of_open_files_are_not_the_next_bodys(store):
    @task
    def leaks(x: int) -> int:
        assert allow_files(6000)
        return len(leak_files(4000))

    @task
    def opens(x: int) -> int:
        return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0

    @workflow
    def flow() -> list[int]:
        first = leaks(1)
        then = opens(2)
        first >> then
        return [first, then]

    leaked, found = run(flow, store=store, engine="processes", max_parallelism=1).result
    assert leaked == 4000
    assert found < 500


def test_R5_a_body_that_opens_all_files_that_it_may_hurts_only_its_own_task(store):
    """Not even its output can be stored then; what it returned can't be, either, if it is large."""

    @task
    def leaks(x: int) -> list[int]:
        print("said before")
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        while True:
            try:
                os.open(os.devnull, os.O_RDONLY)
            except OSError:
                break
        return [x] * 10000

    @task
    def neighbour(x: int) -> int:
        return x

    @workflow
    def flow() -> list[int]:
        first = neighbour(1)
        last = leaks(2)
        first >> last
        return [first, neighbour(3)]

    ended = run(flow, store=store, engine="processes", max_parallelism=1, echo=False)
    assert ended.state in ("SUCCEEDED", "FAILED")
    states = {row.path: row.state for row in ended.nodes()}
    assert states["main/leaks"] in ("SUCCEEDED", "FAILED")
    assert states["main/neighbour"] == "SUCCEEDED"


def test_R5_a_few_open_files_end_no_worker(store):
    """A library may keep a connection."""

    @task
    def opens(x: int) -> int:
        leak_files(5)
        return os.getpid()

    @workflow
    def flow() -> list[int]:
        return [opens(x) for x in range(10)]

    assert len(set(run(flow, store=store, engine="processes", max_parallelism=1).result)) == 1


# --- forks ------------------------------------------------------------------------------------------------------------


def returns(x):
    return x


def raises(x):
    raise ValueError(x)


def leaves(x):
    sys.exit(0)


@pytest.mark.parametrize("child_ends", [returns, raises, leaves])
def test_R5_a_fork_whose_child_comes_back_from_the_body_counts_once(store, diary, child_ends, capfd):
    @task
    def forks(x: int) -> int:
        print("before")
        child = os.fork()
        if child == 0:
            return child_ends(x + 100)
        os.waitpid(child, 0)
        note(diary, "parent")
        print("after")
        return x

    @task
    def then(x: int) -> int:
        note(diary, "then")
        return x + 1

    @workflow
    def flow() -> int:
        return then(forks(1))

    ended = run(flow, store=store, engine="processes", max_parallelism=1)
    assert ended.result == 2
    assert noted(diary) == {"parent": 1, "then": 1}
    rows = {row.path: row for row in ended.nodes()}
    lines = said(store, rows["main/forks"]).splitlines()  # what a child raised stands between
    assert (lines[0], lines[-1], lines.count("before"), lines.count("after")) == ("before", "after", 1, 1)
    assert rows["main/then"].log is None
    echoed = capfd.readouterr().err.splitlines()
    assert [line for line in echoed if line.endswith(("| before", "| after"))] == [
        "main/forks | before",
        "main/forks | after",
    ]


def test_R5_a_forked_child_ends_with_the_code_that_it_gave(store):
    @task
    def forks(x: int) -> int:
        child = os.fork()
        if child == 0:
            sys.exit(3)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    assert run(forks, {"x": 1}, store=store, engine="processes").result == 3


def test_R5_a_forked_child_that_outlives_its_body_has_no_say_in_what_follows(store, diary, gate, ends):
    of_child, of_next = gate("child"), gate("next")

    @task
    def forks(x: int) -> int:
        if os.fork() == 0:
            note(diary, os.getpid())
            with open(of_child.path) as file:
                file.read()
            return x + 100
        return x

    @task
    def then(x: int) -> int:
        print("mine")
        with open(of_next.path) as file:
            file.read()
        return x + 1

    @workflow
    def flow() -> int:
        return then(forks(1))

    going = start(flow, store=store, engine="processes", max_parallelism=1, echo=False)
    of_child.reached()
    of_next.reached()
    of_child.open()
    ((child, _),) = noted(diary).items()
    ends(int(child))
    of_next.open()
    assert going.wait(60).result == 2
    told, mine = (said(store, row) for row in going.nodes())
    assert f"(process {child}) still runs" in told
    assert (told.count("\n"), mine) == (1, "mine\n")


# --- what is left behind ----------------------------------------------------------------------------------------------


def a_child():
    return subprocess.Popen(["sleep", "1000"]).pid


def a_child_of_a_child():
    """Its parent has ended, and was waited for."""
    return int(
        subprocess.run(["sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!"], stdout=subprocess.PIPE, check=True).stdout
    )


def a_fork():
    child = os.fork()
    if child == 0:
        time.sleep(1000)
        os._exit(0)
    return child


LEFT_BEHIND = [a_child, a_child_of_a_child, a_fork]


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("leave", LEFT_BEHIND)
def test_X10_what_a_body_started_and_left_behind_ends_with_the_run(store, ends, leave):
    @task
    def leaves_behind(x: int) -> int:
        return leave()

    @task
    def is_there(pid: int) -> bool:
        return is_alive(pid)

    @workflow
    def flow() -> tuple[int, bool]:
        pid = leaves_behind(1)
        return pid, is_there(pid)

    pid, there = run(flow, store=store, engine="processes", max_parallelism=1).result
    assert there, "while the run goes on, a task may use what another one started"
    ends(pid)


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("leave", LEFT_BEHIND)
def test_X10_what_a_failed_body_left_behind_ends_with_the_run(store, diary, ends, leave):
    @task
    def fails(x: int) -> int:
        note(diary, leave())
        raise ValueError

    assert run(fails, {"x": 1}, store=store, engine="processes").state == "FAILED"
    ((pid, _),) = noted(diary).items()
    ends(int(pid))


@pytest.mark.full
@pytest.mark.parametrize("leave", LEFT_BEHIND)
def test_X10_what_a_body_that_was_sent_again_left_behind_ends_with_the_run(store, diary, tmp_path, ends, leave):
    """Its worker served it alone, and ends by itself."""

    @task
    def dies(x: int) -> int:
        note(diary, leave())
        if not (tmp_path / "died").exists():
            (tmp_path / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return x

    assert run(dies, {"x": 1}, store=store, engine="processes").result == 1
    first, second = noted(diary)
    ends(int(first))
    ends(int(second))


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("leave", LEFT_BEHIND)
def test_X10_what_a_body_left_behind_in_a_worker_that_was_worn_out_ends_with_the_run(store, diary, ends, leave):
    @task
    def leaks(x: int) -> int:
        note(diary, leave())
        leak_files(200)
        return x

    assert run(leaks, {"x": 1}, store=store, engine="processes").result == 1
    ((pid, _),) = noted(diary).items()
    ends(int(pid))


@pytest.mark.full
def test_R5_a_thread_that_a_body_left_behind_holds_up_neither_tasks_nor_the_end(store, project):
    project.write(
        "threads_left.py",
        """
        import threading
        import time
        from promissory import run, start
        from promissory import task, workflow

        @task
        def leaves(x: int) -> int:
            threading.Thread(target=time.sleep, args=(1000,)).start()
            return x

        @workflow
        def flow() -> list[int]:
            return [leaves(x) for x in range(3)]

        if __name__ == "__main__":
            print(run(flow, engine="processes", max_parallelism=1).result)
        """,
    )
    begun = time.monotonic()
    assert project.python("threads_left.py") == "[0, 1, 2]\n"
    assert time.monotonic() - begun < 30


@pytest.mark.full
def test_R5_what_a_body_registers_for_the_end_of_its_process_hurts_nobody(store):
    @task
    def registers(x: int) -> int:
        atexit.register(time.sleep, 1000)
        atexit.register(os._exit, 9)
        return x

    assert run(registers, {"x": 1}, store=store, engine="processes").result == 1
    assert run(registers, {"x": 2}, store=store, engine="processes").result == 2


def test_R5_a_body_that_starts_threads_which_speak_later_ends_well(store):
    @task
    def speaks(x: int) -> int:
        threading.Thread(target=lambda: [print("later") for _ in range(100)]).start()
        return x

    @workflow
    def flow() -> list[int]:
        return [speaks(x) for x in range(20)]

    assert run(flow, store=store, engine="processes", max_parallelism=1, echo=False).result == list(range(20))

"""J1, J3, J5, J6: whole runs on each kind of store and engine: killed, fenced, on a server that fails one call of five,
and resumed.
"""

import logging
import os
import random
import re
import signal
import threading

import pytest

from promissory import Store, dynamic, resume, run, start, task, workflow
from promissory.errors import Fenced, RunFailed, RunIsLive, StoreError
from promissory.executor.history.history import History

pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")


@task
def split(numbers: list[int]) -> tuple[list[int], list[int]]:
    middle = len(numbers) // 2
    return numbers[:middle], numbers[middle:]


@task
def merge(left: list[int], right: list[int]) -> list[int]:
    print("merging", len(left), len(right))
    return sorted(left + right)


@task
def in_order(numbers: list[int]) -> list[int]:
    return sorted(numbers)


@dynamic
def merge_sort(numbers: list[int], threshold: int) -> list[int]:
    if len(numbers) <= threshold:
        return in_order(numbers)
    left, right = split(numbers)
    return merge(merge_sort(left, threshold), merge_sort(right, threshold))


@workflow
def sort(numbers: list[int], threshold: int) -> list[int]:
    return merge_sort(numbers, threshold)


@task
def large(x: int) -> bytes:
    return bytes([x]) * 3_000_000


@task
def size(data: bytes) -> int:
    return len(data)


@workflow
def large_values() -> list[int]:
    return [size(large(1)), size(large(2)), size(large(1))]


@task(retries=2, retry_delay=0)
def fails(x: int) -> int:
    raise ValueError(f"no {x}")


@workflow
def failing(x: int) -> int:
    return fails(x)


NUMBERS = random.Random(7).sample(range(100_000), 5000)


@pytest.mark.parametrize("engine", ["inline", "threads", "processes"])
def test_J5_a_run_with_dynamics_works_on_each_store_and_engine(place, engine):
    done = run(sort, {"numbers": NUMBERS, "threshold": 800}, store=place.url, engine=engine)
    assert done.result == sorted(NUMBERS)
    assert len(done.futures()) > 0
    again = History(place.store(), done.id)
    assert again.result() == sorted(NUMBERS) if hasattr(again, "result") else again.state == "SUCCEEDED"


@pytest.mark.parametrize("engine", ["inline", "threads", "processes"])
def test_J5_large_values_go_from_worker_to_worker_through_each_store(place, engine):
    assert run(large_values, {}, store=place.url, engine=engine).result == [3_000_000] * 3


@task
def speaks_on_the_loop(lines: int) -> int:
    import fsspec.asyn

    async def speak() -> None:
        for line in range(lines):
            logging.getLogger("of a library").info("%05d %s", line, "." * 100)

    fsspec.asyn.sync(fsspec.asyn.get_loop(), speak)
    return lines


@workflow
def speaking(lines: int) -> int:
    return speaks_on_the_loop(lines)


@pytest.mark.parametrize("engine", ["inline", "threads", "processes"])
def test_X5_records_of_a_library_are_kept_on_the_loop_that_serves_the_store(place, engine):
    done = run(speaking, {"lines": 2000}, store=place.url, engine=engine, echo=False)
    assert done.result == 2000
    said = done.logs("speaks_on_the_loop")
    assert re.findall(r"INFO of a library: (\d{5}) ", said) == [f"{line:05d}" for line in range(2000)]


@pytest.mark.parametrize("engine", ["inline", "threads", "processes"])
def test_X5_what_a_stores_library_says_of_requests_is_no_bodys_word(cloud, engine):
    done = run(sort, {"numbers": NUMBERS, "threshold": 800}, store=cloud.url, engine=engine, log_level="DEBUG")
    said = [line.partition(" | ")[2] or line for line in done.logs().splitlines()]
    assert len(said) == 7
    assert {line.split()[0] for line in said} == {"merging"}


@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_J6_a_failing_task_is_its_own_failure_on_each_store(cloud, engine):
    with pytest.raises(RunFailed, match="no 7"):
        run(failing, {"x": 7}, store=cloud.url, engine=engine).result


def one_of_five(faults, seed):
    """Every fifth request, by chance, is answered with 503; half of them after it was done."""
    chance = random.Random(seed)
    lock = threading.Lock()

    def choose(request, body):
        with lock:
            return faults.Answer(503, "SlowDown", after=chance.random() < 0.5) if chance.random() < 0.2 else None

    return choose


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("engine", ["inline", "threads", "processes"])
def test_J6_a_server_that_fails_one_call_of_five_delays_a_run_and_fails_nothing(cloud, faults, engine):
    cloud.proxy.fail(one_of_five(faults, 1))
    done = run(sort, {"numbers": NUMBERS[:1500], "threshold": 400}, store=cloud.url, engine=engine)
    assert done.result == sorted(NUMBERS[:1500])
    assert {row.state for row in done.nodes()} == {"SUCCEEDED"}
    assert {row.attempts for row in done.nodes()} <= {0, 1}


@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_J6_a_store_that_is_gone_for_good_stops_the_run_and_is_no_nodes_failure(on_s3, faults, engine, monkeypatch):
    monkeypatch.setattr("promissory.executor.store.store.PATIENCE", 0.2)
    asked = []

    def choose(request, body):
        asked.append(request)
        return faults.Answer(403, "AccessDenied") if len(asked) > 12 else None

    on_s3.proxy.fail(choose)
    with pytest.raises(StoreError, match="credentials come from the environment"):
        run(sort, {"numbers": NUMBERS, "threshold": 800}, store=on_s3.url, engine=engine, run_id="r")
    on_s3.proxy.forget()
    assert resume("r", store=on_s3.url, engine=engine).result == sorted(NUMBERS)
    assert "FAILED" not in {row.state for row in History(on_s3.store(), "r").nodes()}


FLOW = """
import os
from promissory import dynamic, task, workflow

def note(line):
    descriptor = os.open("diary", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, (line + "\\n").encode())
    os.close(descriptor)

@task(commit="each")
def step(n: int) -> int:
    note(f"step {n}")
    if n == 3 and os.environ.get("GATE"):
        open(os.environ["GATE"]).read()
    return n + 1

@dynamic
def steps(n: int, end: int) -> int:
    return n if n == end else steps(step(n), end)

@workflow
def walk(end: int) -> int:
    return steps(0, end)
"""
GO = """
import sys
import walk
from promissory import run
print(run(walk.walk, {"end": 6}, store=sys.argv[1], engine=sys.argv[2], run_id="r").result)
"""
AGAIN = """
import sys
import walk
from promissory import resume
print(resume("r", store=sys.argv[1], engine=sys.argv[2], take_over=True).result)
"""


@pytest.fixture
def walk(project):
    """A program whose fourth step stands at a gate if there is one."""
    project.write("walk.py", FLOW)
    project.write("go.py", GO)
    project.write("again.py", AGAIN)
    return project


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_J1_an_executor_that_is_killed_on_an_object_store_is_resumed(cloud, walk, gate, engine):
    fourth = gate()
    process = walk.spawn("go.py", cloud.url, engine, GATE=fourth.path)
    fourth.reached()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert walk.python("again.py", cloud.url, engine).strip() == "6"
    assert sorted(walk.lines("diary")) == sorted([f"step {n}" for n in range(6)] + ["step 3"])


def test_J3_an_executor_that_was_taken_over_on_an_object_store_is_fenced(cloud, walk, gate):
    fourth = gate()
    process = walk.spawn("go.py", cloud.url, "inline", GATE=fourth.path)
    fourth.reached()
    assert walk.python("again.py", cloud.url, "inline").strip() == "6"
    before = cloud.contents()
    fourth.open()
    output, errors = walk.finish(process)
    assert process.returncode != 0
    assert "Fenced" in errors
    assert output == ""
    journal = {key: data for key, data in cloud.contents().items() if "/journal/" in key}
    assert journal == {key: data for key, data in before.items() if "/journal/" in key}


@pytest.mark.full
def test_J3_several_that_begin_one_run_at_one_time_have_one_result(cloud):
    """The same name, plan and inputs are the same run; whoever loses it to another is told so, and nothing is committed
    twice.
    """
    together = threading.Barrier(4)
    results, problems = [], []

    def begin():
        together.wait(60)
        try:
            results.append(
                run(sort, {"numbers": NUMBERS[:50], "threshold": 100}, store=cloud.url, run_id="same").result
            )
        except (Fenced, RunIsLive) as error:
            problems.append(error)

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) + len(problems) == 4
    assert results
    assert all(result == sorted(NUMBERS[:50]) for result in results)
    assert {row.state for row in History(cloud.store(), "same").nodes()} == {"SUCCEEDED"}


def test_J3_a_run_in_the_background_is_seen_alive_from_elsewhere(on_s3, gate_task):
    going = start(gate_task.flow, {}, store=on_s3.url, run_id="alive")
    gate_task.entered.wait(60)
    assert History(Store(on_s3.url), "alive").state in ("RUNNING",)
    gate_task.go_on.set()
    assert going.wait(60) is not None or going.result == 1


@pytest.fixture
def gate_task():
    entered, go_on = threading.Event(), threading.Event()

    class Held:
        pass

    @task
    def held() -> int:
        Held.entered.set()
        Held.go_on.wait(60)
        return 1

    @workflow
    def flow() -> int:
        return held()

    Held.entered, Held.go_on, Held.flow = entered, go_on, flow
    yield Held
    go_on.set()


def test_J5_the_number_of_requests_grows_with_commits_and_not_with_nodes(on_s3):
    """A run of ten times as many small nodes costs far less than ten times the requests."""

    @task
    def one(x: int) -> int:
        return x + 1

    @dynamic
    def many(n: int) -> list[int]:
        return [one(number) for number in range(n)]

    @workflow
    def wide(n: int) -> list[int]:
        return many(n)

    costs = []
    for nodes in (30, 300):
        on_s3.proxy.forget()
        assert len(run(wide, {"n": nodes}, store=on_s3.url).result) == nodes
        costs.append(len(on_s3.proxy.requests))
    assert costs[1] < 3 * costs[0], costs

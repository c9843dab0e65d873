"""X5: what a body says is its own, whoever says it for it and whatever it runs."""

import sys
from concurrent.futures import ThreadPoolExecutor

from promissory import run, task
from promissory.executor.store.store import Store


def log_of(ended, store):
    (row,) = [row for row in ended.nodes() if row.log is not None]
    key, offset, length = row.log
    return store.get_range(key, offset, offset + length).decode()


def test_X5_what_threads_of_a_body_print_is_in_its_log(store):
    @task
    def threaded(n: int) -> int:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda i: print(f"from thread {i}"), range(n)))
        return n

    ended = run(threaded, {"n": 3}, store=store, echo=False)
    assert sorted(log_of(ended, store).splitlines()) == ["from thread 0", "from thread 1", "from thread 2"]


def test_X5_a_body_that_runs_a_workflow_goes_on_being_listened_to(store):
    @task
    def inner(x: int) -> int:
        print("inner")
        return x

    @task
    def outer(x: int) -> int:
        print("before")
        run(inner, {"x": x}, store=Store(None), echo=False)
        print("after")
        return x

    assert log_of(run(outer, {"x": 1}, store=store, echo=False), store) == "before\nafter\n"


def test_X5_a_body_may_reconfigure_its_streams(store):
    @task
    def careful(x: int) -> int:
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(errors="backslashreplace")
        print("well", end="")
        return x

    assert log_of(run(careful, {"x": 1}, store=store, echo=False), store) == "well"

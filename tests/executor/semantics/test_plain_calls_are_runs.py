"""A2: a plain call differs from a run in nothing but where it lies."""

import os
import pty
import threading
from typing import Any

import pytest

from promissory import Context, approve, current_context, promise, run, task, wait_for_input, workflow
from promissory.errors import NobodyToAsk


@task
def declared(x: Any) -> dict[str, list[int]]:
    return x


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"a": [1, "2"]}, r"result\['a'\]\[1\]: expected int, got str"),
        ({1: [1]}, "expected str, got int"),
        (None, "result: expected dict"),
    ],
)
def test_A2_a_plain_call_of_a_task_checks_its_result_to_the_last_element(given, said):
    with pytest.raises(TypeError, match=said) as caught:
        declared(given)
    assert "declared() returned something else than it declares" in str(caught.value)


def test_A2_a_result_that_fits_is_the_very_object():
    value = {"a": [1]}
    assert declared(value) is value


def test_A2_an_async_task_checks_its_result_too():
    import asyncio

    @task
    async def waits(x: int) -> str:
        await asyncio.sleep(0)
        return x

    async def main():
        return await waits(1)

    for call in (lambda: waits(1), lambda: asyncio.run(main())):
        with pytest.raises(
            TypeError, match=r"waits\(\) returned something else than it declares: result: expected str"
        ):
            call()


def test_A2_a_plain_call_has_one_context():
    @task
    def inner() -> Any:
        return current_context().channel().get("key")

    @task
    def outer(ctx: Context) -> Any:
        current_context().channel().set("key", [1, 2])
        current_context().checkpoint.write({"at": 3})
        found = []
        thread = threading.Thread(target=lambda: found.append(current_context() is ctx))
        thread.start()
        thread.join()
        return [current_context() is ctx, *found, inner(), current_context().checkpoint.read()]

    assert outer() == [True, True, [1, 2], {"at": 3}]
    assert inner() is None  # the next call has another one


def test_A2_the_context_of_a_plain_call_is_over_with_it():
    kept = []

    @task
    def keeps(ctx: Context) -> None:
        kept.append(ctx)

    keeps()
    with pytest.raises(Exception, match="has ended"):
        kept[0].channel().set("key", 1)


@workflow
def sized() -> int:
    return wait_for_input("size", 3600, int)


@task
def offer(x: int) -> int:
    return x


@workflow
def approved() -> int:
    return approve(promise(offer(sized())), "ok")


def test_A2_a_gate_of_a_plain_call_raises_at_once_where_nobody_can_be_asked(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(NobodyToAsk, match=r"main/size waits for an answer \(int\).*promissory\.run") as caught:
        sized()
    assert "promissory answer RUN size VALUE" in str(caught.value)


def test_A2_a_gate_of_a_plain_call_asks_at_the_terminal(project):
    project.write(
        "asks.py",
        """
        from promissory import approve, promise, task, wait_for_input, workflow

        @task
        def offer(x: int) -> int:
            return x

        @workflow
        def flow() -> int:
            return approve(promise(offer(wait_for_input("size", 3600, int))), "ok")

        print("result", flow())
        """,
    )
    ours, theirs = pty.openpty()
    process = project.spawn("asks.py", terminal=theirs)
    os.close(theirs)
    os.write(ours, b"many\n5\nyes\n")
    out, err = process.communicate(timeout=60)
    os.close(ours)
    assert out == "result 5\n"
    assert "main/size (int): 'many' is not an int\nmain/size (int): main/ok: 5\nMay it go on (yes or no)?" in err


def test_A2_a_rejected_approval_of_a_plain_call_fails_it(project):
    project.write(
        "asks.py",
        """
        from promissory import approve, promise, task, workflow

        @task
        def offer() -> int:
            return 5

        @workflow
        def flow() -> int:
            return approve(promise(offer()), "ok")

        flow()
        """,
    )
    ours, theirs = pty.openpty()
    process = project.spawn("asks.py", terminal=theirs)
    os.close(theirs)
    os.write(ours, b"no\n")
    _, err = process.communicate(timeout=60)
    os.close(ours)
    assert process.returncode == 1
    assert "Rejected: main/ok was rejected by the terminal" in err


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PROMISSORY_CACHE")
    monkeypatch.delenv("PROMISSORY_STORE", raising=False)
    return tmp_path


RAN: list[int] = []


@task(cache=True, cache_version="1")
def costly(x: int) -> str:
    RAN.append(x)
    return "large" * x


@workflow
def takes(x: int) -> str:
    return costly(x)


@task(cache=True, cache_version="1")
def anything(x: int) -> Any:
    RAN.append(x)
    return [x]


@workflow
def takes_anything(x: int) -> Any:
    return anything(x)


@pytest.mark.parametrize("size", [1, 100_000])
def test_A2_a_plain_call_takes_and_gives_cached_outcomes_of_the_store_of_run(here, capsys, size):
    RAN.clear()
    first = run(takes, {"x": size})
    assert takes(size) == first.result
    assert [size] == RAN
    assert capsys.readouterr().err == f"promissory: main/costly: cached ({first.id}, 0 seconds ago)\n"
    takes(size + 1)
    assert run(takes, {"x": size + 1}).result == "large" * (size + 1)
    assert [size, size + 1] == RAN


def test_A2_a_plain_call_makes_no_store(here):
    RAN.clear()
    assert takes(2) == takes(2)
    assert RAN == [2, 2]
    assert list(here.iterdir()) == []


def test_A2_the_cache_of_plain_calls_can_be_turned_off(here, monkeypatch):
    RAN.clear()
    run(takes, {"x": 3})
    monkeypatch.setenv("PROMISSORY_CACHE", "0")
    takes(3)
    assert RAN == [3, 3]


def test_A2_pickles_of_a_store_that_others_can_write_are_not_used(here, monkeypatch):
    RAN.clear()
    monkeypatch.setenv("PROMISSORY_STORE", str(here / ".promissory"))  # named, so it is taken
    run(takes_anything, {"x": 4})
    run(takes, {"x": 4})
    (here / ".promissory").chmod(0o777)
    assert takes_anything(4) == [4]
    assert takes(4) == "large" * 4
    assert RAN == [4, 4, 4]
    (here / ".promissory").chmod(0o755)
    takes_anything(4)
    assert RAN == [4, 4, 4]


def test_A2_a_plain_call_of_a_task_is_the_function(here):
    RAN.clear()
    run(takes, {"x": 5})
    assert costly(5) == costly(5)
    assert RAN == [5, 5, 5]


def test_A2_a_damaged_store_does_not_hinder_a_plain_call(here):
    (here / ".promissory").mkdir()
    (here / ".promissory" / "cache").write_text("no folder")
    (here / ".promissory" / "promissory").write_text("{}")
    RAN.clear()
    assert takes(6) == "large" * 6
    assert RAN == [6]

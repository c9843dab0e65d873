"""A10, A11: whatever may be a task runs on worker processes: functions in functions with what they captured, decorated
ones, async ones; and what can't travel is told before anything runs.
"""

import asyncio
import functools
import math
import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, Flag, IntEnum
from pathlib import Path
from typing import NamedTuple

import pytest

from promissory import dynamic, run, task, workflow
from promissory.errors import InputError, RemoteError, RunFailed


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


@dataclass(frozen=True)
class Point:
    x: int
    colour: Colour = Colour.RED
    near: list["Point"] = field(default_factory=list)


class Pair(NamedTuple):
    first: Point
    second: Level


class Refused(Exception):
    """Made of other arguments than it shows."""

    def __init__(self, point, *, why):
        super().__init__(f"{why}: {point.x}")
        self.point = point
        self.why = why

    def __reduce__(self):
        return functools.partial(Refused, why=self.why), (self.point,)


class Holds(Exception):
    """Holds what can't be pickled."""

    def __init__(self, said):
        super().__init__(said, threading.Lock())


@pytest.fixture
def result(store):
    """A function (target, inputs) → its result, computed in worker processes."""

    def compute(target, **inputs):
        return run(target, inputs, store=store, engine="processes").result

    return compute


@task
def inc(x: int) -> int:
    return x + 1


def doubled(x):
    return 2 * x


# --- functions in functions -------------------------------------------------------------------------------------------


def test_A10_a_closure_over_values_of_every_kind(result):
    number, words, where, colour, level, point, pattern = (
        3,
        {"a": ["b"]},
        Path("here"),
        Colour.BLUE,
        Level.HIGH,
        Point(1),
        re.compile("b+"),
    )

    @task
    def told(x: int) -> list[str]:
        same = [
            colour is Colour.BLUE,
            level is Level.HIGH,
            isinstance(point, Point),
            where == Path("here"),
            bool(pattern.match("bbb")),
        ]
        return [str(x * number), words["a"][0], *map(str, same)]

    assert result(told, x=2) == ["6", "b", *["True"] * 5]


def test_A10_a_closure_over_functions_tasks_and_modules(result):
    by = 10

    def plain(x):
        return by * x

    @task
    def scaled(x: int) -> int:
        return plain(x)

    @task
    def all_of_them(x: int) -> int:
        return scaled(inc(plain(doubled(math.floor(x + 0.5)))))

    assert result(all_of_them, x=1) == 210


def test_A10_a_closure_runs_in_another_process_than_this(result):
    here = os.getpid()

    @task
    def elsewhere() -> bool:
        return os.getpid() != here

    assert result(elsewhere) is True


def test_A11_tasks_of_a_factory_are_two_callables_of_one_name(store):
    def scaled(k):
        @task
        def times(x: int) -> int:
            return x * k

        return times

    two, three = scaled(2), scaled(3)

    @dynamic
    def both(x: int) -> int:
        return three(two(x))

    @workflow
    def flow(x: int) -> list[int]:
        return [two(x), three(x), both(x), scaled(5)(x)]

    one_worker = run(flow, {"x": 1}, store=store, engine="processes", max_parallelism=1)
    assert one_worker.result == [2, 3, 6, 5]
    assert {row.worker for row in one_worker.nodes()} == {"process-1-1"}


@pytest.mark.full
def test_A11_a_captured_variable_is_read_anew_by_each_run(result):
    by = 1

    @task
    def more(x: int) -> int:
        return x + by

    assert result(more, x=1) == 2
    by = 100
    assert result(more, x=1) == 101


def test_A10_closures_made_in_a_dynamics_body_in_a_worker(result):
    @dynamic
    def grows(n: int) -> list[int]:
        here = os.getpid()

        def made(k):
            @task
            def plus(x: int) -> int:
                return x + k + (0 if here else 1)

            return plus

        @dynamic
        def deeper(x: int) -> int:
            @task
            def minus(y: int) -> int:
                return y - n - x

            return minus(made(1000)(x))

        return [*[made(k)(100) for k in range(n)], deeper(7)]

    assert result(grows, n=3) == [100, 101, 102, 997]


def test_A10_a_recursive_dynamic_defined_in_a_function(result):
    floor = 1

    @task
    def add(a: int, b: int) -> int:
        return a + b

    @dynamic
    def fib(n: int) -> int:
        return n if n <= floor else add(fib(n - 1), fib(n - 2))

    assert result(fib, n=6) == 8


@pytest.mark.full
def test_A10_dynamics_in_a_function_that_call_each_other(result):
    @dynamic
    def even(n: int) -> bool:
        return odd(n - 1) if n else True

    @dynamic
    def odd(n: int) -> bool:
        return even(n - 1) if n else False

    assert result(even, n=7) is False
    assert result(odd, n=7) is True


STATEFUL = """
    import threading
    from promissory import task

    lock = threading.Lock()
    settings = {}

    def read_settings():
        settings["by"] = 10

    def made(k):
        @task
        def locked(x: int) -> int:
            with lock:
                return x * k

        @task
        def told(x: int) -> int:
            read_settings()
            return x * k * settings["by"]

        return locked, told
"""


def test_A10_a_closure_may_use_what_only_its_module_has(store, write_module):
    """It did not capture the lock: its module makes one wherever it is imported."""
    locked, _ = write_module("has_a_lock", STATEFUL).made(2)
    assert run(locked, {"x": 1}, store=store, engine="processes").result == 2


@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_X3_a_closure_and_the_functions_of_its_module_share_the_modules_variables(store, write_module, engine):
    _, told = write_module("has_settings", STATEFUL.replace("threading.Lock()", "None")).made(2)
    assert run(told, {"x": 1}, store=store, engine=engine).result == 20


def test_A10_a_closure_reads_what_is_beside_its_file(store, write_module):
    module = write_module(
        "has_data",
        """
        from pathlib import Path
        from promissory import task

        def made():
            there = True

            @task
            def read() -> str:
                assert there
                return (Path(__file__).parent / "data.txt").read_text() + __name__

            return read
        """,
    )
    (Path(module.__file__).parent / "data.txt").write_text("data of ")
    assert run(module.made(), store=store, engine="processes").result == "data of has_data"


@pytest.mark.full
def test_A10_classes_defined_in_a_function_come_back_as_the_same(result):
    class Shade(Enum):
        DARK = 1
        LIGHT = 2

    @dataclass
    class Spot:
        shade: Shade
        size: int

    class Two(NamedTuple):
        spot: Spot
        shades: list[Shade]

    @task
    def lighter(spot: Spot) -> Two:
        assert spot.shade is Shade.DARK
        return Two(Spot(Shade.LIGHT, spot.size + 1), list(Shade))

    @dynamic
    def twice(spot: Spot) -> Two:
        assert isinstance(spot, Spot)
        return lighter(Spot(Shade.DARK, spot.size + 1))

    for target in (lighter, twice):
        found = result(target, spot=Spot(Shade.DARK, 1))
        assert type(found) is Two
        assert type(found.spot) is Spot
        assert found.spot.shade is Shade.LIGHT
        assert found.shades == [Shade.DARK, Shade.LIGHT]


def test_A10_a_function_that_no_file_holds(result):
    """As a template engine or a console makes them."""
    made = {"task": task, "__name__": "made_of_text"}
    exec("@task\ndef typed(x: int, by: int = 2) -> int:\n    return x * by\n", made)
    assert result(made["typed"], x=4) == 8


# --- decorated functions ----------------------------------------------------------------------------------------------


def plain_decorator(function: Callable[[int], int]) -> Callable[[int], int]:
    def inner(x: int) -> int:
        return 10 * function(x)

    return inner


def keeping_decorator(function):
    @functools.wraps(function)
    def inner(*args, **kwargs):
        return 10 * function(*args, **kwargs)

    return inner


@task
@plain_decorator
def ten_times(x: int) -> int:
    return x


@task
@plain_decorator
def ten_times_and_one(x: int) -> int:
    return x + 1


@task
@keeping_decorator
def kept_ten_times(x: int, by: int = 1) -> int:
    return x * by


@keeping_decorator
@task
def above(x: int) -> int:
    return x + 3


@workflow
def decorated(x: int) -> list[int]:
    return [ten_times(x), ten_times_and_one(x), kept_ten_times(x, by=3)]


def test_A10_a_decorator_below_task(result):
    assert result(decorated, x=1) == [10, 20, 30]


@pytest.mark.parametrize(
    "wrapping",
    ["functools.wraps(function)", "(lambda inner: inner)"],
    ids=["that keeps what it wraps", "that hides what it wraps"],
)
def test_A10_a_decorator_above_task(store, write_module, wrapping):
    """It wraps the call, so it is at work while the plan is made; the body is the task's own."""
    module = write_module(
        "has_decorators",
        f"""
        import functools
        from promissory import task, workflow

        calls = []

        def noted(function):
            @{wrapping}
            def inner(*args, **kwargs):
                calls.append(args)
                return function(*args, **kwargs)

            return inner

        @noted
        @task
        def above(x: int) -> int:
            return x + 3

        @workflow
        def flow(x: int) -> int:
            return above(above(x))
        """,
    )
    assert run(module.flow, {"x": 1}, store=store, engine="processes").result == 7
    assert len(module.calls) == 2


def test_A10_a_task_under_another_name_than_its_functions(store, write_module):
    module = write_module(
        "has_aliases",
        """
        from promissory import task

        def _added(x: int, y: int) -> int:
            return x + y

        added = task(_added)


        def replaced(x: int) -> int:
            return x

        tasks = {"replaced": task(replaced)}

        def replaced(x: int) -> int:
            return -x
        """,
    )
    assert run(module.added, {"x": 1, "y": 2}, store=store, engine="processes").result == 3
    assert run(module.tasks["replaced"], {"x": 5}, store=store, engine="processes").result == 5


# --- kinds of functions and parameters --------------------------------------------------------------------------------


@task
async def slowly(x: int) -> int:
    await asyncio.sleep(0)
    return await asyncio.gather(*[asyncio.sleep(0, x)]) and x + 1


@pytest.mark.full
def test_A10_async_tasks(result):
    by = 5

    @task
    async def inside(x: int) -> int:
        async with asyncio.timeout(30):
            return x + by

    @workflow
    def flow(x: int) -> int:
        return inside(slowly(x))

    assert result(flow, x=1) == 7


@task
def positional(a: int, b: int = 2, /, c: int = 3, *, d: int, e: int = 5) -> list[int]:
    return [a, b, c, d, e]


@task
def defaults(
    p: Point = Point(1),
    colours: list[Colour] = [Colour.BLUE],
    pair: Pair = Pair(Point(2), Level.HIGH),
    level: Level = Level.LOW,
) -> bool:
    return (p, colours, pair, level) == (
        Point(1),
        [Colour.BLUE],
        Pair(Point(2), Level.HIGH),
        Level.LOW,
    ) and level is Level.LOW


@task
def grown(x: int, seen: list[int] = []) -> list[int]:
    seen.append(x)
    return seen


@task
def nothing() -> None:
    pass


def test_A10_every_kind_of_parameter(result):
    @workflow
    def flow(x: int) -> list[list[int]]:
        return [positional(x, d=4), positional(x, 20, 30, d=40, e=50), positional(x, c=x, d=x)]

    assert result(flow, x=1) == [[1, 2, 3, 4, 5], [1, 20, 30, 40, 50], [1, 2, 1, 1, 5]]


def test_A10_defaults_that_are_records_and_enums(result):
    assert result(defaults) is True


def test_A10_a_mutable_default_is_fresh_for_each_call_of_one_worker(store):
    @workflow
    def flow() -> list[list[int]]:
        return [grown(1), grown(2), grown(3)]

    assert run(flow, store=store, engine="processes", max_parallelism=1).result == [[1], [2], [3]]


def test_A10_a_task_without_result(result):
    @workflow
    def flow() -> None:
        nothing() >> nothing()

    assert result(flow) is None


# --- classes and exceptions -------------------------------------------------------------------------------------------


@task
def paired(p: Point, near: list[Point]) -> Pair:
    return Pair(Point(p.x + 1, Colour.BLUE, [p, *near]), Level.HIGH)


@task
def refuses(p: Point) -> int:
    raise Refused(p, why="too small")


@task
def holds(x: int) -> int:
    raise Holds("a lock")


@task
def groups(x: int) -> int:
    raise ExceptionGroup("several", [ValueError(x), Refused(Point(x), why="one of them")])


def test_X3_records_and_enums_come_back_as_the_callers_own(result):
    found = result(paired, p=Point(1), near=[Point(5, Colour.BLUE)])
    assert found == Pair(Point(2, Colour.BLUE, [Point(1), Point(5, Colour.BLUE)]), Level.HIGH)
    assert type(found) is Pair
    assert type(found.first.near[0]) is Point
    assert found.first.colour is Colour.BLUE
    assert found.second is Level.HIGH


def test_X6_an_exception_is_caught_by_the_callers_own_class(store):
    ended = run(refuses, {"p": Point(3)}, store=store, engine="processes")
    with pytest.raises(RunFailed) as failed:
        ended.result
    with pytest.raises(Refused) as refused:
        raise failed.value.__cause__
    assert type(refused.value.point) is Point
    assert refused.value.point.colour is Colour.RED
    assert str(refused.value) == "too small: 3"


def test_X6_an_exception_group_keeps_its_members(store):
    cause = run(groups, {"x": 3}, store=store, engine="processes").error.__cause__
    refused, others = cause.split(Refused)
    assert refused.exceptions[0].why == "one of them"
    assert isinstance(others.exceptions[0], ValueError)


def test_X6_an_exception_that_cannot_be_pickled_is_told_by_name(store):
    cause = run(holds, {"x": 1}, store=store, engine="processes").error.__cause__
    assert isinstance(cause, RemoteError)
    assert cause.type_name == "Holds"
    assert "a lock" in str(cause)


def test_X6_an_exception_class_defined_in_a_function(store):
    class Inner(Exception):
        pass

    @task
    def fails(x: int) -> int:
        raise Inner("from inside")

    assert "Inner: from inside" in str(run(fails, {"x": 1}, store=store, engine="processes").error)


def test_X3_flags_of_an_enum_travel(result):
    class Access(Flag):
        READ = 1
        WRITE = 2

    both = Access.READ | Access.WRITE

    @task
    def may(x: int) -> bool:
        return Access.WRITE in both

    assert result(may, x=1) is True


# --- what can't travel ------------------------------------------------------------------------------------------------


def guarded_by(thing):
    ran = []

    @task
    def first(x: int) -> int:
        ran.append("first")
        return x

    @task
    def guarded(x: int) -> int:
        assert thing is not None
        return x

    @workflow
    def flow(x: int) -> int:
        return guarded(first(x))

    return flow


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("what", ["a lock", "an open file", "a generator"])
def test_A11_what_cannot_travel_is_told_before_anything_runs(store, tmp_path, what):
    with (tmp_path / "open.txt").open("w") as file:
        thing = {"a lock": threading.Lock(), "an open file": file, "a generator": (x for x in "abc")}[what]
        flow = guarded_by(thing)
        with pytest.raises(InputError) as told:
            run(flow, {"x": 1}, store=store, engine="processes", run_id="never")
        assert str(told.value).startswith("guarded can't travel to another process: ")
        assert "Take what it captures as an input, or make it in the body" in str(told.value)
        assert not (tmp_path / "store" / "runs" / "never").exists()
        assert run(flow, {"x": 1}, store=store).result == 1
        assert run(flow, {"x": 1}, store=store, engine="threads").result == 1


@pytest.mark.full
def test_A11_what_cannot_travel_is_told_where_a_dynamic_makes_it(store):
    @dynamic
    def grows(x: int) -> int:
        lock = threading.Lock()

        @task
        def guarded(y: int) -> int:
            with lock:
                return y + 1

        return guarded(x)

    assert run(grows, {"x": 1}, store=store).result == 2
    ended = run(grows, {"x": 1}, store=store, engine="processes")
    assert ended.error.path == "main/grows"
    assert "guarded can't travel to another process" in str(ended.error)
    assert "make it in the body" in str(ended.error)


def test_A11_what_no_node_calls_need_not_travel(result):
    lock = threading.Lock()

    @task
    def guarded(x: int) -> int:
        with lock:
            return x

    @workflow
    def flow(x: int) -> int:
        return inc(x) if lock else guarded(x)

    assert result(flow, x=1) == 2


def test_A11_a_lock_is_made_in_the_body(result):
    """The way out that the error names."""

    @task
    def guarded(x: int) -> int:
        with threading.Lock():
            return x

    assert result(guarded, x=1) == 1


# --- other processes, later -------------------------------------------------------------------------------------------

CLOSURES = """
    import os
    from promissory import dynamic, task, workflow

    WORDS = {1: "one", 2: "two"}

    def helper(x):
        return WORDS[x]

    def made(k, anything):
        @task
        def told(x: int) -> str:
            if "BROKEN" in os.environ:
                raise OSError("to be repaired")
            return helper(x) + str(k) + type(anything).__name__

        @dynamic
        def grows(x: int) -> str:
            @task
            def more(word: str) -> str:
                return word + str(x)

            return more(told(x))

        return grows
"""


@pytest.mark.parametrize(
    ("anything", "kind"),
    [("None", "NoneType"), ("__import__('re').compile('x')", "Pattern")],
    ids=["known by digest", "known by a token"],
)
@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_A11_a_run_of_closures_is_resumed_by_a_process_that_never_made_them(project, engine, anything, kind):
    project.write("closures.py", CLOSURES)
    project.code(
        "from closures import made; from promissory import run; "
        f"print(run(made(7, {anything}), {{'x': 2}}, run_id='one', engine={engine!r}).state)",
        BROKEN="yes",
    )
    said = project.code(f"from promissory import resume; print(resume('one', engine={engine!r}).result)").strip()
    assert said == f"two7{kind}2"


def test_A11_a_run_in_memory_takes_closures_to_its_workers():
    by = 3

    @dynamic
    def grows(x: int) -> int:
        @task
        def more(y: int) -> int:
            return y + by + x

        return more(more(x))

    assert run(grows, {"x": 1}, store="memory://closures", engine="processes").result == 9

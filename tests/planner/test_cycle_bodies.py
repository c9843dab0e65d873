"""C1: what the body of a cycle may say of other rounds, and what is refused before anything runs; points of rounds."""

from datetime import UTC, datetime, timedelta
from itertools import count, islice
from zoneinfo import ZoneInfo

import pytest

from promissory import Cron, Cycle, Plan, compile, cycle, dynamic, every, once, prev, promise, task, until, workflow
from promissory.errors import CycleError, DecorationError, EdgeTypeError, RunFailed, SignalError
from promissory.planner.body.points import Rounds
from promissory.planner.entities.cycle import expand_round
from promissory.planner.plan.format import FuturesHeader, futures_from_bytes, futures_to_bytes


@task
def foo(x: int) -> int:
    return x


@task
def bar(x: int) -> int:
    return x


@task
def nothing() -> None: ...


def shown(plan):
    return plan.show().splitlines()


# --- what a round is ---


@cycle(stop=9)
def both(c: Cycle, start: int) -> int:
    base = once()(foo)(start)
    value = promise(bar(prev(bar, default=base)))
    prev(nothing) >> promise(nothing())
    return value, until(value > 3)


def test_C1_the_first_round_has_defaults_and_later_ones_stand_for_earlier_nodes():
    assert shown(expand_round(both, 1, [5]))[1:5] == [
        "  foo     : int = task foo(x=5) held",
        "  bar     : int = task bar(x=foo)",
        "  nothing : None = task nothing()",
        "  until   : bool = branch(bar > 3: plan until.1(), else: plan until.else())",
    ]
    assert shown(expand_round(both, 2, [5]))[1:6] == [
        "  earlier   : int = earlier bar, 1 back",
        "  bar       : int = task bar(x=earlier)",
        "  earlier~2 : None = earlier nothing, 1 back",
        "  nothing   : None = task nothing() after earlier~2",
        "  until     : bool = branch(bar > 3: plan until.1(), else: plan until.else())",
    ]


def test_C1_rounds_of_one_form_have_one_shape():
    assert expand_round(both, 2, [5]).shape == expand_round(both, 7, [5]).shape


def test_C1_a_round_goes_through_its_bytes():
    plan = expand_round(both, 2, [5])
    data = futures_to_bytes(plan, FuturesHeader(bytes(16), (1 << 62) + 2, 1))
    again, _ = futures_from_bytes(data)
    assert again.shape == plan.shape
    assert data[4:6] == b"\0\4"


def test_C1_the_plan_of_a_cycle_says_from_where_to_where_it_goes():
    assert shown(both.compile()) == [
        "plan both(start: int) -> int",
        "  both : int = cycle both(start=start) from 1 to 9, 4 at a time",
        "  return both",
    ]
    assert Plan.from_bytes(both.compile().to_bytes()).digest == both.compile().digest


def test_C1_inputs_are_values():
    @cycle(stop=2)
    def wide(c: Cycle, n: int) -> list[int]:
        return [foo(k + c.number) for k in range(n)]

    assert len(expand_round(wide, 1, [3]).graph) == 3
    assert wide.template() is None
    assert compile(wide)


# --- what is refused ---


def refused(body, match, way_out, **options):
    with pytest.raises(CycleError, match=match) as caught:
        cycle(stop=3, **options)(body).compile()
    assert way_out in str(caught.value)
    assert "test_cycle_bodies.py:" in str(caught.value)


def test_C1_a_reach_before_the_start_has_a_default_or_is_declared_skippable():
    def body() -> int:
        return foo(prev(foo))

    refused(body, "foo of an earlier round is used in round 1, and there is none", "default=…, or default=Skip")


def test_C1_a_second_round_is_looked_at_too():
    def body(c: Cycle) -> int:
        return foo(0) if c.first else foo(prev(foo, 2))

    refused(body, "used in round 2, and there is none", "default=")


def test_C1_nothing_reaches_into_its_own_round_or_the_future():
    def body() -> int:
        return foo(prev(foo, 0, default=1))

    refused(body, r"prev\(foo, 0\) is not in an earlier round", "its promise itself")

    def later() -> int:
        return foo(prev(foo, -1, default=1))

    refused(later, r"prev\(foo, -1\) is not in an earlier round", "its promise itself")


def test_C1_what_is_named_is_called_exactly_once():
    def never() -> int:
        return foo(prev(bar, default=1))

    refused(never, r"prev\(bar\) names nothing that the body calls", "calls in each round")

    def twice() -> int:
        return foo(foo(prev(foo, default=1)))

    refused(twice, r"prev\(foo\) may mean foo or foo~2", "prev('foo~2')")


def test_C1_a_node_may_be_named_before_it_is_called():
    @cycle(stop=3)
    def named() -> int:
        first = promise(foo(prev("second", default=1))).with_overrides(name="first")
        return promise(foo(first)).with_overrides(name="second")

    assert "  first   : int = task foo(x=earlier)" in shown(expand_round(named, 2, []))
    assert "earlier second, 1 back" in expand_round(named, 2, []).show()

    def never() -> int:
        return foo(prev("third", default=1))

    refused(never, r"prev\('third'\) names nothing", "calls in each round")


def test_C1_a_node_of_a_later_name_has_its_type():
    @task
    def text(x: int) -> str:
        return str(x)

    def body() -> str:
        value = foo(prev("written", default=1))
        return promise(text(value)).with_overrides(name="written")

    with pytest.raises(EdgeTypeError, match="wants int"):
        cycle(stop=3)(body).compile()


def test_C1_a_promise_is_no_name_of_a_node():
    def body() -> int:
        value = foo(1)
        return bar(prev(value))

    refused(body, r"prev\(foo\(\), …\) names no node", "name what the body calls")


def test_C1_they_stand_in_the_body_itself():
    @workflow
    def inner(x: int) -> int:
        return foo(prev(foo, default=x))

    def body() -> int:
        return inner(1)

    refused(body, r"prev\(…\) stands outside the body of a cycle", "in the body itself")
    with pytest.raises(CycleError, match="outside the body"):
        prev(foo)
    with pytest.raises(CycleError, match="outside the body"):
        until(True)

    @dynamic
    def dynamically(x: int) -> int:
        return once()(foo)(x)

    with pytest.raises(RunFailed, match=r"CycleError: once\(…\) stands outside the body"):
        dynamically(1)


def test_C1_an_end_is_said_once_and_is_a_condition():
    def twice() -> int:
        until(True)
        until(False)
        return foo(1)

    refused(twice, "stands twice", "join the conditions")

    def odd() -> int:
        until(foo(1))
        return foo(1)

    refused(odd, r"until\(foo\(\)\) is no condition", "compare")


def test_C1_what_is_for_the_last_round_is_used_nowhere():
    def body() -> int:
        return foo(once(last=True)(bar)(1))

    refused(body, "is used in the cycle", "")


def test_C1_order_in_a_circle_is_told_with_its_nodes():
    def body() -> int:
        first, second = promise(foo(1)), promise(bar(1))
        first >> second >> first
        return first

    with pytest.raises(ValueError, match="lead in a circle: "):
        cycle(stop=3)(body).compile()


def test_C1_every_needs_numbers_and_a_default_before_its_first_round():
    def odd() -> int:
        return foo(every(0)(bar)(1))

    refused(odd, r"every\(0, offset=0\) names no rounds", "at least 1")

    def late() -> int:
        return foo(every(2, offset=1)(bar)(1))

    refused(late, "bar of an earlier round is used in round 1", "default=")


def test_S1_a_body_does_not_loop():
    from promissory import Loop

    @cycle(stop=3)
    def looping(c: Cycle, n: int) -> int:
        raise Loop(n + 1)

    with pytest.raises(SignalError, match="goes on to its next round by itself"):
        expand_round(looping, 1, [1])


def test_A10_options_that_say_nothing_of_a_cycle_are_refused():
    with pytest.raises(DecorationError, match="cache says nothing of a cycle"):
        cycle(cache=True)(lambda: 1)
    with pytest.raises(DecorationError, match="max_active must be a whole number from 1"):
        cycle(max_active=0)
    with pytest.raises(DecorationError, match="start is a whole number here"):
        cycle(start=1.5)
    with pytest.raises(DecorationError, match="an iterator, which can be read once only"):
        cycle(points=iter([1]))
    with pytest.raises(DecorationError, match="points of timedelta begin at a datetime"):
        cycle(points=timedelta(hours=1))
    with pytest.raises(DecorationError, match="points is a time of more than 0"):
        cycle(start=datetime(2026, 1, 1), points=timedelta(0))
    with pytest.raises(TypeError, match="unexpected keyword argument 'retrys'"):
        cycle(retrys=1)


def test_C1_a_cycle_that_may_have_no_round_may_give_none():
    @cycle(points=[])
    def of_nothing() -> int:
        return foo(1)

    @cycle(start=5, stop=4)
    def backwards() -> int:
        return foo(1)

    assert str(of_nothing.signature.interface.result) == "int | None"
    assert str(backwards.signature.interface.result) == "int | None"
    assert str(both.signature.interface.result) == "int"


# --- points ---


def test_C1_numbers_go_by_steps():
    assert list(Rounds(10, 30, 10).from_ordinal(1)) == [10, 20, 30]
    assert list(Rounds(10, 30, 10).from_ordinal(3)) == [30]


def test_C1_times_go_by_a_duration():
    day = datetime(2026, 2, 27, tzinfo=UTC)
    assert [one.day for one in Rounds(day, day + timedelta(days=3), points=timedelta(days=1)).from_ordinal(2)] == [
        28,
        1,
        2,
    ]


def test_C1_points_are_read_again_from_any_round():
    assert list(islice(Rounds(1, None, points=lambda: count(7)).from_ordinal(3), 2)) == [9, 10]
    assert list(Rounds(1, 4, points=range(2, 100)).from_ordinal(1)) == [2, 3, 4]


@pytest.mark.parametrize(
    ("text", "after", "moments"),
    [
        (
            "*/20 9-10 * * *",
            "2026-11-30 09:30",
            ["11-30 09:40", "11-30 10:00", "11-30 10:20", "11-30 10:40", "12-01 09:00"],
        ),
        ("0 0 29 2 *", "2026-03-01 00:00", ["02-29 00:00"]),
        ("0 12 * * mon-fri", "2026-11-28 00:00", ["11-30 12:00", "12-01 12:00"]),
        ("0 0 13 * fri", "2026-11-01 00:00", ["11-06 00:00", "11-13 00:00", "11-20 00:00"]),
        ("5,10 8 1 jan,JUL *", "2026-11-30 00:00", ["01-01 08:05", "01-01 08:10", "07-01 08:05"]),
        ("0 0 * * 7", "2026-11-30 00:00", ["12-06 00:00"]),
        ("@hourly", "2026-12-31 23:30", ["01-01 00:00"]),
    ],
)
def test_C1_crontab(text, after, moments):
    found = islice(Cron(text).after(datetime.fromisoformat(after)), len(moments))
    assert [f"{one:%m-%d %H:%M}" for one in found] == moments


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("* * * *", "has 4 fields"),
        ("60 * * * *", "'60' is no minute of a crontab, which goes from 0 to 59"),
        ("* * * * xyz", "'xyz' is no day of the week"),
        ("*/0 * * * *", "is no minute"),
        ("0 0 31 2 *", "no moment fits"),
        ("5-2 * * * *", "is no minute"),
    ],
)
def test_C1_crontab_that_can_not_be_read_is_refused(text, said):
    with pytest.raises(ValueError, match=said):
        Cron(text)


def test_C1_points_are_in_an_order_that_stays():
    with pytest.raises(DecorationError, match="points is a set"):
        cycle(points={1, 2})
    with pytest.raises(DecorationError, match="points is a str"):
        cycle(points="abc")
    with pytest.raises(DecorationError, match="let the points themselves begin there"):
        cycle(points=[1, 2, 3], start=2)
    with pytest.raises(ValueError, match="None among the points is neither"):
        list(Rounds(1, None, points=[1, None]).from_ordinal(1))


def test_C1_hours_pass_also_where_clocks_are_put_forward_or_back():
    berlin = ZoneInfo("Europe/Berlin")
    forward = Rounds(datetime(2020, 3, 29, 0, tzinfo=berlin), None, points=timedelta(hours=1)).from_ordinal(1)
    assert [one.astimezone(UTC).hour for one in islice(forward, 4)] == [23, 0, 1, 2]
    back = Rounds(datetime(2020, 10, 25, 0, tzinfo=berlin), None, points=timedelta(hours=1)).from_ordinal(1)
    assert [one.astimezone(UTC).hour for one in islice(back, 5)] == [22, 23, 0, 1, 2]
    night = Cron("30 2 * * *").after(datetime(2020, 3, 28, tzinfo=berlin))
    assert [one.day for one in islice(night, 2)] == [28, 30]


def test_C1_mistakes_in_a_body_without_inputs_are_told_before_it_runs():
    @cycle(stop=3)
    def unknown() -> int:
        return foo(not_there)  # noqa: F821

    with pytest.raises(NameError, match="not_there"):
        unknown.compile()

    @cycle(stop=9)
    def at_the_end(c: Cycle) -> int:
        return bar(prev(foo)) if c.last else foo(1)

    with pytest.raises(CycleError, match="names nothing that the body calls"):
        at_the_end.compile()

    @cycle(stop=3)
    def once_called() -> int:
        return once(foo)(1)

    with pytest.raises(CycleError, match=r"once\(foo\) names no rounds") as caught:
        once_called.compile()
    assert "once()(foo)(…)" in str(caught.value)


def test_C1_a_cycle_without_a_result_may_return_its_end():
    @cycle(stop=3)
    def nothing_but() -> None:
        return until(foo(1) > 3)

    assert nothing_but.compile()


def test_C1_the_round_is_the_first_parameter():
    with pytest.raises(DecorationError, match="takes a Cycle as c"):

        @cycle(stop=3)
        def second(x: int, c: Cycle) -> int:
            return foo(x + c.number)


def test_C1_a_mapped_task_may_be_named():
    @cycle(stop=3)
    def mapped() -> list[int]:
        return foo.map(prev(foo, default=[1, 2]))

    assert "foo     : list[int] = map task foo(x=earlier[*])" in expand_round(mapped, 2, []).show()


def test_C1_a_call_that_a_later_round_stands_for_is_kept():
    @cycle(stop=4)
    def gathered(c: Cycle) -> int:
        total = bar(prev(bar, default=0))
        return every(2)(foo)(total)

    assert "task bar" in expand_round(gathered, 2, []).show()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"points": [1, 5, 9]}, "for 1, 5, 9, 4 at a time"),
        ({"points": range(100), "stop": 50}, "for 100 points from 0 to 99 to 50, 4 at a time"),
        (
            {"points": timedelta(days=1), "start": datetime(2026, 11, 30)},
            "from 2026-11-30T00:00:00 every 1 day, 0:00:00",
        ),
        ({"points": Cron("0 6 * * *"), "start": datetime(2026, 11, 30)}, "from 2026-11-30T00:00:00 at 0 6 * * *, 4 at"),
        ({"points": lambda: iter([1])}, "for points of its own, 4 at a time"),
    ],
)
def test_C1_a_plan_says_for_which_points(options, said):
    @cycle(**options)
    def of_points(c: Cycle) -> int:
        return foo(c.number)

    assert said in of_points.compile().show()

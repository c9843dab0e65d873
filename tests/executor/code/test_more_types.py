"""P4, X1, X3: values of every family go through a run and come back as the caller's classes, on every engine."""

import importlib.util
import os
import sys
from collections import Counter, OrderedDict, deque
from decimal import Decimal
from pathlib import Path

import pytest

from promissory import run, task, workflow
from promissory.errors import InputError, RunFailed


def loaded(name):
    """A module beside this one, known under its name, as an import would have it."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


flows = loaded("more_types_flows")
Access, Box, Celsius, Mode, Node, Pair = flows.Access, flows.Box, flows.Celsius, flows.Mode, flows.Node, flows.Pair

TEXTS = [
    "Decimal('1.50')",
    "Fraction(-1, 3)",
    "(1.5-2j)",
    "UUID('12345678-1234-5678-1234-567812345678')",
    "range(10, 0, -3)",
    "bytearray(b'\\x07\\xff')",
    "deque([2, 3, 4], maxlen=3)",
    repr(OrderedDict(a=flows.Fraction(2), b=flows.Fraction(1))),
    "Counter({'a': 2, 'b': 2})",
    "<Access.WRITE: 2>",
    "{'title': 'M', 'year': 1931}",
    "Box(item=Decimal('0.10'), more=[Decimal('1.50')])",
    "Pair(a=<Access.WRITE: 2>, b=<Access.READ: 1>)",
    "{'items': [Box(item=2, more=[3])]}",
    "7",
    "21.5",
]


@pytest.mark.parametrize("engine", ["inline", "threads", "processes"])
def test_X3_a_workflow_that_has_them_all_gives_the_callers_classes(store, engine):
    given = flows.example()
    report = run(
        flows.everything, {"x": given, "start": Decimal("0.10"), "tag": 2.5}, store=store, engine=engine
    ).result
    assert type(report) is flows.Report
    assert report.texts == TEXTS
    assert report.total == pytest.approx(1.5 - 1 / 3 + 1 + 2.5)
    assert (report.degrees, report.first) == (21.5, Decimal("0.10"))
    assert (
        repr(report.pages)
        == "[{'items': [Box(item=Decimal('0.10'), more=[Decimal('0')])]}, {'items': [Box(item=Decimal('1.0'), "
        "more=[Decimal('1931')])]}]"
    )
    assert report.chain == Node(1, Node(2, Node(1, Node(2, Node(3)))))
    assert given == flows.example()
    expected = flows.turned(flows.example())
    assert report.all == expected
    for name in flows.Everything.__dataclass_fields__:
        assert type(getattr(report.all, name)) is type(getattr(expected, name)), name
    assert [type(one) for one in report.all.anything] == [Decimal, dict, Celsius, Pair]
    assert type(report.all.anything[1]["mode"]) is Mode


def test_X3_the_bytes_are_the_same_on_inline_and_processes(store):
    def kept(engine):
        ended = run(
            flows.everything,
            {"x": flows.example(), "start": Decimal(1), "tag": 1},
            store=store,
            engine=engine,
            run_id=engine,
        )
        assert ended.state == "SUCCEEDED"
        return {key: store.get(key) for folder in store.list("objects") for key in store.list(folder)}

    first = kept("inline")
    assert kept("processes") == first


def test_P4_inputs_of_these_types_are_taken_and_given_back_on_inline(store):
    given = {
        "amount": Decimal("1.0"),
        "movie": {"title": "M"},
        "box": Box(1, [2]),
        "access": Access.READ,
        "queue": deque([1], maxlen=2),
        "number": Decimal(5),
        "warm": Celsius(1.5),
    }
    result = run(flows.inputs, given, store=store).result
    assert result == (*given.values(), Counter("ab"), Pair(1.0, 2.5))
    assert repr(result[:6]) == repr(tuple(given.values())[:6])
    assert flows.inputs(**given) == result


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("amount", 1.5, "amount: expected Decimal, got float"),
        ("movie", {"title": "M", "year": "x"}, "movie['year']: expected int, got str"),
        ("movie", {"year": 1}, "movie: expected Movie, and the key 'title' is missing"),
        ("movie", {"title": "M", "yaer": 1}, "movie: expected Movie, which has no key 'yaer'"),
        ("box", Box("a"), "box.item: expected int, got str"),
        ("access", 1, "access: expected Access, got int"),
        ("queue", [1], "queue: expected deque[int], got list"),
        ("number", "x", "number: str is not compatible with the SupportsFloat protocol"),
        ("warm", 20.5, "warm: expected Celsius, got float"),
    ],
)
def test_P4_an_input_that_does_not_fit_is_refused_before_the_run(store, name, value, sentence):
    given = {
        "amount": Decimal(1),
        "movie": {"title": "M"},
        "box": Box(1),
        "access": Access.READ,
        "queue": deque(),
        "number": 1,
        "warm": Celsius(1.0),
    }
    with pytest.raises(InputError) as caught:
        run(flows.inputs, {**given, name: value}, store=store)
    assert sentence in str(caught.value)
    assert store.list("runs") == []


@pytest.mark.full(keep=2)
@pytest.mark.parametrize(
    ("annotation", "value", "sentence"),
    [
        (Decimal, 1.5, "result: expected Decimal, got float"),
        (flows.Movie, {"title": 5}, "result['title']: expected str, got int"),
        (Box[int], Box(1, ["a"]), "result.more[0]: expected int, got str"),
        (list[Access], [Access.READ, 2], "result[1]: expected Access, got int"),
        (flows.SupportsFloat, "x", "result: str is not compatible with the SupportsFloat protocol"),
        (flows.HasDegrees, 5, "result: int is not compatible with the HasDegrees protocol"),
        (Celsius, 5.0, "result: expected Celsius, got float"),
    ],
    ids=range(7),
)
def test_P4_a_result_that_does_not_fit_fails_the_task(store, annotation, value, sentence):
    @task
    def wrong() -> annotation:
        return value

    error = run(wrong, store=store).error
    assert isinstance(error, RunFailed)
    assert f"wrong() returned something else than it declares: {sentence}" in str(error)


def test_X1_each_consumer_gets_a_buffer_of_its_own(store):
    @task
    def made() -> bytearray:
        return bytearray(10_000)

    @task
    def spoiled(data: bytearray) -> int:
        data[0] = 1
        return len(data)

    @task
    def begins(data: bytearray) -> int:
        return data[0]

    @workflow
    def flow() -> int:
        data = made()
        spoiled(data) >> (found := begins(data))
        return found

    assert run(flow, store=store).result == 0


# --- codecs in other processes ----------------------------------------------------------------------------------------

MONEY = """
class Money:
    def __init__(self, cents):
        self.cents = cents

    def __eq__(self, other):
        return type(other) is Money and other.cents == self.cents
"""
REGISTER = "register_codec(Money, wire=int, to_wire=lambda money: money.cents, from_wire=Money)"
FLOW = """
    import os
    from typing import Any
    from promissory import run
    from promissory import dynamic, task, workflow
    from shop import Money

    @task(strict=True)
    def double(money: Money) -> Money:
        return Money(2 * money.cents)

    @task(strict=True)
    def anything(prices: list[Money]) -> Any:
        return {"prices": prices}

    @dynamic(strict=True)
    def grow(money: Money, times: int) -> Money:
        return grow(double(money), times - 1) if times else money

    @workflow(strict=True)
    def flow(money: Money) -> tuple[Money, Any]:
        return grow(money, 2), anything([double(Money(1)), money])

    if __name__ == "__main__":
        first, second = run(flow, {"money": Money(5)}, engine="processes").result
        print(type(first) is Money, first.cents, [price.cents for price in second["prices"]])
"""


@pytest.mark.full
def test_A10_a_class_registered_where_it_is_defined_works_across_processes(project):
    project.write("shop.py", f"from promissory import register_codec\n{MONEY}\n{REGISTER}\n")
    project.write("flow.py", FLOW)
    assert project.python("flow.py") == "True 20 [2, 5]\n"


@pytest.mark.full
def test_A10_a_class_registered_by_an_entry_point_alone_works_across_processes(project):
    project.write("site/shop.py", MONEY)
    project.write(
        "site/shop_codecs.py",
        f"from promissory import register_codec\nfrom shop import Money\n\ndef register():\n    {REGISTER}\n",
    )
    project.write("site/shop-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: shop\nVersion: 1.0\n")
    project.write("site/shop-1.0.dist-info/entry_points.txt", "[promissory.codecs]\nshop = shop_codecs:register\n")
    project.write("flow.py", FLOW)
    site = os.pathsep.join((str(project.folder / "site"), str(project.folder)))
    assert project.python("flow.py", PYTHONPATH=site) == "True 20 [2, 5]\n"


def test_A10_a_class_registered_in_the_script_itself_works_across_processes(project):
    flow = FLOW.replace("from shop import Money", "from promissory import register_codec")
    lines = [line[4:] for line in flow.splitlines()]
    at = next(index for index, line in enumerate(lines) if line.startswith("@task"))
    project.write("flow.py", "\n".join([*lines[:at], *MONEY.splitlines(), REGISTER, "", *lines[at:]]))
    assert project.python("flow.py") == "True 20 [2, 5]\n"


LOCAL = """
import enum
from dataclasses import dataclass
from typing import Generic, NotRequired, TypedDict, TypeVar
from promissory import run
from promissory import task, workflow

T = TypeVar("T")

def build():
    @dataclass
    class Box(Generic[T]):
        item: T

    class Movie(TypedDict):
        title: str
        year: NotRequired[int]

    class Access(enum.Flag):
        READ = 1
        WRITE = 2

    @task(strict=True)
    def up(box: Box[int], movie: Movie, access: Access) -> tuple[Box[int], Movie, Access]:
        return Box(box.item + 1), {**movie, "year": movie.get("year", 0) + 1}, access | Access.WRITE

    @workflow(strict=True)
    def flow(box: Box[int]) -> tuple[Box[int], Movie, Access]:
        first = up(box, {"title": "M"}, Access.READ)
        return up(Box(first[0].item), first[1], first[2])

    return flow, Box, Access

if __name__ == "__main__":
    flow, Box, Access = build()
    box, movie, access = run(flow, {"box": Box(1)}, engine="processes").result
    print(type(box) is Box, box.item, movie, access is Access.READ | Access.WRITE)
"""


def test_A10_classes_made_in_a_function_work_across_processes(project):
    project.write("flow.py", LOCAL)
    assert project.python("flow.py") == "True 3 {'title': 'M', 'year': 2} True\n"


LOCAL_MODELS = """
from promissory import run, task, workflow

def build():
    import attrs
    import pydantic

    class Part(pydantic.BaseModel):
        size: int = pydantic.Field(gt=0)

    @attrs.define
    class Pair:
        left: int = attrs.field(validator=attrs.validators.gt(0))

    @task
    def grow(part: Part, pair: Pair) -> Part:
        return Part(size=part.size + pair.left)

    @task
    def number(n: int) -> int:
        return n

    @workflow
    def flow(n: int) -> Part:
        return grow(Part(size=number(n)), Pair(left=number(n)))

    return flow

if __name__ == "__main__":
    print(repr(run(build(), {"n": 2}, engine="processes").result))
"""


def test_A10_models_made_in_a_function_work_across_processes(project):
    pytest.importorskip("pydantic")
    pytest.importorskip("attrs")
    project.write("flow.py", LOCAL_MODELS)
    assert project.python("flow.py") == "Part(size=4)\n"


FAILING = f"""
from promissory import register_codec
{MONEY}
class Broken(Money):
    pass

class Stuck(Money):
    pass

def fail(value):
    raise LookupError("no rate today")

register_codec(Broken, wire=int, to_wire=fail, from_wire=Broken)
register_codec(Stuck, wire=int, to_wire=lambda stuck: stuck.cents, from_wire=fail)
"""


@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_P4_a_codec_that_raises_fails_the_node_with_the_reason(store, write_module, engine):
    module = write_module(
        "failing_codecs",
        FAILING
        + """
from promissory import task, workflow

@task
def broken(x: int) -> Broken:
    return Broken(x)

@task
def stuck(x: int) -> Stuck:
    return Stuck(x)

@task
def use(one: Stuck) -> int:
    return 1

@workflow
def used(x: int) -> int:
    return use(stuck(x))
""",
    )
    error = run(module.broken, {"x": 1}, store=store, engine=engine, echo=False).error
    assert "broken" in str(error)
    assert "LookupError: no rate today" in str(error)
    error = run(module.used, {"x": 1}, store=store, engine=engine, echo=False).error
    assert "use" in str(error)
    assert "LookupError: no rate today" in str(error)

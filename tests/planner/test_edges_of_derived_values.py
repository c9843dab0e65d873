"""P3: what may be passed as a literal may come over an edge too, and is the same value there: derived values."""

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from enum import Enum, IntEnum, IntFlag
from pathlib import Path, PurePath
from typing import Any, Generic, NamedTuple, TypedDict, TypeVar

import pytest

from promissory import dynamic, map_task, run, task, workflow
from promissory.errors import CompileError, RunFailed
from promissory.planner import Plan
from promissory.typesys import TypeMismatch, codec_of, type_of
from promissory.typesys.as_json import to_json
from promissory.typesys.transcode import fits

T = TypeVar("T")


class Level(IntEnum):
    LOW = 1


class Mode(str, Enum):  # noqa: UP042
    A = "a"


class Plain(Enum):
    ONE = 1


class Access(IntFlag):
    READ = 1
    WRITE = 2


@dataclass
class Base:
    a: int

    def said(self) -> str:
        return "base"


@dataclass
class Child(Base):
    b: int = 0

    def said(self) -> str:
        return f"child {self.b}"


@dataclass
class Grandchild(Child):
    c: list[int] = field(default_factory=list)


@dataclass(kw_only=True)
class Before(Base):
    zero: str = "0"


@dataclass
class Twin:
    a: int
    b: int = 0


@dataclass
class Holder:
    held: Base
    more: list[Base]


@dataclass
class Node(Base):
    up: "Base | None" = None


@dataclass
class Box(Generic[T]):
    held: T


@dataclass
class Named(Box[int]):
    name: str = "n"


class Point(NamedTuple):
    x: int
    y: int


class Marked(Point):
    def said(self):
        return "marked"


class Sizes(TypedDict):
    a: int
    b: int


class Loose(TypedDict, total=False):
    a: int


EDGES = [
    (Level, int, Level.LOW),
    (Level, float, Level.LOW),
    (Level, int | None, Level.LOW),
    (Mode, str, Mode.A),
    (Access, int, Access.READ | Access.WRITE),
    (list[Level], list[int], [Level.LOW]),
    (dict[Mode, Level], dict[str, int], {Mode.A: Level.LOW}),
    (tuple[Level, Mode], tuple[int, str], (Level.LOW, Mode.A)),
    (OrderedDict[str, int], dict[str, int], OrderedDict(b=1, a=2)),
    (OrderedDict[str, Level], dict[str, float], OrderedDict(a=Level.LOW)),
    (Counter[str], dict[str, int], Counter("aab")),
    (Path, PurePath, Path("a/b")),
    (list[Path], list[PurePath] | None, [Path("a")]),
    (Sizes, dict[str, int], {"a": 1, "b": 2}),
    (Loose, dict[str, int], {}),
    (Point, tuple[int, int], Point(1, 2)),
    (Child, Base, Child(1, 2)),
    (Child, Base | None, Child(1, 2)),
    (Grandchild, Base, Grandchild(1, 2, [3])),
    (Grandchild, Child, Grandchild(1, 2, [3])),
    (Before, Base, Before(a=1, zero="z")),
    (list[Child], list[Base], [Child(1, 2)]),
    (dict[str, Child], dict[str, Base], {"a": Child(1, 2)}),
    (Child | None, Base | None, Child(1, 2)),
    (Node, Base, Node(1, Child(2, 3))),
    (Marked, Point, Marked(1, 2)),
    (Marked, tuple[int, int], Marked(1, 2)),
    (Named, Box[int], Named(1, "x")),
    (Holder, Holder, Holder(Child(1, 2), [Base(1), Grandchild(1, 2, [3])])),
]
REFUSED = [
    (Plain, int, "take(x=…) wants int, but give() gives Plain"),
    (Level, str, "take(x=…) wants str, but give() gives Level"),
    (Mode, int, "take(x=…) wants int, but give() gives Mode"),
    (bool, int, "take(x=…) wants int, but give() gives bool"),
    (Base, Child, "take(x=…) wants Child, but give() gives Base"),
    (Twin, Base, "take(x=…) wants Base, but give() gives Twin"),
    (Child, Twin, "take(x=…) wants Twin, but give() gives Child"),
    (PurePath, Path, "take(x=…) wants Path, but give() gives PurePath"),
    (dict[str, int], OrderedDict[str, int], "take(x=…) wants OrderedDict[str, int], but give() gives dict[str, int]"),
    (Sizes, dict[str, str], "take(x=…) wants dict[str, str], but give() gives Sizes: its key 'a': int is not str"),
]


def shown(value):
    """A value with its classes throughout."""
    return f"{type(value).__name__} {value!r} {value.said() if isinstance(value, Base) else ''}"


def pair(given, wanted, value):
    """(a workflow that passes a value over an edge, one that passes it as a literal) to a task that shows it."""

    def give():
        return value

    def take(x):
        return shown(x)

    give.__annotations__, take.__annotations__ = {"return": given}, {"x": wanted, "return": str}
    give, take = task(give), task(take)

    @workflow
    def edge() -> str:
        return take(give())

    @workflow
    def literal() -> str:
        return take(value)

    return edge, literal


def named(rows):
    return [f"{type_of(row[0])} to {type_of(row[1])} {number}" for number, row in enumerate(rows)]


@pytest.mark.parametrize(("given", "wanted", "value"), EDGES, ids=named(EDGES))
def test_P3_a_derived_value_is_on_an_edge_what_it_is_as_a_literal(given, wanted, value):
    edge, literal = (run(wf, store="memory://", echo=False).result for wf in pair(given, wanted, value))
    assert edge == literal
    if isinstance(value, Base | Box | Point) and wanted != tuple[int, int]:
        assert edge == shown(value), "a derived record stays what it is"


@pytest.mark.parametrize(("given", "wanted", "sentence"), REFUSED, ids=named(REFUSED))
def test_P3_what_does_not_derive_is_refused(given, wanted, sentence):
    edge, _ = pair(given, wanted, None)
    with pytest.raises(CompileError) as caught:
        edge.compile()
    assert sentence in str(caught.value)


@task
def child(n: int) -> Child:
    return Child(n, n)


@task
def as_base(n: int) -> Base:
    return Child(n, n)


@task
def said(x: Base) -> str:
    return x.said()


@task
def add(n: int, m: int) -> int:
    return n + m


def test_P3_a_task_may_give_a_derived_record_as_its_base():
    @workflow
    def wf() -> Base:
        return as_base(3)

    assert run(wf, store="memory://", echo=False).result == Child(3, 3)


def test_P3_a_field_of_a_derived_record_is_the_field_of_the_base():
    @workflow
    def wf() -> int:
        return add(as_base(3).a, child(4).b)

    assert run(wf, store="memory://", echo=False).result == 7


def test_P3_items_from_the_end_are_those_of_the_base():
    @task
    def marked() -> Point:
        return Marked(1, 2)

    @workflow
    def wf() -> int:
        return add(marked()[-1], marked()[-2])

    assert run(wf, store="memory://", echo=False).result == 3


def test_P3_derived_records_go_through_maps_dynamics_and_inputs():
    @dynamic
    def grow(xs: list[Base]) -> list[str]:
        return map_task(said)(x=xs)

    @workflow
    def wf(xs: list[Base]) -> list[str]:
        return grow([child(1), *[as_base(2)]])

    @workflow
    def given(xs: list[Base]) -> list[str]:
        return grow(xs)

    assert run(wf, {"xs": []}, store="memory://", echo=False).result == ["child 1", "child 2"]
    assert run(given, {"xs": [Child(1, 5), Base(1)]}, store="memory://", echo=False).result == ["child 5", "base"]


def test_P3_a_derived_record_is_seen_through_any():
    @task
    def anything(x: Any) -> Any:
        return x

    @workflow
    def wf() -> Base:
        return anything(as_base(3))

    assert run(wf, store="memory://", echo=False).result == Child(3, 3)


def test_P3_a_record_that_only_looks_derived_is_refused_behind_any():
    @task
    def anything() -> Any:
        return Twin(1)

    @workflow
    def wf() -> str:
        return said(anything())

    with pytest.raises(RunFailed, match="expected Base, got Twin"):
        run(wf, store="memory://", echo=False).result


def test_P3_a_derived_record_may_hold_promises():
    @workflow
    def wf() -> str:
        return said(Child(add(1, 1), 5))

    assert run(wf, store="memory://", echo=False).result == "child 5"


def test_P3_a_plan_with_a_derived_literal_is_read_where_the_class_is_not_known():
    _, literal = pair(Child, Base, Child(1, 2))
    plan = literal.compile()
    assert Plan.from_bytes(plan.to_bytes()).digest == plan.digest
    edge, _ = pair(Child, Base, Child(1, 2))
    assert Plan.from_bytes(edge.compile().to_bytes()).digest == edge.compile().digest
    assert "take(x=Child(a=1, b=2))" in str(plan)


def test_P3_what_stands_behind_the_fields_of_a_record_is_checked():
    codec = codec_of(Base)
    tree = codec.lower(Child(1, 2))
    assert fits(tree, codec.type)
    assert to_json(tree, codec.type) == {"a": 1, "b": 2}
    for wrong in ([1, 2], [1, []], [1, ["x"]], [1, tree[1], tree[1]], ["1", tree[1]]):
        assert not fits(wrong, codec.type)


def test_P3_a_class_that_is_no_record_is_not_taken_for_its_base():
    class Loud(Base):
        pass

    class Other:
        a = 1

    assert codec_of(Base).lift_tree(codec_of(Base).lower(Loud(1))).said() == "base"
    with pytest.raises(TypeMismatch, match="expected Base, got Other"):
        codec_of(Base).lower(Other())

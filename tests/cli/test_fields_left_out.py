"""Fields of records that have a default may be left out where a person writes a value: options, `--inputs`, answers."""

import json

import pytest

FLOW = """
    import uuid
    from dataclasses import dataclass, field
    from typing import Generic, NamedTuple, NotRequired, TypedDict, TypeVar
    from promissory import task, workflow, wait_for_input

    T = TypeVar("T")

    @dataclass
    class User:
        name: str | None = None
        handle: str = "?"
        tags: list[str] = field(default_factory=lambda: ["new"])

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Frozen:
        a: int = 1
        b: int

    @dataclass
    class Derived:
        width: int
        height: int = 2
        area: int = field(init=False)

        def __post_init__(self):
            if self.width < 0:
                raise ValueError("a width below 0")
            self.area = self.width * self.height

    class Point(NamedTuple):
        x: int
        y: int = 7

    class Loose(TypedDict, total=False):
        a: int

    class Partly(TypedDict):
        a: int
        b: NotRequired[int]

    @dataclass
    class Outer:
        user: User = field(default_factory=User)
        points: list[Point] = field(default_factory=list)
        by_name: dict[str, User] = field(default_factory=dict)

    @dataclass
    class Box(Generic[T]):
        held: T
        label: str = "box"

    @dataclass
    class Short:
        a: int

    @dataclass
    class Long:
        a: int
        b: int = 0

    @task
    def user(x: User) -> str:
        return repr(x)

    @task
    def users(x: list[User]) -> str:
        return repr(x)

    @task
    def frozen(x: Frozen) -> str:
        return repr(x)

    @task
    def derived(x: Derived) -> str:
        return repr(x)

    @task
    def point(x: Point) -> str:
        return repr(x)

    @task
    def loose(x: Loose) -> str:
        return repr(x)

    @task
    def partly(x: Partly) -> str:
        return repr(x)

    @task
    def outer(x: Outer) -> str:
        return repr(x)

    @task
    def box(x: Box[int]) -> str:
        return repr(x)

    @task
    def either(x: Long | Short) -> str:
        return repr(x)

    @task
    def maybe(x: User | None) -> str:
        return repr(x)

    @workflow
    def asks() -> str:
        return user(wait_for_input("who", type=User))
"""
LEFT_OUT = [
    ("user", {}, "User(name=None, handle='?', tags=['new'])"),
    ("user", {"handle": "h"}, "User(name=None, handle='h', tags=['new'])"),
    ("users", [{}, {"tags": []}], "[User(name=None, handle='?', tags=['new']), User(name=None, handle='?', tags=[])]"),
    ("frozen", {"b": 2}, "Frozen(a=1, b=2)"),
    ("derived", {"width": 3}, "Derived(width=3, height=2, area=6)"),
    ("point", {"x": 1}, "Point(x=1, y=7)"),
    ("loose", {}, "{}"),
    ("partly", {"a": 1}, "{'a': 1}"),
    ("outer", {}, "Outer(user=User(name=None, handle='?', tags=['new']), points=[], by_name={})"),
    (
        "outer",
        {"user": {"name": "n"}, "points": [{"x": 1}], "by_name": {"k": {}}},
        "Outer(user=User(name='n', handle='?', tags=['new']), points=[Point(x=1, y=7)], "
        "by_name={'k': User(name=None, handle='?', tags=['new'])})",
    ),
    ("box", {"held": 3}, "Box(held=3, label='box')"),
    ("either", {"a": 1}, "Short(a=1)"),
    ("either", {"a": 1, "b": 2}, "Long(a=1, b=2)"),
    ("maybe", {"name": "n"}, "User(name='n', handle='?', tags=['new'])"),
]
REFUSED = [
    ("frozen", {"a": 2}, "value: Frozen needs the field 'b'"),
    ("point", {"y": 2}, "value: Point needs the field 'x'"),
    ("partly", {"b": 2}, "value: Partly needs the field 'a'"),
    ("user", {"handel": "h"}, "value: User has no field 'handel'; it has name, handle, tags"),
    ("derived", {"width": -1}, "value: Derived can't be made of what was given: ValueError: a width below 0"),
    ("outer", {"points": [{"y": 1}]}, "points[0]: Point needs the field 'x'"),
]


@pytest.fixture
def flow(shell):
    return shell.write("flow.py", FLOW)


@pytest.mark.full(keep=5)
@pytest.mark.parametrize(("target", "value", "shown"), LEFT_OUT, ids=[f"{t}-{v}" for t, v, _ in LEFT_OUT])
def test_a_field_with_a_default_may_be_left_out(cli, flow, target, value, shown):
    assert cli("run", "flow.py", target, "--x", json.dumps(value))[:2] == (0, shown + "\n")
    assert cli("run", "--inputs", json.dumps({"x": value}), "flow.py", target)[:2] == (0, shown + "\n")


@pytest.mark.full(keep=2)
@pytest.mark.parametrize(("target", "value", "sentence"), REFUSED, ids=[f"{t}-{v}" for t, v, _ in REFUSED])
def test_a_field_without_a_default_may_not_be_left_out(cli, flow, target, value, sentence):
    code, out, said = cli("run", "flow.py", target, "--x", json.dumps(value))
    assert (code, out) == (2, "")
    assert sentence in said


def test_a_plan_without_its_classes_says_that_the_default_is_not_known(cli, shell, flow):
    assert cli("compile", "flow.py", "users", "-o", "users.plan")[0] == 0
    assert cli("run", "users.plan", "--x", "[{}]")[:2] == (0, "[User(name=None, handle='?', tags=['new'])]\n")
    flow.unlink()
    ended = shell.promissory("run", "users.plan", "--x", "[{}]")
    assert ended.returncode == 2
    assert (
        "[0]: User needs the field 'name' (its default can't be looked up: cannot import module 'flow'" in ended.stderr
    )


def test_G1_an_answer_may_leave_out_fields_with_a_default(shell, flow, until):
    process = shell.start("run", "--run-id", "r", "--quiet", "flow.py", "asks")
    until(lambda: "who" in shell.promissory("answer", "r").stdout)
    refused = shell.promissory("answer", "r", "who", '{"handel": "h"}')
    assert (refused.returncode, "User has no field 'handel'" in refused.stderr) == (2, True)
    answered = shell.promissory("answer", "r", "who", '{"handle": "h"}')
    assert answered.returncode == 0, answered.stderr
    output, errors = process.communicate(timeout=60)
    assert output == "User(name=None, handle='h', tags=['new'])\n", errors


def test_T2_an_answer_imports_nothing_that_a_strangers_store_names(shell, flow, until, monkeypatch):
    from promissory.executor.cli.loading import classes_of
    from promissory.executor.records.manifest import read_manifest
    from promissory.executor.store.store import Store

    shell.start("run", "--run-id", "r", "--quiet", "flow.py", "asks")
    until(lambda: "who" in shell.promissory("answer", "r").stdout)
    store = Store(shell.folder / ".promissory")
    assert classes_of(store, read_manifest(store, "r")) is not None
    monkeypatch.setattr("os.getuid", lambda: 123456)
    assert classes_of(store, read_manifest(store, "r")) is None

"""A12: one function, one identity. A name counts where an import of it gives this very object, in the program's own
file too; everything else goes by value. So a program gives the same on each engine, however it was started.

Each test starts a program once, and all of its cases run on both engines there.
"""

import json

import pytest

from promissory import run, task, workflow
from promissory.executor.code.resolver import code_keys, stored_code
from promissory.planner.functions.by_value import PYTHON

HEAD = """
import dataclasses, functools, json, sys, threading
from typing import Any
from promissory import dynamic, map_task, run, task, workflow
"""

TAIL = """
if __name__ == "__main__":
    said = {}
    for name, (target, inputs) in CASES.items():
        said[name] = []
        for engine in ("inline", "processes"):
            try:
                said[name].append(run(target, inputs, engine=engine, store="memory://", echo=False).result)
            except Exception as error:
                said[name].append(f"{type(error).__name__}: {str(error).splitlines()[0]}")
    print(json.dumps(said))
"""

DECORATED = """
def plus_one(f):
    @functools.wraps(f)
    def inner(*args, **kwargs):
        return f(*args, **kwargs) + 1
    return inner

def scaled(by):
    def decorate(f):
        @functools.wraps(f)
        def inner(*args, **kwargs):
            return by * f(*args, **kwargs)
        return inner
    return decorate

def locked(f):
    lock = threading.Lock()
    @functools.wraps(f)
    def inner(*args, **kwargs):
        with lock:
            return f(*args, **kwargs)
    return inner

@task
@plus_one
def same(x: int) -> int:
    return x

@task
@plus_one
@scaled(3)
@locked
def thrice(x: int) -> int:
    return x

@dynamic
@plus_one_of_promise
def grows(x: int) -> int:
    return same(x)

@workflow
def mapped(xs: list[int]) -> list[int]:
    return map_task(same)(x=xs)

CASES = {
    "decorated": (same, {"x": 1}),
    "mapped": (mapped, {"xs": [1, 2]}),
    "three decorators": (thrice, {"x": 1}),
    "dynamic": (grows, {"x": 1}),
}
""".replace(
    "@dynamic\n@plus_one_of_promise",
    """
def passes(f):
    @functools.wraps(f)
    def inner(*args, **kwargs):
        return same(f(*args, **kwargs))
    return inner

@dynamic
@passes""",
)

BEHIND_ANOTHER_NAME = """
REGISTRY = {}

def register(f):
    REGISTRY[f.__name__] = f
    @functools.wraps(f)
    def inner(x: int) -> int:
        return f(x) + 1000
    return inner

@register
def reg(x: int) -> int:
    return x

def closing(f):
    @task
    def closure(x: int) -> int:
        return f(x)
    return closure

bare = closing(REGISTRY["reg"])

for _name in ("gen_a", "gen_b"):
    @task
    def _gen(x: int, n: str = _name) -> str:
        return f"{n}{x}"
    globals()[_name] = _gen

@workflow
def generated(x: int) -> tuple[str, str]:
    return gen_a(x), gen_b(x)

def helper(x):
    return x

first_helper = helper

def helper(x):
    return x + 100

replaced = closing(first_helper)

SEEN = []

def remembers(cls):
    SEEN.append(cls)
    return dataclasses.dataclass(slots=True)(cls)  # makes a new class of the same name

@remembers
class Point:
    x: int = 1

def holding(cls):
    @task
    def slots(x: int) -> bool:
        return "x" in getattr(cls, "__slots__", ())
    return slots

KINDS = []
for _factor in (2, 3):
    class Kind:
        factor = _factor
    KINDS.append(Kind)

def of_kind(kind):
    @task
    def times(x: int) -> int:
        return x * kind.factor
    return times

@functools.lru_cache
def kept(x):
    return x + 1

unwrapped = closing(kept.__wrapped__)

if len(sys.argv) < 1000:
    def either(x):
        return "first"
else:
    def either(x):
        return "second"

def telling(f):
    @task
    def tells(x: int) -> str:
        return f(x)
    return tells

CASES = {
    "the bare function of a registry": (bare, {"x": 1}),
    "tasks made in a loop": (generated, {"x": 1}),
    "a function whose name was taken": (replaced, {"x": 1}),
    "a class behind a class decorator": (holding(SEEN[0]), {"x": 1}),
    "the class that a name stands for": (holding(Point), {"x": 1}),
    "a class made in a loop": (of_kind(KINDS[0]), {"x": 1}),
    "the last class made in a loop": (of_kind(KINDS[1]), {"x": 1}),
    "the function in a cache": (unwrapped, {"x": 1}),
    "one of two definitions": (telling(either), {"x": 1}),
}
"""


def said_by(project, body, way="script"):
    project.write("program.py", HEAD + body + TAIL)
    arguments = {"script": ["program.py"], "-m": ["-m", "program"]}[way]
    return json.loads(project.python(*arguments))


def test_A12_a_decorator_runs_once_in_a_script(project):
    assert said_by(project, DECORATED) == {
        "decorated": [2, 2],
        "mapped": [[2, 3]] * 2,
        "three decorators": [4, 4],
        "dynamic": [3, 3],
    }


def test_A12_what_stands_behind_another_name_is_itself_in_a_script(project):
    assert said_by(project, BEHIND_ANOTHER_NAME) == {
        "the bare function of a registry": [1, 1],
        "tasks made in a loop": [["gen_a1", "gen_b1"]] * 2,
        "a function whose name was taken": [1, 1],
        "a class behind a class decorator": [False, False],
        "the class that a name stands for": [True, True],
        "a class made in a loop": [2, 2],
        "the last class made in a loop": [3, 3],
        "the function in a cache": [2, 2],
        "one of two definitions": ["first", "first"],
    }


def test_A12_a_module_level_task_whose_decorator_has_a_lock_is_found_by_its_name(project):
    project.write("flow.py", HEAD + DECORATED + "\n@workflow\ndef main(x: int = 1) -> int:\n    return thrice(x)\n")
    assert (
        project.code("""
        import flow, promissory
        print(promissory.run(flow.main, engine="processes", echo=False).result)
    """)
        == "4\n"
    )


def test_A12_it_has_the_same_plan_in_each_process(project):
    project.write("flow.py", HEAD + DECORATED)
    program = "import flow; print(flow.thrice.callee().digest.hex())"
    assert project.code(program, PYTHONHASHSEED="1") == project.code(program, PYTHONHASHSEED="2")


def test_J1_a_run_of_it_is_resumed_in_another_process(project):
    project.write(
        "flow.py",
        HEAD
        + DECORATED
        + """
import os, pathlib

@task
def dies_once(x: int) -> int:
    if not pathlib.Path("flag").exists():
        pathlib.Path("flag").touch()
        os._exit(9)
    return x

@workflow
def main(x: int = 1) -> int:
    return thrice(dies_once(thrice(x)))
""",
    )
    process = project.spawn("-c", "import flow, promissory; promissory.run(flow.main, run_id='r', echo=False)")
    project.finish(process)
    assert process.returncode == 9
    assert project.code("import flow, promissory; print(promissory.resume('r', echo=False).result)") == "13\n"


TYPED = """
    from promissory import task

    def taking(kind):
        @task
        def told(x: kind) -> str:
            return type(x).__name__
        return told
"""


@pytest.mark.parametrize("engine", ["inline", "threads", "processes"])
def test_A11_functions_that_differ_only_in_what_their_annotations_stand_for_are_two(store, write_module, engine):
    module = write_module("typed", TYPED)
    whole, broken = module.taking(int), module.taking(float)

    @workflow
    def both() -> tuple[str, str]:
        return whole(1), broken(1)

    assert whole.callee().digest == broken.callee().digest
    assert run(both, store=store, engine=engine, echo=False).result == ("int", "float")
    assert run(both, store=store, engine=engine, echo=False).result == ("int", "float")


def test_A11_a_function_that_was_stored_before_types_were_told_apart_is_found(store):
    @task
    def local(x: int) -> int:
        return x

    callee = local.callee()
    new, old = code_keys("one", callee, PYTHON)
    store.put_new(old, b"old")
    assert stored_code(store, "one", callee) == b"old"
    store.put_new(new, b"new")
    assert stored_code(store, "one", callee) == b"new"

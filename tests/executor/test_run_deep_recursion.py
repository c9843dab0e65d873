"""D4: recursion uses no Python stack and little memory a level; a tail call hands its place on."""

import pytest

SOURCE = """
import gc, resource, sys, tracemalloc
from executor import Store, run
from planner import dynamic, task

LEVELS = int(sys.argv[2])

@task
def add(a: int, b: int) -> int:
    return a + b

@dynamic
def tail(n: int) -> int:
    return tail(n - 1) if n else 0

@dynamic
def nested(n: int) -> int:
    return add(nested(n - 1), 1) if n else 0

@dynamic
def last(n: int) -> int:
    note(n)
    return last(n - 1) if n else 0

@task
def note(n: int) -> None:
    pass

frames, memory = [], []

def watch(progress):
    memory.append((progress.expanded, tracemalloc.get_traced_memory()[0]))

recursion = {"tail": tail, "nested": nested, "last": last}[sys.argv[1]]
run(recursion, {"n": 50}, store=Store(sys.argv[3]), durability="process")
sys.setrecursionlimit(300)
gc.collect()
tracemalloc.start()
ended = run(recursion, {"n": LEVELS}, store=Store(sys.argv[3]), max_depth=LEVELS + 1, durability="process", on_progress=watch)
print(ended.result)
deepest = max(size for level, size in memory)
print(deepest / LEVELS)
"""


@pytest.fixture
def levels(project, tmp_path):
    """A function (recursion, levels) → its result and the memory for each level in bytes, measured in another process."""

    def measure(recursion, count):
        project.write("deep.py", SOURCE)
        output = project.python("deep.py", recursion, str(count), str(tmp_path / "deep"))
        result, size = output.split()
        return int(result), float(size)

    return measure


def test_D4_nested_calls_20000_deep_take_little_memory_a_level(levels):
    result, size = levels("nested", 20_000)
    assert result == 20_000
    assert size < 1500, "a level takes about 1 KiB, of which the journal's backlog is a part"


def test_D4_tail_calls_20000_deep_take_no_memory_a_level(levels):
    result, size = levels("tail", 20_000)
    assert result == 0
    assert size < 250


def test_D4_a_tail_call_with_work_beside_it_goes_deep_as_well(levels):
    result, size = levels("last", 3_000)
    assert result == 0
    assert size < 4000

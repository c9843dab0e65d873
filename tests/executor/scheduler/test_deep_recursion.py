"""D4: recursion uses no Python stack and little memory a level; a tail call hands its place on."""

import pytest

SOURCE = """
import resource, sys
from promissory import Store, run
from promissory import dynamic, task

LEVELS = int(sys.argv[2])

@task
def add(a: int, b: int) -> int:
    return a + b

@task
def note(n: int) -> None:
    pass

@dynamic
def tail(n: int) -> int:
    return tail(n - 1) if n else 0

@dynamic
def nested(n: int) -> int:
    return add(nested(n - 1), 1) if n else 0

@dynamic
def beside(n: int) -> int:
    note(n)
    return beside(n - 1) if n else 0

recursion = {"tail": tail, "nested": nested, "beside": beside}[sys.argv[1]]
options = {"store": Store(sys.argv[3]), "durability": "process", "max_depth": LEVELS + 1}
run(recursion, {"n": 50}, **options)
sys.setrecursionlimit(300)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
ended = run(recursion, {"n": LEVELS}, **options)
print(ended.result, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""

CONSTANT = 16 * 1024
"""KiB that a run may take however deep it goes: the journal's backlog, caches, the allocator."""


@pytest.fixture
def descend(project, tmp_path):
    """A function (recursion, levels) → its result and the KiB that it took, measured in another process."""

    def measure(recursion, levels):
        project.write("deep.py", SOURCE)
        result, size = project.python("deep.py", recursion, str(levels), str(tmp_path / "deep")).split()
        return int(result), int(size)

    return measure


@pytest.mark.full
def test_D4_nested_calls_20000_deep_take_a_KiB_a_level(descend):
    result, size = descend("nested", 20_000)
    assert result == 20_000
    assert size < CONSTANT + 20_000


@pytest.mark.full
def test_D4_tail_calls_20000_deep_take_no_memory_a_level(descend):
    result, size = descend("tail", 20_000)
    assert result == 0
    assert size < CONSTANT


def test_D4_a_tail_call_with_work_beside_it_goes_deep_as_well(descend):
    result, size = descend("beside", 3_000)
    assert result == 0
    assert size < CONSTANT + 3_000

"""X3: what only the program's main block sets is told before a run whose workers don't run that block."""

import json

import pytest

from promissory.executor.code.main_block import main_block

PROGRAM = """
import json, sys, warnings
import promissory
from promissory import dynamic, task, workflow
from promissory.errors import EngineError
from promissory.executor.execution.main_block_state import tell_main_block_state

FACTOR = 1
CONFIG = {}
ITEMS = []
SAME = 5
declared_by_import = None

def helper(x):
    return x + args

class Reader:
    def read(self, x):
        return x + args

@task
def uses_args(x: int) -> int:
    return x + args

@task
def uses_helper(x: int) -> int:
    return helper(x)

@task
def uses_class(x: int) -> int:
    return Reader().read(x)

@task
def uses_in_a_comprehension(x: int) -> int:
    return sum(args for _ in range(x))

@task
def uses_import(x: int) -> int:
    return argparse.SUPPRESS and x

@dynamic
def emits(x: int) -> int:
    return uses_args(x)

@task
def uses_global_of_main(x: int) -> int:
    return x + verbosity

@task
def uses_factor(x: int) -> int:
    return x * FACTOR

@task
def uses_config(x: int) -> int:
    return x * CONFIG.get("by", 1)

@task
def uses_items(x: int) -> int:
    return x + len(ITEMS)

@task
def well(x: int) -> int:
    args = SAME
    return x + args + len(sys.argv) * 0

def main():
    global verbosity
    verbosity = 3
    local = {}
    local["a"] = 1
    CONFIG["by"] = 7

if __name__ == "__main__":
    import argparse
    args = 7
    FACTOR = 10
    ITEMS.append(1)
    main()
    if "told" in sys.argv:
        told = {}
        for t in (uses_args, uses_helper, uses_class, uses_in_a_comprehension, uses_import, emits, uses_global_of_main,
                  uses_factor, uses_config, uses_items, well):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                try:
                    tell_main_block_state([t], "processes")
                    told[t.name] = [f"{one.lineno}: {one.message}" for one in caught]
                except EngineError as error:
                    told[t.name] = str(error)
        print(json.dumps(told))
    else:
        t = globals()[sys.argv[1]]
        print(promissory.run(t, {"x": 7}, engine=sys.argv[2], store="memory://", echo=False).result)
else:
    declared_by_import = 1
"""


@pytest.fixture
def told(project):
    project.write("program.py", PROGRAM)
    return json.loads(project.python("program.py", "told"))


def test_X3_a_name_that_only_the_main_block_sets_is_an_error_before_the_run(told):
    line = PROGRAM.splitlines().index("    args = 7") + 1
    for name, user in {
        "uses_args": "uses_args()",
        "uses_helper": "helper()",
        "uses_class": "Reader.read()",
        "uses_in_a_comprehension": "uses_in_a_comprehension()",
        "emits": "uses_args()",
    }.items():
        assert f'{user} uses args, which only the block `if __name__ == "__main__":` sets (line {line})' in told[name]
        assert "Pass args to it, set it above the block" in told[name]
    assert "uses argparse, which only" in told["uses_import"]
    assert "uses verbosity, which only" in told["uses_global_of_main"]


def test_X3_what_the_main_block_sets_anew_or_changes_is_a_warning(told):
    assert "uses FACTOR, which the block" in told["uses_factor"][0] and "sets anew" in told["uses_factor"][0]
    assert "uses CONFIG, which the block" in told["uses_config"][0] and "changes" in told["uses_config"][0]
    assert "uses ITEMS, which the block" in told["uses_items"][0] and "changes" in told["uses_items"][0]
    assert all(len(told[name]) == 1 for name in ("uses_factor", "uses_config", "uses_items"))


def test_X3_what_an_import_sets_is_not_told(told):
    assert told["well"] == []


@pytest.mark.parametrize("engine", ["inline", "threads", "processes"])
def test_X3_a_run_on_workers_is_refused_and_one_in_this_process_has_the_name(project, engine):
    project.write("program.py", PROGRAM)
    process = project.spawn("program.py", "uses_args", engine)
    output, errors = project.finish(process)
    if engine == "processes":
        assert (process.returncode, output) == (1, "")
        assert errors.splitlines()[-1].startswith("promissory.errors.EngineError: ")
        assert "the workers of processes import the program and don't run that block" in errors
    else:
        assert output == "14\n"


BLOCKS = [
    ("if __name__ == '__main__':\n    x = 1", {"x"}, set(), set()),
    ("if '__main__' == __name__:\n    x = 1", {"x"}, set(), set()),
    ("x = 0\nif __name__ == '__main__':\n    x = 1", set(), {"x"}, set()),
    ("if __name__ != '__main__':\n    x = 1", set(), set(), set()),
    ("if __name__ == '__main__':\n    x = 1\nelse:\n    x = 2", set(), {"x"}, set()),
    ("from m import *\nif __name__ == '__main__':\n    x = 1", set(), {"x"}, set()),
    ("def f():\n    global x\n    x = 0\nf()\nif __name__ == '__main__':\n    f()", set(), {"x"}, set()),
    ("def f():\n    x = 0\nif __name__ == '__main__':\n    f()", set(), set(), set()),
    ("if __name__ == '__main__':\n    for x, (y, *z) in []: pass", {"x", "y", "z"}, set(), set()),
    ("if __name__ == '__main__':\n    with o as x, p as y: pass", {"x", "y"}, set(), set()),
    ("if __name__ == '__main__':\n    if (x := 1): import a.b, c as d", {"x", "a", "d"}, set(), set()),
    ("if __name__ == '__main__':\n    def f():\n        x = 1", {"f"}, set(), set()),
    ("c = {}\nif __name__ == '__main__':\n    c['a'].b = 1", set(), set(), {"c"}),
    ("c = {}\nif __name__ == '__main__':\n    del c['a']", set(), set(), {"c"}),
    ("c = {}\ndef f(c):\n    c['a'] = 1\nif __name__ == '__main__':\n    f(c)", set(), set(), set()),
]


@pytest.mark.parametrize(("text", "only", "anew", "changed"), BLOCKS, ids=[one[0].replace("\n", "/") for one in BLOCKS])
def test_X3_what_a_main_block_sets(text, only, anew, changed):
    block = main_block(text)
    assert (set(block.only), set(block.anew), set(block.changed)) == (only, anew, changed)

"""A5, A11, A12, X3: one program, started in each way, on each engine, in each kind of body.

It has one result everywhere, and one plan over script, `-m`, module and command line.

A start of Python is what costs, so one program holds all bodies, and a start runs all of them on all engines.
"""

import json

import pytest

BODIES = """
import asyncio, functools, json, sys, threading
from dataclasses import dataclass
import promissory
from promissory import dynamic, map_task, run, task, workflow

def plus_one(f):
    @functools.wraps(f)
    def inner(*args, **kwargs):
        return f(*args, **kwargs) + 1
    return inner

class Client:
    def add(self, x):
        return x + 10

client = Client()

@task
def plain(x: int) -> int:
    return x

@task
@plus_one
def decorated(x: int) -> int:
    return x

def closing(k):
    @task
    def closure(x: int) -> int:
        return x + k
    return closure

closure = closing(5)

looped = []
for _k in (20, 30):
    @task
    def _made(x: int, k: int = _k) -> int:
        return x + k
    looped.append(_made)

@task
def uses_object(x: int) -> int:
    return client.add(x)

TASKS = {"plain": plain, "decorated": decorated, "closure": closure, "looped": looped[0], "object": uses_object}

def dynamic_of(t):
    @dynamic
    def emits(x: int) -> int:
        return t(x)
    return emits

def mapped_of(t):
    @workflow
    def maps(xs: list[int]) -> list[int]:
        return map_task(t)(x=xs)
    return maps

ALL = {}
for _name, _task in TASKS.items():
    ALL[_name] = (_task, {"x": 1})
    ALL["dynamic " + _name] = (dynamic_of(_task), {"x": 1})
    ALL["mapped " + _name] = (mapped_of(_task), {"xs": [1, 2]})

@workflow
def everything() -> list[int]:
    found = []
    for _, t in TASKS.items():
        found.append(t(1))
    for _, t in TASKS.items():
        found.append(dynamic_of(t)(1))
    return found

ALL["everything"] = (everything, {})

def said(engines, *only):
    results = {}
    for name, (target, inputs) in ALL.items():
        if only and name not in only:
            continue
        for engine in engines:
            try:
                done = run(target, inputs, engine=engine, store="memory://", echo=False)
                results[f"{name} on {engine}"] = done.result
            except Exception as error:
                results[f"{name} on {engine}"] = f"{type(error).__name__}: {str(error).splitlines()[0]}"
    plans = {name: promissory.compile(target).digest for name, (target, _) in ALL.items()}
    print(json.dumps({"results": results, "plans": plans}))
"""
MAIN = """
if __name__ == "__main__":
    said(["processes"], "everything", "mapped decorated") if "diagonal" in sys.argv else said(sys.argv[1:])
"""
PLAIN = {"plain": 1, "decorated": 2, "closure": 6, "looped": 21, "object": 11}
WANTED = {
    **PLAIN,
    **{f"dynamic {name}": value for name, value in PLAIN.items()},
    **{f"mapped {name}": [value, value + 1] for name, value in PLAIN.items()},
    "everything": [*PLAIN.values(), *PLAIN.values()],
}
WAYS = {
    "script": ["matrix.py"],
    "-m": ["-m", "matrix"],
    "module": ["-c", "import sys, matrix; matrix.said(sys.argv[1:])"],
    "in a thread": [
        "-c",
        "import sys, threading, matrix\nthread = threading.Thread(target=matrix.said, args=(sys.argv[1:],))\n"
        "thread.start()\nthread.join()",
    ],
    "in a loop": [
        "-c",
        "import sys, asyncio, matrix\nasync def main():\n    matrix.said(sys.argv[1:])\nasyncio.run(main())",
    ],
}


@pytest.fixture
def said(project):
    """A function (way, engines…) → what the program says when it is started so."""
    project.write("matrix.py", BODIES + MAIN)

    def start(way, *engines):
        return json.loads(project.python(*WAYS[way], *engines))

    return start


def wrong(results, engines):
    wanted = {f"{name} on {engine}": value for name, value in WANTED.items() for engine in engines}
    return {name: result for name, result in results.items() if result != wanted[name]}


def test_A12_a_diagonal_of_the_matrix(said):
    """A script on the engine where names matter most."""
    assert wrong(said("script", "diagonal")["results"], ["processes"]) == {}


@pytest.mark.full
@pytest.mark.parametrize("way", WAYS)
def test_A12_each_body_gives_the_same_however_the_program_is_started(said, way):
    engines = ["inline", "threads", "processes"]
    assert wrong(said(way, *engines)["results"], engines) == {}


@pytest.mark.full
def test_A5_one_plan_over_script_dash_m_and_module(said):
    script, dash_m, module = (said(way)["plans"] for way in ("script", "-m", "module"))
    assert {name: script[name] == dash_m[name] == module[name] for name in script} == dict.fromkeys(script, True)


@pytest.mark.full
def test_A5_the_command_line_gives_the_same_plan_and_result(said, project):
    plan = project.code("import matrix; print(matrix.everything.compile().digest)").strip()
    command = ["-m", "promissory"]
    project.python(*command, "compile", "matrix.py", "everything", "-o", "plan.plan")
    assert project.code("from promissory import Plan; print(Plan.load('plan.plan').digest)").strip() == plan
    ran = json.loads(project.python(*command, "run", "--quiet", "--json", "matrix.py", "everything"))
    assert ran == [*PLAIN.values(), *PLAIN.values()] or ran == {"result": [*PLAIN.values(), *PLAIN.values()]}


@pytest.mark.full
@pytest.mark.parametrize("arguments", [["-c"], ["-"]], ids=["-c", "stdin"])
def test_A12_programs_without_a_file_agree_or_are_refused_in_the_same_words(project, arguments):
    program = BODIES + "\nsaid(['inline', 'processes'])\n"
    process = project.spawn(*arguments, *([program] if arguments == ["-c"] else []), stdin=arguments == ["-"])
    output, errors = process.communicate(program if arguments == ["-"] else None, timeout=60)
    assert process.returncode == 0, errors
    results = json.loads(output)["results"]
    assert wrong({n: r for n, r in results.items() if n.endswith("inline")}, ["inline"]) == {}
    elsewhere = wrong({n: r for n, r in results.items() if n.endswith("processes")}, ["processes"])
    refused = {str(said).partition(":")[0] for said in elsewhere.values()}
    assert len(refused) <= 1, elsewhere

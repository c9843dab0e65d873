"""A5, A11, A12, X3: one program, started in each way, on each engine, in each kind of body.

It has one result everywhere, and one plan over script, `-m`, module and command line.

A start of Python is what costs, so one program holds all bodies, and a start runs all of them on all engines.
"""

import json

import nbformat
import pytest
from nbclient import NotebookClient

BODIES = """
import asyncio, functools, json, os, sys, threading
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

@task
def fails_first() -> int:
    if not os.path.exists("repaired"):
        raise ValueError("not yet")
    return 0

@workflow
def resumed() -> list[int]:
    first = fails_first()
    found = []
    for _, t in TASKS.items():
        found.append(t(1))
        first >> found[-1]
    for _, t in TASKS.items():
        found.append(dynamic_of(t)(1))
        first >> found[-1]
    return found

def refusal(make):
    try:
        make()
    except Exception as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0]}"
    return "taken"

def method():
    class Worker:
        @task
        def run(self, x: int) -> int:
            return x

def generator():
    @task
    def made(x: int) -> int:
        yield x

def star():
    @task
    def many(*xs: int) -> int:
        return 0

REFUSED = {make.__name__: refusal(make) for make in (method, generator, star)}
REFUSED["lambda"] = refusal(lambda: task(lambda x: x))
REFUSED["bound method"] = refusal(lambda: task(client.add))

def began(engine, run_id="r"):
    print(json.dumps(run(resumed, engine=engine, store="store", run_id=run_id, echo=False).state))

def went_on(engine, run_id="r"):
    open("repaired", "w").close()
    print(json.dumps(promissory.resume(run_id, engine=engine, store="store", echo=False).result))

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
    print(json.dumps({"results": results, "plans": plans, "refused": REFUSED}))
"""
MAIN = """
if __name__ == "__main__":
    if "diagonal" in sys.argv:
        said(["processes"], "everything", "mapped decorated")
    elif sys.argv[1:2] in (["began"], ["went_on"]):
        globals()[sys.argv[1]](*sys.argv[2:])
    else:
        said(sys.argv[1:])
"""
ENGINES = ["inline", "threads", "processes"]
PLAIN = {"plain": 1, "decorated": 2, "closure": 6, "looped": 21, "object": 11}
WANTED = {
    **PLAIN,
    **{f"dynamic {name}": value for name, value in PLAIN.items()},
    **{f"mapped {name}": [value, value + 1] for name, value in PLAIN.items()},
    "everything": [*PLAIN.values(), *PLAIN.values()],
}
REFUSED = {
    "method": "DecorationError: method.<locals>.Worker.run can't be a task: it is a method, whose self would have to "
    "travel with each call",
    "generator": "DecorationError: generator.<locals>.made can't be a task: it is a generator, which has no result "
    "until it is iterated",
    "star": "DecorationError: star.<locals>.many can't be a task: *xs has no fixed set of typed inputs",
    "lambda": "DecorationError: <lambda>.<locals>.<lambda> can't be a task: it is a lambda, which has no name that a "
    "plan could call it by",
    "bound method": "DecorationError: @task takes a plain function, not a method",
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


UNDER_PYTEST = (
    BODIES
    + """
def test_all_of_it():
    said(os.environ["ENGINES"].split())
"""
)


@pytest.fixture
def said(project):
    """A function (way, engines…) → what the program says when it is started so."""
    project.write("matrix.py", BODIES + MAIN)

    def start(way, *engines):
        if way == "under pytest":
            project.write("test_all.py", UNDER_PYTEST)
            pytest_itself = ["-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "test_all.py"]
            output = project.python(*pytest_itself, ENGINES=" ".join(engines))
            return json.loads(next(line for line in output.splitlines() if line.startswith("{")))
        return json.loads(project.python(*WAYS[way], *engines))

    return start


class Kernel:
    """A notebook with the program in its first cell."""

    def __init__(self, folder):
        self._notebook = nbformat.v4.new_notebook()
        self._client = NotebookClient(self._notebook, timeout=60, kernel_name="python3")
        self._folder = folder

    def __enter__(self):
        self._kernel = self._client.setup_kernel(cwd=str(self._folder))
        self._kernel.__enter__()
        self.cell(BODIES)
        return self

    def __exit__(self, *error):
        self._kernel.__exit__(*error)

    def cell(self, source):
        """What a cell prints."""
        self._notebook.cells.append(nbformat.v4.new_code_cell(source))
        cell = self._client.execute_cell(self._notebook.cells[-1], len(self._notebook.cells) - 1)
        return "".join(one.text for one in cell.outputs if one.output_type == "stream" and one.name == "stdout")


@pytest.fixture
def kernel(project, monkeypatch):
    """A function () → a notebook with a kernel of its own, in the project's folder."""
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"):
        monkeypatch.setenv(name, str(project.folder / "jupyter"))
    monkeypatch.setenv("PROMISSORY_STORE", str(project.folder / "store"))
    return lambda: Kernel(project.folder)


def wrong(results, engines):
    wanted = {f"{name} on {engine}": value for name, value in WANTED.items() for engine in engines}
    return {name: result for name, result in results.items() if result != wanted[name]}


def test_A12_a_diagonal_of_the_matrix(said):
    """A script on the engine where names matter most."""
    assert wrong(said("script", "diagonal")["results"], ["processes"]) == {}


@pytest.mark.full
@pytest.mark.parametrize("way", [*WAYS, "under pytest"])
def test_A12_each_body_gives_the_same_however_the_program_is_started(said, way):
    found = said(way, *ENGINES)
    assert wrong(found["results"], ENGINES) == {}
    assert found["refused"] == REFUSED


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
def test_A5_a_notebook_gives_the_same_and_agrees_with_itself_over_restarts(kernel):
    found = []
    for _ in range(2):
        with kernel() as notebook:
            found.append(json.loads(notebook.cell(f"said({ENGINES})")))
    assert wrong(found[0]["results"], ENGINES) == {}
    assert found[0] == found[1]
    assert found[0]["refused"] == REFUSED


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("way", ["script", "-m", "module", "command line"])
@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_A12_each_body_gives_the_same_when_its_run_is_resumed(said, project, way, engine):
    def started(step):
        if way == "command line":
            ended = project.spawn(*COMMAND[step][:4], "--engine", engine, "--store", "store", *COMMAND[step][4:])
            output, errors = project.finish(ended)
            assert ended.returncode == (step == "began"), errors
            return "FAILED" if step == "began" else json.loads(output)
        ways = [*WAYS[way][:-1], f"import matrix; matrix.{step}({engine!r})"] if way == "module" else WAYS[way]
        return json.loads(project.python(*ways, *([step, engine] if way != "module" else [])))

    assert started("began") == "FAILED"
    (project.folder / "repaired").touch()
    assert started("went_on") == [*PLAIN.values(), *PLAIN.values()]


COMMAND = {
    "began": ["-m", "promissory", "run", "--quiet", "--run-id", "r", "matrix.py", "resumed"],
    "went_on": ["-m", "promissory", "resume", "--quiet", "--json", "r"],
}


@pytest.mark.full
def test_A12_a_notebooks_run_is_resumed_after_a_restart(kernel):
    with kernel() as notebook:
        assert json.loads(notebook.cell("began('processes')")) == "FAILED"
    with kernel() as notebook:
        assert json.loads(notebook.cell("went_on('processes')")) == [*PLAIN.values(), *PLAIN.values()]


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

"""A10, A11: tasks, dynamics and classes that are defined in the cells of a notebook run on worker processes, and a cell
that is run again gives new code.
"""

import json
import os
import re
import subprocess
import sys
import textwrap

import nbformat
import pytest
from nbclient import NotebookClient

COLOURS = re.compile(r"\x1b\[[0-9;]*m")
FIRST_CELL = """
import os, threading
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple
from promissory import resume, run
from promissory.errors import RunFailed
from promissory import dynamic, task, workflow

def computed(target, **inputs):
    return run(target, inputs, engine="processes").result
"""


class Notebook:
    """A notebook, and the kernel that runs its cells."""

    def __init__(self, folder):
        self.folder = folder
        self._notebook = nbformat.v4.new_notebook()
        self._client = NotebookClient(self._notebook, timeout=60, kernel_name="python3", allow_errors=True)

    def opened(self):
        """With a kernel, in this block."""
        return self._client.setup_kernel(cwd=str(self.folder))

    def cell(self, source, stream="stdout"):
        """What a new cell shows when it is run: what it printed, its last value, the traceback of its error."""
        self._notebook.cells.append(nbformat.v4.new_code_cell(textwrap.dedent(source).strip()))
        cell = self._client.execute_cell(self._notebook.cells[-1], len(self._notebook.cells) - 1)
        shown = []
        for output in cell.outputs:
            if output.output_type == "stream" and output.name == stream:
                shown.append(output.text)
            elif output.output_type == "execute_result":
                shown.append(output.data["text/plain"])
            elif output.output_type == "error":
                shown += ["\n".join(output.traceback), f"\n{output.ename}"]
        return COLOURS.sub("", "".join(shown)).strip()


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    """One notebook for all: each test adds cells."""
    folder = tmp_path_factory.mktemp("notebook")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"):
            patch.setenv(name, str(folder / "jupyter"))
        patch.delenv("PROMISSORY_STORE", raising=False)
        one = Notebook(folder)
        with one.opened():
            assert one.cell(FIRST_CELL) == ""
            yield one


def test_A10_tasks_and_dynamics_of_cells(notebook):
    notebook.cell("""
        @task
        def inc(x: int) -> int:
            return x + 1
    """)
    notebook.cell("""
        @dynamic
        def up(x: int, times: int) -> int:
            return up(inc(x), times - 1) if times else x

        @workflow
        def flow(x: int) -> int:
            return up(inc(x), 3)
    """)
    assert notebook.cell("computed(flow, x=1)") == "5"
    assert notebook.cell("flow(1)") == "5"


@pytest.mark.full
def test_A10_bodies_run_in_other_processes_than_the_kernels(notebook):
    notebook.cell("""
        @task
        def where() -> int:
            return os.getpid()
    """)
    assert notebook.cell("computed(where) == os.getpid(), run(where).result == os.getpid()") == "(False, True)"


@pytest.mark.full
def test_A10_closures_made_in_cells(notebook):
    notebook.cell("""
        def scaled(k):
            @task
            def times(x: int) -> int:
                return x * k

            return times

        @dynamic
        def grows(n: int) -> list[int]:
            def made(k):
                @task
                def plus(x: int) -> int:
                    return x + k + n

                return plus

            return [made(k)(scaled(10)(k)) for k in range(n)]
    """)
    assert notebook.cell("computed(grows, n=3)") == "[3, 14, 25]"


@pytest.mark.full
def test_A10_an_async_task_of_a_cell_on_every_engine(notebook):
    """The kernel has an event loop of its own, which is none of the task's business."""
    notebook.cell("""
        import asyncio

        @task
        async def slowly(x: int) -> int:
            await asyncio.sleep(0)
            return x + 1
    """)
    for engine in ("inline", "threads", "processes"):
        assert notebook.cell(f"run(slowly, {{'x': 1}}, engine={engine!r}).result") == "2"


@pytest.mark.full
def test_X3_records_and_enums_of_cells_come_back_as_the_notebooks_own(notebook):
    notebook.cell("""
        class Colour(Enum):
            RED = 1
            BLUE = 2

        @dataclass
        class Point:
            x: int
            colour: Colour

        class Pair(NamedTuple):
            first: Point
            second: list[Colour]
    """)
    notebook.cell("""
        @task
        def paired(p: Point) -> Pair:
            assert isinstance(p, Point) and p.colour is Colour.RED
            return Pair(Point(p.x + 1, Colour.BLUE), [p.colour])

        @dynamic
        def twice(p: Point) -> Pair:
            return paired(Point(p.x + 1, Colour.RED))
    """)
    notebook.cell("pair = computed(twice, p=Point(1, Colour.RED))")
    assert (
        notebook.cell(
            "type(pair) is Pair, type(pair.first) is Point, pair.first.colour is Colour.BLUE, pair.second "
            "== [Colour.RED], pair.first.x"
        )
        == "(True, True, True, True, 3)"
    )


REFUSES = """
    class Refused(Exception):
        def __init__(self, why):
            super().__init__(why)
            self.why = why

    @task
    def refuses(x: int) -> int:
        if x:
            raise Refused("too small")
        return x
"""
CATCH = """
    try:
        computed(refuses, x=1)
    except RunFailed as failed:
        try:
            raise failed.__cause__
        except Refused as refused:
            print(refused.why)
"""


@pytest.mark.full
def test_X6_exceptions_of_cells_are_caught_as_the_notebooks_own(notebook):
    notebook.cell(REFUSES)
    assert notebook.cell(CATCH) == "too small"


@pytest.mark.full
def test_X6_a_failure_shows_the_line_of_the_cell(notebook):
    notebook.cell(REFUSES)
    shown = notebook.cell("print(run(refuses, {'x': 1}, engine='processes').error.remote_traceback)")
    assert "line 9, in refuses" in shown
    assert '    raise Refused("too small")' in shown
    shown = notebook.cell("computed(refuses, x=1)")
    assert shown.endswith("\nRunFailed")
    assert "main/refuses failed: Refused: too small" in shown


@pytest.mark.full
def test_X5_what_a_body_prints_is_shown_in_the_cell(notebook):
    notebook.cell("""
        @task
        def says(x: int) -> int:
            print("said in a worker")
            return x
    """)
    assert "main/says | said in a worker" in notebook.cell("_ = computed(says, x=1)", stream="stderr")


# --- cells that are run again -----------------------------------------------------------------------------------------


def test_A11_a_task_defined_again_runs_its_new_code(notebook):
    for by in (1, 20, 1):
        notebook.cell(f"""
            @task
            def more(x: int) -> int:
                return x + {by}
        """)
        assert notebook.cell("computed(more, x=0)") == str(by)


@pytest.mark.full
def test_A11_a_function_that_a_task_calls_is_defined_again(notebook):
    """The task's own cell is not run again, and its text stays as it was."""
    notebook.cell("factor = 10\ndef scale(x):\n    return factor * x")
    notebook.cell("""
        @task
        def scaled_by_hand(x: int) -> int:
            return scale(x)
    """)
    assert notebook.cell("computed(scaled_by_hand, x=1)") == "10"
    notebook.cell("def scale(x):\n    return 100 * factor * x")
    assert notebook.cell("computed(scaled_by_hand, x=1)") == "1000"
    notebook.cell("factor = 20")
    assert notebook.cell("computed(scaled_by_hand, x=1)") == "2000"


@pytest.mark.full
def test_A11_a_class_defined_again_with_another_field(notebook):
    source = """
        class Shade(Enum):
            DARK = 1
            {member} = 2

        @dataclass
        class Spot:
            shade: Shade
            {name}: int

        @task
        def other(spot: Spot) -> Spot:
            return Spot(list(Shade)[-1], spot.{name} + 1)
    """
    for member, name in (("LIGHT", "size"), ("BRIGHT", "width")):
        notebook.cell(source.format(member=member, name=name))
        notebook.cell(f"found = computed(other, spot=Spot(Shade.DARK, {name}=1))")
        assert notebook.cell(f"type(found) is Spot, found.shade is Shade.{member}, found.{name}") == "(True, True, 2)"


@pytest.mark.full
def test_A11_an_exception_defined_again_is_caught_as_the_new_one(notebook):
    for why in ("too small", "too large", "too many"):
        notebook.cell(REFUSES.replace("too small", why))
        assert notebook.cell(CATCH) == why


@pytest.mark.full
@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_R6_a_run_that_failed_goes_on_with_a_cell_that_was_run_again(notebook, engine):
    broken = """
        @task
        def repaired(x: int) -> int:
            raise OSError("to be repaired")
    """
    notebook.cell(broken)
    notebook.cell(f"ended = run(repaired, {{'x': 1}}, engine={engine!r})")
    notebook.cell(broken.replace('raise OSError("to be repaired")', "return x + 1"))
    assert notebook.cell(f"resume(ended.id, engine={engine!r}).result") == "2"


# --- beyond the kernel ------------------------------------------------------------------------------------------------


@pytest.mark.full
def test_A11_what_cannot_leave_the_kernel_is_told_before_anything_runs(notebook):
    notebook.cell("""
        lock = threading.Lock()

        @task
        def guarded(x: int) -> int:
            with lock:
                return x
    """)
    assert "InputError: guarded can't travel to another process" in notebook.cell("computed(guarded, x=1)")
    assert notebook.cell("run(guarded, {'x': 1}).result") == "1"


@pytest.mark.full
def test_R6_a_run_of_a_notebook_is_resumed_when_its_kernel_is_gone(notebook):
    """Its functions lie in the store, with what they used of the notebook."""
    notebook.cell("""
        by = 10

        def add(x):
            return x + by

        @task
        def waits(x: int) -> int:
            if "KERNEL" in os.environ:
                raise OSError("to be repaired")
            return add(x)

        @dynamic
        def around(x: int) -> int:
            return waits(waits(x))
    """)
    notebook.cell(
        "os.environ['KERNEL'] = 'is there'\nended = run(around, {'x': 1}, engine='processes')\ndel os.environ['KERNEL']"
    )
    name = notebook.cell("print(ended.id)")
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PROMISSORY_STORE")}
    for engine in ("processes", "inline"):
        said = subprocess.run(
            [
                sys.executable,
                "-c",
                (
                    "import json; from promissory import resume; "
                    f"print(json.dumps(resume({name!r}, engine={engine!r}).result))"
                ),
            ],
            cwd=notebook.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert said.returncode == 0, said.stderr
        assert json.loads(said.stdout) == 21


@pytest.mark.full
def test_A11_the_notebook_has_a_module_beside_it(notebook):
    (notebook.folder / "beside_notebook.py").write_text(
        "from promissory import task\n\n@task\ndef beside(x: int) -> int:\n    return -x\n"
    )
    notebook.cell("from beside_notebook import beside")
    assert notebook.cell("computed(beside, x=1)") == "-1"
    (notebook.folder / "beside_notebook.py").write_text(
        "from promissory import task\n\n@task\ndef beside(x: int) -> int:\n    return -1000 * x\n"
    )
    notebook.cell("import importlib, beside_notebook\nbeside = importlib.reload(beside_notebook).beside")
    assert notebook.cell("computed(beside, x=1)") == "-1000"

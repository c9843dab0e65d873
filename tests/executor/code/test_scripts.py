"""A10, A11, A5: programs of any shape run on worker processes, as `python flow.py`, `python -m pkg.flow` and `python
-c` start them; no worker starts a run of its own.
"""

import os
import subprocess
import sys

import pytest

from promissory.executor.history.history import History

FLOW = """
from promissory import run
from promissory import dynamic, task, workflow

@task
def inc(x: int) -> int:
    return x + 1

@dynamic
def up(x: int, times: int) -> int:
    return up(inc(x), times - 1) if times else x

@workflow
def flow(x: int) -> int:
    return up(inc(x), 2)
"""
RUN = "run(flow, {'x': 1}, engine='processes').result"
BOUND = """
import faulthandler, os
faulthandler.dump_traceback_later(20, exit=True)
os.environ["LEVEL"] = str(int(os.environ.get("LEVEL", "0")) + 1)
if int(os.environ["LEVEL"]) > 3:
    os._exit(3)
"""


@pytest.fixture
def runs(project):
    """A function () → how many runs the project's store has; each ended well, and each of their bodies ran in a worker
    process.
    """

    def count():
        names = sorted(os.listdir(project.folder / "store" / "runs"))
        for name in names:
            history = History(project.store, name)
            assert history.end is not None and history.end[0] == "SUCCEEDED"
            assert {row.worker.partition("-")[0] for row in history.nodes()} <= {"process", ""}
        return len(names)

    return count


@pytest.fixture
def printed(project):
    """A function (arguments of Python) → the lines that the program prints; nothing but its own place is on its
    path.
    """

    def start(*arguments, **environment):
        return project.python(*arguments, PYTHONPATH="", **environment).splitlines()

    return start


# --- where a script starts its runs -----------------------------------------------------------------------------------


def test_A10_a_script_that_runs_behind_a_main_guard(project, printed, runs):
    project.write("flow.py", f"{FLOW}\nif __name__ == '__main__':\n    print({RUN})\n")
    assert printed("flow.py") == ["4"]
    assert runs() == 1


def test_A10_a_script_without_a_main_guard_goes_on_with_its_result(project, printed, runs):
    project.write("flow.py", f"{FLOW}\nresult = {RUN}\nprint(result)\ndoubled = [2 * result]\nprint(doubled[0])\n")
    assert printed("flow.py") == ["4", "8"]
    assert runs() == 1


@pytest.mark.full
def test_A10_tasks_may_be_defined_between_two_runs(project, printed, runs):
    project.write(
        "flow.py",
        f"{FLOW}\n"
        f"result = {RUN}\n\n"
        "@task\n"
        "def double(x: int) -> int:\n"
        "    return 2 * x\n\n"
        "@workflow\n"
        "def later(x: int) -> int:\n"
        "    return double(inc(x))\n\n"
        "print(run(later, {'x': result}, engine='processes').result)\n",
    )
    assert printed("flow.py") == ["10"]
    assert runs() == 2


def test_A11_a_name_may_be_defined_anew_between_two_runs(project, printed, runs):
    """Each run calls what the name stood for when it began, as it would in one process."""
    project.write("flow.py", f"{FLOW}\nprint({RUN})\n{FLOW.replace('x + 1', 'x + 10')}\nprint({RUN})\n")
    assert printed("flow.py") == ["4", "31"]
    assert runs() == 2


@pytest.mark.full
def test_A10_a_script_that_reads_its_arguments_at_module_level(project, printed, runs):
    project.write(
        "flow.py",
        "import argparse\n"
        "parser = argparse.ArgumentParser()\n"
        "parser.add_argument('--by', type=int, required=True)\n"
        "given = parser.parse_args()\n"
        f"{FLOW.replace('x + 1', 'x + given.by')}\nprint({RUN})\n",
    )
    assert printed("flow.py", "--by", "5") == ["16"]
    assert runs() == 1


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("guard", ["", "if __name__ == '__main__':\n    "], ids=["without a guard", "with a guard"])
def test_A10_a_script_that_ends_in_sys_exit_of_main(project, printed, runs, guard):
    project.write(
        "flow.py", f"import sys\n{FLOW}\ndef main():\n    print({RUN})\n    return 0\n\n{guard}sys.exit(main())\n"
    )
    assert printed("flow.py") == ["4"]
    assert runs() == 1


@pytest.mark.full
def test_A10_a_script_that_asks_a_condition_before_it_runs(project, printed, runs):
    project.write(
        "flow.py",
        "import sys\n"
        f"{FLOW}\n"
        "if len(sys.argv) > 1:\n"
        "    for each in sys.argv[1:]:\n"
        f"        print(run(flow, {{'x': int(each)}}, engine='processes').result)\n",
    )
    assert printed("flow.py", "1", "2") == ["4", "5"]
    assert runs() == 2


@pytest.mark.full
def test_A10_a_script_that_expects_the_worst_of_its_run(project, printed, runs):
    """Whatever it catches, what a worker leaves out is not caught as the run's failure, and not said twice."""
    project.write(
        "flow.py",
        f"{FLOW}\n"
        "try:\n"
        f"    print({RUN})\n"
        "except BaseException as error:\n"
        "    print('failed', error)\n"
        "    raise SystemExit(1)\n"
        "finally:\n"
        "    print('over')\n",
    )
    lines = printed("flow.py")
    assert lines == ["4", "over"]
    assert runs() == 1


@pytest.mark.full
def test_A10_a_script_that_starts_a_run_in_the_background(project, printed, runs):
    project.write(
        "flow.py",
        "from promissory import start\n"
        f"{FLOW}\n"
        f"running = start(flow, {{'x': 1}}, engine='processes')\n"
        "print(running.wait(60).result)\n",
    )
    assert printed("flow.py") == ["4"]
    assert runs() == 1


@pytest.mark.full
def test_A10_a_script_that_runs_on_an_event_loop(project, printed, runs):
    project.write("flow.py", f"import asyncio\n{FLOW}\nasync def main():\n    print({RUN})\n\nasyncio.run(main())\n")
    assert printed("flow.py") == ["4"]
    assert runs() == 1


@pytest.mark.full
def test_A10_a_script_that_runs_in_a_thread_of_its_own_starts_no_run_in_workers(project, printed, runs):
    project.write(
        "flow.py",
        f"{BOUND}\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        f"{FLOW}\n"
        "with ThreadPoolExecutor() as pool:\n"
        f"    print(pool.submit(run, flow, {{'x': 1}}, engine='processes').result().result)\n",
    )
    assert printed("flow.py") == ["4"]
    assert runs() == 1


@pytest.mark.full
def test_A10_an_imported_module_that_runs_by_itself_starts_no_run_in_workers(project, printed, runs):
    project.write("jobs.py", f"{BOUND}{FLOW}\nresult = {RUN}\n")
    project.write("flow.py", "import jobs\nprint(jobs.result)\n")
    assert printed("flow.py") == ["4"]
    assert runs() == 1


@pytest.mark.full
def test_A10_what_a_script_does_after_its_run_holds_up_no_worker(project, gate, runs):
    """It shows its result and waits for somebody, as a plot or a server does: that is not for workers to do."""
    held = gate()
    project.write(
        "flow.py",
        "import faulthandler\n"
        "faulthandler.dump_traceback_later(20, exit=True)\n"
        f"{FLOW}\n"
        f"print({RUN}, flush=True)\n"
        f"open({held.path!r}).read()\n",
    )
    process = project.spawn("flow.py", PYTHONPATH="")
    assert process.stdout.readline() == "4\n"
    held.reached()
    held.open()
    project.finish(process)
    assert process.returncode == 0
    assert runs() == 1


@pytest.mark.full
def test_A10_a_script_that_reads_its_input_at_module_level(project, runs):
    project.write(
        "flow.py",
        f"{FLOW}\nfirst = int(input())\nprint(run(flow, {{'x': first}}, engine='processes').result)\nprint(input())\n",
    )
    project.write("input.txt", "10\nall of it\n")
    with (project.folder / "input.txt").open() as given:
        environment = {**os.environ, "PROMISSORY_STORE": str(project.folder / "store")}
        ended = subprocess.run(
            [sys.executable, "-B", "flow.py"],
            stdin=given,
            cwd=project.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert ended.stdout == "13\nall of it\n"
    assert runs() == 1


def test_A2_a_plain_call_at_module_level_is_known_in_workers(project, printed, runs):
    """It runs in the process that makes it, and starts no workers: so its value is there wherever the module is."""
    project.write("limits.py", FLOW + "\nMOST = flow(0)\n")
    project.write(
        "flow.py",
        "from promissory import run\n"
        "from limits import MOST\n"
        "from promissory import task, workflow\n\n"
        "@task\n"
        "def capped(x: int, most: int = MOST) -> int:\n"
        "    return min(x, most, MOST)\n\n"
        "print(run(capped, {'x': 100}, engine='processes').result)\n",
    )
    assert printed("flow.py") == ["3"]
    assert runs() == 1


@pytest.mark.full
def test_A11_what_needs_the_result_of_a_run_is_told_where_it_went(project):
    """In a worker the run is not run again, so what the program made of its result isn't there."""
    project.write(
        "flow.py",
        f"{FLOW}\nMOST = {RUN}\n\n@task\ndef capped(x: int, most: int = MOST) -> int:\n    return min(x, most)\n\n"
        "error = run(capped, {'x': 100}, engine='processes').error\nprint(type(error.__cause__).__name__, error)\n",
    )
    said = project.python("flow.py", PYTHONPATH="")
    assert said.startswith("CodeNotFound main/capped")
    assert "a run is started by a statement of the program's own" in said


# --- where its functions are defined ----------------------------------------------------------------------------------


@pytest.mark.full
def test_A10_tasks_defined_behind_the_main_guard(project, printed, runs):
    body = FLOW.replace("\n", "\n    ")
    project.write("flow.py", f"if __name__ == '__main__':\n    {body}\n    print({RUN})\n")
    assert printed("flow.py") == ["4"]
    assert runs() == 1


@pytest.mark.full
def test_A10_tasks_defined_in_main(project, printed, runs):
    body = FLOW.replace("\n", "\n    ")
    project.write("flow.py", f"def main():\n    {body}\n    print({RUN})\n\nmain()\n")
    assert printed("flow.py") == ["4"]
    assert runs() == 1


@pytest.mark.full
def test_A10_a_script_that_is_told_on_the_command_line(printed, runs):
    assert printed("-c", f"{FLOW}\nprint({RUN})\n") == ["4"]
    assert runs() == 1


@pytest.mark.full
def test_A10_a_file_whose_name_no_import_statement_could_say(project, printed, runs):
    for number, name in enumerate(["my-flow.py", "2026-flow.py", "flow.v2.py", "a flow.py", "class.py"], 1):
        project.write(name, f"{FLOW}\nprint({RUN})\n")
        assert printed(name) == ["4"], name
        assert runs() == number


@pytest.mark.full
def test_A10_a_script_without_an_extension(project, printed, runs):
    project.write("flow", f"#!/usr/bin/env python\n{FLOW}\nif __name__ == '__main__':\n    print({RUN})\n")
    assert printed("flow") == ["4"]
    assert runs() == 1


@pytest.mark.full
def test_A10_a_script_that_is_a_link_to_one_elsewhere(project, printed, runs):
    project.write(
        "elsewhere/real.py", f"from beside import word\n{FLOW}\nif __name__ == '__main__':\n    print(word, {RUN})\n"
    )
    project.write("elsewhere/beside.py", "word = 'found'\n")
    os.symlink("elsewhere/real.py", project.folder / "linked.py")
    assert printed("linked.py") == ["found 4"]
    assert runs() == 1


@pytest.mark.full
def test_A10_a_script_under_a_tool_that_runs_programs(project, printed, runs):
    """As a profiler or a debugger does it: `__main__` is the tool, and then the program."""
    project.write("flow.py", f"{FLOW}\nif __name__ == '__main__':\n    print({RUN})\n")
    assert (
        printed("-m", "trace", "--count", "--coverdir", str(project.folder / "cover"), "--summary", "flow.py")[0] == "4"
    )
    assert printed("-c", "import runpy; runpy.run_path('flow.py', run_name='__main__')") == ["4"]
    assert runs() == 2


def test_A10_a_script_is_the_same_to_its_bodies_in_a_worker(project, printed):
    """Its docstring, its file and its strict annotations are what they would be anywhere."""
    project.write(
        "flow.py",
        '"""What it is for."""\n'
        "from __future__ import annotations\n"
        "from pathlib import Path\n"
        "from promissory import run\n"
        "from promissory import task\n\n"
        "LIMIT = 3\n"
        '"""Beside what it documents."""\n\n'
        "@task\n"
        "def told() -> list[str]:\n"
        "    return [__doc__, Path(__file__).name, __name__, str(LIMIT)]\n\n"
        "print(*run(told, engine='processes').result)\n",
    )
    assert printed("flow.py") == ["What it is for. flow.py flow 3"]


def test_A11_a_script_that_is_imported_by_what_it_imports(project, printed, runs):
    """Python has it twice then, as `__main__` and under its name; both are the same code."""
    project.write(
        "later.py",
        "from promissory import workflow\n\n"
        "def made():\n"
        "    from flow import inc\n\n"
        "    @workflow\n"
        "    def later(x: int) -> int:\n"
        "        return inc(inc(x))\n\n"
        "    return later\n",
    )
    project.write(
        "flow.py",
        "import later\n"
        f"{FLOW}\n"
        "if __name__ == '__main__':\n"
        f"    print({RUN}, run(later.made(), {{'x': 5}}, engine='processes').result)\n",
    )
    assert printed("flow.py") == ["4 7"]
    assert runs() == 2


# --- what is beside it ------------------------------------------------------------------------------------------------


def test_A11_a_script_by_its_path_finds_what_is_beside_it(project, printed, runs):
    project.write(
        "there and back/flow.py",
        "from pathlib import Path\n"
        "from beside import scaled\n"
        "from promissory import run\n"
        "from promissory import task\n\n"
        "@task\n"
        "def work(x: int) -> str:\n"
        "    import lazily\n\n"
        "    return f'{scaled(x)} {lazily.WORD} {(Path(__file__).parent / 'data.txt').read_text()}'\n\n"
        "if __name__ == '__main__':\n    print(run(work, {'x': 2}, engine='processes').result)\n".replace(
            "'data.txt'", '"data.txt"'
        ),
    )
    project.write("there and back/beside.py", "def scaled(x):\n    return 10 * x\n")
    project.write("there and back/lazily.py", "WORD = 'later'\n")
    project.write("there and back/data.txt", "data")
    assert printed("there and back/flow.py") == ["20 later data"]
    assert runs() == 1


PACKAGE = {
    "pkg/__init__.py": "from .words import WORD\n",
    "pkg/words.py": "WORD = 'package'\n",
    "pkg/steps/__init__.py": "",
    "pkg/steps/tasks.py": "from pathlib import Path\n"
    "from promissory import task\n"
    "from .. import WORD\n\n"
    "@task\n"
    "def told(x: int) -> str:\n"
    "    from ..lazily import later\n\n"
    "    return f'{WORD} {later(x)} ' + (Path(__file__).parent.parent / 'data' / 'table.txt').read_text()\n",
    "pkg/lazily.py": "def later(x):\n    return x + 1\n",
    "pkg/data/table.txt": "table",
    "pkg/flow.py": "from promissory import run\n"
    "from promissory import workflow\n"
    "from .steps.tasks import told\n\n"
    "@workflow\n"
    "def flow(x: int) -> str:\n"
    "    return told(x)\n\n"
    "if __name__ == '__main__':\n    print(run(flow, {'x': 1}, engine='processes').result)\n",
    "pkg/__main__.py": "from promissory import run\n"
    "from promissory import task\n"
    "from .flow import flow\n\n"
    "@task\n"
    "def own(x: int) -> str:\n"
    "    return f'own {x}'\n\n"
    "print(run(flow, {'x': 2}, engine='processes').result, run(own, {'x': 3}, engine='processes').result)\n",
}


def test_A5_a_module_of_a_package_with_relative_imports_and_data(project, printed, runs):
    for name, source in PACKAGE.items():
        project.write(name, source)
    assert printed("-m", "pkg.flow") == ["package 2 table"]
    assert printed("-m", "pkg") == ["package 3 table own 3"]
    assert runs() == 3


@pytest.mark.full
def test_A10_a_folder_that_is_a_program(project, printed, runs):
    project.write("app/__main__.py", f"from beside import word\n{FLOW}\nprint(word, {RUN})\n")
    project.write("app/beside.py", "word = 'found'\n")
    assert printed("app") == ["found 4"]
    assert runs() == 1


@pytest.mark.full
def test_A11_a_namespace_package(project, printed, runs):
    project.write(
        "company/team/steps.py",
        "from promissory import task\n"
        "from .words import WORD\n\n"
        "@task\n"
        "def told(x: int) -> str:\n"
        "    return f'{WORD} {x}'\n",
    )
    project.write("company/team/words.py", "WORD = 'namespace'\n")
    project.write(
        "flow.py",
        "from promissory import run\n"
        "from company.team.steps import told\n\n"
        "if __name__ == '__main__':\n"
        "    print(run(told, {'x': 1}, engine='processes').result)\n",
    )
    assert printed("flow.py") == ["namespace 1"]
    assert runs() == 1
    project.write(
        "company/team/flow.py",
        "from promissory import run\n"
        "from .steps import told\n\n"
        "if __name__ == '__main__':\n"
        "    print(run(told, {'x': 2}, engine='processes').result)\n",
    )
    assert printed("-m", "company.team.flow") == ["namespace 2"]
    assert runs() == 2


@pytest.mark.full
def test_A11_a_src_layout_that_the_script_puts_on_the_path(project, printed, runs):
    for name, source in PACKAGE.items():
        project.write(f"src/{name}", source)
    project.write("tools/seen.py", "SEEN = 'seen'\n")
    project.write(
        "scripts/start.py",
        "import os, sys\n"
        "from pathlib import Path\n"
        "sys.path.insert(0, str(Path(__file__).parent.parent / 'src'))\n"
        "sys.path.append(os.path.join('tools'))\n"
        "from pkg.flow import flow\n"
        "from promissory import run\n"
        "from promissory import task\n\n"
        "@task\n"
        "def seen() -> str:\n"
        "    from seen import SEEN\n\n"
        "    return SEEN\n\n"
        "print(run(flow, {'x': 1}, engine='processes').result, run(seen, engine='processes').result)\n",
    )
    assert printed("scripts/start.py") == ["package 2 table seen"]
    assert runs() == 2


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("name", ["statistics", "wave"])
def test_A11_a_module_of_the_users_called_like_a_standard_one(project, printed, runs, name):
    project.write(
        f"{name}.py", "from promissory import task\n\n@task\ndef mine(x: int) -> str:\n    return f'mine {x}'\n"
    )
    project.write(
        "flow.py",
        f"from {name} import mine\n"
        "from promissory import run\n"
        f"print(run(mine, {{'x': 1}}, engine='processes').result)\n",
    )
    assert printed("flow.py") == ["mine 1"]
    assert runs() == 1


@pytest.mark.full
def test_A11_a_script_called_like_a_standard_module(project, printed, runs):
    project.write("statistics.py", f"{FLOW}\nprint({RUN})\n")
    assert printed("statistics.py") == ["4"]
    assert runs() == 1


@pytest.mark.full
def test_A11_workers_write_no_bytecode_where_the_program_does_not(project, printed):
    project.write("beside.py", "word = 'found'\n")
    project.write("flow.py", f"from beside import word\n{FLOW}\nprint({RUN})\n")
    assert printed("flow.py", PYTHONDONTWRITEBYTECODE="") == ["4"]  # started with -B
    assert not list(project.folder.rglob("__pycache__"))


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_A10_a_body_may_have_processes_of_its_own(project, printed, runs, method):
    project.write(
        "flow.py",
        "import multiprocessing, sys\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "from promissory import run\n"
        "from promissory import task\n\n"
        "def square(x):\n"
        "    return x * x\n\n"
        "@task\n"
        "def squares(method: str) -> list[int]:\n"
        "    with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:\n"
        "        return list(pool.map(square, range(4)))\n\n"
        "if __name__ == '__main__':\n    print(run(squares, {'method': sys.argv[1]}, engine='processes').result)\n",
    )
    assert printed("flow.py", method) == ["[0, 1, 4, 9]"]
    assert runs() == 1


# --- classes of the script --------------------------------------------------------------------------------------------

CLASSES = """
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple
from promissory import run
from promissory.errors import RunFailed
from promissory import dynamic, task, workflow

print("loaded")

class Colour(Enum):
    RED = "red"
    BLUE = "blue"

@dataclass
class Point:
    x: int
    colour: Colour

class Pair(NamedTuple):
    first: Point
    second: Colour

class Refused(Exception):
    def __init__(self, point, why):
        super().__init__(point, why)
        self.point = point

class Plain:
    def __init__(self, x):
        self.x = x

@task
def paired(p: Point) -> Pair:
    return Pair(Point(p.x + 1, Colour.BLUE), p.colour)

@task
def refuses(p: Point) -> int:
    raise Refused(p, "too red")

@task
def plain(p: Plain) -> Plain:
    assert isinstance(p, Plain)
    return Plain(p.x + 1)
"""


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("guard", ["if True:", "if __name__ == '__main__':"], ids=["without a guard", "with a guard"])
def test_X3_records_of_the_script_come_back_as_its_own_classes(project, printed, runs, guard):
    project.write(
        "flow.py",
        f"{CLASSES}\n{guard}\n    pair = run(paired, {{'p': Point(1, Colour.RED)}}, engine='processes').result\n"
        "    print(type(pair) is Pair, type(pair.first) is Point, pair.first.colour is Colour.BLUE, "
        "pair.second is Colour.RED, pair.first.x)\n",
    )
    assert printed("flow.py") == ["loaded", "True True True True 2"]
    assert runs() == 1


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("guard", ["if True:", "if __name__ == '__main__':"], ids=["without a guard", "with a guard"])
def test_X6_exceptions_of_the_script_are_caught_as_its_own(project, printed, guard):
    project.write(
        "flow.py",
        f"{CLASSES}\n{guard}\n    ended = run(refuses, {{'p': Point(1, Colour.RED)}}, engine='processes')\n"
        "    try:\n"
        "        try:\n"
        "            ended.result\n"
        "        except RunFailed as failed:\n"
        "            raise failed.__cause__\n"
        "    except Refused as refused:\n"
        "        print(refused.args[1], type(refused.point) is Point, refused.point.colour is Colour.RED)\n",
    )
    assert printed("flow.py") == ["loaded", "too red True True"]


@pytest.mark.full(keep=1)
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("guard", ["if True:", "if __name__ == '__main__':"], ids=["without a guard", "with a guard"])
def test_X3_objects_of_the_script_that_have_no_wire_form_come_back_as_its_own(project, printed, runs, guard):
    project.write(
        "flow.py",
        f"{CLASSES}\n"
        f"{guard}\n"
        f"    found = run(plain, {{'p': Plain(1)}}, engine='processes').result\n"
        "    print(type(found) is Plain, found.x)\n",
    )
    assert printed("flow.py") == ["loaded", "True 2"]
    assert runs() == 1


def test_X6_a_failure_shows_the_line_of_the_script(project, printed):
    project.write(
        "flow.py",
        f"{CLASSES}\n"
        f"error = run(refuses, {{'p': Point(1, Colour.RED)}}, engine='processes').error\n"
        "print(error.remote_traceback)\n",
    )
    lines = printed("flow.py")
    assert any(line.endswith("in refuses") and "flow.py" in line for line in lines)
    assert '    raise Refused(p, "too red")' in lines


@pytest.mark.full
def test_X3_the_same_script_gives_the_same_bytes_on_every_engine(project):
    project.write(
        "flow.py",
        f"{FLOW}\n"
        "import sys\n\n"
        "def main():\n"
        "    @dynamic\n"
        "    def inner(x: int) -> int:\n"
        "        @task\n"
        "        def added(y: int) -> int:\n"
        "            return x + y\n\n"
        "        return up(added(x), 2)\n\n"
        "    @workflow\n"
        "    def outer(x: int) -> int:\n"
        "        return inner(inc(x))\n\n"
        "    return run(outer, {'x': 1}, engine=sys.argv[1], store=sys.argv[1], run_id='one').result\n\n"
        "if __name__ == '__main__':\n"
        "    print(main())\n",
    )
    kept = {}
    for engine in ("inline", "threads", "processes"):
        assert project.python("flow.py", engine) == "6\n"
        root = project.folder / engine
        kept[engine] = {
            path.relative_to(root).as_posix(): path.read_bytes()
            for pattern in ("objects/**/*", "plans/**/*", "runs/one/futures/**/*")
            for path in root.glob(pattern)
            if path.is_file()
        }
    assert kept["inline"] == kept["threads"] == kept["processes"]
    assert any("futures" in name for name in kept["inline"])

"""What `promissory run` takes: a file, a file in a package, a module, a plan; and what stands in the way of an
import.
"""

import pytest

FLOW = """
    from promissory import task, workflow

    @task
    def inc(x: int) -> int:
        return x + 1

    @workflow
    def more(x: int = 1) -> int:
        return inc(x)
"""
TWO = (
    FLOW
    + """
    @workflow
    def most(x: int = 1) -> int:
        return inc(inc(x))
"""
)


def test_run_of_a_file_with_one_workflow_needs_no_name(cli, shell):
    shell.write("flow.py", FLOW)
    assert cli("run", "flow.py")[:2] == (0, "2\n")


def test_run_of_a_file_with_one_dynamic_needs_no_name(cli, shell):
    shell.write("flow.py", FLOW.replace("task, workflow", "task, dynamic as workflow"))
    assert cli("run", "flow.py", "--x", "1")[:2] == (0, "2\n")


def test_run_of_a_file_with_several_asks_which(cli, shell, told):
    shell.write("flow.py", TWO)
    code, _, err = cli("run", "flow.py")
    assert code == 2
    assert told(err) == "say which workflow of flow: more, most, inc"


def test_run_of_a_name_that_is_not_there_says_what_is(cli, shell, told):
    shell.write("flow.py", TWO)
    code, _, err = cli("run", "flow.py", "mist")
    assert code == 2
    assert told(err) == "flow has no workflow 'mist'; it has: more, most, inc"


def test_run_of_a_name_that_is_no_workflow(cli, shell, told):
    shell.write("flow.py", FLOW + "\n    number = 3\n")
    code, _, err = cli("run", "flow.py", "number")
    assert code == 2
    assert "flow has no workflow 'number'" in told(err)


def test_run_of_a_file_without_workflows(cli, shell, told):
    shell.write("flow.py", "x = 1")
    code, _, err = cli("run", "flow.py")
    assert code == 2
    assert told(err) == "flow has no workflow: decorate a function with @workflow"


def test_run_of_a_workflow_built_by_hand(cli, shell):
    shell.write(
        "flow.py",
        FLOW.partition("@workflow")[0].replace("workflow", "Workflow")
        + 'with Workflow("hand") as hand:\n        inc(1)\n',
    )
    assert cli("run", "flow.py", "hand")[0] == 0


def test_run_of_a_workflow_imported_from_another_file(cli, shell):
    shell.write("flow.py", FLOW)
    shell.write("other.py", "from flow import more")
    assert cli("run", "other.py", "more", "--x", "5")[:2] == (0, "6\n")


def test_run_of_a_file_elsewhere_imports_what_is_beside_it(shell):
    shell.write(
        "there/flow.py",
        "from beside import inc\n"
        "from promissory import workflow\n\n"
        "@workflow\n"
        "def more(x: int = 1) -> int:\n"
        "    return inc(x)\n",
    )
    shell.write("there/beside.py", FLOW)
    assert shell.promissory("run", "--quiet", "there/flow.py").stdout == "2\n"


@pytest.fixture
def package(shell):
    shell.write("jobs/__init__.py", "")
    shell.write("jobs/daily/__init__.py", "")
    shell.write("jobs/help.py", FLOW)
    return shell.write(
        "jobs/daily/flow.py",
        "from promissory import workflow\n"
        "from ..help import inc\n\n"
        "@workflow\n"
        "def more(x: int = 1) -> int:\n"
        "    return inc(x)\n",
    )


def test_run_of_a_file_in_a_package_has_relative_imports(shell, package):
    ended = shell.promissory("run", "--quiet", "jobs/daily/flow.py")
    assert (ended.returncode, ended.stdout) == (0, "2\n"), ended.stderr


def test_run_of_a_file_in_a_package_from_inside_it(shell, package):
    ended = shell.promissory("run", "--quiet", "flow.py", cwd=package.parent)
    assert (ended.returncode, ended.stdout) == (0, "2\n"), ended.stderr


def test_run_of_a_module(shell, package):
    ended = shell.promissory("run", "--quiet", "jobs.daily.flow", "more", "--x", "3")
    assert (ended.returncode, ended.stdout) == (0, "4\n"), ended.stderr


def test_A5_a_file_and_its_module_give_the_same_plan(cli, shell, package):
    cli("compile", "jobs/daily/flow.py", "-o", "a.plan")
    cli("compile", "jobs.daily.flow", "-o", "b.plan")
    assert (shell.folder / "a.plan").read_bytes() == (shell.folder / "b.plan").read_bytes()


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("name", ["jobs/__init__.py", "jobs"])
def test_run_of_a_package_itself(shell, name):
    shell.write("jobs/__init__.py", FLOW)
    ended = shell.promissory("run", "--quiet", name)
    assert (ended.returncode, ended.stdout) == (0, "2\n"), ended.stderr


def test_run_of_a_plan(shell):
    shell.write("flow.py", FLOW)
    shell.promissory("compile", "flow.py", "-o", "more.plan")
    ended = shell.promissory("run", "--quiet", "more.plan", "--x", "4")
    assert (ended.returncode, ended.stdout) == (0, "5\n"), ended.stderr


def test_run_of_a_plan_whatever_its_file_is_called(shell):
    shell.write("flow.py", FLOW)
    shell.promissory("compile", "flow.py", "-o", "more")
    assert shell.promissory("run", "--quiet", "more").stdout == "2\n"


def test_run_of_a_plan_whose_code_is_not_there_fails_and_says_what_is_missing(shell):
    shell.write("flow.py", FLOW)
    shell.promissory("compile", "flow.py", "-o", "more.plan")
    (shell.folder / "flow.py").unlink()
    ended = shell.promissory("run", "--quiet", "more.plan")
    assert ended.returncode == 1
    assert "main/inc" in ended.stderr
    assert "flow" in ended.stderr


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("source", ["raise SystemExit(0)", "1 / 0", "def f(:"], ids=["exits", "raises", "syntax"])
def test_run_of_a_plan_whose_code_breaks_at_import_fails_and_says_so(shell, source):
    shell.write("flow.py", FLOW)
    shell.promissory("compile", "flow.py", "-o", "more.plan")
    shell.write("flow.py", source)
    ended = shell.promissory("run", "--quiet", "more.plan")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "flow" in ended.stderr
    assert "executor/" not in ended.stderr


@pytest.mark.parametrize("name", ["nowhere.py", "nowhere/flow.py", "nowhere", "a/b"])
def test_run_of_nothing_there(cli, told, name):
    code, _, err = cli("run", name)
    assert code == 2
    assert told(err).startswith("there is no file")


@pytest.mark.parametrize("name", ["", ".", "..", ".flow", "flow.", "a..b", "3", "a b"])
def test_run_of_what_names_nothing(cli, told, name):
    code, _, err = cli("run", name)
    assert code == 2
    assert "TypeError" not in told(err)
    assert "ValueError" not in told(err)


def test_run_of_a_file_that_is_neither_python_nor_a_plan(cli, shell, told):
    shell.write("notes.txt", "buy pears")
    code, _, err = cli("run", "notes.txt")
    assert code == 2
    assert "there is no file" not in told(err), "the file is there"


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("name", ["planner", "executor", "typesys"])
def test_run_of_a_file_beside_one_of_the_name_of_a_floor(shell, name):
    shell.write("flow.py", f"    from {name} import STEP\n" + FLOW.replace("x + 1", "x + STEP"))
    shell.write(f"{name}.py", "STEP = 5")
    ended = shell.promissory("run", "--quiet", "flow.py")
    assert (ended.returncode, ended.stdout) == (0, "6\n"), ended.stderr


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("name", ["planner", "executor", "typesys"])
def test_run_of_a_file_of_the_name_of_a_floor(shell, name):
    shell.write(f"{name}.py", FLOW)
    ended = shell.promissory("run", "--quiet", f"{name}.py")
    assert (ended.returncode, ended.stdout) == (0, "2\n"), ended.stderr


def test_run_refuses_a_script_that_would_be_imported_as_a_loaded_module(shell, told):
    shell.write("json.py", FLOW)
    ended = shell.promissory("run", "json.py")
    assert ended.returncode == 2
    assert "a module of that name is loaded already" in told(ended.stderr)


def test_run_of_a_script_with_the_name_of_a_module_that_is_not_loaded(shell):
    shell.write("antigravity.py", FLOW)
    assert shell.promissory("run", "--quiet", "antigravity.py").stdout == "2\n"


BROKEN = [
    (
        "raises",
        "def f():\n    return 1 / 0\n\n\nf()\n",
        ["ZeroDivisionError: division by zero", "flow.py:5: f()", "flow.py:2: return 1 / 0"],
    ),
    ("syntax", "x = 1\ndef f(:\n", ["SyntaxError", "flow.py:2: def f(:"]),
    ("exits", "import sys\nsys.exit(0)\n", ["SystemExit: 0", "flow.py:2: sys.exit(0)"]),
    (
        "needs",
        "import nothing_of_the_kind\n",
        ["No module named 'nothing_of_the_kind'", "flow.py:1: import nothing_of_the_kind"],
    ),
    ("needs_name", "from json import nothing_of_the_kind\n", ["ImportError: cannot import name", "flow.py:1"]),
    ("stops", "raise StopIteration\n", ["StopIteration", "flow.py:1"]),
]


@pytest.mark.full(keep=2)
@pytest.mark.parametrize(("source", "said"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_run_of_a_module_that_breaks_tells_its_own_lines_only(shell, source, said):
    shell.write("flow.py", source)
    ended = shell.promissory("run", "flow.py")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "Traceback" not in ended.stderr
    assert "executor/" not in ended.stderr
    assert "importlib" not in ended.stderr
    for piece in said:
        assert piece in ended.stderr

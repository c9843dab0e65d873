"""The front door: users import `promissory`; the folders of the repository are importable under no other name, and hide
nothing of the user's own.
"""

import doctest
import importlib
import os
import subprocess
import sys
import textwrap
import venv
from pathlib import Path

import pytest

import promissory
import promissory.errors
import promissory.testing
from promissory._names import ERRORS, FACE, PICKLED

ROOT = Path(promissory.__file__).resolve().parents[1]
IN_A_CLONE = (ROOT / "pyproject.toml").is_file() and (ROOT / "planner").is_dir()
FLOORS = ("planner", "executor", "typesys")


def python(*arguments, folder, **environment):
    return subprocess.run(
        [sys.executable, "-B", *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    "table, module", [(FACE, "promissory"), (ERRORS, "promissory.errors"), (PICKLED, "promissory.pickled")]
)
def test_each_name_of_the_tables_is_where_they_say(table, module):
    for name, where in table.items():
        thing = getattr(importlib.import_module(where), name)
        assert getattr(importlib.import_module(module), name) is thing
        defined = getattr(thing, "__module__", where)
        assert defined in (where, module, "promissory.pickled") or name == "Opaque", (name, defined)


@pytest.mark.parametrize(
    "module", ["promissory", "promissory.errors", "promissory.testing", *(f"promissory.{floor}" for floor in FLOORS)]
)
def test_a_face_lists_what_it_has_and_knows_nothing_else(module):
    face = importlib.import_module(module)
    assert set(face.__all__) <= set(dir(face))
    with pytest.raises(AttributeError, match="has no attribute 'tsk'"):
        face.tsk


def test_the_examples_of_exceptions_run():
    """Their classes say that they are of the public module, so they are not found with the examples of their file."""
    ran = 0
    for name, where in {**FACE, **ERRORS}.items():
        thing = getattr(importlib.import_module(where), name)
        if isinstance(thing, type) and issubclass(thing, BaseException):
            finder = doctest.DocTestFinder(exclude_empty=True)
            for example in finder.find(thing, name, module=False, globs={name: thing}):
                flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
                result = doctest.DocTestRunner(optionflags=flags).run(example)
                assert result.failed == 0
                ran += result.attempted
    assert ran >= 9


@pytest.mark.full
def test_a_face_is_typed_as_it_is():
    """What type checkers read of the faces and what they give are the same names: a checker does not take a name for
    granted.
    """
    source = "\n".join(
        [
            "import promissory, promissory.errors",
            *(f"promissory.{name}" for name in FACE),
            *(f"promissory.errors.{name}" for name in ERRORS),
            "promissory.tsk",
        ]
    )
    ran = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file=", "--strict", "--ignore-missing-imports", "-c", source],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    if "No module named mypy" in ran.stderr:
        pytest.skip("mypy is not installed for this Python")
    assert ran.stdout.count("error:") == 1, ran.stdout
    assert '"tsk"' in ran.stdout


@pytest.mark.skipif(not IN_A_CLONE, reason="only a clone has the folders")
@pytest.mark.parametrize("floor", FLOORS)
def test_a_folder_of_the_clone_is_not_importable_by_its_own_name(floor):
    ran = python("-c", f"import {floor}", folder=ROOT)
    assert ran.returncode == 1
    assert f"ImportError: import promissory.{floor}" in ran.stderr


def test_no_module_is_loaded_under_two_names():
    folders = [(ROOT / name).resolve() for name in ("promissory", *FLOORS)]
    folders.append(Path(promissory.__file__).parent.resolve())
    names = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        path = Path(file).resolve() if file else None
        if path is not None and name != "__main__" and any(path.is_relative_to(folder) for folder in folders):
            names.setdefault(path, set()).add(name)
    assert {path: found for path, found in names.items() if len(found) > 1} == {}


def test_a_clone_without_symbolic_links_says_what_is_wrong(tmp_path):
    package = tmp_path / "promissory"
    package.mkdir()
    for file in Path(promissory.__file__).parent.glob("*.py"):
        (package / file.name).write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    for floor in FLOORS:
        (package / floor).write_text(f"../{floor}", encoding="utf-8")
    ran = python("-c", "import promissory", folder=tmp_path, PYTHONPATH=str(tmp_path))
    assert ran.returncode == 1
    assert "without symbolic links" in ran.stderr and "core.symlinks" in ran.stderr


OWN = """
from promissory import Context, dynamic, run, task, workflow
from planner import STEP
import executor, typesys

@task
def step(x: int) -> int:
    import executor as again
    return x + STEP + again.MORE + typesys.LESS

@dynamic
def twice(x: int) -> int:
    return step(step(x))

@workflow
def flow(x: int) -> int:
    return twice(x)

if __name__ == "__main__":
    import sys
    print(run(flow, {"x": 1}, engine=sys.argv[1], store="store", echo=False).result)
"""


@pytest.mark.parametrize("engine", ["inline", "threads", "processes"])
def test_modules_of_the_users_own_may_have_the_names_of_our_folders(tmp_path, engine):
    (tmp_path / "flow.py").write_text(OWN)
    (tmp_path / "planner.py").write_text("STEP = 10")
    (tmp_path / "executor.py").write_text("MORE = 100")
    (tmp_path / "typesys.py").write_text("LESS = -1")
    ran = python("flow.py", engine, folder=tmp_path)
    assert ran.stdout == "219\n", ran.stderr


def test_modules_of_the_users_own_travel_in_a_bundle(tmp_path):
    """A resume where the project is gone finds them there."""
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    source = OWN.replace(
        "    return x + STEP",
        "    import os\n    if 'BROKEN' in os.environ:\n        raise OSError\n    return x + STEP",
    )
    (here / "flow.py").write_text(source)
    (here / "planner.py").write_text("STEP = 10")
    (here / "executor.py").write_text("MORE = 100")
    (here / "typesys.py").write_text("LESS = -1")
    begin = (
        "from flow import flow\n"
        "from promissory import run\n"
        "print(run(flow, {'x': 1}, engine='processes', store='store', run_id='r', echo=False).state)"
    )
    ran = python("-c", begin, folder=here, BROKEN="1")
    assert ran.stdout == "FAILED\n", ran.stderr
    (here / "store").rename(there / "store")
    ran = python(
        "-c",
        "from promissory import resume\nprint(resume('r', engine='processes', store='store', echo=False).result)",
        folder=there,
    )
    assert ran.stdout == "219\n", ran.stderr


def test_another_runner_is_chosen_by_name(tmp_path):
    folder = tmp_path / "other-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[promissory.runner]\nloud = other_runner:call\n")
    (tmp_path / "other_runner.py").write_text("def call(target, values):\n    return f'{target.name} {values}'\n")
    program = textwrap.dedent("""
        from promissory import task, workflow
        @task
        def inc(x: int) -> int:
            return x + 1
        @workflow
        def flow(x: int) -> int:
            return inc(x)
        print(flow(1))
    """)
    (tmp_path / "flow.py").write_text(program)
    assert python("flow.py", folder=tmp_path, PYTHONPATH=str(tmp_path)).stdout == "2\n"
    assert (
        python("flow.py", folder=tmp_path, PYTHONPATH=str(tmp_path), PROMISSORY_RUNNER="loud").stdout
        == "flow {'x': 1}\n"
    )
    ran = python("flow.py", folder=tmp_path, PYTHONPATH=str(tmp_path), PROMISSORY_RUNNER="quiet")
    assert "no distribution that is installed gives a runner of that name. There are: loud" in ran.stderr


def test_importing_the_face_loads_little(tmp_path):
    code = (
        "import sys; from promissory import task, workflow, dynamic, run; "
        "print([m for m in ('fsspec', 'rich', 'click', 'typeguard', 'asyncio', 'cloudpickle') if m in "
        "sys.modules])"
    )
    assert python("-c", code, folder=tmp_path).stdout == "[]\n"


def test_a_plain_call_loads_little(tmp_path):
    (tmp_path / "flow.py").write_text(
        "import sys\n"
        "from promissory import task, workflow\n"
        "@task\n"
        "def inc(x: int) -> int:\n"
        "    return x + 1\n"
        "@workflow\n"
        "def flow(x: int) -> int:\n"
        "    return inc(x)\n"
        "flow(1)\n"
        "print([m for m in ('fsspec', 'rich', 'click', 'typeguard', 'asyncio', 'cloudpickle', 'ssl') if m "
        "in sys.modules])"
    )
    assert python("flow.py", folder=tmp_path).stdout == "[]\n"


@pytest.mark.full
@pytest.mark.skipif(not IN_A_CLONE, reason="only a clone can be built")
def test_a_wheel_from_an_sdist_holds_the_package_and_nothing_beside_it(tmp_path):
    pytest.importorskip("hatchling")
    build = "import sys; from hatchling.build import build_sdist, build_wheel; print({}(sys.argv[1]))"
    made = python("-c", build.format("build_sdist"), str(tmp_path), folder=ROOT)
    assert made.returncode == 0, made.stderr
    subprocess.run(["tar", "xzf", made.stdout.strip().splitlines()[-1]], cwd=tmp_path, check=True)
    unpacked = next(path for path in tmp_path.iterdir() if path.is_dir())
    made = python("-c", build.format("build_wheel"), str(tmp_path), folder=unpacked)
    assert made.returncode == 0, made.stderr
    site = tmp_path / "site"
    subprocess.run(
        [sys.executable, "-m", "zipfile", "-e", made.stdout.strip().splitlines()[-1], str(site)],
        cwd=tmp_path,
        check=True,
    )
    assert sorted(path.name.partition("-")[0] for path in site.iterdir()) == ["promissory", "promissory"]
    assert (site / "promissory" / "planner" / "entities" / "task.py").is_file()
    assert (site / "promissory" / "py.typed").is_file()
    # beside distributions that people have: what `pip install executor planner typesys` puts there
    for name in FLOORS:
        (site / name).mkdir()
        (site / name / "__init__.py").write_text("WHOSE = 'somebody else'")
    own = venv.EnvBuilder(with_pip=False, system_site_packages=False)
    own.create(tmp_path / "env")
    dependencies = os.pathsep.join(path for path in sys.path if path.endswith("site-packages"))
    program = (
        "import planner, executor, typesys\n"
        "from promissory import run, task\n"
        "@task\n"
        "def inc(x: int) -> int:\n"
        "    return x + 1\n"
        "print(planner.WHOSE, executor.WHOSE, typesys.WHOSE, run(inc, {'x': 1}, store='s', engine='processes', "
        "echo=False).result)"
    )
    (tmp_path / "program.py").write_text(program)
    ran = subprocess.run(
        [tmp_path / "env/bin/python", "program.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(site), dependencies])},
    )
    assert ran.stdout == "somebody else somebody else somebody else 2\n", ran.stderr

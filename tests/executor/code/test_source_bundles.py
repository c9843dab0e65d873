"""A11, R6: a run's store holds the user's own modules, all of them and nothing else; with them a run goes on where its
project isn't.
"""

import io
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile

import pytest

from promissory.typesys.canonical import digest

TASKS = """
    import os
    from pathlib import Path
    from promissory import task
    from .words import WORD

    @task
    def fragile(x: int) -> str:
        from ..lazily import later

        if "BROKEN" in os.environ:
            raise OSError("to be repaired")
        return f"{WORD} {later(x)} " + (Path(__file__).parent.parent / "data" / "table.txt").read_text()
"""
FLOW = """
    from promissory import run
    from promissory import dynamic, workflow
    from .steps.tasks import fragile

    @dynamic
    def grows(x: int) -> str:
        return fragile(x + 1)

    @workflow
    def flow(x: int) -> str:
        return grows(x)

    if __name__ == "__main__":
        print(run(flow, {"x": 1}, engine="processes", run_id="one").state)
"""
PROJECT = {
    "pkg/__init__.py": "",
    "pkg/flow.py": FLOW,
    "pkg/lazily.py": "from . import still_later\n\ndef later(x):\n    return x + still_later.ONE\n",
    "pkg/still_later.py": "ONE = 1\n",
    "pkg/steps/__init__.py": "",
    "pkg/steps/tasks.py": TASKS,
    "pkg/steps/words.py": "WORD = 'word'\n",
    "pkg/data/table.txt": "table",
}
BESIDE = {
    "pkg/.secret": "token",
    "pkg/.git/config": "hidden",
    "pkg/__pycache__/flow.pyc": "old",
    "unrelated.py": "raise RuntimeError('nobody imports this')\n",
    "notes.txt": "not in a package",
    "other_package/__init__.py": "",
    "other_package/big.bin": "not imported",
}


def archives(store):
    """name of the key → the archive, of each bundle in a store."""
    return {path.name: path.read_bytes() for path in sorted((store / "code").glob("*/*.zip"))}


def files_in(archive):
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return sorted(opened.namelist())


@pytest.fixture
def bundle(project):
    """A function () → the files of the one bundle in the project's store."""

    def read():
        [archive] = archives(project.folder / "store").values()
        return files_in(archive)

    return read


@pytest.fixture
def written(project):
    """A project of one package, with files beside it that are none of its own."""
    for name, text in (PROJECT | BESIDE).items():
        project.write(name, text)
    return project


@pytest.fixture
def broken(written, tmp_path):
    """The store of a run that failed, and whose project is gone."""
    assert written.python("-m", "pkg.flow", BROKEN="yes", PYTHONPATH="") == "FAILED\n"
    shutil.move(written.folder / "store", tmp_path / "kept")
    shutil.rmtree(written.folder)
    return tmp_path / "kept"


def resumed(store, engine="inline", path="", run_id="one"):
    """What a process that knows only the store says of a resume."""
    code = f"""
from promissory import resume
from promissory.errors import ExecutorError
try:
    ended = resume({run_id!r}, engine={engine!r})
    print(ended.state, ended.result if ended.state == "SUCCEEDED" else ended.error)
except ExecutorError as error:
    print(type(error).__name__, error)
"""
    environment = {name: value for name, value in os.environ.items() if name not in ("BROKEN", "PYTHONPATH")}
    ended = subprocess.run(
        [sys.executable, "-B", "-c", code],
        cwd=store.parent,
        env={**environment, "PROMISSORY_STORE": str(store), "PYTHONPATH": str(path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


# --- what is in it ----------------------------------------------------------------------------------------------------


def test_A11_a_bundle_has_the_projects_packages_with_their_data_and_nothing_else(written, bundle):
    assert written.python("-m", "pkg.flow", PYTHONPATH="") == "SUCCEEDED\n"
    assert bundle() == sorted(PROJECT)


def test_A11_a_bundle_of_a_script_has_what_it_imports_now_or_later(project, bundle):
    """Found in functions and branches that this run never enters too; what is merely in the folder is not."""
    project.write(
        "flow.py",
        """
        import json, click
        import importlib
        import beside
        from promissory import run
        from promissory import task

        loaded = importlib.import_module("by_name")

        @task
        def work(x: int) -> int:
            if x > 100:
                from lazily import later
                import folder.inner as inner
                return later(x)
            return x

        if __name__ == "__main__":
            print(run(work, {"x": 1}, engine="processes").result)
        """,
    )
    for name in ("beside", "by_name", "unrelated", "folder/inner", "folder/other", "deeper"):
        project.write(f"{name}.py", "")
    project.write("lazily.py", "from deeper import *\n\ndef later(x):\n    return x\n")
    project.write("data.csv", "1,2")
    assert project.python("flow.py", PYTHONPATH="") == "1\n"
    assert bundle() == ["beside.py", "by_name.py", "deeper.py", "flow.py", "folder/inner.py", "lazily.py"]


def test_A11_a_bundle_has_the_modules_of_closures_too(project, bundle):
    project.write(
        "factory.py",
        "from promissory import task\n"
        "from helper import word\n\n"
        "def made(k):\n"
        "    @task\n"
        "    def told() -> str:\n"
        "        return word() * k\n\n"
        "    return told\n",
    )
    project.write("helper.py", "def word():\n    return 'a'\n")
    project.write(
        "flow.py",
        "from promissory import run\nfrom factory import made\nprint(run(made(2), engine='processes').result)\n",
    )
    assert project.python("flow.py", PYTHONPATH="") == "aa\n"
    assert bundle() == ["factory.py", "flow.py", "helper.py"]


@pytest.mark.full
def test_A11_a_bundle_of_a_project_in_two_places(project, bundle):
    """A src layout: the script is in one folder and the package in another."""
    for name, text in PROJECT.items():
        project.write(f"src/{name}", text)
    project.write(
        "scripts/go.py",
        "import sys\n"
        "from pathlib import Path\n"
        "sys.path.insert(0, str(Path(__file__).parent.parent / 'src'))\n"
        "from pkg.flow import flow\n"
        "from promissory import run\n"
        "print(run(flow, {'x': 1}, engine='processes').state)\n",
    )
    assert project.python("scripts/go.py", PYTHONPATH="") == "SUCCEEDED\n"
    assert set(PROJECT) <= set(bundle())


def test_A11_the_same_project_gives_the_same_bytes(written):
    """Another process, another hash seed, other times of files."""
    for seed in ("1", "2"):
        written.python(
            "-m", "pkg.flow", PYTHONPATH="", PYTHONHASHSEED=seed, PROMISSORY_STORE=str(written.folder / seed)
        )
        for number, name in enumerate(PROJECT):
            os.utime(written.folder / name, (10**9 + number, 10**9 + number))
    first, second = archives(written.folder / "1"), archives(written.folder / "2")
    assert first == second
    [(name, archive)] = first.items()
    assert name == f"{digest('bundle', archive).hex()}.zip"


@pytest.mark.full
def test_A11_another_engine_gives_the_same_bundle(written):
    for engine in ("inline", "processes"):
        written.code(
            "from promissory import run; from pkg.flow import flow; "
            f"run(flow, {{'x': 1}}, engine={engine!r}, store={engine!r})",
        )
    assert archives(written.folder / "inline") == archives(written.folder / "processes")


def test_A11_a_run_in_memory_has_no_bundle(project):
    project.write(
        "flow.py",
        "from promissory import run\n"
        "from promissory import task\n\n"
        "@task\n"
        "def one() -> int:\n"
        "    return 1\n\n"
        "print(run(one, store='memory://here', engine='processes').result)\n",
    )
    assert project.python("flow.py", PYTHONPATH="") == "1\n"
    assert not (project.folder / "store").exists()


def test_A11_data_beyond_the_limit_stays_out(written, bundle):
    with (written.folder / "pkg" / "data" / "huge.bin").open("wb") as file:
        file.truncate((64 << 20) + 1)
    assert written.python("-m", "pkg.flow", PYTHONPATH="") == "SUCCEEDED\n"
    assert bundle() == sorted(name for name in PROJECT if name.endswith(".py"))


@pytest.mark.full
@pytest.mark.skipif(sys.platform == "darwin", reason="the file system takes only Unicode names")
def test_A11_a_file_whose_name_is_no_text_hinders_no_run(written):
    (written.folder / "pkg" / "data" / os.fsdecode(b"caf\xe9.txt")).write_text("Latin-1")
    assert written.python("-m", "pkg.flow", PYTHONPATH="") == "SUCCEEDED\n"


@pytest.mark.full
def test_A11_a_file_that_nobody_may_read_hinders_no_run(written):
    """Seen as a link that leads nowhere, which no rights make readable."""
    os.symlink("nowhere", written.folder / "pkg" / "data" / "gone.txt")
    os.mkfifo(written.folder / "pkg" / "data" / "pipe")
    assert written.python("-m", "pkg.flow", PYTHONPATH="") == "SUCCEEDED\n"


# --- what it is for ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_R6_a_run_goes_on_after_its_project_was_deleted_with_its_data(broken, engine):
    assert resumed(broken, engine) == "SUCCEEDED word 3 table"


@pytest.mark.full
def test_R6_a_run_goes_on_after_its_project_was_moved(written, tmp_path):
    """It runs what is there now, not what was there then."""
    assert written.python("-m", "pkg.flow", BROKEN="yes", PYTHONPATH="") == "FAILED\n"
    moved = tmp_path / "moved"
    shutil.move(written.folder, moved)
    (moved / "pkg" / "data" / "table.txt").write_text("edited")
    assert resumed(moved / "store", "processes", path=moved) == "SUCCEEDED word 3 edited"


@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_R6_a_run_of_a_script_goes_on_after_it_was_deleted(project, tmp_path, engine):
    """Its closures, its modules, and those that it would have imported later."""
    project.write(
        "flow.py",
        """
        import os
        from beside import word
        from promissory import run
        from promissory import dynamic, task

        @task
        def fragile(x: int) -> str:
            from lazily import later

            if "BROKEN" in os.environ:
                raise OSError("to be repaired")
            return word + str(later(x))

        def made(k):
            @dynamic
            def grows(x: int) -> str:
                @task
                def more(text: str) -> str:
                    from lazily import later

                    return text + str(later(k))

                return more(fragile(x))

            return grows

        if __name__ == "__main__":
            print(run(made(7), {"x": 1}, engine="processes", run_id="one").state)
        """,
    )
    project.write("beside.py", "word = 'word'\n")
    project.write("lazily.py", "def later(x):\n    return x + 1\n")
    assert project.python("flow.py", BROKEN="yes", PYTHONPATH="") == "FAILED\n"
    shutil.move(project.folder / "store", tmp_path / "kept")
    shutil.rmtree(project.folder)
    assert resumed(tmp_path / "kept", engine) == "SUCCEEDED word28"


@pytest.mark.full
@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_R6_a_resume_of_a_script_without_a_main_guard_starts_no_other_run(project, engine):
    project.write(
        "flow.py",
        "import os\n"
        "from promissory import run\n"
        "from promissory import task\n\n"
        "@task\n"
        "def fragile(x: int) -> int:\n"
        "    if 'BROKEN' in os.environ:\n"
        "        raise OSError('to be repaired')\n"
        "    return x + 1\n\n"
        "ended = run(fragile, {'x': 1}, engine='processes')\nprint(ended.id)\n",
    )
    name = project.python("flow.py", BROKEN="yes").strip()
    assert resumed(project.folder / "store", engine, path=project.folder, run_id=name) == "SUCCEEDED 2"
    assert os.listdir(project.folder / "store" / "runs") == [name]


@pytest.mark.full
@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_R6_a_run_of_a_namespace_package_goes_on_after_it_was_deleted(project, tmp_path, engine):
    project.write(
        "company/team/tasks.py",
        "import os\n"
        "from promissory import task\n"
        "from .words import WORD\n\n"
        "@task\n"
        "def fragile(x: int) -> str:\n"
        "    from .lazily import later\n\n"
        "    if 'BROKEN' in os.environ:\n        raise OSError\n    return f'{WORD} {later(x)}'\n",
    )
    project.write("company/team/words.py", "WORD = 'namespace'\n")
    project.write("company/team/lazily.py", "def later(x):\n    return x\n")
    project.code(
        "from promissory import run; from company.team.tasks import fragile; run(fragile, {'x': 1}, run_id='one')",
        BROKEN="yes",
    )
    shutil.move(project.folder / "store", tmp_path / "kept")
    shutil.rmtree(project.folder)
    assert resumed(tmp_path / "kept", engine) == "SUCCEEDED namespace 1"


def of_one_module(project, by):
    """The store of a run that failed, of a project of one module, which is gone."""
    project.write(
        "flow.py",
        "import os\n"
        "from promissory import task\n\n"
        "@task\n"
        "def work(x: int) -> int:\n"
        "    if 'BROKEN' in os.environ:\n"
        "        raise OSError\n"
        f"    return x + {by}\n",
    )
    store = str(project.folder / f"store-{by}")
    project.code(
        "from promissory import run; from flow import work; run(work, {'x': 1}, run_id='one')",
        BROKEN="yes",
        PROMISSORY_STORE=store,
    )
    (project.folder / "flow.py").unlink()
    return store


@pytest.mark.full
@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_R6_two_projects_that_are_gone_go_on_in_one_process_with_their_own_code(project, engine):
    """Both call their module `flow`; what one left behind in the process is not the other's current code."""
    stores = [of_one_module(project, 10), of_one_module(project, 2000)]
    said = project.code(
        "from promissory import resume\n"
        f"for store in {stores!r}:\n"
        f"    print(resume('one', store=store, engine={engine!r}).result)"
    )
    assert said.split() == ["11", "2001"]


def test_R6_a_damaged_bundle_is_reported_with_its_key(broken):
    [path] = (broken / "code").glob("*/*.zip")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    for engine in ("inline", "processes"):
        said = resumed(broken, engine)
        assert said.startswith("StoreError")
        assert f"code/{path.parent.name}/{path.name}" in said
        assert "damaged" in said


@pytest.mark.full
def test_R6_a_bundle_that_is_gone_leaves_the_module_missing(broken):
    [path] = (broken / "code").glob("*/*.zip")
    path.unlink()
    said = resumed(broken, "processes")
    assert said.startswith("FAILED main/grows/fragile failed: CodeNotFound: cannot import module 'pkg.steps.tasks'")


@pytest.mark.full
def test_R6_what_a_bundle_was_unpacked_to_goes_with_the_process(broken, tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    assert resumed(broken, "processes").startswith("SUCCEEDED")
    assert list(temporary.iterdir()) == []

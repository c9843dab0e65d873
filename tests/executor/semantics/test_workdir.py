"""X6: a scratch folder for each attempt; cached tasks that take paths are warned of."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest

from promissory import Context, Directory, File, Loop, Retry, current_context, map_task, run, task, workflow
from promissory.errors import RunFailed, UncachedContentWarning

ENGINES = pytest.mark.parametrize("on", ["inline", "threads", pytest.param("processes", marks=pytest.mark.full)])


def note(diary, what):
    """A line, whole even if other processes write at the same time."""
    descriptor = os.open(diary, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, f"{what}\n".encode())
    os.close(descriptor)


def noted(diary):
    """The folders that bodies had."""
    return [Path(line) for line in diary.read_text().splitlines()]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """The place of all temporary folders of this process, which is empty."""
    import tempfile

    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


@pytest.fixture
def result_of(request):
    """A function (body, engine, inputs) → what a workflow gives."""

    def result(body, engine, **inputs):
        return run(
            workflow(body), inputs, store=f"memory://workdir-{request.node.name}", engine=engine, echo=False
        ).result

    return result


@task
def uses(ctx: Context, diary: str, n: int = 0) -> str:
    note(diary, ctx.workdir)
    (ctx.workdir / "a.txt").write_text(str(n))
    assert os.listdir(ctx.workdir) == ["a.txt"]
    return (ctx.workdir / "a.txt").read_text()


@ENGINES
def test_a_body_has_a_folder_which_is_gone_when_it_has_ended(result_of, diary, on):
    def flow(diary: str) -> str:
        return uses(diary, 7)

    assert result_of(flow, on, diary=str(diary)) == "7"
    (folder,) = noted(diary)
    assert not folder.exists()


@ENGINES
def test_the_folder_is_one_only_empty_and_for_nobody_else(result_of, diary, on):
    @task
    def looks(ctx: Context, diary: str) -> list[bool]:
        folder = ctx.workdir
        note(diary, folder)
        facts = [folder.is_dir(), folder.is_absolute(), not os.listdir(folder)]
        facts.append(stat.S_IMODE(folder.stat().st_mode) == 0o700)
        return [*facts, ctx.workdir == folder, current_context().workdir == folder]

    def flow(diary: str) -> list[bool]:
        return looks(diary)

    assert result_of(flow, on, diary=str(diary)) == [True] * 6


def test_a_body_that_asks_for_none_has_none(result_of, place):
    @task
    def looks(ctx: Context, place: str) -> list[str]:
        return [ctx.run_id and "", *os.listdir(place)]

    def flow(place: str) -> list[str]:
        return looks(place)

    assert result_of(flow, "inline", place=str(place)) == [""]


@ENGINES
def test_each_item_has_a_folder_of_its_own(result_of, diary, on):
    def flow(diary: str) -> list[str]:
        return map_task(uses)([diary] * 5, [0, 1, 2, 3, 4])

    assert result_of(flow, on, diary=str(diary)) == ["0", "1", "2", "3", "4"]
    folders = noted(diary)
    assert len(set(folders)) == 5
    assert not any(folder.exists() for folder in folders)


@ENGINES
def test_the_folder_of_a_body_that_fails_is_gone(result_of, diary, on):
    @task
    def fails(ctx: Context, diary: str) -> None:
        note(diary, ctx.workdir)
        (ctx.workdir / "a").mkdir()
        (ctx.workdir / "a" / "b").write_text("x")
        raise ValueError("no")

    def flow(diary: str) -> None:
        fails(diary)

    with pytest.raises(RunFailed, match="no"):
        result_of(flow, on, diary=str(diary))
    (folder,) = noted(diary)
    assert not folder.exists()


@ENGINES
@pytest.mark.parametrize("again", ["an error", "Retry", "Loop"])
def test_each_attempt_and_each_iteration_has_an_empty_folder_of_its_own(result_of, diary, on, again):
    @task(retries=2)
    def tries(ctx: Context, diary: str, again: str) -> int:
        note(diary, ctx.workdir)
        assert not os.listdir(ctx.workdir)
        (ctx.workdir / "left").write_text("x")
        if ctx.attempt + ctx.loop_index < 3:
            raise {"an error": ValueError("again"), "Retry": Retry(), "Loop": Loop()}[again]
        return ctx.attempt + ctx.loop_index

    def flow(diary: str, again: str) -> int:
        return tries(diary, again)

    assert result_of(flow, on, diary=str(diary), again=again) == 3
    folders = noted(diary)
    assert len(set(folders)) == len(folders) == 3
    assert not any(folder.exists() for folder in folders)


@ENGINES
def test_files_in_the_folder_that_are_returned_stay(result_of, diary, on):
    @task
    def writes(ctx: Context, diary: str) -> tuple[File, Directory, list[File]]:
        note(diary, ctx.workdir)
        tree = ctx.workdir / "tree"
        (tree / "deep").mkdir(parents=True)
        (tree / "deep" / "b.txt").write_text("b" * 100_000)
        for name in ("a.txt", "c.txt"):
            (ctx.workdir / name).write_text(name * 20_000)
        return File(ctx.workdir / "a.txt"), Directory(tree), [File(ctx.workdir / "c.txt")]

    @task
    def reads(one: File, folder: Directory, more: list[File]) -> list[str]:
        return [one.name, one.read_text()[:5], (folder / "deep/b.txt").read_text()[:2], more[0].read_text()[:5]]

    def flow(diary: str) -> tuple[tuple[File, Directory, list[File]], list[str]]:
        made = writes(diary)
        return made, reads(made[0], made[1], made[2])

    (one, folder, more), read = result_of(flow, on, diary=str(diary))
    assert read == ["a.txt", "a.txt", "bb", "c.txt"]
    assert (len(one.read_text()), len(more[0].read_bytes())) == (100_000, 100_000)
    assert (folder / "deep/b.txt").read_text() == "b" * 100_000
    assert not noted(diary)[0].exists()


def test_a_plain_call_has_a_folder_and_what_it_returns_stays(diary):
    @task
    def writes(ctx: Context, diary: str) -> File:
        note(diary, ctx.workdir)
        (ctx.workdir / "a.txt").write_text("a")
        return File(ctx.workdir / "a.txt")

    file = writes(str(diary))
    assert (file.name, file.read_text()) == ("a.txt", "a")
    assert noted(diary)[0].exists(), "until the program ends"


@ENGINES
def test_async_tasks_have_folders_too_each_its_own(result_of, diary, on):
    @task
    async def writes(ctx: Context, diary: str, n: int) -> str:
        note(diary, ctx.workdir)
        (ctx.workdir / "a.txt").write_text(str(n))
        await asyncio.sleep(0)
        if n == 9:
            raise ValueError("no")
        return (ctx.workdir / "a.txt").read_text()

    def flow(diary: str, last: int) -> list[str]:
        return [writes(diary, 1), writes(diary, 2), writes(diary, last)]

    assert result_of(flow, on, diary=str(diary), last=3) == ["1", "2", "3"]
    with pytest.raises(RunFailed, match="no"):
        result_of(flow, on, diary=str(diary), last=9)
    folders = noted(diary)
    assert len(set(folders)) == len(folders)
    assert not any(folder.exists() for folder in folders)


def test_what_may_not_be_written_to_is_removed_too(result_of, diary):
    @task
    def locks(ctx: Context, diary: str) -> None:
        note(diary, ctx.workdir)
        deep = ctx.workdir / "a" / "b"
        deep.mkdir(parents=True)
        (deep / "c").write_text("x")
        (deep / "c").chmod(0o400)
        deep.chmod(0o500)
        (ctx.workdir / "a").chmod(0)

    def flow(diary: str) -> None:
        locks(diary)

    result_of(flow, "inline", diary=str(diary))
    assert not noted(diary)[0].exists()


def test_a_link_out_of_the_folder_is_removed_and_not_what_it_leads_to(result_of, diary, tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "x").write_text("x")
    kept.chmod(0o750)

    @task
    def links(ctx: Context, diary: str, kept: str) -> None:
        note(diary, ctx.workdir)
        (ctx.workdir / "link").symlink_to(kept)
        (ctx.workdir / "nowhere").symlink_to("nothing")

    def flow(diary: str, kept: str) -> None:
        links(diary, kept)

    result_of(flow, "inline", diary=str(diary), kept=str(kept))
    assert not noted(diary)[0].exists()
    assert ((kept / "x").read_text(), stat.S_IMODE(kept.stat().st_mode)) == ("x", 0o750)


def test_a_body_may_remove_its_folder_itself(result_of, diary):
    @task
    def removes(ctx: Context, diary: str) -> None:
        note(diary, ctx.workdir)
        ctx.workdir.rmdir()

    def flow(diary: str) -> None:
        removes(diary)

    result_of(flow, "inline", diary=str(diary))
    assert not noted(diary)[0].exists()


def test_a_context_outside_of_a_run_has_a_folder_as_long_as_the_program_lasts(tmp_path):
    program = "from promissory import Context; c = Context(); print(c.workdir == c.workdir and c.workdir)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("/")
    assert not Path(ended.stdout.strip()).exists()


@pytest.mark.full
def test_R5_a_worker_that_is_killed_leaves_no_folder(result_of, diary, place, eventually):
    @task
    def dies_once(ctx: Context, diary: str, mark: str) -> int:
        note(diary, ctx.workdir)
        (ctx.workdir / "a").write_text("x" * 1000)
        try:
            os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return 1
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    def flow(diary: str, mark: str) -> int:
        return dies_once(diary, mark)

    assert result_of(flow, "processes", diary=str(diary), mark=f"{diary}-mark") == 1
    folders = noted(diary)
    assert len(folders) == 2
    eventually(lambda: not any(folder.exists() for folder in folders), "the end of the folders")


# --- paths in cached tasks --------------------------------------------------------------------------------------------


@dataclass
class Job:
    n: int
    where: Path


@pytest.fixture
def warned():
    """A function (a function, options of its task) → the warnings of paths."""

    def of(function, **options):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            task(**options)(function)
        return [str(one.message) for one in caught if issubclass(one.category, UncachedContentWarning)]

    return of


def with_parameter(annotation, name="where"):
    """A function with a parameter of a type."""

    def reads(where) -> int:
        return 1

    reads.__annotations__["where"] = annotation
    return reads


@pytest.mark.parametrize(
    "annotation",
    [Path, Path | None, list[Path], dict[str, Path], dict[Path, int], tuple[int, Path], Job, list[Job], dict[str, Job]],
    ids=str,
)
def test_C1_a_cached_task_that_takes_a_path_is_warned_of_once_with_both_names(warned, annotation):
    (said,) = warned(with_parameter(annotation), cache=True)
    assert said.startswith("reads(where) is a path, and the cache knows it by its text")
    assert "Take a File" in said


def test_C1_each_parameter_that_is_a_path_is_warned_of(warned):
    def copies(source: Path, n: int, targets: list[Path]) -> int:
        return n

    said = warned(copies, cache=True)
    assert [one.partition(" ")[0] for one in said] == ["copies(source)", "copies(targets)"]


def test_C1_the_warning_names_the_line_of_the_task():
    def reads(where: Path) -> int:
        return 1

    with pytest.warns(UncachedContentWarning) as caught:
        task(cache=True)(reads)
    assert [(one.filename, one.lineno) for one in caught] == [(__file__, reads.__code__.co_firstlineno)]


def test_C1_a_call_of_the_task_warns_no_more(store):
    with pytest.warns(UncachedContentWarning):

        @task(cache=True)
        def reads(where: Path) -> str:
            return where.name

    @workflow
    def flow(where: Path) -> list[str]:
        return [reads(where), reads(where)]

    assert run(flow, {"where": Path("a/b")}, store=store, echo=False).result == ["b", "b"]
    assert reads(Path("a/c")) == "c"


@pytest.mark.parametrize("annotation", [File, list[File], Directory, File["csv"], str, int, list[str]], ids=str)
def test_C1_a_cached_task_without_paths_is_not_warned_of(warned, annotation):
    assert warned(with_parameter(annotation), cache=True) == []


@pytest.mark.parametrize("options", [{}, {"cache": False}, {"retries": 1}], ids=str)
def test_C1_a_task_without_a_cache_may_take_paths(warned, options):
    assert warned(with_parameter(Path), **options) == []


def test_C1_a_cached_task_may_return_a_path(warned):
    def gives(n: int) -> Path:
        return Path("a")

    assert warned(gives, cache=True) == []


@pytest.mark.parametrize("name", ["Path", "PurePath"])
def test_C1_paths_of_every_class_are_warned_of(warned, name):
    import pathlib

    assert len(warned(with_parameter(getattr(pathlib, name)), cache=True)) == 1

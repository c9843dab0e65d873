"""T2: whoever looks at a run loads no pickle of it; only workers do, and the process that submitted the run."""

import os
from typing import Any

import pytest

from promissory import Opaque, attach, resume, run, task, workflow
from promissory.errors import NotTrusted, RemoteError, RunFailed, TaskTimeout


def note(place):
    """What a hostile pickle would do."""
    with open(place, "a") as file:
        file.write("loaded\n")
    return ValueError("loaded")


class Trap(Exception):
    """Runs code of its author where its pickle is loaded."""

    def __init__(self, place):
        super().__init__("a trap")
        self.place = place

    def __reduce__(self):
        return note, (self.place,)


class Value:
    """No wire form of its own. Its pickle runs code, too."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return _value, (self.place,)


def _value(place):
    note(place)
    return Value(place)


@pytest.fixture
def traces(tmp_path):
    """What tells that a pickle was loaded; `loaded` clears it."""
    path = str(tmp_path / "loaded")

    class Traces:
        place = path

        @staticmethod
        def loaded():
            if not os.path.exists(path):
                return False
            os.remove(path)
            return True

    return Traces


@task
def raises(place: str) -> int:
    raise ExceptionGroup("several", [Trap(place), LookupError(place)])


@task
def raises_plainly(name: str) -> int:
    raise PermissionError(13, f"not {name}")


@task
def gives(place: str) -> Opaque[Value]:
    return Value(place)


@task
def gives_any(place: str) -> Any:
    return {"found": [Value(place)]}


@workflow
def gives_two(place: str) -> tuple[int, list[Opaque[Value]]]:
    return 1, [gives(place)]


def test_T2_an_attached_run_tells_its_error_without_loading_the_exception(tmp_path, traces):
    failed = run(raises, {"place": traces.place}, store=tmp_path / "s")
    traces.loaded()
    error = attach(failed.id, store=tmp_path / "s").error
    assert isinstance(error, RunFailed)
    assert isinstance(error.__cause__, RemoteError)
    assert error.__cause__.type_name.endswith("ExceptionGroup")
    assert "several" in str(error)
    assert not traces.loaded()


def test_T2_an_attached_run_names_the_class_of_an_exception_that_everybody_has(tmp_path):
    failed = run(raises_plainly, {"name": "you"}, store=tmp_path / "s")
    assert isinstance(failed.error.__cause__, PermissionError)
    cause = attach(failed.id, store=tmp_path / "s").error.__cause__
    assert type(cause) is RemoteError
    assert "PermissionError" in cause.type_name
    with pytest.raises(RunFailed) as told:
        attach(failed.id, store=tmp_path / "s").result
    assert type(told.value.__cause__) is RemoteError


def test_T2_an_error_of_the_run_itself_is_no_pickle(tmp_path):
    @task(timeout=0.2)
    def waits() -> int:
        import threading

        threading.Event().wait()
        return 1

    failed = run(waits, {}, store=tmp_path / "s", engine="processes")
    assert isinstance(attach(failed.id, store=tmp_path / "s").error.__cause__, TaskTimeout)


def test_T2_with_trust_the_exception_is_what_was_raised(tmp_path):
    failed = run(raises_plainly, {"name": "you"}, store=tmp_path / "s")
    assert isinstance(attach(failed.id, store=tmp_path / "s", trust=True).error.__cause__, PermissionError)


@pytest.mark.parametrize("target", [gives, gives_any, gives_two], ids=lambda target: target.name)
def test_T2_an_attached_run_gives_no_value_that_is_a_pickle(tmp_path, traces, target):
    ended = run(target, {"place": traces.place}, store=tmp_path / "s")
    traces.loaded()
    for there in (attach(ended.id, store=tmp_path / "s"), attach(ended.id, store=tmp_path / "s", target=target)):
        with pytest.raises(NotTrusted, match=r"attach\('.*', trust=True\), if you trust all who may write to file:"):
            there.result
        assert there.state == "SUCCEEDED"
    assert not traces.loaded()
    assert attach(ended.id, store=tmp_path / "s", trust=True).result is not None
    assert traces.loaded()


def test_T2_the_process_that_submitted_a_run_has_its_values(tmp_path, traces):
    ended = run(gives, {"place": traces.place}, store=tmp_path / "s", run_id="r")
    assert ended.result.place == traces.place
    assert run(gives, {"place": traces.place}, store=tmp_path / "s", run_id="r").result.place == traces.place
    assert resume("r", store=tmp_path / "s").result.place == traces.place


def test_T2_a_store_in_memory_holds_what_this_process_wrote(traces):
    ended = run(gives, {"place": traces.place}, store="memory://trust")
    assert attach(ended.id, store="memory://trust").result.place == traces.place


def test_T2_commands_that_look_at_a_run_load_no_pickle(project):
    """The program of the run is gone, so nothing that a command loads could be meant by its caller."""
    project.write(
        "trap.py",
        """
        import os
        from typing import Any
        from promissory import task

        def note():
            open(os.environ["LOADED"], "a").close()
            return ValueError("a trap")

        class Trap(Exception):
            def __reduce__(self):
                return note, ()

        class Value:
            def __reduce__(self):
                return note, ()

        @task
        def fails() -> Any:
            raise Trap("a trap")

        @task
        def gives() -> Any:
            return [Value()]
        """,
    )
    loaded = project.folder / "loaded"

    def command(*arguments):
        code = "import sys; from promissory.executor.cli.main import main; main()"
        project.environment["LOADED"] = str(loaded)
        process = project.spawn("-c", code, *arguments)
        return project.finish(process)

    command("run", "--run-id", "failed", "trap.py", "fails")
    command("run", "--run-id", "ended", "trap.py", "gives")
    loaded.unlink(missing_ok=True)
    for run_id in ("failed", "ended"):
        for arguments in (
            ("status", run_id),
            ("status", run_id, "--nodes", "--json"),
            ("logs", run_id),
            ("explain", run_id),
            ("explain", run_id, "main/fails" if run_id == "failed" else "main/gives"),
            ("runs",),
            ("futures", run_id),
            ("doctor",),
            ("cache", "ls"),
            ("gc",),
            ("export", run_id, f"copy-{run_id}"),
        ):
            _, errors = command(*arguments)
            assert "Traceback" not in errors, (arguments, errors)
            assert not loaded.exists(), arguments

"""Q1, Q3, X8: runs are submitted to a store as data, and run the code that was submitted."""

import json
import shutil
import subprocess
import sys

import pytest

from promissory import Loop, Secret, attach, current_context, dynamic, run, submit, task, workflow
from promissory.errors import InputError, RunExists, RunFailed
from promissory.executor.execution import submission
from promissory.executor.history.at_a_glance import overview, summaries
from promissory.executor.history.history import History
from promissory.executor.maintenance.doctor import examine
from promissory.executor.records.manifest import read_manifest
from promissory.executor.records.queue import carried, is_queue, waiting
from promissory.executor.store.keys import segment_key


@task
def inc(x: int) -> int:
    return x + 1


@task
def fails(x: int) -> int:
    raise ValueError(f"{x} is not wanted")


@task
def add(a: int, b: int) -> int:
    return a + b


@dynamic
def fib(n: int) -> int:
    return inc(n) if n < 2 else add(fib(n - 1), fib(n - 2))


@task
def thrice() -> int:
    if current_context().loop_index < 2:
        raise Loop(None)
    return 3


@workflow
def several(n: int) -> int:
    return add(fib(n), thrice())


# --- submission ---


def test_Q1_a_submitted_run_is_queued_until_a_worker_carries_it_out(store, work):
    there = submit(several, {"n": 5}, store=store, run_id="a", labels={"team": "data"}, priority=7)
    assert (there.state, there.id) == ("QUEUED", "a")
    assert [one.state for one in summaries(store)] == ["QUEUED"]
    assert (History(store, "a").state, overview(store, "a").summary.state) == ("QUEUED", "QUEUED")
    assert [(one.run_id, one.priority) for one in waiting(store, "default")] == [("a", 7)]
    assert read_manifest(store, "a").labels == {"team": "data"}
    assert work(store) == ["a: begun (several, queue default)", "a: SUCCEEDED"]
    assert (there.state, there.result) == ("SUCCEEDED", 16)
    assert (list(waiting(store, "default")), carried(store, "default")) == ([], [])
    assert overview(store, "a").resumes == 0
    assert not [one for one in examine(store, "a") if one.severity != "note"]


@pytest.mark.full
def test_Q1_the_run_that_is_given_waits_for_its_end(store, worker):
    there = submit(several, {"n": 3}, store=store)
    worker("--once", "--quiet")
    assert there.result == 8


def test_Q1_its_events_are_followed_from_the_queue_on(store, work):
    there = submit(inc, {"x": 1}, store=store)
    stream = there.events()
    work(store)
    assert [event.state for event in stream if event.kind in ("run", "node")] == ["RUNNING", "SUCCEEDED", "SUCCEEDED"]


def test_Q5_doctor_tells_of_a_run_that_waits_and_of_one_that_nobody_would_find(store, work):
    submit(inc, {"x": 1}, store=store, run_id="a")
    (found,) = examine(store, "a")
    assert (found.severity, found.problem) == ("note", "is empty: the run waits in queue default")
    (key,) = store.list("queues/default/waiting")
    store.delete(key)
    (found,) = examine(store, "a")
    assert (found.severity, found.way_out) == ("warning", "submit it again, under its name, or promissory resume a")
    submit(inc, {"x": 1}, store=store, run_id="a")
    work(store)
    assert attach("a", store=store).result == 2


def test_Q1_submitted_again_under_its_name_it_is_the_same_run(store, work):
    for _ in range(2):
        assert submit(inc, {"x": 1}, store=store, run_id="a").state == "QUEUED"
    assert len(list(waiting(store, "default"))) == 1
    with pytest.raises(RunExists, match="with another x"):
        submit(inc, {"x": 2}, store=store, run_id="a")
    work(store)
    again = submit(inc, {"x": 1}, store=store, run_id="a")
    assert (again.state, again.result, list(waiting(store, "default"))) == ("SUCCEEDED", 2, [])


def test_Q1_a_submission_that_died_before_it_waited_is_submitted_again(store, monkeypatch, work):
    with monkeypatch.context() as patched:
        patched.setattr(submission, "enqueue", lambda *given: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            submit(inc, {"x": 1}, store=store, run_id="a")
    assert list(waiting(store, "default")) == []
    assert submit(inc, {"x": 1}, store=store, run_id="a").state == "QUEUED"
    work(store)
    assert attach("a", store=store).result == 2


def test_Q1_a_run_that_somebody_began_is_not_submitted(store):
    run(inc, {"x": 1}, store=store, run_id="a")
    with pytest.raises(RunExists):
        submit(inc, {"x": 1}, store=store, run_id="a")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"queue": "../x"}, "can't name a queue"),
        ({"queue": ""}, "can't name a queue"),
        ({"priority": 1.5}, "priority is a whole number"),
        ({"priority": 10**9}, "priority is a whole number"),
        ({"labels": {"a": 1}}, "labels are texts by name"),
        ({"labels": {"": "x"}}, "at most 256 characters"),
        ({"labels": {"a": "x" * 300}}, "at most 256 characters"),
        ({"max_depth": -1}, "max_depth is a whole number"),
    ],
)
def test_Q1_a_submission_that_makes_no_sense_is_refused(given, message, store):
    with pytest.raises(InputError, match=message):
        submit(inc, {"x": 1}, store=store, **given)
    assert list(summaries(store)) == []


def test_Q1_to_memory_nothing_is_submitted():
    with pytest.raises(InputError, match="memory of this process"):
        submit(inc, {"x": 1}, store="memory://nobody")


def test_Q1_an_unknown_option_is_told():
    with pytest.raises(TypeError, match="'engine'; there are: queue, priority"):
        submit(inc, {"x": 1}, engine="inline")


def test_Q1_who_takes_it_imports_and_unpickles_nothing_of_it(author, worker, store, project):
    author("--run-id", "a", x="1")
    watching = project.write(
        "watching/sitecustomize.py",
        """
        import os, sys

        def told(event, details):
            if event == "pickle.find_class" or (event == "import" and details[0] in ("flow", "cloudpickle")):
                os.write(2, f"LOADED {details}\\n".encode())

        if "work" in sys.orig_argv:
            sys.addaudithook(told)
        """,
    )
    done = worker("--once", PYTHONPATH=str(watching.parent))
    _, err = done.communicate()
    assert "a: SUCCEEDED" in err
    assert "LOADED" not in err
    assert attach("a", store=store).result == 101


# --- code ---


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("stale", ["beside", "PYTHONPATH"])
def test_Q3_the_code_that_was_submitted_runs_whatever_lies_on_the_worker(author, worker, store, project, stale, flow):
    author("--run-id", "a", x="1")
    project.write("stale/flow.py", flow(1))
    folder = project.folder / "stale"
    done = worker("--once", cwd="stale") if stale == "beside" else worker("--once", PYTHONPATH=str(folder))
    assert done.wait() == 0
    assert attach("a", store=store).result == 101


@pytest.mark.full
def test_Q3_the_code_of_a_program_travels(store, worker, project, shell, tmp_path):
    program = project.write(
        "author/program.py",
        f"""
        from promissory import submit, task, workflow

        @task
        def inc(x: int, by: int) -> int:
            return x + by

        def made(by: int):
            @task
            def local(x: int) -> int:
                return x * by
            return local

        tripled = made(3)

        @workflow
        def both(x: int) -> int:
            return inc(tripled(x), 5)

        if __name__ == "__main__":
            print(submit(both, {{"x": 2}}, store={str(tmp_path / "store")!r}, run_id="a").state)
        """,
    )
    done = shell(program)
    assert done.stdout == "QUEUED\n", done.stderr
    program.unlink()
    assert worker("--once").wait() == 0
    assert attach("a", store=store).result == 11


@pytest.mark.full
def test_Q3_a_package_travels_with_its_data_files_and_what_it_imports_late(store, worker, project, shell):
    project.write("author/pkg/words.txt", "hello")
    project.write("author/pkg/late.py", "WORD = 'late'")
    project.write(
        "author/pkg/__init__.py",
        """
        from importlib.resources import files
        from pathlib import Path

        from promissory import task

        @task
        def read(x: int) -> str:
            from pkg import late

            beside = (Path(__file__).parent / "words.txt").read_text().strip()
            return beside * x + files("pkg").joinpath("words.txt").read_text().strip() + late.WORD
        """,
    )
    command = ["submit", "--quiet", "--run-id", "a", "--store", store.url, "pkg", "read", "--x", "2"]
    done = shell("-m", "promissory", *command, cwd="author")
    assert done.returncode == 0, done.stderr
    shutil.rmtree(project.folder / "author")
    assert worker("--once").wait() == 0
    assert attach("a", store=store).result == "hellohellohellolate"


@pytest.mark.full
def test_Q3_two_runs_of_two_versions_of_one_module_side_by_side(author, worker, store, project, flow):
    author("--run-id", "a", x="1")
    project.write("author/flow.py", flow(1000))
    author("--run-id", "b", x="1")
    assert worker("--once").wait() == 0
    assert [attach(name, store=store).result for name in "ab"] == [101, 1001]


def test_Q3_a_package_of_another_version_is_told_before_anything_runs(store, monkeypatch, work):
    monkeypatch.setattr(submission, "packages_of", lambda _: ({"msgpack": "0.0.1", "no_such_package": "2.0"}, {}))
    submit(inc, {"x": 1}, store=store, run_id="a")
    (said,) = work(store)
    assert "a: it needs msgpack 0.0.1, and here" in said
    assert "is left to other workers" in said
    assert attach("a", store=store).state == "QUEUED"


@pytest.mark.full
def test_Q3_where_an_import_fails_the_version_is_told_that_the_run_was_submitted_with(
    author, worker, store, project, monkeypatch
):
    installed = project.folder / "site-packages"
    project.write("site-packages/heavy.py", "def half(n): return n // 2")
    project.write("site-packages/heavy-3.1.dist-info/METADATA", "Metadata-Version: 2.1\nName: heavy\nVersion: 3.1\n")
    project.write(
        "author/flow.py",
        """
        import heavy
        from promissory import task

        @task
        def f(x: int) -> int:
            return heavy.half(x)
        """,
    )
    monkeypatch.setenv("PYTHONPATH", str(installed))
    author("--run-id", "a", workflow="f", x="4")
    assert read_manifest(store, "a").packages == {"heavy": "3.1"}
    worker("--once").wait()
    with pytest.raises(RunFailed) as raised:
        _ = attach("a", store=store).result
    assert "No module named 'heavy'" in str(raised.value)
    assert "run a was submitted with heavy 3.1; with that: promissory resume a" in str(raised.value)
    again = subprocess.run(
        [sys.executable, "-m", "promissory", "resume", "--quiet", "--store", store.url, "a"],
        capture_output=True,
        text=True,
        cwd=project.folder,
    )
    assert (again.returncode, again.stdout) == (0, "2\n"), again.stderr


def test_Q3_who_repairs_the_code_of_a_submitted_run_is_told_how_it_is_run(store, work):
    there = submit(fails, {"x": 1}, store=store, run_id="a")
    work(store)
    with pytest.raises(RunFailed, match=r"repair it, then: promissory resume a --store .* --new-code"):
        _ = there.result


def test_Q3_resumed_in_this_process_with_other_code_it_is_refused(author, store, project, shell, flow):
    author("--run-id", "a", x="1")
    project.write("author/flow.py", flow(1))
    done = shell("-m", "promissory", "resume", "--engine", "inline", "--store", store.url, "a", cwd="author")
    assert done.returncode == 1
    assert "flow:inc. The run was submitted: worker processes (--engine processes) run the code" in done.stderr
    again = shell("-m", "promissory", "resume", "--new-code", "--quiet", "--store", store.url, "a", cwd="author")
    assert (again.returncode, again.stdout) == (0, "2\n")


# --- the command line ---


def test_T4_a_label_holds_no_secret(store, monkeypatch):
    monkeypatch.setenv("TOKEN", "hunter2-hunter2")
    assert Secret("TOKEN").reveal() == "hunter2-hunter2"
    with pytest.raises(InputError, match=r"the label 'by' is stored, and holds the value of Secret\('TOKEN'\)"):
        submit(inc, {"x": 1}, store=store, labels={"by": "hunter2-hunter2"})


@pytest.mark.full
def test_X8_commands_that_look_on_wait_for_a_worker(author, worker, store, project, eventually):
    author("--run-id", "a", x="1")
    refused = subprocess.run(
        [sys.executable, "-m", "promissory", "result", "a", "--store", store.url], capture_output=True, text=True
    )
    assert (refused.returncode, "run a is QUEUED, and has no result yet" in refused.stderr) == (2, True)
    looking = [
        subprocess.Popen(
            [sys.executable, "-m", "promissory", *command, "a", "--store", store.url], stdout=subprocess.PIPE, text=True
        )
        for command in (["status", "--watch"], ["logs", "--follow"], ["events", "--follow"])
    ]
    first = looking[0].stdout.readline()
    assert first == "QUEUED\n"
    assert worker("--once").wait() == 0
    said = [one.communicate()[0] for one in looking]
    assert "state    SUCCEEDED" in said[0]
    assert "main  SUCCEEDED" in said[2]


def test_X8_what_waits_is_listed(store, shell):
    submit(inc, {"x": 1}, store=store, run_id="a", priority=2, labels={"team": "data"})
    submit(inc, {"x": 1}, store=store, run_id="b", queue="night")
    done = shell("-m", "promissory", "queue", "--json", "--store", store.url)
    rows = json.loads(done.stdout)
    assert [(row["queue"], row["run"], row["state"], row["priority"]) for row in rows] == [
        ("default", "a", "QUEUED", 2),
        ("night", "b", "QUEUED", 0),
    ]
    assert rows[0]["labels"] == {"team": "data"}
    shown = shell("-m", "promissory", "queue", "--queue", "night", "--store", store.url).stdout
    assert "no worker has taken it yet" in shown and " a" not in shown.replace("night", "")
    listed = shell("-m", "promissory", "runs", "--state", "queued", "--json", "--store", store.url)
    assert {row["run"] for row in json.loads(listed.stdout)} == {"a", "b"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["work", "--engine", "inline"], "use processes"),
        (["work", "--queue", "a/b"], "can't name a queue"),
        (["work", "--grace", "soon"], "no duration"),
        (["submit", "--label", "team", "flow.py", "tiny", "--x", "1"], "no label"),
        (["submit", "--queue", "a/b", "flow.py", "tiny", "--x", "1"], "can't name a queue"),
    ],
)
def test_T1_what_makes_no_sense_is_told(arguments, message, project, shell, tmp_path, flow):
    project.write("flow.py", flow(1))
    (tmp_path / "store").mkdir()
    command, *rest = arguments
    done = shell("-m", "promissory", command, "--store", tmp_path / "store", *rest)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_Q2_names_of_queues():
    assert [is_queue(name) for name in ("a", "a.b-c_d", "", ".a", "a/b", "ä", "a" * 65)] == [True, True, *[False] * 5]


def test_J3_the_first_segment_claims_a_run(store, work):
    submit(inc, {"x": 1}, store=store, run_id="a")
    assert not store.exists(segment_key("a", 0))
    work(store)
    assert store.exists(segment_key("a", 0))

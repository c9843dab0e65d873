"""Q1 to Q5, J3, X8: runs are submitted to a store as data, and workers carry them out, whoever of them dies."""

import json
import os
import signal
import subprocess
import sys

import pytest

from promissory import Loop, Store, attach, current_context, dynamic, resume, run, submit, task, workflow
from promissory.errors import InputError, RunExists, RunFailed, RunIsNotLive
from promissory.executor.engines.registry import engine_named
from promissory.executor.execution import submission
from promissory.executor.execution.cancel import cancel_run
from promissory.executor.execution.options import Options
from promissory.executor.history.at_a_glance import overview, summaries
from promissory.executor.history.history import History
from promissory.executor.maintenance.doctor import examine
from promissory.executor.records.heartbeat import read_beat
from promissory.executor.records.inbox import send
from promissory.executor.records.manifest import read_manifest
from promissory.executor.records.queue import carried, enqueue, is_queue, note_carried, queues, waiting
from promissory.executor.remote.work import Work
from promissory.executor.store.keys import segment_key

PATIENCE = 60.0
FLOW = """
    import os, time
    from pathlib import Path

    from promissory import current_context, dynamic, task, workflow

    @task
    def inc(x: int) -> int:
        return x + {by}

    @workflow
    def tiny(x: int) -> int:
        return inc(x)

    @task
    def marked(folder: str, n: int) -> int:
        with open(Path(folder, "begun"), "a") as file:
            file.write(f"{{n}}\\n")
        while n == 2 and not Path(folder, "go").exists():
            time.sleep(0.01)
        return n

    @workflow
    def long(folder: str) -> int:
        one = marked(folder, 1)
        two = marked(folder, 2)
        three = marked(folder, 3)
        one >> two >> three
        return three
"""


@pytest.fixture
def shell(project):
    """A function: what a Python process says that runs in a folder of the project."""

    def do(*arguments, cwd="."):
        command = [sys.executable, "-B", *map(str, arguments)]
        return subprocess.run(command, cwd=project.folder / cwd, capture_output=True, text=True, timeout=PATIENCE)

    return do


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"))


@pytest.fixture
def author(project, shell, tmp_path):
    """The author's folder, and a function that submits from there, on the command line."""
    project.write("author/flow.py", FLOW.format(by=100))

    def do(*arguments, workflow="tiny", **inputs):
        given = [text for name, value in inputs.items() for text in (f"--{name}", value)]
        command = ["submit", "--quiet", "--store", tmp_path / "store", *arguments, "flow.py", workflow, *given]
        done = shell("-m", "promissory", *command, cwd="author")
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout.strip()

    return do


@pytest.fixture
def worker(project, tmp_path):
    """Starts a worker in an empty folder of its own."""
    (project.folder / "elsewhere").mkdir()
    begun = []

    def start(*arguments, cwd="elsewhere", **environment):
        command = [sys.executable, "-m", "promissory", "work", "--store", str(tmp_path / "store"), *arguments]
        process = subprocess.Popen(
            command,
            cwd=project.folder / cwd,
            env={**os.environ, "PYTHONPATH": "", **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        begun.append(process)
        return process

    yield start
    for process in begun:
        process.kill()
        process.wait()
        process.stderr.close()


def work(store, *queues, max_runs=4, once=True):
    """Work in this process until nothing waits. Gives what was said."""
    said = []
    options = lambda: Options(engine=engine_named("processes"), echo=False, says=False)  # noqa: E731
    assert Work(store, queues or ["default"], options, max_runs, said.append).carry_on(once, 10.0)
    return said


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


def test_Q1_a_submitted_run_is_queued_until_a_worker_carries_it_out(store):
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


def test_Q1_the_run_that_is_given_waits_for_its_end(store, worker):
    there = submit(several, {"n": 3}, store=store)
    worker("--once", "--quiet")
    assert there.result == 8


def test_Q1_its_events_are_followed_from_the_queue_on(store):
    there = submit(inc, {"x": 1}, store=store)
    stream = there.events()
    work(store)
    assert [event.state for event in stream if event.kind in ("run", "node")] == ["RUNNING", "SUCCEEDED", "SUCCEEDED"]


def test_Q1_submitted_again_under_its_name_it_is_the_same_run(store):
    for _ in range(2):
        assert submit(inc, {"x": 1}, store=store, run_id="a").state == "QUEUED"
    assert len(list(waiting(store, "default"))) == 1
    with pytest.raises(RunExists, match="with another x"):
        submit(inc, {"x": 2}, store=store, run_id="a")
    work(store)
    again = submit(inc, {"x": 1}, store=store, run_id="a")
    assert (again.state, again.result, list(waiting(store, "default"))) == ("SUCCEEDED", 2, [])


def test_Q1_a_submission_that_died_before_it_waited_is_submitted_again(store, monkeypatch):
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


# --- claims ---


def test_Q2_runs_are_carried_by_priority_and_then_in_their_order(store):
    for name, priority in (("a", 0), ("b", 5), ("c", 0), ("d", -3), ("e", 5)):
        submit(inc, {"x": 1}, store=store, run_id=name, priority=priority)
    said = [line.partition(":")[0] for line in work(store, max_runs=1) if "begun" in line]
    assert said == ["b", "e", "a", "c", "d"]


def test_Q2_a_worker_takes_from_its_queues_alone(store):
    submit(inc, {"x": 1}, store=store, run_id="a", queue="night")
    submit(inc, {"x": 1}, store=store, run_id="b", queue="day")
    assert work(store) == []
    work(store, "day")
    assert (attach("a", store=store).state, attach("b", store=store).state) == ("QUEUED", "SUCCEEDED")
    assert sorted(queues(store)) == ["day", "night"]
    work(store, "day", "night")
    assert attach("a", store=store).state == "SUCCEEDED"


def test_Q2_several_runs_are_carried_at_one_time(author, worker, store, tmp_path, eventually):
    for name in "ab":
        (tmp_path / name).mkdir()
        author("--run-id", name, workflow="long", folder=str(tmp_path / name))
    one = worker("--once", "--quiet")
    for name in "ab":
        eventually(lambda name=name: "2" in _begun(tmp_path / name), "the second body")
    for name in "ab":
        (tmp_path / name / "go").touch()
    assert one.wait() == 0
    assert [attach(name, store=store).result for name in "ab"] == [3, 3]


def test_Q2_of_several_that_claim_one_run_one_carries_it(author, worker, store, tmp_path):
    (tmp_path / "go").touch()
    author("--run-id", "a", workflow="long", folder=str(tmp_path))
    workers = [worker("--once") for _ in range(3)]
    said = [one.communicate()[1] for one in workers]
    assert sum("a: begun" in one for one in said) == 1
    assert _begun(tmp_path) == ["1", "2", "3"]
    assert attach("a", store=store).result == 3


def test_Q2_a_queued_run_is_cancelled(store):
    there = submit(inc, {"x": 1}, store=store, run_id="a")
    assert cancel_run(store, "a", "not today") == "CANCELLED"
    assert work(store) == []
    assert (there.state, there.reason, list(waiting(store, "default"))) == ("CANCELLED", "not today", [])


def test_Q2_a_queued_run_is_resumed_at_a_desk_and_is_the_workers_no_more(store):
    submit(inc, {"x": 1}, store=store, run_id="a")
    assert resume("a", store=store, engine="inline").result == 2
    assert (work(store), list(waiting(store, "default")), carried(store, "default")) == ([], [], [])


def test_Q2_nobody_pauses_a_run_that_waits(store):
    there = submit(inc, {"x": 1}, store=store)
    with pytest.raises(RunIsNotLive):
        there.pause()
    assert there.state == "QUEUED"


def test_Q2_keys_that_are_left_over_do_no_harm(store):
    submit(inc, {"x": 1}, store=store, run_id="a")
    work(store)
    enqueue(store, read_manifest(store, "a"))
    note_carried(store, read_manifest(store, "a"))
    store.put_new("queues/default/waiting/1000000-00000000000000000001-gone", b"")
    store.put_new("queues/default/waiting/notes.txt", b"")
    said = work(store)
    assert [line for line in said if "begun" in line or "taken" in line] == []
    assert attach("a", store=store).result == 2


# --- code ---


@pytest.mark.parametrize("stale", ["beside", "PYTHONPATH"])
def test_Q3_the_code_that_was_submitted_runs_whatever_lies_on_the_worker(author, worker, store, project, stale):
    author("--run-id", "a", x="1")
    project.write("stale/flow.py", FLOW.format(by=1))
    folder = project.folder / "stale"
    done = worker("--once", cwd="stale") if stale == "beside" else worker("--once", PYTHONPATH=str(folder))
    assert done.wait() == 0
    assert attach("a", store=store).result == 101


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


def test_Q3_two_runs_of_two_versions_of_one_module_side_by_side(author, worker, store, project):
    author("--run-id", "a", x="1")
    project.write("author/flow.py", FLOW.format(by=1000))
    author("--run-id", "b", x="1")
    assert worker("--once").wait() == 0
    assert [attach(name, store=store).result for name in "ab"] == [101, 1001]


def test_Q3_a_package_of_another_version_is_told_before_anything_runs(store, monkeypatch):
    monkeypatch.setattr(submission, "_requires", lambda plan: {"msgpack": "0.0.1", "no-such-package": "2.0"})
    submit(inc, {"x": 1}, store=store, run_id="a")
    (said,) = work(store)
    assert "a: it needs msgpack 0.0.1, and here" in said
    assert "is left to other workers" in said
    assert attach("a", store=store).state == "QUEUED"


def test_Q3_resumed_in_this_process_with_other_code_it_is_refused(author, store, project, shell):
    author("--run-id", "a", x="1")
    project.write("author/flow.py", FLOW.format(by=1))
    done = shell("-m", "promissory", "resume", "--engine", "inline", "--store", store.url, "a", cwd="author")
    assert done.returncode == 1
    assert "flow:inc" in done.stderr
    again = shell("-m", "promissory", "resume", "--new-code", "--quiet", "--store", store.url, "a", cwd="author")
    assert (again.returncode, again.stdout) == (0, "2\n")


# --- workers that end ---


def test_Q4_the_run_of_a_worker_that_was_killed_is_taken_over(author, worker, store, tmp_path, eventually):
    author("--run-id", "a", workflow="long", folder=str(tmp_path))
    first = worker()
    eventually(lambda: "2" in _begun(tmp_path), "the second body")
    eventually(lambda: overview(store, "a").counts.get("SUCCEEDED") == 1, "the first body's commit")
    first.kill()
    first.wait()
    assert carried(store, "default") == ["a"]
    second = worker("--once")
    eventually(lambda: _begun(tmp_path).count("2") == 2, "the second body once more")
    (tmp_path / "go").touch()
    assert "a: taken over" in second.communicate()[1]
    assert attach("a", store=store).result == 3
    assert _begun(tmp_path) == ["1", "2", "2", "3"]
    assert carried(store, "default") == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_Q4_a_worker_that_is_told_to_end_gives_its_runs_back(author, worker, store, tmp_path, eventually, number):
    author("--run-id", "a", workflow="long", folder=str(tmp_path))
    first = worker()
    eventually(lambda: "2" in _begun(tmp_path), "the second body")
    first.send_signal(number)
    eventually(lambda: list(waiting(store, "default")), "the run to wait again")
    (tmp_path / "go").touch()
    assert "a: INTERRUPTED" in first.communicate()[1]
    assert first.returncode == 0
    second = worker("--once")
    assert "a: taken over" in second.communicate()[1]
    assert attach("a", store=store).result == 3
    assert _begun(tmp_path) == ["1", "2", "3"]
    assert list(waiting(store, "default")) == carried(store, "default") == []


def test_Q4_bodies_that_take_longer_end_with_the_worker(author, worker, store, tmp_path, eventually):
    author("--run-id", "a", workflow="long", folder=str(tmp_path))
    first = worker("--grace", "0.2")
    eventually(lambda: "2" in _begun(tmp_path), "the second body")
    first.terminate()
    assert first.wait() == 1
    second = worker("--once")
    eventually(lambda: _begun(tmp_path).count("2") == 2, "the second body once more")
    (tmp_path / "go").touch()
    assert second.wait() == 0
    assert attach("a", store=store).result == 3


def test_Q4_a_run_that_was_stopped_is_left_to_who_stopped_it(author, worker, store, tmp_path, eventually):
    author("--run-id", "a", workflow="long", folder=str(tmp_path))
    one = worker()
    eventually(lambda: "2" in _begun(tmp_path), "the second body")
    send(store, "a", "stop", "let me look")
    eventually(lambda: read_beat(store, "a").ending, "the executor to stop")
    (tmp_path / "go").touch()
    eventually(lambda: not carried(store, "default"), "the worker to let go of it")
    one.terminate()
    assert one.wait() == 0
    assert work(store) == []
    assert attach("a", store=store).state == "INTERRUPTED"


def test_Q4_a_run_that_failed_is_left_as_it_is(store):
    there = submit(fails, {"x": 1}, store=store, run_id="a")
    assert work(store)[-1].startswith("a: FAILED")
    assert work(store) == []
    with pytest.raises(RunFailed, match="1 is not wanted"):
        _ = there.result


def test_Q4_a_run_that_somebody_began_at_a_desk_is_never_touched(project, worker, store, tmp_path, eventually):
    project.write("author/flow.py", FLOW.format(by=1))
    arguments = ("run", "--quiet", "--store", store.url, "--run-id", "a", "flow.py", "long", "--folder", tmp_path)
    desk = subprocess.Popen([sys.executable, "-m", "promissory", *map(str, arguments)], cwd=project.folder / "author")
    project.processes.append(desk)
    eventually(lambda: "2" in _begun(tmp_path), "the second body")
    desk.kill()
    desk.wait()
    assert work(store) == []
    assert attach("a", store=store).state == "INTERRUPTED"


def test_Q4_a_damaged_run_stops_no_worker(store):
    for name, target in zip("abc", (inc, fails, inc), strict=True):
        submit(target, {"x": 1}, store=store, run_id=name)
    manifest = read_manifest(store, "b")
    store.put(f"plans/{manifest.plan.hex()[:2]}/{manifest.plan.hex()}.plan", b"no plan")
    said = work(store)
    assert [line for line in said if line.startswith("b: ")] == [line for line in said if "is cut short" in line]
    assert {one.run_id: one.state for one in summaries(store)} == {"a": "SUCCEEDED", "b": "QUEUED", "c": "SUCCEEDED"}


# --- the command line ---


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
def test_T1_what_makes_no_sense_is_told(arguments, message, project, shell, tmp_path):
    project.write("flow.py", FLOW.format(by=1))
    (tmp_path / "store").mkdir()
    command, *rest = arguments
    done = shell("-m", "promissory", command, "--store", tmp_path / "store", *rest)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_Q2_names_of_queues():
    assert [is_queue(name) for name in ("a", "a.b-c_d", "", ".a", "a/b", "ä", "a" * 65)] == [True, True, *[False] * 5]


def test_J3_the_first_segment_claims_a_run(store):
    submit(inc, {"x": 1}, store=store, run_id="a")
    assert not store.exists(segment_key("a", 0))
    work(store)
    assert store.exists(segment_key("a", 0))


def _begun(folder):
    path = folder / "begun"
    return path.read_text().split() if path.exists() else []

"""What `run` and `resume` may use: --pool, --memory, --gpu, --max-parallelism, --soft-timeouts, --timeout; and what is
said of values that make no sense.
"""

import json

import pytest

FLOW = """
    import os
    from contextlib import suppress
    from pathlib import Path
    from promissory import Resources, task, workflow

    def enter(who):
        side = os.open("entered", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(side, f"{who}\\n".encode())
        os.close(side)
        with suppress(FileNotFoundError):
            Path("gate").read_text()

    @task(pool="db")
    def of_pool(x: int) -> int:
        enter("bound")
        return x

    @task(resources=Resources(memory="600MB"))
    def of_memory(x: int) -> int:
        enter("bound")
        return x

    @task(resources=Resources(gpu=1))
    def of_gpu(x: int) -> int:
        enter("bound")
        return x

    @task
    def of_nothing(x: int) -> int:
        enter("bound")
        return x

    @task(timeout=60)
    def timed(x: int) -> int:
        return x

    @task
    def free() -> int:
        Path("free").touch()
        return 0

    @workflow
    def pool() -> list[int]:
        return [of_pool(1), of_pool(2), free()]

    @workflow
    def memory() -> list[int]:
        return [of_memory(1), of_memory(2), free()]

    @workflow
    def gpu() -> list[int]:
        return [of_gpu(1), of_gpu(2), free()]

    @workflow
    def nothing() -> list[int]:
        return [of_nothing(1), of_nothing(2)]

    @workflow
    def one_of_memory() -> int:
        return of_memory(1)

    @workflow
    def one_of_gpu() -> int:
        return of_gpu(1)

    @workflow
    def timed_one() -> int:
        return timed(5)
"""


@pytest.fixture
def flow(shell):
    return shell.write("flow.py", FLOW)


@pytest.fixture
def entered(shell):
    """A function () → how many bodies have entered so far."""
    side = shell.folder / "entered"
    return lambda: len(side.read_text().splitlines()) if side.exists() else 0


LIMITED = {
    "pool": ["--pool", "db=1"],
    "pools": ["--pool", "other=7", "--pool", "db=1"],
    "memory": ["--memory", "1GiB"],
    "memory in bytes": ["--memory", "1000000000"],
    "gpu": ["--gpu", "1"],
}


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("name", LIMITED)
def test_X2_what_finds_no_place_waits_while_a_worker_is_free(shell, flow, gate, entered, until, name):
    workflow = name.split()[0].removesuffix("s")
    run = shell.start(
        "run", "--quiet", "--json", "--run-id", "a", "--max-parallelism", "2", *LIMITED[name], "flow.py", workflow
    )
    gate.wait_for_task()
    until((shell.folder / "free").exists)
    until(lambda: json.loads((shell.folder / ".promissory/runs/a/beat").read_bytes())["waiting"] == 1)
    assert entered() == 1, "a worker has nothing to do, and still nobody else has begun"
    gate.remove()
    out, err = run.communicate(timeout=60)
    assert (run.returncode, json.loads(out), err) == (0, [1, 2, 0], "")
    assert entered() == 2


ENOUGH = {
    "pool": ["--pool", "db=2"],
    "pool without a limit": [],
    "memory": ["--memory", "1.2 GB"],
    "gpu": ["--gpu", "2"],
    "nothing": [],
}


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("name", ENOUGH)
def test_X2_what_finds_a_place_runs_at_one_time(shell, flow, gate, entered, until, name):
    run = shell.start("run", "--quiet", "--max-parallelism", "2", *ENOUGH[name], "flow.py", name.split()[0])
    gate.wait_for_task()
    until(lambda: entered() == 2)
    gate.remove()
    run.communicate(timeout=60)
    assert run.returncode == 0


@pytest.mark.full
def test_X2_max_parallelism_of_one_runs_one_after_the_other(shell, flow, gate, entered, until):
    run = shell.start("run", "--quiet", "--json", "--run-id", "a", "--max-parallelism", "1", "flow.py", "nothing")
    gate.wait_for_task()
    until(lambda: json.loads((shell.folder / ".promissory/runs/a/beat").read_bytes())["running"])
    assert entered() == 1
    gate.remove()
    assert json.loads(run.communicate(timeout=60)[0]) == [1, 2]
    workers = {
        line.split("\t")[4]
        for line in shell.promissory("status", "--nodes", "a").stdout.splitlines()
        if line.startswith("main/")
    }
    assert workers == {"process-1-1"}


@pytest.mark.parametrize(
    ("options", "workflow", "asked"),
    [
        (["--memory", "500MB"], "one_of_memory", "600,000,000 bytes of memory, and there are 500,000,000"),
        (["--gpu", "1", "--memory", "1KiB"], "one_of_memory", "600,000,000 bytes of memory, and there are 1,024"),
        ([], "one_of_gpu", "1 gpu, and there are 0"),
    ],
    ids=["memory", "memory beside gpu", "gpu"],
)
def test_what_can_never_be_had_fails_the_run_and_says_how_to_say_that_there_is_more(
    shell, flow, options, workflow, asked
):
    ended = shell.promissory("run", "--quiet", *options, "flow.py", workflow, CUDA_VISIBLE_DEVICES="")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert f"asks for {asked}" in ended.stderr
    assert "--memory, --gpu, --pool" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (shell.folder / "entered").exists()


@pytest.mark.parametrize(
    ("options", "workflow"),
    [(["--gpu", "0"], "one_of_gpu"), (["--memory", "0"], "one_of_memory")],
    ids=["gpu", "memory"],
)
def test_nothing_means_nothing(shell, flow, options, workflow):
    ended = shell.promissory("run", "--quiet", *options, "flow.py", workflow, CUDA_VISIBLE_DEVICES="0")
    assert ended.returncode == 1, ended.stdout
    assert "and there are 0" in ended.stderr


@pytest.mark.full
def test_a_run_without_a_graphics_processor_is_resumed_where_there_is_one(shell, flow):
    assert (
        shell.promissory("run", "--quiet", "--run-id", "a", "flow.py", "one_of_gpu", CUDA_VISIBLE_DEVICES="").returncode
        == 1
    )
    assert shell.promissory("resume", "--quiet", "a", CUDA_VISIBLE_DEVICES="").returncode == 1
    ended = shell.promissory("resume", "--quiet", "--gpu", "1", "a", CUDA_VISIBLE_DEVICES="")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "1\n", "")


# --- time-outs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["inline", "threads"])
def test_R2_an_engine_that_cant_stop_a_task_refuses_one_with_a_time_out(shell, flow, told, engine):
    refused = shell.promissory("run", "--engine", engine, "flow.py", "timed_one")
    assert (refused.returncode, refused.stdout) == (2, "")
    said = told(refused.stderr)
    assert f"timed has a time-out, and the engine {engine} can't stop a body" in said
    assert "--engine processes" in said
    assert "--soft-timeouts" in said
    assert not (shell.folder / ".promissory" / "runs").exists(), "nothing has begun"
    allowed = shell.promissory("run", "--quiet", "--engine", engine, "--soft-timeouts", "flow.py", "timed_one")
    assert (allowed.returncode, allowed.stdout, allowed.stderr) == (0, "5\n", "")


@pytest.mark.parametrize("options", [[], ["--soft-timeouts"]], ids=["hard", "soft"])
def test_R2_processes_take_a_task_with_a_time_out(shell, flow, options):
    ended = shell.promissory("run", "--quiet", "--engine", "processes", *options, "flow.py", "timed_one")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "5\n", "")


# --- what makes no sense ----------------------------------------------------------------------------------------------

WRONG = [
    (["--pool", "db"], "'db' is no pool with its places: write NAME=N, like db=2"),
    (["--pool", "db=0"], "'db=0' is no pool with its places"),
    (["--pool", "db=-1"], "'db=-1' is no pool with its places"),
    (["--pool", "db=two"], "'db=two' is no pool with its places"),
    (["--pool", "db=1.5"], "'db=1.5' is no pool with its places"),
    (["--pool", "db="], "'db=' is no pool with its places"),
    (["--pool", "=1"], "'=1' is no pool with its places"),
    (["--pool", ""], "'' is no pool with its places"),
    (["--pool", "db=1", "--pool", "x"], "'x' is no pool with its places"),
    (["--memory", "12 parsecs"], "'12 parsecs' is no amount of memory"),
    (["--memory", "-1"], "'-1' is no amount of memory"),
    (["--memory", "much"], "'much' is no amount of memory"),
    (["--memory", "nan"], "'nan' is no amount of memory"),
    (["--gpu", "-1"], "--gpu"),
    (["--gpu", "all"], "--gpu"),
    (["--gpu", "0.5"], "--gpu"),
    (["--max-parallelism", "0"], "--max-parallelism"),
    (["--max-parallelism", "-2"], "--max-parallelism"),
    (["--max-parallelism", "all"], "--max-parallelism"),
    (["--max-parallelism", "1.5"], "--max-parallelism"),
    (["--timeout", "0"], "--timeout"),
    (["--timeout", "-1"], "--timeout"),
    (["--timeout", "soon"], "--timeout"),
    (["--soft-timeouts=no"], "--soft-timeouts"),
    (["--pools", "db=1"], "--pools"),
]
named = pytest.mark.parametrize(
    ("options", "why"), WRONG, ids=lambda one: " ".join(one) if isinstance(one, list) else ""
)


@named
def test_run_refuses_what_makes_no_sense(shell, cli, told, options, why):
    shell.write("flow.py", FLOW)
    code, out, err = cli("run", *options, "flow.py", "nothing")
    assert why in told(err)
    assert (code, out) == (2, "")
    assert not (shell.folder / ".promissory").exists()


@named
def test_resume_refuses_what_makes_no_sense(shell, cli, told, options, why):
    cli("doctor", "--mark")
    code, out, err = cli("resume", *options, "a")
    assert why in told(err)
    assert (code, out) == (2, "")


@pytest.mark.parametrize(
    "options",
    [["--memory", "9" * 400], ["--memory", ""], ["--timeout", "nan"]],
    ids=["endless memory", "empty memory", "no number"],
)
def test_run_refuses_what_is_no_amount(shell, told, flow, options):
    ended = shell.promissory("run", *options, "flow.py", "nothing")
    assert options[0] in told(ended.stderr)
    assert (ended.returncode, ended.stdout) == (2, "")

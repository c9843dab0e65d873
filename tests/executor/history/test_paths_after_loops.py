"""Paths behind and inside of loops (S1, X5, X8): a path has the iterations of the loops around it alone; answers reach
their gates (G1).
"""

import threading
import uuid
from functools import partial

import pytest

from promissory import (
    Context,
    Loop,
    NodeFailure,
    attach,
    conditional,
    dynamic,
    map_task,
    promise,
    rerun,
    resume,
    run,
    start,
    task,
    wait_for_input,
    workflow,
)
from promissory.errors import GateNotFound, RunFailed, RunNotFound, RunTimeout
from promissory.executor.history import at_a_glance
from promissory.executor.history.explain import explain
from promissory.executor.history.history import History
from promissory.executor.store.keys import run_key

ENGINES = ["inline", "processes"]
COMMAND = "import sys; from promissory.executor.cli.main import main; main(sys.argv[1:])"


@pytest.fixture
def memory():
    """A store of this test's own in memory."""
    return f"memory://paths-{uuid.uuid4().hex}"


# --- what loops, and what follows it ---


@task
def noted(n: int) -> int:
    print(f"noted {n}")
    return n + 1


@task
def poll(ctx: Context, n: int) -> int:
    print(f"poll {ctx.loop_index} of {n}")
    if ctx.loop_index == n:
        return n
    raise Loop()


@task
def adding(ctx: Context, n: int) -> int:
    """Each iteration adds a task."""
    ctx.next_task(noted, n=10 * ctx.loop_index)
    if ctx.loop_index < n:
        ctx.next_iteration(None)
    return n


@task
def failing(ctx: Context, n: int) -> int:
    if ctx.loop_index == n:
        raise ValueError("not today")
    raise Loop()


@workflow
def inner(n: int) -> int:
    return noted(poll(n))


@dynamic
def rounds(ctx: Context, n: int) -> int:
    print(f"rounds {ctx.loop_index}")
    if ctx.loop_index == n:
        return inner(n)
    raise Loop(inner(ctx.loop_index))


@dynamic
def fan(n: int) -> list[int]:
    return [noted(k) for k in range(n)]


@dynamic
def climb(n: int) -> int:
    return noted(climb(n - 1)) if n else inner(1)


@dynamic
def stands_in(ctx: Context, n: int, err: NodeFailure) -> int:
    if ctx.loop_index == n:
        return noted(n - 1)
    raise Loop(noted(ctx.loop_index))


@workflow
def behind_a_loop_a_plan(n: int) -> int:
    return inner(poll(n))


@workflow
def behind_a_loop_an_arm(n: int) -> int:
    polled = poll(n)
    return conditional("way").if_(polled > 0).then(inner(polled)).else_().then(0)


@workflow
def behind_a_loop_a_map(n: int) -> list[int]:
    return map_task(inner)(n=[poll(n), 1])


@workflow
def behind_a_loop_a_dynamic(n: int) -> list[int]:
    return fan(poll(n))


@workflow
def behind_a_loop_a_loop(n: int) -> int:
    return rounds(poll(n))


@workflow
def behind_a_loop_a_map_of_loops(n: int) -> list[int]:
    return map_task(rounds)(n=[poll(n), 1])


@workflow
def a_loop_that_adds_tasks(n: int) -> int:
    return inner(adding(n))


@workflow
def a_loop_that_fails(n: int) -> int:
    return inner(promise(failing(n)).on_error(partial(stands_in, n)))


INNER = {"/poll[=0]", "/poll", "/noted"}  # of a poll that ends with its second iteration


def at(where, names=INNER):
    return {where} | {f"{where}{name}" for name in names}


PATHS = {
    behind_a_loop_a_plan: {"main/poll[=0]", "main/poll"} | at("main/inner"),
    behind_a_loop_an_arm: {"main/poll[=0]", "main/poll", "main/way"} | at("main/way/inner"),
    behind_a_loop_a_map: {"main/poll[=0]", "main/poll"} | at("main/inner[0]") | at("main/inner[1]"),
    behind_a_loop_a_dynamic: {"main/poll[=0]", "main/poll", "main/fan", "main/fan/noted"},
    behind_a_loop_a_loop: {"main/poll[=0]", "main/poll", "main/rounds[=0]", "main/rounds"}
    | at("main/rounds/inner", {"/poll", "/noted"})
    | at("main/rounds[=1]/inner"),
    behind_a_loop_a_map_of_loops: {"main/poll[=0]", "main/poll"}
    | {f"main/rounds[{item}]{end}" for item in (0, 1) for end in ("", "[=0]")}
    | at("main/rounds[0]/inner", {"/poll", "/noted"})
    | at("main/rounds[1]/inner", {"/poll", "/noted"})
    | at("main/rounds[0][=1]/inner")
    | at("main/rounds[1][=1]/inner"),
    a_loop_that_adds_tasks: {"main/adding[=0]", "main/adding", "main/adding/noted", "main/adding[=1]/noted"}
    | at("main/inner"),
    a_loop_that_fails: {
        "main/failing[=0]",
        "main/failing",
        "main/rescue",
        "main/rescue/stands_in[=0]",
        "main/rescue/stands_in",
    }
    | {"main/rescue/stands_in/noted", "main/rescue/stands_in[=1]/noted"}
    | at("main/inner"),
}
flows = pytest.mark.parametrize("flow", PATHS, ids=lambda flow: flow.name)


def paths(ended):
    return [row.path for row in ended.nodes(items=True) if row.kind != "map" or "[" in row.path]


@flows
@pytest.mark.parametrize("engine", ENGINES)
def test_S1_a_path_has_the_iterations_of_the_loops_around_it_and_of_no_other(memory, flow, engine):
    ended = run(flow, {"n": 1}, store=memory, engine=engine, echo=False)
    assert ended.state == "SUCCEEDED", ended.error
    seen = [path for path in paths(ended) if path not in ("main/inner", "main/rounds") or path in PATHS[flow]]
    assert sorted(seen) == sorted(PATHS[flow])


@flows
def test_X8_a_path_that_is_printed_is_found(memory, flow):
    ended = run(flow, {"n": 2}, store=memory, echo=False)
    history = History(ended.store, ended.id, items=True)
    for path in paths(ended):
        id, index, iteration = history.find_iteration(path)
        assert history.path(id, index) + ("" if iteration is None else f"[={iteration}]") == path


@flows
def test_X8_a_path_of_the_first_iteration_may_name_it(memory, flow):
    ended = run(flow, {"n": 2}, store=memory, echo=False)
    history = History(ended.store, ended.id, items=True)
    for path in paths(ended):
        above, _, name = path.rpartition("/")
        if above + "[=0]" in paths(ended):
            assert history.find(f"{above}[=0]/{name}") == history.find(path)


@flows
def test_R4_explain_takes_every_path_and_gives_it_back(memory, flow):
    ended = run(flow, {"n": 2}, store=memory, echo=False)
    for row in ended.nodes(items=True):
        if not row.path.endswith("]"):
            assert explain(ended.store, ended.id, row.path).path == row.path


def said_live(text):
    """What was echoed: path and text, without the mark of a first iteration, which nobody knows to be one when it says
    something.
    """
    return sorted(line.replace("[=0]", "") for line in text.splitlines() if " | " in line)


@flows
@pytest.mark.parametrize("engine", ENGINES)
def test_X5_what_is_echoed_has_the_paths_that_logs_print(memory, capfd, flow, engine):
    ended = run(flow, {"n": 2}, store=memory, engine=engine, echo="paths")
    live = said_live(capfd.readouterr().err)
    assert live
    told = said_live(ended.logs())  # with the tracebacks of attempts that failed, which nobody said
    assert [line for line in told if line in live] == live


def test_X5_logs_of_an_iteration_print_what_was_said_inside_of_it_alone(memory):
    ended = run(behind_a_loop_a_loop, {"n": 2}, store=memory, echo=False)
    assert sorted(ended.logs("main/rounds[=1]").splitlines()) == [
        "main/rounds[=1]/inner/noted | noted 1",
        "main/rounds[=1]/inner/poll[=0] | poll 0 of 1",
        "main/rounds[=1]/inner/poll[=1] | poll 1 of 1",
        "rounds 1",
    ]


@pytest.mark.full(keep=3)
@flows
def test_R6_a_rerun_begins_at_any_path_that_is_printed_and_gives_the_same(memory, flow):
    ended = run(flow, {"n": 1}, store=memory, echo=False)
    rows = {(row.path, row.state, row.iterations) for row in ended.nodes(items=True)}
    for path in paths(ended):
        again = rerun(ended.id, path, store=memory, echo=False)
        assert again.result == ended.result, path
        assert {(row.path, row.state, row.iterations) for row in again.nodes(items=True)} == rows, path


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("main/poll[=3]", "main/poll has no iteration 3 .* it has 3 iterations, 0 to 2"),
        ("main/rounds[=3]/inner", "main/rounds has no iteration 3 .* it has 3 iterations, 0 to 2"),
        ("main/rounds[=1]/inner/poll[=2]", "inner/poll has no iteration 2 .* it has 2 iterations, 0 to 1"),
        ("main/poll[=1]/inner", r"main/poll\[=1\] has no frame of its own"),
        ("main/poll[1]", "main/poll has no item 1"),
        ("main/poll[=-1]", r"no node 'poll\[=-1\]' in main; there is: poll, rounds"),
    ],
)
def test_S1_an_iteration_that_was_not_is_refused_and_told_how_many_there_were(memory, path, says):
    ended = run(behind_a_loop_a_loop, {"n": 2}, store=memory, echo=False)
    with pytest.raises(RunNotFound, match=says):
        rerun(ended.id, path, store=memory, echo=False)


def test_S1_futures_files_behind_a_loop_are_found_by_the_paths_that_are_listed(memory):
    ended = run(behind_a_loop_a_loop, {"n": 2}, store=memory, echo=False)
    assert ended.futures() == ["main/rounds", "main/rounds[=1]", "main/rounds[=2]"]
    assert len({ended.futures(path).literal(0) for path in ended.futures()}) == 3
    deep = run(climb, {"n": 3}, store=memory, echo=False)
    assert deep.futures() == [
        "main/climb",
        "main/climb/climb",
        "main/climb/climb/climb",
        "main/climb/climb/climb/climb",
    ]


def test_X8_a_loop_below_a_deep_recursion_has_a_path_of_its_own_for_each_node(memory):
    ended = run(climb, {"n": 70}, store=memory, echo=False)
    history = History(ended.store, ended.id, items=True)
    rows = [row.path for row in ended.nodes(items=True)]
    assert len(set(rows)) == len(rows)
    for path in rows:
        id, index, _ = history.find_iteration(path.removesuffix("[=0]"))
        assert history.path(id, index) == path.removesuffix("[=0]")


def test_X8_an_iteration_below_a_deep_recursion_is_found_by_its_path(memory):
    ended = run(climb, {"n": 70}, store=memory, echo=False)
    path = next(row.path for row in ended.nodes(items=True) if row.path.endswith("[=0]"))
    again = rerun(ended.id, path, store=memory, echo=False)
    assert again.result == ended.result


def test_X5_logs_of_the_first_iteration_print_what_was_said_inside_of_it_too(project):
    code = "from promissory import run\nfrom turns import turns\nrun(turns, {'n': 2}, run_id='turns', echo=False)"
    project.write("turns.py", TURNS)
    project.code(code)
    assert command(project, "logs", "turns", "main/turns[=1]")[1].splitlines() == [
        "turn 1",
        "main/turns[=1]/noted | noted 1",
    ]
    assert command(project, "logs", "turns", "main/turns[=0]")[1].splitlines() == [
        "turn 0",
        "main/turns/noted | noted 0",
    ]


TURNS = """
from promissory import Context, Loop, dynamic, task

@task
def noted(n: int) -> int:
    print(f"noted {n}")
    return n

@dynamic
def turns(ctx: Context, n: int) -> int:
    print(f"turn {ctx.loop_index}")
    if ctx.loop_index == n:
        return noted(n)
    raise Loop(noted(ctx.loop_index))
"""


@workflow
def fails_in_items(n: int) -> list[int]:
    return map_task(failing)(n=[n])


@task
def cancelling(ctx: Context, n: int) -> int:
    if ctx.loop_index == n:
        ctx.cancel("enough")
    raise Loop()


@pytest.mark.parametrize(
    ("flow", "path"), [(failing, "main/failing[=2]"), (fails_in_items, "main/failing[0][=2]")], ids=["task", "item"]
)
def test_S2_whoever_asks_is_told_which_iteration_failed(memory, flow, path):
    ended = run(flow, {"n": 2}, store=memory, echo=False)
    assert ended.error.path == path
    assert attach(ended.id, store=memory).error.path == path


def test_S6_whoever_asks_is_told_which_iteration_cancelled_the_run(memory):
    ended = run(cancelling, {"n": 2}, store=memory, echo=False)
    assert ended.error.node == "main/cancelling[=2]"
    assert attach(ended.id, store=memory).error.node == "main/cancelling[=2]"


@workflow
def innermost(n: int) -> int:
    return failing(n)


@workflow
def in_2(n: int) -> int:
    return innermost(n)


@workflow
def in_3(n: int) -> int:
    return in_2(n)


@workflow
def in_4(n: int) -> int:
    return in_3(n)


@workflow
def in_5(n: int) -> int:
    return in_4(n)


@workflow
def in_6(n: int) -> int:
    return in_5(n)


@workflow
def in_7(n: int) -> int:
    return in_6(n)


@pytest.mark.parametrize("flow", [in_3, in_7], ids=["3 levels", "7 levels"])
def test_X6_the_path_that_an_error_names_can_be_given_to_rerun(memory, flow):
    ended = run(flow, {"n": 0}, store=memory, echo=False)
    with pytest.raises(RunFailed):
        rerun(ended.id, ended.error.path, store=memory, echo=False).result


@task
def instead(err: NodeFailure) -> int:
    return 7


@workflow
def waits_behind_a_handled_failure(n: int) -> int:
    asked = promise(wait_for_input("never", type=int))
    promise(promise(failing(n)).on_error(instead)) >> asked
    return asked


def test_X6_a_handled_failure_is_not_what_ended_a_run_whoever_asks(memory):
    ended = run(waits_behind_a_handled_failure, {"n": 1}, store=memory, timeout=1, echo=False)
    assert isinstance(ended.error, RunTimeout)
    assert isinstance(attach(ended.id, store=memory).error, RunTimeout)


# --- answers ---


@task
def add(a: int, b: int) -> int:
    return a + b


@workflow
def asking(n: int) -> int:
    return add(n, wait_for_input("ok", type=int))


@workflow
def ask_in_a_plan(n: int) -> int:
    return asking(poll(n))


@workflow
def ask_in_an_arm(n: int) -> int:
    polled = poll(n)
    return conditional("way").if_(polled > 0).then(asking(polled)).else_().then(0)


@workflow
def ask_in_items(n: int) -> list[int]:
    return map_task(asking)(n=[poll(n), 5])


@dynamic
def ask_in_rounds(ctx: Context, n: int) -> int:
    if ctx.loop_index == n:
        return asking(ctx.loop_result)
    raise Loop(asking(poll(1)))


@dynamic
def ask_deep(n: int) -> int:
    return noted(ask_deep(n - 1)) if n else asking(poll(2))


def begin(target, store, engine="inline", **inputs):
    return start(target, inputs, store=store, engine=engine, durability="process", echo=False)


@pytest.fixture
def gates_of(eventually):
    """A function (run, how many) → its gates, when as many wait."""

    def gates(waiting, many=1):
        def found():
            seen = at_a_glance.gates_of(waiting.store, waiting.id)[1]
            return seen if len(seen) == many else None

        return eventually(found, f"{many} gates")

    return gates


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("flow", "path"), [(ask_in_a_plan, "main/asking/ok"), (ask_in_an_arm, "main/way/asking/ok")], ids=["plan", "arm"]
)
def test_G1_behind_a_polling_loop_a_gate_takes_its_answer(memory, gates_of, flow, path, engine):
    waiting = begin(flow, memory, engine, n=3)
    assert [gate.path for gate in gates_of(waiting)] == [path]
    waiting.answer("ok", 10)
    assert waiting.wait(60).result == 13


@pytest.mark.parametrize("name", ["ok", "main/asking/ok"])
def test_G1_behind_a_polling_loop_another_handle_answers_by_name_or_path(memory, gates_of, name):
    waiting = begin(ask_in_a_plan, memory, n=2)
    gates_of(waiting)
    attach(waiting.id, store=memory).answer(name, 10)
    assert waiting.wait(60).result == 12


def test_G1_each_item_behind_a_loop_takes_the_answer_that_is_its_own(memory, gates_of):
    waiting = begin(ask_in_items, memory, n=3)
    gates_of(waiting, 2)
    with pytest.raises(
        GateNotFound, match=r"2 gates .* called ok: say which .*main/asking\[\d\]/ok, main/asking\[\d\]/ok"
    ):
        waiting.answer("ok", 1)
    waiting.answer("main/asking[1]/ok", 100)
    waiting.answer("main/asking[0]/ok", 10)
    assert waiting.wait(60).result == [13, 105]


def test_G1_each_iteration_of_a_dynamic_asks_anew(memory, gates_of, eventually):
    waiting = begin(ask_in_rounds, memory, n=2)
    for iteration, path in enumerate(
        ["main/ask_in_rounds/asking/ok", "main/ask_in_rounds[=1]/asking/ok", "main/ask_in_rounds[=2]/asking/ok"]
    ):
        eventually(
            lambda path=path: [gate.path for gate in at_a_glance.gates_of(waiting.store, waiting.id)[1]] == [path], path
        )
        waiting.answer(path if iteration else "ok", 10 + iteration)
    assert waiting.wait(60).result == (1 + 11) + 12


@pytest.mark.parametrize("by", ["name", "path"])
def test_G1_below_a_deep_recursion_a_gate_takes_its_answer(memory, gates_of, by):
    waiting = begin(ask_deep, memory, n=60)
    gate = gates_of(waiting)[0]
    assert "…" in gate.path
    waiting.answer(gate.name if by == "name" else gate.path, 10)
    assert waiting.wait(60).result == 60 + 12


def test_G1_an_answer_between_executors_is_taken_at_resume_and_a_second_refused(memory, gates_of, eventually):
    waiting = begin(ask_in_items, memory, n=1)
    gates_of(waiting, 2)
    waiting.stop()
    waiting.wait(60)
    there = attach(waiting.id, store=memory)
    assert there.state == "INTERRUPTED"
    there.answer("main/asking[0]/ok", 10)
    with pytest.raises(
        GateNotFound, match=r"main/asking\[0\]/ok of run .* has an answer already, which is still to be taken"
    ):
        there.answer("main/asking[0]/ok", 99)
    there.answer("main/asking[1]/ok", 20)
    assert resume(waiting.id, store=memory, echo=False).result == [11, 25]


def test_G1_below_a_deep_recursion_a_second_answer_is_refused_as_well(memory, gates_of):
    waiting = begin(ask_deep, memory, n=60)
    gate = gates_of(waiting)[0]
    waiting.stop()
    waiting.wait(60)
    there = attach(waiting.id, store=memory)
    there.answer(gate.path, 10)
    for again in ("ok", gate.path):
        with pytest.raises(GateNotFound, match="has an answer already"):
            there.answer(again, 99)
    assert resume(waiting.id, store=memory, echo=False).result == 72


def test_G1_a_rerun_from_behind_a_gate_keeps_its_answer(memory, gates_of):
    waiting = begin(ask_in_a_plan, memory, n=1)
    gates_of(waiting)
    waiting.answer("ok", 10)
    first = waiting.wait(60)
    assert rerun(first.id, "main/asking/add", store=memory, echo=False).result == first.result == 11


def test_G1_a_rerun_from_a_loop_before_a_gate_asks_again(memory, gates_of, eventually):
    waiting = begin(ask_in_a_plan, memory, n=1)
    gates_of(waiting)
    waiting.answer("ok", 10)
    first = waiting.wait(60)

    def asked():
        try:
            return at_a_glance.gates_of(first.store, "again")[1]
        except RunNotFound:
            return None

    def answers():
        eventually(asked, "the gate of the new run")
        attach("again", store=memory).answer("main/asking/ok", 20)

    somebody = threading.Thread(target=answers)
    somebody.start()
    again = rerun(first.id, "main/poll[=1]", store=memory, new_run_id="again", echo=False)
    somebody.join()
    assert again.result == 21


MODULE = """
from promissory import Context, Loop, map_task, task, wait_for_input, workflow

@task
def poll(ctx: Context, n: int) -> int:
    if ctx.loop_index == n:
        return n
    raise Loop()

@task
def add(a: int, b: int) -> int:
    return a + b

@workflow
def asking(n: int) -> int:
    return add(n, wait_for_input("ok", type=int))

@workflow
def items(n: int) -> list[int]:
    return map_task(asking)(n=[poll(n), 5])
"""


def command(project, *arguments):
    process = project.spawn("-c", COMMAND, *arguments)
    output, errors = project.finish(process)
    return process.returncode, output, errors


def waiting_elsewhere(project, eventually):
    project.write("asks.py", MODULE)
    process = project.spawn(
        "-c",
        "from promissory import run\n"
        "from asks import items\n"
        "print(run(items, {'n': 3}, run_id='asks', echo=False).result)",
    )
    eventually(lambda: project.store.exists(run_key("asks", "manifest")), "the run")
    eventually(lambda: len(at_a_glance.gates_of(project.store, "asks")[1]) == 2, "both gates")
    return process


@pytest.mark.full
def test_G1_the_command_line_answers_gates_in_items_behind_a_loop(project, eventually):
    process = waiting_elsewhere(project, eventually)
    code, output, _ = command(project, "answer", "asks")
    assert (code, sorted(output.splitlines())) == (0, ["main/asking[0]/ok: int", "main/asking[1]/ok: int"])
    assert command(project, "answer", "asks", "main/asking[0]/ok", "10")[0] == 0
    assert command(project, "answer", "asks", "ok", "20")[0] == 0, "only one of them waits by now"
    output, errors = project.finish(process)
    assert output.split() == ["[13,", "25]"], errors


@pytest.mark.full
def test_G1_killed_behind_a_loop_the_next_executor_takes_the_answers_of_the_command_line(project, eventually):
    process = waiting_elsewhere(project, eventually)
    process.kill()
    process.wait()
    eventually(lambda: attach("asks", store=project.store).state == "INTERRUPTED", "that nobody works on it")
    code, _, errors = command(project, "answer", "asks", "main/asking[0]/ok", "10")
    assert (code, "resume" in errors) == (0, True)
    code, _, errors = command(project, "answer", "asks", "main/asking[0]/ok", "99")
    assert (code, "has an answer already" in errors) == (2, True)
    assert command(project, "answer", "asks", "main/asking[1]/ok", "20")[0] == 0
    assert project.code("from promissory import resume\nprint(resume('asks', echo=False).result)").split() == [
        "[13,",
        "25]",
    ]

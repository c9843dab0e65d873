"""A value that is nested too deeply is told in one sentence wherever a run takes values: inputs, results, literals,
payloads, the channel, checkpoints, the command line.
"""

from typing import Any

import pytest

from promissory import Loop, current_context, dynamic, run, task, workflow
from promissory.errors import CompileError, InputError, RunFailed
from promissory.typesys.depth import DEEPEST

SENTENCE = f"is nested more than {DEEPEST} levels deep, or contains itself"


def lists(depth, bottom=1):
    value = bottom
    for _ in range(depth):
        value = [value]
    return value


def depth_of(value):
    depth = 0
    while isinstance(value, list):
        value, depth = value[0], depth + 1
    return depth


@task
def same(x: Any) -> Any:
    return x


@task
def made(depth: int) -> Any:
    return lists(depth)


@task
def looped(depth: int) -> int:
    if current_context().loop_result is None:
        raise Loop(lists(depth))
    return depth_of(current_context().loop_result)


@task
def iterated(depth: int) -> int:
    if current_context().loop_result is None:
        current_context().next_iteration(lists(depth))
        return 0
    return depth_of(current_context().loop_result)


@task
def told_the_channel(depth: int) -> int:
    current_context().channel().set("x", lists(depth))
    return depth_of(current_context().channel().get("x"))


@task
def left_a_checkpoint(depth: int) -> int:
    current_context().checkpoint.write(lists(depth))
    return depth_of(current_context().checkpoint.read())


@task
def depth_in(x: Any) -> int:
    return depth_of(x)


@dynamic
def gave_a_literal(depth: int) -> int:
    return depth_in(lists(depth))


@task
def one() -> int:
    return 1


@dynamic
def gave_a_literal_with_a_promise(depth: int) -> int:
    return depth_in(lists(depth, one()))


USES = [
    looped,
    iterated,
    told_the_channel,
    left_a_checkpoint,
    gave_a_literal,
    gave_a_literal_with_a_promise,
]


@pytest.mark.parametrize("engine", ["inline", "threads", "processes"])
@pytest.mark.parametrize("use", USES, ids=lambda use: use.name)
@pytest.mark.full(keep=2)
def test_a_run_takes_values_of_a_hundred_levels_and_no_more(store, engine, use):
    assert run(use, {"depth": DEEPEST}, store=store, engine=engine).result == DEEPEST
    for depth in (DEEPEST + 1, 180, 450, 3000):
        with pytest.raises(RunFailed, match=SENTENCE):
            run(use, {"depth": depth}, store=store, engine=engine).result


def test_results_and_inputs_have_a_hundred_levels_and_no_more(store):
    assert depth_of(run(same, {"x": lists(DEEPEST)}, store=store).result) == DEEPEST
    assert depth_of(run(made, {"depth": DEEPEST}, store=store).result) == DEEPEST
    for depth in (DEEPEST + 1, 450, 3000):
        with pytest.raises(InputError, match=rf"x\[0\]\[0\]\[0\]…: {SENTENCE}"):
            run(same, {"x": lists(depth)}, store=store)
        with pytest.raises(RunFailed, match=rf"result\[0\]\[0\]\[0\]…: {SENTENCE}"):
            run(made, {"depth": depth}, store=store).result


def test_a_literal_of_a_workflow_that_is_too_deep_is_told_with_its_line():
    @workflow
    def flow() -> int:
        return depth_in(lists(DEEPEST + 1))

    with pytest.raises(CompileError, match=SENTENCE) as told:
        flow.compile()
    assert told.value.where.file == __file__


def test_the_command_line_says_it_in_the_same_words(project):
    project.write(
        "deep.py",
        """
        from typing import Any
        from promissory import task

        @task
        def same(x: Any) -> Any:
            return x
        """,
    )

    def command(*arguments):
        code = "import sys; from promissory.executor.cli.main import main; main()"
        process = project.spawn("-c", code, "run", *arguments)
        return project.finish(process), process.returncode

    deepest = "[" * DEEPEST + "1" + "]" * DEEPEST
    (output, errors), code = command("deep.py", "same", "--x", deepest)
    assert (code, "".join(output.split())) == (0, deepest), errors
    for depth in (DEEPEST + 1, 50_000):
        deeper = "[" * depth + "1" + "]" * depth
        for arguments in (("deep.py", "same", "--x", deeper), ("--inputs", f'{{"x": {deeper}}}', "deep.py", "same")):
            (output, errors), code = command(*arguments)
            assert (code, output) == (2, "")
            assert SENTENCE in " ".join(errors.replace("│", " ").split())

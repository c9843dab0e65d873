"""A2: plain calls in threads, on loops and in contexts of the program: each is a call of its own."""

import asyncio
import contextvars
import threading

from promissory import Context, current_context, run, task, workflow

of_the_program = contextvars.ContextVar("of_the_program", default=0)


@task
def first(ctx: Context, x: int) -> int:
    ctx.channel().set("x", x)
    return x


@task
def second(ctx: Context, x: int) -> tuple[int, str]:
    return ctx.channel().get("x"), ctx.run_id


@task
def reads() -> int:
    return of_the_program.get()


@task
def runs_another(x: int) -> tuple[tuple[int, str], str]:
    inner = run(flow, {"x": x}, store="memory://", echo=False).result
    return inner, current_context().path


@workflow
def flow(x: int) -> tuple[int, str]:
    return second(first(x))


@workflow
def reading() -> int:
    return reads()


@workflow
def outer(x: int) -> tuple[tuple[int, str], str]:
    return runs_another(x)


def check(given, found):
    assert [x for x, _ in found] == list(given)
    assert len({run_id for _, run_id in found}) == len(found)


def test_A2_plain_calls_in_threads_have_a_context_each():
    found = {}
    threads = [threading.Thread(target=lambda x=x: found.update({x: flow(x)})) for x in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    check(range(8), [found[x] for x in range(8)])


def test_A2_plain_calls_work_where_a_loop_runs():
    async def main():
        beside = [asyncio.to_thread(flow, x) for x in range(4)]
        return [flow(7), *await asyncio.gather(*beside)]

    check([7, *range(4)], asyncio.run(main()))


def test_A2_the_body_of_a_plain_call_sees_the_context_variables_of_its_caller():
    token = of_the_program.set(5)
    try:
        assert reading() == 5
    finally:
        of_the_program.reset(token)


def test_A2_a_run_inside_a_body_leaves_the_bodys_context_as_it_was():
    (inner, _), path = outer(3)
    assert (inner, path) == (3, "main/runs_another")

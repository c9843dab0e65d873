"""An engine carries one run at a time, and takes nothing from one run into the next."""

import pytest

from promissory import run, task, workflow
from promissory.errors import EngineError, StoreError
from promissory.executor.engines.inline import Inline
from promissory.executor.store.store import Store


@task
def same(x: int) -> int:
    return x


@task
def large(x: int) -> list[int]:
    return [x] * 5000


@workflow
def five(x: int) -> list[int]:
    return [same(x), same(x), same(x), same(x), same(x)]


@workflow
def five_and_a_large_one(x: int) -> list[int]:
    small = [same(x), same(x), same(x), same(x)]
    large(x)
    return small


class Full(Store):
    """A store whose objects can't be written."""

    def put_object(self, name, data):
        raise StoreError("full")


def test_an_engine_takes_no_outcome_of_a_run_that_broke_into_the_next():
    engine = Inline()
    with pytest.raises(StoreError):
        run(five_and_a_large_one, {"x": 1}, store=Full(None), engine=engine)
    assert run(five, {"x": 7}, store=Store(None), engine=engine).result == [7, 7, 7, 7, 7]


def test_an_engine_that_carries_a_run_refuses_another():
    engine = Inline()

    @task
    def within(x: int) -> int:
        run(five, {"x": x}, store=Store(None), engine=engine)
        return x

    error = run(within, {"x": 1}, store=Store(None), engine=engine).error
    assert isinstance(error.__cause__, EngineError)

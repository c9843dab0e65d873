"""X1, D7: each consumer gets its own value, whatever another one does to its own."""

import pytest

from promissory import dynamic, run, task, workflow

SMALL, LARGE = 3, 5000


@task
def numbers(count: int) -> list[int]:
    return list(range(count))


@task
def table(count: int) -> dict[str, list[int]]:
    return {"a": list(range(count)), "b": [1]}


@task
def spoil(values: list[int]) -> int:
    count = len(values)
    values.clear()
    values.append(-1)
    return count


@task
def spoil_table(values: dict[str, list[int]]) -> int:
    values["b"].append(99)
    values["a"].clear()
    values["c"] = []
    return len(values)


@task
def size(values: list[int]) -> int:
    return len(values)


@task
def sizes(values: dict[str, list[int]]) -> list[int]:
    return [len(one) for one in values.values()]


@pytest.mark.parametrize("count", [SMALL, LARGE])
def test_X1_a_task_that_spoils_a_list_spoils_only_its_own(store, count):
    @workflow
    def shared(count: int) -> list[int]:
        made = numbers(count)
        first = spoil(made)
        second, third = spoil(made), size(made)
        first >> second >> third
        return [first, second, third]

    assert run(shared, {"count": count}, store=store).result == [count] * 3
    assert shared(count) == [count] * 3


@pytest.mark.parametrize("count", [SMALL, LARGE])
def test_X1_what_is_nested_in_a_dict_is_as_safe(store, count):
    @workflow
    def shared(count: int) -> list[int]:
        made = table(count)
        spoil_table(made) >> (kept := sizes(made))
        return kept

    assert run(shared, {"count": count}, store=store).result == [count, 1]


@pytest.mark.parametrize("count", [SMALL, LARGE])
def test_X1_an_input_of_the_run_stays_as_it_was_given(store, count):
    @workflow
    def shared(values: list[int]) -> list[int]:
        first = spoil(values)
        second = size(values)
        first >> second
        return [first, second]

    mine = list(range(count))
    assert run(shared, {"values": mine}, store=store).result == [count, count]
    assert mine == list(range(count))


@pytest.mark.parametrize("count", [SMALL, LARGE])
def test_X1_a_literal_is_fresh_for_each_consumer(store, count):
    @workflow
    def shared() -> list[int]:
        values = list(range(count))
        first, second = spoil(values), size(values)
        first >> second
        return [first, second]

    assert run(shared, store=store).result == [count, count]


@pytest.mark.parametrize("count", [SMALL, LARGE])
def test_X1_parts_of_a_value_and_composites_are_private_too(store, count):
    @workflow
    def shared(count: int) -> list[int]:
        made = table(count)
        first, second = spoil(made["a"]), size(made["a"])
        first >> second
        return [first, second]

    assert run(shared, {"count": count}, store=store).result == [count, count]


def test_X1_a_result_that_the_body_keeps_and_changes_later_is_safe(store):
    kept = []

    @task
    def keeps(x: int) -> list[int]:
        kept.append([x])
        return kept[-1]

    @task
    def changes(x: int) -> int:
        kept[-1].append(100)
        return x

    @workflow
    def shared(x: int) -> int:
        made = keeps(x)
        changed = changes(x)
        read = size(made)
        made >> changed >> read
        return read

    assert run(shared, {"x": 1}, store=store).result == 1


@pytest.mark.parametrize("count", [SMALL, LARGE])
def test_D7_what_a_dynamic_changed_is_what_it_passes_on(store, count):
    @dynamic
    def passes(values: list[int], spoiled: bool) -> list[int]:
        if spoiled:
            values.append(7)
        kept = size(values)
        return [kept, size(values)]

    @workflow
    def shared(count: int, spoiled: bool) -> list[list[int]]:
        made = numbers(count)
        first, second = passes(made, spoiled), [size(made)]
        first >> second[0]
        return [first, second]

    assert run(shared, {"count": count, "spoiled": False}, store=store).result == [[count, count], [count]]
    assert run(shared, {"count": count, "spoiled": True}, store=store).result == [[count + 1, count + 1], [count]]


def test_D7_an_input_that_is_passed_on_down_a_recursion_is_stored_once(store):
    @dynamic
    def descend(values: list[int], n: int) -> int:
        return descend(values, n - 1) if n else size(values)

    ended = run(descend, {"values": list(range(LARGE)), "n": 20}, store=store)
    assert ended.result == LARGE
    folders = store.list("objects")
    assert sum(len(store.list(folder)) for folder in folders) == 1
    futures = [store.get(key) for folder in store.list(f"runs/{ended.id}/futures") for key in store.list(folder)]
    assert max(map(len, futures)) < 2000


def test_X1_bytes_and_text_above_the_inline_limit_come_back_whole(store):
    @task
    def doubled(data: bytes) -> bytes:
        return data + data

    @task
    def text(data: bytes) -> str:
        return data.decode("latin-1")

    @workflow
    def both(data: bytes) -> str:
        return text(doubled(data))

    for length in (2047, 2048, 4090, 4096, 4097, 100_000):
        data = bytes(index % 256 for index in range(length))
        assert run(both, {"data": data}, store=store).result == (data + data).decode("latin-1")

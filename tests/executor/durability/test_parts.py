"""V4, X1, X3, J1, J2, J4 to J8, R3: the large buffers of values lie beside them, as parts: they are there before what
names them, come back as they were, go where their values go, and are removed with them.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from promissory import (
    Context,
    Cycle,
    Directory,
    File,
    Loop,
    Store,
    attach,
    compile,
    cycle,
    dynamic,
    flatten,
    map_task,
    prev,
    rerun,
    resume,
    run,
    start,
    task,
    value,
    workflow,
)
from promissory.errors import PlanFormatError, StoreError
from promissory.executor.cache.entries import entries
from promissory.executor.journal import writer
from promissory.executor.journal.base import first_segment
from promissory.executor.journal.reader import find_end, read_segments
from promissory.executor.maintenance.doctor import examine
from promissory.executor.maintenance.export import export
from promissory.executor.maintenance.garbage import garbage, remove, remove_run
from promissory.executor.store.keys import PARTS, part_key, plan_key, run_key
from promissory.executor.testing.diary import say
from promissory.executor.testing.enumeration import HOWS, crash_at_operations, die_at
from promissory.executor.testing.workloads import Workload
from promissory.planner.plan.format import plan_from_bytes
from promissory.testing import Fault, FaultyStore
from promissory.typesys.buffer import PART_LIMIT, blake3

np = pytest.importorskip("numpy")

ENGINES = pytest.mark.parametrize("engine", ["inline", "threads", "processes"])
LENGTH = 9000
"""So many integers of eight bytes are a part."""
SUM = LENGTH * (LENGTH - 1) // 2
CONTENT = b"0123456789abcdef" * 5000
RAN: list[Any] = []


@pytest.fixture(autouse=True)
def _afresh():
    RAN.clear()


@pytest.fixture
def other(tmp_path):
    """Another empty store."""
    return Store(tmp_path / "other")


def begun(target, inputs=None, **options):
    return run(target, inputs or {}, **{"echo": False, "durability": "process", **options})


def root(store):
    return Path(store.url.removeprefix("file://"))


def files(store, folder=PARTS):
    return sorted(path for path in (root(store) / folder).rglob("*") if path.is_file())


def rewritten(path, change):
    """Exchange the bytes of a file, as no program of ours does."""
    path.chmod(0o644)
    path.write_bytes(change(path.read_bytes()))


def damaged(data):
    return data[:5] + bytes([data[5] ^ 1]) + data[6:]


def problems(store, run_id):
    return [(found.key, found.problem) for found in examine(store, run_id) if found.severity != "note"]


# --- what runs ---


@task
def numbers(count: int, plus: int = 0) -> np.ndarray:
    RAN.append(("numbers", count, plus))
    return np.arange(count, dtype=np.int64) + plus


@task
def total(array: np.ndarray) -> int:
    return int(array.sum())


@task
def totals(arrays: list[np.ndarray]) -> int:
    return int(sum(array.sum() for array in arrays))


@task
def several(count: int, length: int) -> list[np.ndarray]:
    return [np.arange(length, dtype=np.int64) + number for number in range(count)]


@task
def twice(array: np.ndarray) -> np.ndarray:
    return array * 2


@task
def spoil(array: np.ndarray) -> int:
    array[:] = -1
    return int(array[0])


@task
def spoil_first(arrays: list[np.ndarray]) -> int:
    arrays[0][:] = -1
    return int(arrays[1].sum())


@task
def the_same_twice(count: int) -> list[np.ndarray]:
    array = np.arange(count, dtype=np.int64)
    return [array, array]


@task
def written(count: int) -> File:
    return File(b"x" * count, name="made.txt")


@task
def size(file: File) -> int:
    return len(file.read_bytes())


@task
def mixed(count: int) -> tuple[np.ndarray, bytes, Any]:
    return np.arange(count), b"b" * 8 * count, {"more": np.ones(count), "bytes": b"c" * 8 * count}


@task
def measured(array: np.ndarray, data: bytes, more: Any) -> list[int]:
    return [int(array.sum()), len(data), int(more["more"].sum()), len(more["bytes"])]


@workflow
def one(count: int) -> np.ndarray:
    return numbers(count)


@workflow
def summed(count: int) -> int:
    return total(numbers(count))


@workflow
def given(array: np.ndarray) -> int:
    return total(array)


@workflow
def sized(file: File) -> int:
    return size(file)


@workflow
def made(count: int) -> File:
    return written(count)


@workflow
def a_list(count: int, length: int) -> list[np.ndarray]:
    return several(count, length)


@workflow
def mapped(count: int, length: int) -> int:
    return totals(map_task(twice)(several(count, length)))


@workflow
def of_all_kinds(count: int) -> list[int]:
    array, data, more = mixed(count)
    return measured(array, data, more)


@dynamic
def emits(count: int) -> int:
    return total(np.arange(count, dtype=np.int64))


@dynamic
def changes(array: np.ndarray) -> list[int]:
    before = total(array)
    array[0] += 7
    return [before, total(array), total(array[1:])]


@workflow
def emitted(count: int) -> int:
    return emits(count)


@workflow
def changed(array: np.ndarray) -> list[int]:
    return changes(array)


@dynamic
async def waits(count: int) -> int:
    promises = [numbers(count, plus) for plus in range(3)]
    first = await value(promises[0])
    between = await value(total(promises[1]))
    second, again = await value(promises[2]), await value(promises[1])
    return total(first + second + again + await value(promises[0]) - between)


@workflow
def awaited(count: int) -> int:
    return waits(count)


# --- where buffers lie ---


def test_V4_a_large_buffer_is_a_part_by_its_blake3_and_a_small_one_stands_in_its_value(store):
    assert begun(one, {"count": PART_LIMIT // 8 - 1}, store=store).result[-1] == PART_LIMIT // 8 - 2
    assert files(store) == []
    ended = begun(one, {"count": PART_LIMIT // 8}, store=store)
    (part,) = files(store)
    assert part.read_bytes() == np.arange(PART_LIMIT // 8, dtype=np.int64).tobytes()
    assert part == root(store) / part_key(blake3(part.read_bytes()))
    assert np.array_equal(ended.result, np.arange(PART_LIMIT // 8))


def test_V4_equal_buffers_are_one_part_in_whatever_value(store):
    begun(one, {"count": LENGTH}, store=store)
    begun(emitted, {"count": LENGTH}, store=store)
    begun(given, {"array": np.arange(LENGTH, dtype=np.int64)}, store=store)
    begun(a_list, {"count": 1, "length": LENGTH}, store=store)
    assert len(files(store)) == 1


@ENGINES
def test_V4_arrays_bytes_and_what_stands_in_any_come_back_from_parts(store, engine):
    ended = begun(of_all_kinds, {"count": LENGTH}, store=store, engine=engine)
    assert ended.result == [SUM, 8 * LENGTH, LENGTH, 8 * LENGTH]
    assert len(files(store)) == 4


@pytest.mark.parametrize("how", ["a result", "a literal", "an input", "a copy"])
def test_V4_the_file_of_a_part_can_not_be_written_to(store, other, how):
    @workflow
    def constant() -> int:
        return size(file)

    file = File(CONTENT, name="given.txt")
    if how == "a result":
        begun(made, {"count": len(CONTENT)}, store=store)
    elif how == "a literal":
        begun(constant, store=store)
    elif how == "an input":
        begun(sized, {"file": file}, store=store)
    else:
        export(store, begun(made, {"count": len(CONTENT)}, store=store).id, other)
    (part,) = files(other if how == "a copy" else store)
    assert part.stat().st_mode & 0o222 == 0, "a body that gets the path as that of its file could change the value"


def test_V4_a_part_can_be_read_by_those_alone_whom_the_mask_of_the_process_lets(store):
    before = os.umask(0o077)
    try:
        begun(a_list, {"count": 60, "length": LENGTH}, store=store)
    finally:
        os.umask(before)
    assert {oct(path.stat().st_mode & 0o077) for top in ("objects", PARTS) for path in files(store, top)} == {"0o0"}


def test_V4_a_file_system_without_modes_holds_parts_too(store, monkeypatch):
    def refused(*_, **__):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chmod", refused)
    monkeypatch.setattr(os, "fchmod", refused)
    assert begun(summed, {"count": LENGTH}, store=store).result == SUM
    assert store.leftovers() == []


# --- one File in several runs ---


def test_V4_one_file_can_be_given_to_runs_in_two_stores(store, other):
    file = File(CONTENT, name="given.txt")
    assert begun(sized, {"file": file}, store=store).result == len(CONTENT)
    assert begun(sized, {"file": file}, store=other).result == len(CONTENT)


def test_V4_a_file_of_one_store_can_be_given_to_a_run_in_another(store, other):
    file = begun(made, {"count": len(CONTENT)}, store=store).result
    assert begun(sized, {"file": file}, store=other).result == len(CONTENT)


def test_V4_a_file_that_a_plain_call_made_can_be_given_to_a_run(store):
    file = made(len(CONTENT))
    assert begun(sized, {"file": file}, store=store).result == len(CONTENT)


def test_V4_one_file_can_be_a_literal_of_two_workflows(store, other):
    file = File(CONTENT, name="given.txt")

    @workflow
    def first() -> int:
        return size(file)

    @workflow
    def second() -> int:
        return size(file)

    assert begun(first, store=store).result == len(CONTENT)
    assert begun(second, store=other).result == len(CONTENT)


@dynamic
def of_each(directory: Directory) -> list[int]:
    return [size(file) for file in directory.files().values()]


@dynamic
def of_several(files: list[File]) -> list[int]:
    return [size(file) for file in files]


@ENGINES
def test_V4_a_dynamic_hands_on_the_files_of_a_directory_that_it_was_given(store, tmp_path, engine):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_bytes(CONTENT)
    (folder / "b").write_bytes(CONTENT + b"more")
    ended = begun(of_each, {"directory": Directory(folder)}, store=store, engine=engine)
    assert ended.result == [len(CONTENT), len(CONTENT) + 4]


def test_V4_a_dynamic_hands_on_the_files_of_a_list_that_it_was_given(store):
    ended = begun(of_several, {"files": [File(CONTENT, name="a"), File(CONTENT[1:], name="b")]}, store=store)
    assert ended.result == [len(CONTENT), len(CONTENT) - 1]


# --- payloads ---


@task
def loops(ctx: Context, file: File) -> int:
    before = ctx.loop_result
    if before is None:
        raise Loop(file)
    return len(before.read_bytes())


@task
def comes_back(ctx: Context, file: File) -> int:
    ctx.checkpoint.write(file)
    return len(ctx.checkpoint.read().read_bytes())


@task
def tells(ctx: Context, file: File) -> int:
    ctx.channel().set("file", file)
    return 1


@task
def is_told(ctx: Context, after: int) -> int:
    return len(ctx.channel().get("file").read_bytes())


@workflow
def looped(file: File) -> int:
    return loops(file)


@workflow
def checkpointed(file: File) -> int:
    return comes_back(file)


@workflow
def channelled(file: File) -> int:
    return is_told(tells(file))


@pytest.mark.parametrize("target", [looped, checkpointed, channelled], ids=["loop", "checkpoint", "channel"])
@ENGINES
def test_V4_a_file_of_a_store_can_be_a_payload(store, target, engine):
    ended = begun(target, {"file": File(CONTENT, name="given.txt")}, store=store, engine=engine)
    assert ended.result == len(CONTENT)


@task
def array_payloads(ctx: Context, array: np.ndarray) -> list[int]:
    before = ctx.loop_result
    if before is None or len(before) < 3:
        raise Loop([array] if before is None else [*before, array + len(before)])
    ctx.checkpoint.write({"array": array})
    ctx.channel().set("array", array)
    return [int(one[0]) for one in before] + [int(ctx.checkpoint.read()["array"].sum())]


@task
def array_in_channel(ctx: Context, after: list[int]) -> list[int]:
    return [*after, int(ctx.channel().get("array").sum())]


@workflow
def with_arrays(array: np.ndarray) -> list[int]:
    return array_in_channel(array_payloads(array))


@ENGINES
def test_V4_arrays_can_be_payloads_of_loops_checkpoints_and_the_channel(store, other, engine):
    ended = begun(with_arrays, {"array": np.arange(LENGTH)}, store=store, engine=engine)
    assert ended.result == [0, 1, 2, SUM, SUM]
    export(store, ended.id, other)
    assert attach(ended.id, store=other).channel["array"].sum() == SUM
    assert problems(other, ended.id) == []


def test_V1_the_large_data_that_an_iteration_handed_on_can_be_had(store):
    ended = begun(with_arrays, {"array": np.arange(LENGTH)}, store=store)
    assert ended.value("main/array_payloads[=1]")[1][0] == 1


# --- X1, X3 ---


@ENGINES
def test_X1_whoever_changes_an_array_changes_only_its_own(store, engine):
    @workflow
    def shared(count: int) -> list[int]:
        array = numbers(count)
        first, second = spoil(array), total(array)
        first >> second
        return [first, second, spoil_first(the_same_twice(count))]

    ended = begun(shared, {"count": LENGTH}, store=store, engine=engine)
    assert ended.result == [-1, SUM, SUM]
    assert problems(store, ended.id) == []


def test_X1_results_inputs_and_values_are_new_each_time_and_may_be_written_to(store):
    mine = np.arange(LENGTH, dtype=np.int64)
    ended = begun(one, {"count": LENGTH}, store=store)
    for take in (lambda: ended.result, lambda: ended.value("main/numbers")):
        taken = take()
        taken[:] = -1
        assert take().sum() == SUM
    going = start(given, {"array": mine}, store=store, echo=False, durability="process")
    mine[:] = -1
    assert going.result == SUM, "an input is taken as it is when the run begins"
    assert going.inputs["array"].sum() == SUM


def kept(store):
    return {
        key: store.get(key) for top in ("objects", PARTS) for folder in store.list(top) for key in store.list(folder)
    }


@workflow
def all_of_it(count: int, length: int, array: np.ndarray) -> list[int]:
    return [
        mapped(count, length),
        emitted(length),
        total(map_task(twice)(flatten([several(1, length)]))[0]),
        total(array),
    ]


def test_X3_engines_leave_the_same_values_and_parts_to_the_byte(tmp_path):
    found = []
    for engine, place in (
        ("inline", tmp_path / "inline"),
        ("threads", tmp_path / "threads"),
        ("processes", tmp_path / "processes"),
        ("processes", f"memory://{uuid.uuid4()}"),
    ):
        store = Store(place)
        ended = begun(all_of_it, {"count": 3, "length": LENGTH, "array": np.arange(LENGTH)}, store=store, engine=engine)
        found.append((ended.result, kept(store)))
    assert found[0][0] == [2 * (3 * SUM + 3 * LENGTH), SUM, 2 * SUM, SUM]
    assert len([key for key in found[0][1] if key.startswith(PARTS)]) > 3
    for result, keys in found[1:]:
        assert result == found[0][0]
        assert keys == found[0][1]


@pytest.mark.parametrize(
    ("engine", "place"),
    [
        ("processes", "memory"),
        pytest.param("processes", "disk", marks=pytest.mark.full),
        pytest.param("inline", "memory", marks=pytest.mark.full),
        pytest.param("inline", "disk", marks=pytest.mark.full),
        pytest.param("threads", "memory", marks=pytest.mark.full),
        pytest.param("threads", "disk", marks=pytest.mark.full),
    ],
)
def test_J5_what_an_async_dynamic_awaits_comes_with_its_parts(store, engine, place):
    ended = begun(
        awaited, {"count": LENGTH}, store=store if place == "disk" else f"memory://{uuid.uuid4()}", engine=engine
    )
    assert ended.error is None
    assert ended.result == 4 * SUM + 3 * LENGTH - LENGTH * (SUM + LENGTH)


@dynamic
async def reads_later(count: int) -> int:
    file = await value(written(count))
    await value(numbers(count))
    return size(File(file.read_bytes(), name="again.txt"))


@pytest.mark.full
@pytest.mark.parametrize("place", ["disk", "memory"])
def test_J5_a_file_that_was_awaited_can_be_read_after_the_next_await(store, place):
    where = store if place == "disk" else f"memory://{uuid.uuid4()}"
    ended = begun(reads_later, {"count": PART_LIMIT}, store=where, engine="processes")
    assert ended.result == PART_LIMIT


# --- maps ---


@task
def many(count: int) -> list[np.ndarray]:
    return [np.zeros(LENGTH)] * (count - 1) + [np.ones(LENGTH)]


@task
def nested(count: int) -> list[list[np.ndarray]]:
    return [[np.arange(LENGTH) + number for number in range(length)] for length in range(count)]


@task
def is_one(array: np.ndarray, number: int) -> int:
    return int(array[0]) * number


@workflow
def zipped(count: int, of: list[int]) -> list[int]:
    return map_task(is_one)(many(count), of)


@workflow
def flat_mapped(count: int) -> list[int]:
    return map_task(total)(flatten(nested(count)))


@ENGINES
def test_V4_lists_of_arrays_are_cut_flattened_and_joined(store, engine):
    ended = begun(mapped, {"count": 5, "length": LENGTH}, store=store, engine=engine)
    assert ended.result == 2 * (5 * SUM + 10 * LENGTH)
    assert list(ended.value("main/twice[3]")[:3]) == [6, 8, 10]
    assert list(ended.inputs_of("main/twice[3]")["array"][:3]) == [3, 4, 5]
    assert begun(flat_mapped, {"count": 3}, store=store, engine=engine).result == [SUM, SUM, SUM + LENGTH]


@pytest.mark.full
def test_V4_a_list_of_arrays_that_is_mapped_in_two_chunks_keeps_their_order(store, other):
    ended = begun(zipped, {"count": 1026, "of": list(range(1026))}, store=store)
    assert ended.result == [0] * 1025 + [1025]
    export(store, ended.id, other)
    shutil.rmtree(root(store))
    assert attach(ended.id, store=other).inputs_of("main/is_one[1025]")["array"][0] == 1


# --- literals ---


def test_V4_a_dynamic_that_changes_its_array_hands_on_what_it_was_at_each_call(store):
    ended = begun(changed, {"array": np.arange(LENGTH)}, store=store)
    assert ended.result == [SUM, SUM + 7, SUM]


def test_V4_a_plan_file_brings_the_parts_of_its_literals(store):
    array = np.arange(LENGTH)

    @workflow
    def constant() -> int:
        return total(array)

    data = compile(constant).to_bytes()
    array[:] = 0
    assert begun(plan_from_bytes(data), store=store).result == SUM


def test_J4_a_plan_file_whose_part_is_changed_is_refused():
    array = np.full(LENGTH, 0x4142434445464748)

    @workflow
    def constant() -> int:
        return total(array)

    plan = compile(constant)
    data = plan.to_bytes()
    at = data.index(b"HGFEDCBA" * 100)
    assert plan_from_bytes(data).to_bytes() == data
    with pytest.raises(PlanFormatError):
        plan_from_bytes(data[:at] + b"h" + data[at + 1 :])


# --- versions ---


def version_of(data):
    return int.from_bytes(data[4:6], "big")


@pytest.mark.parametrize("count", [10, LENGTH])
def test_V4_only_what_has_parts_is_of_a_newer_version(store, count):
    large = count == LENGTH
    ended = begun(given, {"array": np.arange(count)}, store=store)
    assert version_of(store.get(run_key(ended.id, "manifest"))) == (2 if large else 1)
    ended = begun(remembered, {"count": count}, store=store)
    segments = [version_of(data) for _, data in read_segments(store, ended.id, 0, find_end(store, ended.id))]
    assert (max(segments) == 7) is large
    ((key, _),) = entries(store)
    assert version_of(store.get(key)) == (2 if large else 1)
    assert begun(sends_numbers, store=store).result == 0
    plain = plan_key(bytes.fromhex(compile(sends_numbers).digest))
    assert version_of(store.get(plain)) < 6, "a plan that knows nothing of buffers is as it always was"


# --- deaths ---


@task
def noted_numbers(count: int, plus: int) -> np.ndarray:
    say(f"numbers {count} {plus}")
    return np.arange(count, dtype=np.int64) + plus


@task
def noted_twice(array: np.ndarray) -> np.ndarray:
    say(f"twice {len(array)} {array[0]}")
    return array * 2


@task
def noted_total(arrays: list[np.ndarray]) -> int:
    say(f"total {len(arrays)}")
    return int(sum(array.sum() for array in arrays))


@dynamic
def noted_emits(count: int) -> np.ndarray:
    say("emits")
    return noted_twice(np.arange(count, dtype=np.int64) + 5)


@workflow
def interrupted(count: int, array: np.ndarray) -> int:
    listed = map_task(noted_twice)([noted_numbers(count, 1), noted_numbers(count, 2), array])
    return noted_total([listed[0], listed[1], noted_emits(count), array])


ARRAYS = Workload(
    "arrays",
    interrupted,
    2 * (SUM + LENGTH) + 2 * (SUM + 2 * LENGTH) + 2 * (SUM + 5 * LENGTH) + SUM + 9 * LENGTH,
    {"count": LENGTH, "array": np.arange(LENGTH, dtype=np.int64) + 9},
)


@pytest.fixture
def urls(tmp_path):
    """A function kind → a function: URL of an empty store of the kind, in memory or on the disk."""
    made = []

    def new(kind):
        made.append(kind)
        return str(tmp_path / f"store{len(made)}") if kind == "disk" else f"memory://{uuid.uuid4()}"

    return lambda kind: lambda: new(kind)


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("kind", ["disk", "memory"])
@pytest.mark.filterwarnings("ignore:can't write:RuntimeWarning")
def test_J1_a_run_with_arrays_that_dies_at_any_operation_is_as_if_nothing_had_been(urls, kind, how, whole):
    operations = range(1, 400) if whole else range(2 + HOWS.index(how), 400, 37)
    assert crash_at_operations(ARRAYS, urls(kind), how, iter(operations)) >= (10 if whole else 1)


@pytest.mark.full(keep=3)
@pytest.mark.parametrize(
    "point", ["worker.value-stored", "journal.segment-written", "run.manifest-written", "futures.before-write"]
)
def test_J1_a_run_with_arrays_that_dies_at_a_point_is_as_if_nothing_had_been(urls, point):
    assert die_at(ARRAYS, urls("disk"), point, 1) == 1


def test_J1_a_resume_goes_on_from_a_snapshot_whose_values_have_parts(urls, monkeypatch):
    monkeypatch.setattr(writer, "SNAPSHOT_EVENTS", 3)
    assert [die_at(ARRAYS, urls("disk"), "snapshot.written", occurrence) for occurrence in (1, 2)] == [1, 1]


KILLED = """
import os
import numpy as np
from pathlib import Path
from promissory import task, workflow

@task(commit="each")
def first(count: int) -> np.ndarray:
    with open("began", "a") as file:
        file.write("first\\n")
    return np.arange(count)

@task
def second(array: np.ndarray) -> np.ndarray:
    with open("began", "a") as file:
        file.write("second\\n")
    if Path("alive").exists():
        os.kill(int(Path("alive").read_text()), 9)
    return array * 2

@workflow
def flow(count: int) -> np.ndarray:
    return second(first(count))
"""


@ENGINES
def test_J1_after_a_kill_the_array_that_was_committed_is_taken_and_not_made_again(project, engine):
    project.write("killed.py", KILLED)
    project.write(
        "begin.py",
        f"""
        import os
        from pathlib import Path
        from promissory import run
        from killed import flow

        if __name__ == "__main__":
            Path("alive").write_text(str(os.getpid()))
            run(flow, {{"count": {LENGTH}}}, run_id="k", engine="{engine}", echo=False)
        """,
    )
    process = project.spawn("begin.py")
    project.finish(process)
    assert process.returncode == -9
    assert project.lines("began") == ["first", "second"]
    (project.folder / "alive").unlink()
    said = project.code(
        f"""
        from promissory import attach, resume
        print(resume("k", engine="{engine}", echo=False).result.sum(), attach("k").value("main/first").sum())
        """
    )
    assert said == f"{2 * SUM} {SUM}\n"
    assert project.lines("began") == ["first", "second", "second"]
    assert problems(project.store, "k") == []


@pytest.mark.full(keep=4)
@pytest.mark.parametrize("left", [b"", b"\0" * 8 * LENGTH, b"cut"], ids=["nothing", "zeros", "less"])
@pytest.mark.parametrize("again", ["a result", "a literal", "an input", "an export"])
def test_J4_a_part_that_a_machine_left_half_written_is_written_anew(store, other, left, again):
    ended = begun(one, {"count": LENGTH}, store=store)
    at = other if again == "an export" else store
    if at is other:
        export(store, ended.id, other)
        remove_run(other, ended.id)
    (part,) = files(at)
    rewritten(part, lambda _: left)
    if again == "a result":
        assert begun(summed, {"count": LENGTH}, store=at.url).result == SUM
    elif again == "a literal":
        assert begun(emitted, {"count": LENGTH}, store=at.url).result == SUM
    elif again == "an input":
        assert begun(given, {"array": np.arange(LENGTH, dtype=np.int64)}, store=at.url).result == SUM
    else:
        export(store, ended.id, at)
        assert attach(ended.id, store=at).result.sum() == SUM
    assert part.read_bytes() == np.arange(LENGTH, dtype=np.int64).tobytes()


# --- J2 ---


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """What the disk was asked, in order: ("sync", path) and ("name", path)."""
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("the path of a descriptor can't be had here")
    calls, fsync, link, replace = [], os.fsync, os.link, os.replace

    def noting_fsync(descriptor):
        fsync(descriptor)
        calls.append(("sync", os.readlink(f"/proc/self/fd/{descriptor}")))

    def noting_link(source, target):
        calls.append(("name", str(target)))
        link(source, target)

    def noting_replace(source, target):
        replace(source, target)
        calls.append(("name", str(target)))

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(os, "link", noting_link)
    monkeypatch.setattr(os, "replace", noting_replace)
    return calls


def unsynced(store, calls, pattern):
    """The parts, and the folders that lead to them, that were not synced when the last key of a pattern was named."""
    moment = max(at for at, (what, path) in enumerate(calls) if what == "name" and pattern in path)
    synced = {path for what, path in calls[:moment] if what == "sync"}
    wanted = {str(path) for part in files(store) for path in (part, part.parent, part.parent.parent, root(store))}
    assert files(store), "there is a part"
    return sorted(wanted - synced)


@pytest.mark.parametrize(
    ("target", "inputs"),
    [(one, {"count": LENGTH}), (a_list, {"count": 60, "length": LENGTH}), (emitted, {"count": LENGTH})],
    ids=["an inline value", "an object", "a literal of a futures file"],
)
def test_J2_parts_are_on_the_disk_before_the_segment_that_names_their_value(store, asked, target, inputs):
    assert run(target, inputs, store=store, echo=False).state == "SUCCEEDED"
    assert unsynced(store, asked, "/journal/") == []


def test_J2_parts_of_inputs_and_literals_are_on_the_disk_before_the_manifest(store, asked):
    array = np.arange(LENGTH) + 1

    @workflow
    def both(given: np.ndarray) -> list[int]:
        return [total(given), total(array)]

    assert run(both, {"given": array - 1}, store=store, echo=False).result == [SUM, SUM + LENGTH]
    assert len(files(store)) == 2
    assert unsynced(store, asked, "/manifest") == []


@pytest.mark.full
def test_J2_folders_that_a_worker_process_made_are_on_the_disk_before_the_segment(store, asked):
    assert run(one, {"count": LENGTH}, store=store, engine="processes", echo=False).state == "SUCCEEDED"
    assert unsynced(store, asked, "/journal/") == []


# --- J4, J6: damage and failing stores ---


def test_J4_a_damaged_part_is_told_with_its_key(store):
    ended = begun(one, {"count": LENGTH}, store=store)
    (part,) = files(store)
    rewritten(part, damaged)
    with pytest.raises(Exception, match=f"{part.name} in the store .* is damaged"):
        attach(ended.id, store=store.url).result
    ((key, problem),) = problems(store, ended.id)
    assert key.endswith(part.name)
    assert problem == "is damaged: its digest does not match its bytes"


def test_J4_a_missing_part_is_told_with_its_key(store):
    ended = begun(a_list, {"count": 60, "length": LENGTH}, store=store)
    files(store)[7].unlink()
    assert len(problems(store, ended.id)) == 1
    with pytest.raises(Exception, match="is not in the store"):
        attach(ended.id, store=store.url).result


@ENGINES
def test_J6_a_damaged_part_is_no_nodes_failure_just_as_a_damaged_object_is_none(store, engine, states_of):
    ended = begun(summed, {"count": LENGTH}, store=store)
    (part,) = files(store)
    rewritten(part, damaged)
    with pytest.raises(StoreError, match=part.name):
        rerun(
            ended.id, "main/total", store=store.url, engine=engine, new_run_id="again", echo=False, durability="process"
        )
    assert states_of(store, "again").get("main/total") != "FAILED"


def test_J6_a_store_that_can_not_be_read_is_no_nodes_failure(tmp_path, states_of):
    store = FaultyStore(
        tmp_path / "store", [Fault("fail", verbs=["get"], keys="parts/*", error=lambda: OSError(5, "no disk"))]
    )
    with pytest.raises(StoreError):
        begun(summed, {"count": LENGTH}, store=store, run_id="r")
    assert states_of(Store(store.url), "r").get("main/total") != "FAILED"


def test_J6_an_error_that_passes_while_a_part_is_written_or_read_is_waited_out(tmp_path):
    faults = [Fault("fail", at=1, verbs=[verb], keys="parts/*") for verb in ("exists", "put", "get")]
    store = FaultyStore(tmp_path / "store", faults)
    assert begun(summed, {"count": LENGTH}, store=store).result == SUM
    assert all(fault.seen for fault in faults)


# --- J7: other processes, exports ---


@pytest.mark.full
def test_J7_another_process_reads_result_inputs_and_values(project):
    project.write(
        "flow.py",
        """
        import numpy as np
        from promissory import task, workflow

        @task
        def twice(array: np.ndarray) -> np.ndarray:
            return array * 2

        @workflow
        def flow(array: np.ndarray, data: bytes) -> dict[str, np.ndarray]:
            return {"twice": twice(array), "again": twice(array)}
        """,
    )
    project.code(
        f"""
        import numpy as np
        from promissory import run
        from flow import flow
        run(flow, {{"array": np.arange({LENGTH}), "data": b"x" * 100_000}}, run_id="r", echo=False)
        """
    )
    said = project.code(
        """
        from promissory import attach
        one = attach("r")
        print(one.result["again"].sum(), one.inputs["array"].sum(), len(one.inputs["data"]))
        print(one.value("main/twice").sum(), one.inputs_of("main/twice~2")["array"].sum())
        """
    )
    assert said == f"{2 * SUM} {SUM} 100000\n{2 * SUM} {SUM}\n"


BROKEN: list[bool] = []


@task
def may_fail(arrays: list[np.ndarray], more: np.ndarray, literal: np.ndarray) -> int:
    if BROKEN:
        raise ValueError("not today")
    return int(sum(one.sum() for one in arrays) + more.sum() + literal.sum())


@workflow
def exported(array: np.ndarray, count: int) -> int:
    return may_fail(several(count, LENGTH), array, np.ones(LENGTH))


@pytest.mark.parametrize("kind", ["disk", "memory"])
def test_J7_a_copy_has_all_parts_and_goes_on_without_the_store_that_it_came_from(store, urls, kind):
    target = Store(urls(kind)())
    BROKEN.append(True)
    try:
        failed = begun(exported, {"array": np.arange(LENGTH), "count": 60}, store=store)
    finally:
        BROKEN.clear()
    assert failed.state == "FAILED"
    export(store, failed.id, target)
    shutil.rmtree(root(store))
    assert problems(target, failed.id) == []
    copy = attach(failed.id, store=target)
    assert copy.inputs["array"].sum() == SUM
    assert len(copy.value("main/several")) == 60
    ended = resume(failed.id, store=target, echo=False, durability="process")
    assert ended.result == 60 * SUM + LENGTH * 60 * 59 // 2 + SUM + LENGTH


def test_J4_a_damaged_part_is_not_exported_as_if_it_were_whole(store, other):
    ended = begun(one, {"count": LENGTH}, store=store)
    (part,) = files(store)
    rewritten(part, damaged)
    with pytest.raises(StoreError, match=part.name):
        export(store, ended.id, other)


def test_R6_a_rerun_takes_the_arrays_that_stay(store, other):
    ended = begun(summed, {"count": LENGTH}, store=store)
    RAN.clear()
    again = rerun(ended.id, "main/total", store=store, echo=False, durability="process")
    assert again.result == SUM
    assert RAN == []
    export(store, again.id, other)
    shutil.rmtree(root(store))
    assert attach(again.id, store=other).value("main/numbers").sum() == SUM


# --- C5: trimmed journals ---


@task
def added(before: np.ndarray, number: int) -> np.ndarray:
    return before + number


@cycle
def sums(c: Cycle) -> np.ndarray:
    return added(prev(added, default=np.zeros(LENGTH, dtype=np.int64)), c.number)


@ENGINES
def test_C5_a_trimmed_journal_needs_its_own_parts_alone(store, other, monkeypatch, engine):
    monkeypatch.setattr(writer, "SNAPSHOT_EVENTS", 4)
    monkeypatch.setattr(writer, "COMMIT_INTERVAL", 0.0)
    ended = begun(sums, store=store, run_id="c", stop=30, keep_cycles=3, engine=engine)
    assert ended.result[0] == 465
    assert first_segment(store, "c") > 0
    before = len(files(store))
    remove(store, garbage(store, 0))
    assert 3 <= len(files(store)) < before, "parts of rounds that were not kept are garbage"
    export(store, "c", other)
    shutil.rmtree(root(store))
    assert problems(other, "c") == []
    assert resume("c", store=other, stop=32, engine=engine, echo=False, durability="process").result[0] == 528


# --- R3: the cache ---


@task(cache=True, cache_version="1")
def costly(count: int) -> np.ndarray:
    RAN.append(count)
    return np.arange(count, dtype=np.int64)


@task(cache=True, cache_version="1")
def costly_list(count: int) -> list[np.ndarray]:
    RAN.append(count)
    return [np.arange(LENGTH, dtype=np.int64) + number for number in range(count)]


@task(cache=True, cache_version="1")
def costly_total(array: np.ndarray) -> int:
    RAN.append("total")
    return int(array.sum())


@dynamic(cache=True, cache_version="1")
def costly_emits(count: int) -> int:
    RAN.append("emits")
    return total(np.arange(count, dtype=np.int64))


@workflow
def remembered(count: int) -> int:
    return total(costly(count))


@workflow
def remembered_list(count: int) -> int:
    return totals(costly_list(count))


@workflow
def remembered_expansion(count: int) -> int:
    return costly_emits(count)


@workflow
def remembered_input(array: np.ndarray) -> int:
    return costly_total(array)


@task
def nothing() -> int:
    return 0


@workflow
def sends_numbers() -> int:
    return nothing()


OF_60 = 60 * SUM + LENGTH * 60 * 59 // 2
CACHED = pytest.mark.parametrize(
    ("target", "inputs", "result"),
    [
        (remembered, {"count": LENGTH}, SUM),
        (remembered_list, {"count": 60}, OF_60),
        (remembered_expansion, {"count": LENGTH}, SUM),
        (remembered_input, {"array": np.arange(LENGTH)}, SUM),
    ],
    ids=["inline", "object", "expansion", "argument"],
)


@CACHED
def test_R3_a_cached_outcome_with_parts_is_taken_by_another_run(store, target, inputs, result):
    assert begun(target, inputs, store=store).result == result
    assert len(RAN) == 1
    assert begun(target, inputs, store=store.url).result == result
    assert len(RAN) == 1


@pytest.mark.parametrize(
    ("target", "count", "result"), [(remembered, LENGTH, SUM), (remembered_list, 60, OF_60)], ids=["inline", "object"]
)
def test_R3_a_cached_outcome_whose_parts_are_gone_counts_as_missing(store, target, count, result):
    begun(target, {"count": count}, store=store)
    files(store)[0].unlink()
    for _ in range(2):
        assert begun(target, {"count": count}, store=store.url).result == result
        assert len(RAN) == 2


def test_R3_a_cached_expansion_whose_literals_lack_parts_counts_as_missing(store):
    begun(remembered_expansion, {"count": LENGTH}, store=store)
    for key, entry in list(entries(store)):
        if entry.futures is None:
            store.remove(key)
    (part,) = files(store)
    part.unlink()
    assert begun(remembered_expansion, {"count": LENGTH}, store=store.url).result == SUM
    assert RAN == ["emits", "emits"]


@pytest.mark.parametrize("change", [damaged, lambda data: data[:100]], ids=["damaged", "cut"])
def test_R3_a_cached_outcome_whose_part_is_damaged_counts_as_missing(store, change):
    begun(remembered, {"count": LENGTH}, store=store)
    rewritten(files(store)[0], change)
    assert begun(remembered, {"count": LENGTH}, store=store.url).result == SUM
    assert len(RAN) == 2


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory whose store plain calls look into."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("PROMISSORY_CACHE")
    monkeypatch.delenv("PROMISSORY_STORE", raising=False)
    return folder


@CACHED
def test_R3_plain_calls_take_and_give_cached_outcomes_with_parts(here, target, inputs, result):
    begun(nothing)  # so that there is a store
    assert target(**inputs) == result
    assert len(RAN) == 1
    assert begun(target, inputs).result == result
    assert target(**inputs) == result
    assert len(RAN) == 1


def test_R3_a_plain_call_does_without_a_cached_outcome_whose_part_is_damaged(here):
    begun(remembered, {"count": LENGTH})
    rewritten(files(Store(here / ".promissory"))[0], damaged)
    assert remembered(count=LENGTH) == SUM
    assert len(RAN) == 2


# --- J8: garbage ---


def test_J8_parts_go_with_the_last_that_names_them(store):
    first = begun(remembered, {"count": LENGTH}, store=store)
    second = begun(one, {"count": LENGTH}, store=store)
    for gone in (first, second):
        assert [found for found in garbage(store, 0) if found.key.startswith(PARTS)] == []
        remove_run(store, gone.id)
    remove(store, garbage(store, 0))
    assert len(files(store)) == 1, "the cached outcome needs it"
    for key, _ in list(entries(store)):
        store.remove(key)
    assert [found.key for found in garbage(store, 0) if found.key.startswith(PARTS)] == [
        str(path.relative_to(root(store))) for path in files(store)
    ]
    remove(store, garbage(store, 0))
    assert files(store) == []


def test_J8_what_is_no_part_of_ours_stays_in_the_folder_of_parts(store):
    begun(one, {"count": LENGTH}, store=store, run_id="r")
    remove_run(store, "r")
    (part,) = files(store)
    mine = [root(store) / PARTS / "readme", part.parent / "notes", part.parent / f"{part.name}.txt"]
    for path in mine:
        path.write_text("mine")
    left = part.parent / ".tmp-0123456789abcdef"
    left.write_text("a killed writer's")
    remove(store, garbage(store, 0))
    assert files(store) == sorted(mine)


def test_V4_an_array_that_is_mapped_stays_whole_when_its_part_is_collected_or_written_anew(store):
    ended = begun(one, {"count": LENGTH}, store=store)
    array, second = ended.result, ended.result
    put_there = files(store)[0].with_suffix(".new")
    put_there.write_bytes(b"cut")
    os.replace(put_there, files(store)[0])
    assert begun(one, {"count": LENGTH}, store=store).result.sum() == SUM
    for run_id in [key.rpartition("/")[2] for key in store.list("runs")]:
        remove_run(store, run_id)
    remove(store, garbage(store, 0))
    assert files(store) == []
    array += 1
    assert (array.sum(), second.sum()) == (SUM + LENGTH, SUM)


@pytest.mark.parametrize("change", ["missing", "damaged"])
@pytest.mark.parametrize("named_by", ["a run", "a cache entry"])
def test_J8_a_lost_object_that_had_parts_does_not_end_the_collection(store, change, named_by):
    ended = begun(remembered_list, {"count": 60}, store=store)
    if named_by == "a cache entry":
        remove_run(store, ended.id)
    (path,) = files(store, "objects")
    if change == "missing":
        path.unlink()
    else:
        rewritten(path, damaged)
    begun(one, {"count": LENGTH + 1}, store=store, run_id="other")
    remove_run(store, "other")
    found = {one.key for one in garbage(store, 0)}
    assert part_key(blake3(np.arange(LENGTH + 1, dtype=np.int64).tobytes())) in found


# --- object stores ---

ON_S3 = """
import sys
import fsspec
import numpy as np
from promissory import File, Store, attach, run
from promissory.executor.maintenance.doctor import examine
from promissory.executor.maintenance.export import export
from promissory.executor.maintenance.garbage import garbage, remove, remove_run
from flow import flow

if __name__ == "__main__":
    fsspec.filesystem("s3").mkdir("parts")
    store = Store("s3://parts/store")
    for engine in ("inline", "processes"):
        ended = run(flow, {"array": np.arange(9000), "file": File(b"x" * 70_000, name="a")}, store=store, run_id=engine,
                    engine=engine, echo=False)
        print(ended.result, int(attach(engine, store="s3://parts/store").inputs["array"].sum()))
        print([one.problem for one in examine(store, engine) if one.severity != "note"])
    export(store, "inline", Store("copy"))
    print(attach("inline", store="copy").value("main/twice").sum())
    remove_run(store, "inline")
    print([one.key for one in garbage(store, 0) if one.key.startswith("parts")])
    remove_run(store, "processes")
    remove(store, garbage(store, 0))
    print([key for folder in store.list("parts") for key in store.list(folder)])
"""


@pytest.mark.full
def test_J5_parts_lie_in_an_object_store_too(project):
    pytest.importorskip("s3fs")
    pytest.importorskip("moto.server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert time.monotonic() < deadline
                assert server.poll() is None
        project.write(
            "flow.py",
            """
            import numpy as np
            from promissory import File, task, workflow

            @task
            def twice(array: np.ndarray, file: File) -> np.ndarray:
                return array * 2 + file.size - file.path.stat().st_size

            @task
            def total(array: np.ndarray) -> int:
                return int(array.sum())

            @workflow
            def flow(array: np.ndarray, file: File) -> int:
                return total(twice(array, file))
            """,
        )
        project.write("cloud.py", ON_S3)
        said = project.python(
            "cloud.py",
            AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}",
            AWS_ACCESS_KEY_ID="AKIDNEVERTOBETOLD0001",
            AWS_SECRET_ACCESS_KEY="never-to-be-told",
            AWS_DEFAULT_REGION="us-east-1",
            AWS_EC2_METADATA_DISABLED="true",
        )
    finally:
        server.kill()
        server.wait()
    assert said.splitlines() == [
        *[f"{2 * SUM} {SUM}", "[]"] * 2,
        f"{2 * SUM}",
        "[]",
        "[]",
    ]

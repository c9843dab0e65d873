"""V4, X3, J1, J7, J8, R3: long lists lie in blocks in a store, and go wherever their values go."""

import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest

from promissory import (
    Context,
    Loop,
    Store,
    attach,
    compile,
    conditional,
    current_context,
    dynamic,
    flatten,
    map_task,
    run,
    task,
    workflow,
)
from promissory.executor.maintenance.doctor import examine
from promissory.executor.maintenance.export import export
from promissory.executor.maintenance.garbage import garbage, remove, remove_run
from promissory.executor.store.keys import OBJECTS, PARTS
from promissory.executor.testing.diary import say
from promissory.executor.testing.enumeration import HOWS, crash_at_operations
from promissory.executor.testing.workloads import Workload
from promissory.planner.plan.format import plan_from_bytes

ENGINES = pytest.mark.parametrize("engine", ["inline", "threads", "processes"])
COUNT = 3000
"""So many lines are a long list."""
RAN: list[str] = []


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
    """The files of a folder of a store, and their bytes."""
    found = (path for path in (root(store) / folder).rglob("*") if path.is_file())
    return {path.name: path.read_bytes() for path in found}


def of(count, end=""):
    return [f"{number:060d}{end}" for number in range(count)]


@dataclass
class Log:
    name: str
    lines: list[str]


@task
def lines(count: int) -> list[str]:
    return of(count)


@task
def log(count: int) -> Log:
    return Log("log", of(count))


@task
def longer(line: str) -> str:
    return line + "!"


@task
def number_of(lines: list[str]) -> int:
    return len(lines)


@task
def number_of_objects(lines: list[object]) -> int:
    return len(lines)


@task
def several(count: int) -> list[list[str]]:
    return [of(count), [], of(2), of(count)]


@task
def in_all(lists: list[list[str]], log: Log) -> int:
    return sum(map(len, lists)) + len(log.lines)


@workflow
def selected(count: int) -> tuple[str, str, int, int, int]:
    made, whole = lines(count), log(count)
    asked = conditional("asked").if_(whole.name == "log").then(number_of(whole.lines)).else_().fail("no log")
    return made[7], whole.lines[8], number_of_objects(made), asked, in_all([made, made, ["a"]], Log("made", made))


@workflow
def mapped(count: int) -> tuple[list[str], int]:
    done = map_task(longer)(lines(count))
    return done, number_of(done)


@workflow
def flat(count: int) -> list[str]:
    return map_task(longer)(flatten(several(count)))


# --- what comes of them is what came of them before -------------------------------------------------------------------


@ENGINES
def test_V4_long_lists_are_selected_from_mapped_flattened_and_put_together(store, engine):
    ended = begun(selected, {"count": COUNT}, store=store, engine=engine)
    assert ended.result == (of(8)[7], of(9)[8], COUNT, COUNT, 3 * COUNT + 1)
    assert begun(mapped, {"count": COUNT}, store=store, engine=engine).result == (of(COUNT, "!"), COUNT)
    ended = begun(flat, {"count": COUNT}, store=store, engine=engine)
    assert ended.result == of(COUNT, "!") + of(2, "!") + of(COUNT, "!")
    assert ended.inputs_of("main/longer[3001]") == {"line": of(2)[1]}
    assert files(store)


def test_X3_engines_leave_the_same_blocks_to_the_byte(tmp_path):
    left = []
    for engine in ("inline", "threads", "processes"):
        store = Store(tmp_path / engine)
        for target in (selected, mapped, flat):
            begun(target, {"count": COUNT}, store=store, engine=engine)
        left.append({**files(store), **files(store, OBJECTS)})
    assert left[0] == left[1] == left[2]


def test_V4_the_list_of_a_map_is_that_of_a_task(store):
    @workflow
    def both(count: int) -> tuple[list[str], list[str]]:
        return lines(count), map_task(longer)(lines(count))

    ended = begun(both, {"count": COUNT}, store=store)
    before = files(store)

    @task
    def at_once(count: int) -> list[str]:
        return of(count, "!")

    assert begun(at_once, {"count": COUNT}, store=store).result == ended.result[1]
    assert files(store) == before


# --- a list that grows ------------------------------------------------------------------------------------------------


@dynamic(max_iterations=1000)
def talk(context: Context, turns: int) -> int:
    history = context.loop_result or []
    if len(history) == turns:
        return len(history)
    raise Loop([*history, f"{len(history):03d}" * 1000])


@task
def chat(turns: int) -> int:
    context = current_context()
    history = context.loop_result or []
    if len(history) < turns:
        context.next_iteration([*history, f"{len(history):03d}" * 1000])
    return len(history)


@dynamic
def discuss(history: list[str], turns: int) -> int:
    if len(history) == turns:
        return number_of(history)
    return discuss([*history, f"{len(history):03d}" * 1000], turns)


@pytest.mark.parametrize(
    ("target", "inputs"), [(discuss, {"history": []}), (talk, {}), (chat, {})], ids=["recursion", "loop", "iteration"]
)
def test_V4_a_history_costs_about_what_it_holds_in_the_end(store, target, inputs):
    turns, once = 300, 300 * 3003
    assert begun(target, {**inputs, "turns": turns}, store=store, max_depth=1000).result == turns
    kept = sum(map(len, files(store).values())) + sum(map(len, files(store, OBJECTS).values()))
    assert kept < 9 * once, "whole copies would have 150 times as much"


# --- where they go ----------------------------------------------------------------------------------------------------


@workflow
def literal() -> int:
    return number_of(of(COUNT))


def test_V4_a_plan_file_brings_the_blocks_of_its_literals(store):
    plan = plan_from_bytes(compile(literal).to_bytes())
    assert "<list of 3,000 items>" in plan.show()
    assert begun(plan, store=store).result == COUNT


def test_J7_a_copy_has_all_blocks(store, other):
    ended = begun(mapped, {"count": COUNT}, store=store)
    export(store, ended.id, other)
    shutil.rmtree(root(store))
    copied = attach(ended.id, store=other)
    assert copied.result == (of(COUNT, "!"), COUNT)
    assert copied.value("main/longer")[2999] == of(COUNT)[2999] + "!"


@pytest.mark.parametrize("target", [talk, chat])
def test_J7_J8_the_blocks_that_an_iteration_handed_on_are_the_runs(store, other, target):
    ended = begun(target, {"turns": 90}, store=store)
    assert [found for found in examine(store, ended.id) if found.severity != "note"] == []
    assert not [found for found in garbage(store, 0) if found.key.startswith(PARTS)]
    export(store, ended.id, other)
    assert files(other) == files(store)
    assert len(attach(ended.id, store=other).value(f"main/{target.name}[=80]")) == 81
    remove_run(store, ended.id)
    remove(store, garbage(store, 0))
    assert files(store) == {}


def test_J8_blocks_go_with_the_last_run_that_names_them(store):
    first, second = (begun(mapped, {"count": count}, store=store) for count in (COUNT, COUNT + 500))
    for gone in (first, second):
        assert [found for found in garbage(store, 0) if found.key.startswith(PARTS)] == []
        remove_run(store, gone.id)
        remove(store, garbage(store, 0))
    assert files(store) == {}


def test_J4_a_damaged_block_is_told(store):
    ended = begun(mapped, {"count": COUNT}, store=store)
    path = next(path for path in (root(store) / PARTS).rglob("*") if path.is_file())
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert any(path.name in found.key for found in examine(store, ended.id) if found.severity != "note")


@task(cache=True)
def remembered(lines: list[str]) -> list[str]:
    RAN.append("remembered")
    return lines[1:]


@workflow
def remembers(count: int) -> int:
    return number_of(remembered(lines(count)))


def test_R3_an_outcome_is_found_by_a_long_list_and_is_one(store):
    for _ in range(2):
        assert begun(remembers, {"count": COUNT}, store=store).result == COUNT - 1
    assert RAN == ["remembered"]


# --- deaths -----------------------------------------------------------------------------------------------------------


@task
def noted_lines(count: int) -> list[str]:
    say(f"lines {count}")
    return of(count)


@task
def noted_number(lines: list[str]) -> int:
    say(f"number {len(lines)}")
    return len(lines)


@workflow
def interrupted(count: int) -> int:
    made = noted_lines(count)
    return noted_number(map_task(longer)(made))


LINES = Workload("lines", interrupted, COUNT, {"count": COUNT})


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("kind", ["disk", "memory"])
@pytest.mark.filterwarnings("ignore:can't write:RuntimeWarning")
def test_J1_a_run_with_long_lists_that_dies_at_any_operation_is_as_if_nothing_had_been(tmp_path, kind, how, whole):
    made = []

    def url():
        made.append(kind)
        return str(tmp_path / f"store{len(made)}") if kind == "disk" else f"memory://{uuid.uuid4()}"

    operations = range(1, 200) if whole else range(2 + HOWS.index(how), 200, 47)
    assert crash_at_operations(LINES, url, how, iter(operations)) >= 1

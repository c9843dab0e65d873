"""C1 to C4 over random cycles: every value is what a plain loop gives, whenever a run stops, dies or fails and is
resumed, and no committed body begins again.
"""

import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from promissory import Cycle, Store, cycle, every, once, prev, promise, resume, run, task
from promissory.executor.journal import writer
from promissory.testing import Crashed, always_replay, crash_at

BEGAN = Path("began")


@task
def mixed(label: str, values: list[int]) -> int:
    with BEGAN.open("a") as file:
        file.write(label + "\n")
    if Path(f"broken-{label}").exists():
        raise ValueError(label)
    return (sum((at + 1) * value for at, value in enumerate(values)) + len(label)) % 10_007


def plain(label: str, values: list[int]) -> int:
    return (sum((at + 1) * value for at, value in enumerate(values)) + len(label)) % 10_007


@dataclass
class Shape:
    """A random cycle: for each node what it takes, as (kind, node, distance); kinds of nodes; how many rounds."""

    takes: list[list[tuple[str, int, int]]]
    kinds: list[str]
    rounds: int
    active: int


def shape_of(seed: int) -> Shape:
    draw = random.Random(seed)
    count = draw.randint(2, 5)
    kinds = ["each"] + [draw.choice(["each", "each", "once", "every"]) for _ in range(count - 1)]
    plain_nodes = [at for at, kind in enumerate(kinds) if kind == "each"]
    takes = []
    for node in range(count):
        of_this = [("now", before, 0) for before in range(node) if kinds[node] == "each"]
        of_earlier = [("prev", other, draw.randint(1, 3)) for other in plain_nodes if kinds[node] == "each"]
        possible = of_this + of_earlier
        takes.append(draw.sample(possible, min(len(possible), draw.randint(0, 3))))
    return Shape(takes, kinds, draw.randint(3, 8), draw.randint(1, 4))


def runs_in(kind: str, number: int) -> bool:
    return kind == "each" or (kind == "once" and number == 1) or (kind == "every" and number % 3 == 1)


def expected(shape: Shape) -> dict[tuple[int, int], int]:
    """The value of each node of each round, by a plain loop."""
    found: dict[tuple[int, int], int] = {}
    for number in range(1, shape.rounds + 1):
        for node, kind in enumerate(shape.kinds):
            if not runs_in(kind, number):
                found[number, node] = found[number - 1, node]
                continue
            values = []
            for how, other, distance in shape.takes[node]:
                of = number - distance
                values.append(found[of, other] if how == "now" or of >= 1 else -other)
            found[number, node] = plain(f"n{node}.{number}", values)
    return found


def cycle_of(shape: Shape):
    @cycle(max_active=shape.active)
    def random_cycle(c: Cycle) -> list[int]:
        made = []
        for node, kind in enumerate(shape.kinds):
            if kind == "each":
                values = [
                    made[other] if how == "now" else prev(f"n{other}", distance, default=-other)
                    for how, other, distance in shape.takes[node]
                ]
                made.append(promise(mixed(f"n{node}.{c.number}", values)).with_overrides(name=f"n{node}"))
            else:
                wrap = once() if kind == "once" else every(3)
                made.append(wrap(mixed)(f"n{node}.{c.number}", []))
        return made

    return random_cycle


def result_of(shape: Shape) -> list[int]:
    found = expected(shape)
    return [found[shape.rounds, node] for node in range(len(shape.kinds))]


def began() -> Counter[str]:
    return Counter(BEGAN.read_text().split() if BEGAN.exists() else ())


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(writer, "SNAPSHOT_EVENTS", 12)


SEEDS = pytest.mark.parametrize("seed", range(24))


@pytest.mark.full(keep=6)
@SEEDS
def test_C2_every_value_is_what_a_plain_loop_gives(seed):
    shape, store = shape_of(seed), "store"
    with always_replay():
        done = run(cycle_of(shape), store=store, stop=shape.rounds, echo=False, durability="process")
    assert done.result == result_of(shape)
    for (number, node), value in expected(shape).items():
        if shape.kinds[node] == "each":
            assert done.value(f"main/random_cycle@{number}/n{node}") == value
    assert set(began().values()) == {1}
    again = run(cycle_of(shape), store=f"{store}-threads", stop=shape.rounds, engine="threads", echo=False)
    assert again.result == result_of(shape)


@pytest.mark.full(keep=6)
@SEEDS
def test_C3_stopped_at_any_round_it_goes_on_as_if_it_had_not(seed):
    shape, store = shape_of(seed), "store"
    target = cycle_of(shape)
    first = random.Random(seed).randint(1, shape.rounds - 1)
    run(target, store=store, run_id="r", stop=first, echo=False, durability="process")
    done = resume("r", store=store, target=target, stop=shape.rounds, echo=False, durability="process")
    assert done.result == result_of(shape)
    assert set(began().values()) == {1}


@pytest.mark.full(keep=6)
@SEEDS
def test_J1_killed_at_any_commit_it_goes_on_and_runs_nothing_committed_again(seed, monkeypatch):
    monkeypatch.setattr(writer, "COMMIT_INTERVAL", 0.0)
    shape, store = shape_of(seed), "store"
    target, draw, deaths = cycle_of(shape), random.Random(seed), 0
    while True:
        point = draw.choice(["journal.committed", "worker.after-body", "worker.before-body"])
        try:
            with crash_at(point, draw.randint(2, 12)):
                if deaths:
                    done = resume("r", store=Store(store), target=target, take_over=True, echo=False)
                else:
                    done = run(target, store=Store(store), run_id="r", stop=shape.rounds, echo=False)
            break
        except Crashed:
            deaths += 1
            assert deaths < 60, "no progress is made"
    assert done.result == result_of(shape)
    assert max(began().values()) <= 1 + deaths
    assert {row.state for row in done.nodes()} == {"SUCCEEDED"}


@pytest.mark.full(keep=6)
@SEEDS
def test_C4_what_failed_is_repaired_as_if_it_had_not(seed):
    shape, store = shape_of(seed), "store"
    target, draw = cycle_of(shape), random.Random(seed)
    broken = [f"n0.{number}" for number in draw.sample(range(1, shape.rounds + 1), 2)]
    for label in broken:
        Path(f"broken-{label}").touch()
    done = run(target, store=store, run_id="r", stop=shape.rounds, echo=False, durability="process")
    assert done.state == "FAILED"
    for label in broken:
        Path(f"broken-{label}").unlink()
    done = resume("r", store=store, target=target, echo=False, durability="process")
    assert done.result == result_of(shape)
    assert {row.state for row in done.nodes()} == {"SUCCEEDED"}
    assert {label for label, times in began().items() if times > 1} <= set(broken)

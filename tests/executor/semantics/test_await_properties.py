"""D8: random bodies that await, driven by answers in random order: told the same again, they make the same calls."""

import asyncio
import random
from dataclasses import dataclass, field

import pytest

from promissory import Store, dynamic, promise, resume, run, task, value
from promissory.executor.history.history import History
from promissory.executor.journal import writer
from promissory.planner.entities.awaiting import Answer, AwaitingBody
from promissory.planner.plan.format import FuturesHeader, futures_to_bytes
from promissory.testing import Crashed, MockClock, always_replay, crash_at

HEADER = FuturesHeader(bytes(16), 0, 1)


@task
def gives(x: int) -> int:
    return (7 * x + 1) % 97


@task
def fails(x: int) -> int:
    raise ValueError(x)


async def part(seed: int, depth: int, shared: list | None) -> int:
    """A piece of a body, whose shape is drawn from its seed; without `shared`, one whose value is always the same."""
    draw = random.Random(seed)
    found = 0
    shapes = STEADY if shared is None else SHAPES
    for _ in range(draw.randrange(1, 4)):
        what = draw.choice(shapes if depth else shapes[:3])
        found = (found + await what(draw, depth - 1, shared)) % 97
    return found


def seeds(draw: random.Random) -> list[int]:
    return [draw.randrange(1 << 30) for _ in range(draw.randrange(1, 4))]


async def one(draw, depth, shared):
    made = gives(draw.randrange(97))
    if shared is not None:
        shared.append(made)
    return await value(made)


async def taken_later(draw, depth, shared):
    shared.append(gives(draw.randrange(97)))
    early = shared[draw.randrange(len(shared))]
    if draw.random() < 0.5:
        return await value(gives(early))
    after = gives(draw.randrange(97))
    promise(early) >> after
    return await value([early, after]) and 3


async def handled(draw, depth, shared):
    try:
        return await value(fails(draw.randrange(97)))
    except ValueError:
        return await value(gives(draw.randrange(97)))


async def slept(draw, depth, shared):
    await asyncio.sleep(draw.randrange(3))
    return 1


async def late(draw, depth, shared):
    try:
        return await asyncio.wait_for(value(gives(draw.randrange(97))), draw.choice([0.5, 2]))
    except TimeoutError:
        return 2


async def gathered(draw, depth, shared):
    parts = [part(seed, depth, shared) for seed in seeds(draw)]
    found = await asyncio.gather(*parts, value(fails(1)), return_exceptions=True)
    return sum(one for one in found if isinstance(one, int))


async def grouped(draw, depth, shared):
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(tidy(seed, depth, shared)) for seed in seeds(draw)]
            if draw.random() < 0.3:
                group.create_task(value(fails(2)))
    except ExceptionGroup:
        return await value(gives(draw.randrange(97)))
    return sum(task.result() for task in tasks)


async def tidy(seed, depth, shared):
    try:
        return await part(seed, depth, shared)
    finally:
        await value(gives(seed % 97))


async def first_of_many(draw, depth, shared):
    found = 0
    for one in asyncio.as_completed([part(seed, depth, shared) for seed in seeds(draw)]):
        found += await one
    return found


async def some(draw, depth, shared):
    tasks = [asyncio.create_task(part(seed, depth, shared)) for seed in seeds(draw)]
    done, left = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for one in left:
        one.cancel()
    return sum(one.result() for one in done)


SHAPES = [one, handled, slept, taken_later, late, gathered, grouped, first_of_many, some]
STEADY = [one, handled, slept, gathered, first_of_many]


@dynamic
async def body(seed: int) -> int:
    return await part(seed, 2, [])


@dynamic
async def steady(seed: int) -> int:
    early = gives(seed % 97)
    return await value(gives(early)) + await part(seed, 3, None)


@dataclass
class Driven:
    """A body, and all that it was told."""

    body: AwaitingBody
    told: list[tuple[float, list[Answer], bytes | None]] = field(default_factory=list)
    pending: list[tuple[int, int]] = field(default_factory=list)
    failing: set[tuple[int, int]] = field(default_factory=set)
    due: float | None = None
    ended: bool = False

    def tell(self, now: float, answers: list[Answer]) -> bytes | None:
        stretch = self.body.go_on(now, answers)
        emitted = None if stretch.plan is None else futures_to_bytes(stretch.plan, HEADER)
        if stretch.plan is not None:
            names = [node.name.partition("~")[0] for node in stretch.plan.nodes()]
            self.failing.update((self.body.emitted, at) for at, name in enumerate(names) if name == "fails")
        gone = {answer.node for answer in answers}
        self.pending = [ref for ref in self.pending if ref not in gone] + stretch.awaited
        self.due, self.ended = stretch.due, stretch.ends
        return emitted

    def answer(self, ref: tuple[int, int]) -> Answer:
        if ref in self.failing:
            return Answer(ref, ValueError(str(ref)))
        return Answer(ref, bytes([(31 * ref[0] + ref[1]) % 97]))


def begun(seed: int) -> Driven:
    return Driven(AwaitingBody(body, [seed], None, now=0.0))


def driven(seed: int) -> Driven:
    """A body that is told of what it awaits in random order, until it has ended."""
    order, one, now = random.Random(seed), begun(seed), 0.0
    answers: list[Answer] = []
    while not one.ended:
        one.told.append((now, answers, one.tell(now, answers)))
        if one.pending and (one.due is None or order.random() < 0.7):
            refs = order.sample(one.pending, order.randrange(1, len(one.pending) + 1))
            now, answers = now + 0.25, [one.answer(ref) for ref in refs]
        elif not one.ended:
            assert one.due is not None, "it waits for nothing"
            now, answers = max(now, one.due), []
    return one


def test_D8_ten_thousand_bodies_make_the_same_calls_wherever_they_are_brought_back(full, whole):
    for seed in range(10_000 if whole else 1_000 if full else 150):
        first = driven(seed)
        draw = random.Random(seed)
        for place in draw.sample(range(len(first.told)), min(3, len(first.told))):
            again = begun(seed)
            for now, answers, emitted in first.told[:place]:
                assert again.tell(now, answers) == emitted, f"seed {seed}, brought back at {place}"
            for now, answers, emitted in first.told[place:]:
                assert again.tell(now, answers) == emitted, f"seed {seed}, after {place}"
            assert again.ended


@pytest.mark.parametrize("seed", [pytest.param(one, marks=pytest.mark.full(keep=5)) for one in range(25)])
def test_X3_random_bodies_run_to_their_end_and_replay_to_the_same(seed):
    with always_replay():
        done = run(body, {"seed": seed}, store=f"memory://random-{seed}", echo=False, clock=MockClock())
    assert done.state in ("SUCCEEDED", "FAILED")
    if done.state == "FAILED":
        assert "ValueError" in done.reason


@pytest.mark.parametrize("seed", [pytest.param(one, marks=pytest.mark.full(keep=6)) for one in range(24)])
def test_J1_a_body_that_dies_again_and_again_gives_what_it_would_have(seed, monkeypatch, tmp_path):
    """With a snapshot every few events, so that it is brought back from those too."""
    monkeypatch.setattr(writer, "COMMIT_INTERVAL", 0.0)
    monkeypatch.setattr(writer, "SNAPSHOT_EVENTS", 8)
    whole = run(steady, {"seed": seed}, store=f"memory://steady-{seed}", echo=False, clock=MockClock()).result
    draw, deaths, store = random.Random(seed), 0, tmp_path / "store"
    while True:
        point = draw.choice(["journal.committed", "worker.after-body", "worker.before-body"])
        try:
            with crash_at(point, draw.randint(2, 6)):
                if deaths:
                    done = resume("r", store=Store(store), take_over=True, echo=False, clock=MockClock())
                else:
                    done = run(steady, {"seed": seed}, store=Store(store), run_id="r", echo=False, clock=MockClock())
            break
        except Crashed:
            deaths += 1
            assert deaths < 80, "no progress is made"
    assert done.result == whole
    assert History(Store(store), "r").state == "SUCCEEDED"

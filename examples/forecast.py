"""A forecast that goes round and round: each round corrects the state that the last forecast gave by an observation,
forecasts from there, and publishes.

    python examples/forecast.py

The atmosphere is the one of E. N. Lorenz ("Deterministic Nonperiodic Flow", 1963), whose weather can't be foretold for
long. An observation of it comes every six hours, and one comes late. In one round the observation can't be read: the
products of that round and of all later ones wait, the observations go on, and when the file is repaired the run goes on
in that round.
"""

import os
import random
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from promissory import Cycle, Retry, cycle, once, prev, resume, run, task

START = datetime(2026, 11, 30, tzinfo=UTC)
HOURS = timedelta(hours=6)


@dataclass
class State:
    """The state of the atmosphere."""

    x: float
    y: float
    z: float


def integrated(state: State, steps: int = 60, dt: float = 0.005) -> State:
    """Integrate Lorenz' equations, by the method of Heun."""

    def slope(s: State) -> State:
        return State(10 * (s.y - s.x), s.x * (28 - s.z) - s.y, s.x * s.y - 8 / 3 * s.z)

    for _ in range(steps):
        a = slope(state)
        b = slope(State(state.x + dt * a.x, state.y + dt * a.y, state.z + dt * a.z))
        state = State(state.x + dt * (a.x + b.x) / 2, state.y + dt * (a.y + b.y) / 2, state.z + dt * (a.z + b.z) / 2)
    return state


def weather(rounds: int) -> list[State]:
    """The true weather, which nobody knows."""
    found = [State(1.0, 1.0, 20.0)]
    for _ in range(rounds):
        found.append(integrated(found[-1]))
    return found


@task
def first_guess() -> State:
    """What is known before the first observation: little."""
    return State(5.0, -5.0, 30.0)


@task(retries=5, retry_delay=0.05)
def observe(point: datetime, folder: str) -> list[float]:
    """Read an observation. One that has not come yet is asked for again."""
    file = Path(folder) / f"{point:%m-%d-%H}.txt"
    if not file.exists():
        late = file.with_suffix(".late")
        if late.exists():
            late.rename(file)
        raise Retry(after=0.05)
    return [float(number) for number in file.read_text().split()]


@task
def assimilate(guess: State, seen: list[float]) -> State:
    """Move what was forecast towards what is seen."""
    x, y, z = seen
    return State(guess.x + 0.7 * (x - guess.x), guess.y + 0.7 * (y - guess.y), guess.z + 0.7 * (z - guess.z))


@task
def forecast(state: State) -> State:
    """The weather of six hours later."""
    return integrated(state)


@task
def products(point: datetime, state: State, predicted: State) -> str:
    """What is published."""
    trend = "warmer" if predicted.x > state.x else "colder"
    return f"{point:%d.%m. %H:00}: {state.x:6.2f}, getting {trend}"


@cycle(start=START, stop=START + 11 * HOURS, points=HOURS, max_active=3, real_time=False)
def forecasts(c: Cycle, folder: str) -> State:
    """One round: every six hours."""
    assert isinstance(c.point, datetime)
    guess = prev(forecast, default=once()(first_guess)())
    state = assimilate(guess, observe(c.point, folder))
    predicted = forecast(state)
    products(c.point, state, predicted)
    return state


def main() -> None:
    """Observe, forecast, fail, repair, go on."""
    folder = Path(tempfile.mkdtemp(prefix="promissory-"))
    os.chdir(folder)
    chance, truth = random.Random(3), weather(12)
    for number, state in enumerate(truth[:12]):
        file = folder / f"{START + number * HOURS:%m-%d-%H}.txt"
        seen = " ".join(f"{value + chance.gauss(0, 0.1):.3f}" for value in (state.x, state.y, state.z))
        file.write_text(seen if number != 5 else "not a number")
        if number == 3:
            file.rename(file.with_suffix(".late"))

    ended = run(forecasts, {"folder": str(folder)}, store=folder / "store", run_id="forecasts", echo=False)
    rows = ended.nodes()
    broken = [row.path for row in rows if row.state == "FAILED" and row.path.endswith("observe")]
    waiting = [row.path for row in rows if row.state == "UPSTREAM_FAILED" and row.path.endswith("products")]
    print(ended.state, "at", *broken, "and", len(waiting), "products wait")

    repaired = truth[5]
    (folder / f"{START + 5 * HOURS:%m-%d-%H}.txt").write_text(f"{repaired.x} {repaired.y} {repaired.z}")
    ended = resume("forecasts", store=folder / "store", echo=False)
    for number in range(1, 13):
        print(ended.value(f"main/forecasts@{number}/products"))
    error = abs(ended.result.x - truth[11].x)
    print(f"{ended.state}: the last analysis is {error:.2f} from the truth; the first guess was 4 from it")


if __name__ == "__main__":
    main()

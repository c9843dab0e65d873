"""Search for the best learning rate, and stop each training early: arrays through loops and maps.

    python examples/train.py

`train` is a task that loops: each iteration takes some steps of gradient descent, and hands the weights on as an array;
it ends when the error on held-back rows gets no better. One training runs for each learning rate, beside each other,
and all read the same rows, which are stored once. Needs numpy: pip install 'promissory[numpy]'.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from promissory import Context, Loop, Shape, map_task, task, unmapped, workflow

Rows = Annotated[np.ndarray, Shape("N", 8), np.float64]
Column = Annotated[np.ndarray, Shape("N"), np.float64]


@dataclass
class Data:
    """Rows to learn from, and rows to be judged by."""

    rows: Rows
    answers: Column
    held_rows: Rows
    held_answers: Column


@dataclass
class Model:
    """Weights, and how far they are off on the held-back rows."""

    rate: float
    weights: Column
    error: float


@task
def make_data(count: int, seed: int) -> Data:
    """Make rows whose answers are a weighted sum of their columns, and some noise."""
    numbers = np.random.default_rng(seed)
    rows = numbers.standard_normal((count, 8))
    answers = rows @ np.arange(1.0, 9.0) + numbers.normal(0, 0.1, count)
    kept = count * 4 // 5
    return Data(rows[:kept], answers[:kept], rows[kept:], answers[kept:])


@task(max_iterations=200)
def train(ctx: Context, rate: float, data: Data) -> Model:
    """Take twenty steps an iteration, as long as the error gets better by a thousandth."""
    weights, before = (np.zeros(8), np.inf) if ctx.loop_result is None else ctx.loop_result
    for _ in range(20):
        wrong = data.rows @ weights - data.answers
        weights = weights - rate * (data.rows.T @ wrong) / len(wrong)
    error = float(np.mean((data.held_rows @ weights - data.held_answers) ** 2))
    if error < before * 0.999 and ctx.can_iterate():
        raise Loop((weights, error))
    return Model(rate, weights, error)


@task
def best(models: list[Model]) -> Model:
    """Choose the model that is least off."""
    return min(models, key=lambda model: model.error)


@workflow
def search(rates: list[float], count: int = 20_000, seed: int = 1) -> Model:
    """Train with each learning rate, and give the best model."""
    data = make_data(count, seed)
    return best(map_task(train)(rates, unmapped(data)))


if __name__ == "__main__":
    found = search([0.001, 0.01, 0.1])
    print(f"rate {found.rate}: {np.round(found.weights).astype(int).tolist()}")

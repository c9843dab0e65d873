"""Tune a parameter until it gets no better: a loop whose every iteration is a plan of its own.

    python examples/tune.py

`tune` is a dynamic: an iteration tries the middle and both its neighbours, beside each other, and the next one begins
when all three are scored. A search of a million steps would need no more memory than one of three.
"""

from promissory import Context, Loop, dynamic, map_task, task, workflow


@task
def score(x: float) -> float:
    """Score a parameter; the best is 2."""
    return -((x - 2.0) ** 2)


@task
def narrow(middle: float, width: float, scores: list[float]) -> tuple[float, float]:
    """Move the middle to the best of three. If the middle is the best already, take a quarter of the width."""
    best = max(range(3), key=scores.__getitem__)
    return middle + (best - 1) * width, width if best != 1 else width / 4


@dynamic(max_iterations=100)
def search(ctx: Context, middle: float, width: float) -> float:
    """Find the best parameter, to three digits."""
    if ctx.loop_result is not None:
        middle, width = ctx.loop_result
    if width < 0.001:
        return middle
    scores = map_task(score)(x=[middle - width, middle, middle + width])
    raise Loop(narrow(middle, width, scores))


@workflow
def tune(start: float = 0.0) -> float:
    """Find the parameter with the best score."""
    return search(start, 1.0)


if __name__ == "__main__":
    print(round(tune(), 3))

"""Arrays and frames: a checker sees the classes and dtypes of their own libraries; shapes are for compile and run."""

from typing import Annotated, Any, assert_type

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from promissory import Shape, map_task, task, workflow

Points = Annotated[NDArray[np.float64], Shape("N", 3)]
Floats = Annotated[NDArray[np.float32], Shape("N")]


@task
def cloud(count: int) -> Points:
    return np.zeros((count, 3))


@task
def centred(points: Points) -> Points:
    points -= points.mean(axis=0)
    return points


@task
def spread(points: Points) -> float:
    return float(np.linalg.norm(points, axis=1).max())


@task
def single(points: Points) -> Floats:
    return points[:, 0].astype(np.float32)


@task
def mask(values: Floats) -> NDArray[np.bool_]:
    return values > 0


@task
def frame(points: Points) -> pd.DataFrame:
    return pd.DataFrame(points)


@workflow
def flow(counts: list[int]) -> list[float]:
    return map_task(spread)(map_task(centred)(map_task(cloud)(counts)))


def results(points: NDArray[np.float64]) -> None:
    assert_type(cloud(1), NDArray[np.float64])
    assert_type(centred(cloud(1)), NDArray[np.float64])
    assert_type(centred(points), NDArray[np.float64])
    assert_type(single(cloud(1)), NDArray[np.float32])
    assert_type(mask(single(cloud(1))), NDArray[np.bool_])
    assert_type(frame(cloud(1)), pd.DataFrame)
    assert_type(map_task(cloud)([1, 2]), list[NDArray[np.float64]])
    assert_type(flow([1]), list[float])
    spread(cloud(1))


def refused() -> None:
    spread(single(cloud(1)))  # error: float32 where float64 is wanted
    mask(cloud(1))  # error: float64 where float32 is wanted
    spread(mask(single(cloud(1))))  # error: bools where numbers are wanted
    spread([[1.0, 2.0, 3.0]])  # error: a list is no array
    spread(frame(cloud(1)))  # error: a frame is no array
    cloud(cloud(1))  # error: an array is no number
    Shape(2.5)  # error: a dimension is a number or a name
    Shape("N", None)  # error: a dimension of any size has a name

"""Map and reduce where some items may fail.

    python examples/survey.py

Each station is read on its own, four at a time. At least half of them have to answer. Stations that don't are `None`,
and the mean is taken of the others.
"""

from promissory import map_task, task, workflow


@task(retries=1)
def read_station(station: int) -> float:
    """Read a station's temperature."""
    if station % 4 == 3:
        raise ConnectionError(f"station {station} does not answer")
    return 10.0 + station


@task
def mean(readings: list[float | None]) -> tuple[float, int]:
    """Give the mean of the readings that are there, and the number of those that are missing."""
    there = [reading for reading in readings if reading is not None]
    return sum(there) / len(there), len(readings) - len(there)


@workflow
def survey(stations: list[int]) -> tuple[float, int]:
    """Give the mean temperature of all stations that answer."""
    return mean(map_task(read_station, concurrency=4, min_success_ratio=0.5)(station=stations))


if __name__ == "__main__":
    print(survey(list(range(12))))

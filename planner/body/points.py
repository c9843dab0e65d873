"""The points of cycles: whole numbers or moments in time, one for each round, from the first to the last.

`Cron` reads the five fields of the crontab format (POSIX.1-2017, `crontab`), with names, ranges, steps and lists. As
there, a moment fits if the day of the month or the day of the week fits where both are restricted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from typing import Any, Final

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: Final = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 7, _DAYS),
)
_SHORT: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}
_SHOWN: Final = 5
_YEARS: Final = 28
"""After so many years the calendar repeats itself, but for years without a leap day."""


@dataclass(frozen=True)
class Cron:
    """Moments in time, as crontab writes them.

    Args:
        text: five fields (minute, hour, day, month, day of the week), or `@hourly`, `@daily`, `@weekly`, `@monthly`,
            `@yearly`.

    Raises:
        ValueError: the text can't be read, or no moment fits it.

    >>> next(Cron("30 6 * * mon-fri").after(datetime(2026, 11, 28, 12, 0)))
    datetime.datetime(2026, 11, 30, 6, 30)
    """

    text: str
    _allowed: tuple[frozenset[int], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise ValueError(f"a Cron is text in five fields, not {self.text!r}")
        parts = _SHORT.get(self.text.strip(), self.text).split()
        if len(parts) != len(_FIELDS):
            raise ValueError(f"{self.text!r} has {len(parts)} fields, and crontab has 5: minute hour day month weekday")
        allowed = [_field(part, *about) for part, about in zip(parts, _FIELDS, strict=True)]
        allowed[4] = frozenset(day % 7 for day in allowed[4])
        object.__setattr__(self, "_allowed", tuple(allowed))
        if next(self.after(datetime(2000, 1, 1)), None) is None:
            raise ValueError(f"no moment fits {self.text!r}")

    def after(self, moment: datetime) -> Iterator[datetime]:
        """List the moments from this one on, itself included if it fits."""
        minutes, hours, days, months, weekdays = self._allowed
        either = len(days) < 31 and len(weekdays) < 7
        day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        found = day
        while day - found <= timedelta(days=366 * _YEARS):
            fits = (day.day in days, day.isoweekday() % 7 in weekdays)
            if day.month in months and (any(fits) if either else all(fits)):
                for hour in sorted(hours):
                    for minute in sorted(minutes):
                        at = day.replace(hour=hour, minute=minute)
                        if at >= moment and _is_there(at):
                            found = at
                            yield at
            try:
                day += timedelta(days=1)
            except OverflowError:
                return


def _is_there(moment: datetime) -> bool:
    """Whether a zone's clocks show a moment: none is shown while they are put forward."""
    zone = moment.tzinfo
    return zone is None or moment.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == moment.replace(tzinfo=None)


def _field(text: str, name: str, least: int, most: int, names: tuple[str, ...]) -> frozenset[int]:
    found: set[int] = set()
    for part in text.lower().split(","):
        span, _, step = part.partition("/")
        low, dash, high = span.partition("-")
        try:
            first = least if span == "*" else _number(low, names, least)
            last = most if span == "*" or (step and not dash) else _number(high, names, least) if dash else first
            by = int(step) if step else 1
        except ValueError:
            raise ValueError(f"{part!r} is no {name} of a crontab: a number, a range, a list, * or */n") from None
        if not least <= first <= last <= most or by < 1:
            raise ValueError(f"{part!r} is no {name} of a crontab, which goes from {least} to {most}")
        found.update(range(first, last + 1, by))
    return frozenset(found)


def _number(text: str, names: tuple[str, ...], least: int) -> int:
    return names.index(text) + least if text in names else int(text)


def _written(point: Any) -> str:
    return point.isoformat() if isinstance(point, datetime) else str(point)


def _later(moment: datetime, by: timedelta) -> datetime:
    """A moment later by a time that passes, also where a zone's clocks are put forward or back meanwhile."""
    zone = moment.tzinfo
    return moment + by if zone is None else (moment.astimezone(UTC) + by).astimezone(zone)


@dataclass(frozen=True)
class Rounds:
    """The rounds of a cycle.

    Attributes:
        start, stop: the first point, and the one that no round goes beyond; None for no end.
        step: from a number to the next; 1 where there are points.
        points: see `promissory.cycle`; None for whole numbers.
    """

    start: Any = 1
    stop: Any = None
    step: int = 1
    points: Any = None

    def __post_init__(self) -> None:
        points = self.points
        timed = isinstance(points, Cron | timedelta)
        if timed and not isinstance(self.start, datetime):
            raise ValueError(f"points of {type(points).__name__} begin at a datetime: give start=datetime(…)")
        for name, value in (("start", self.start), ("stop", self.stop)):
            wanted: tuple[type, ...] = (datetime,) if timed else (int,) if points is None else (int, datetime)
            optional = name == "stop" or (points is not None and not timed)
            if isinstance(value, bool) or not (isinstance(value, wanted) or (value is None and optional)):
                said = " or ".join("a datetime" if one is datetime else "a whole number" for one in wanted)
                raise ValueError(f"{name} is {said} here, not {value!r}")
        if self.step.__class__ is not int or self.step < 1:
            raise ValueError(f"step is a whole number of at least 1, not {self.step!r}")
        if points is not None and self.step != 1:
            raise ValueError("step is for cycles of whole numbers; let the points themselves be further apart")
        if isinstance(points, timedelta) and points <= timedelta(0):
            raise ValueError(f"points is a time of more than 0, not {points!r}")
        if isinstance(points, Iterator):
            raise ValueError(
                "points is an iterator, which can be read once only, and a resume has to read it again: give a list, "
                "a range, or a function that makes the iterator"
            )
        if isinstance(points, Set | str | bytes):
            raise ValueError(
                f"points is a {type(points).__name__}, and points are numbers or datetimes in an order that stays: "
                "give a list"
            )
        if points is not None and not timed and self.start not in (None, 1):
            raise ValueError("start is for numbers, a timedelta or a Cron: let the points themselves begin there")
        if points is not None and not isinstance(points, Cron | timedelta | Iterable) and not callable(points):
            raise ValueError(f"points is a timedelta, a Cron, or gives numbers or datetimes, not {points!r}")
        if (self.start is None) != (self.stop is None) or not isinstance(self.stop, datetime):
            return
        if isinstance(self.start, datetime) and (self.start.tzinfo is None) != (self.stop.tzinfo is None):
            raise ValueError("of start and stop, one has a time zone and the other has none")

    @property
    def is_sure_to_begin(self) -> bool:
        """Whether it is known that there is a first round."""
        if self.points is None or isinstance(self.points, timedelta):
            return self.stop is None or bool(self.start <= self.stop)
        return isinstance(self.points, Cron) and self.stop is None

    @property
    def text(self) -> str:
        """The points in words, so that a plan shows them and others of them are another policy; "" for numbers.

        >>> Rounds(datetime(2026, 11, 30), None, 1, timedelta(hours=6)).text
        'from 2026-11-30T00:00:00 every 6:00:00'
        """
        points = self.points
        if points is None:
            return ""
        end = "" if self.stop is None else f" to {_written(self.stop)}"
        if isinstance(points, timedelta):
            return f"from {_written(self.start)} every {points}{end}"
        if isinstance(points, Cron):
            return f"from {_written(self.start)} at {points.text}{end}"
        if isinstance(points, Sequence) and len(points) <= _SHOWN:
            return f"for {', '.join(map(_written, points))}{end}" if points else "for no points"
        if isinstance(points, Sequence):
            return f"for {len(points)} points from {_written(points[0])} to {_written(points[-1])}{end}"
        return f"for points of its own{end}"

    def from_ordinal(self, ordinal: int) -> Iterator[Any]:
        """List the points from the ordinal-th on, counted from 1."""
        points = self.points
        if points is None:
            found: Iterable[Any] = count(self.start + (ordinal - 1) * self.step, self.step)
        elif isinstance(points, timedelta):
            found = (_later(self.start, index * points) for index in count(ordinal - 1))
        elif isinstance(points, Cron):
            found = islice(points.after(self.start), ordinal - 1, None)
        else:
            found = islice((points() if callable(points) else points), ordinal - 1, None)
        for point in found:
            if not isinstance(point, int | datetime) or isinstance(point, bool):
                raise ValueError(f"{point!r} among the points is neither a number nor a datetime")
            if self.stop is not None and point > self.stop:
                return
            yield point

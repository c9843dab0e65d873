"""Dates and times, as ISO 8601 text; durations, as whole microseconds.

A naive datetime stays naive and an aware one aware. A zone with a key travels in brackets behind the offset, as RFC 9557 writes it
(`2024-10-27T02:30:00+01:00[Europe/Berlin]`); other zones travel as their offset. `fold` is kept.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from typesys.codecs import Family, declare, named
from typesys.types import INT, STR

_FOLD = "[fold=1]"
_MICROSECOND = timedelta(microseconds=1)


def _stamp_to_text(value: datetime | time) -> str:
    text = value.isoformat()
    if isinstance(value.tzinfo, ZoneInfo) and value.tzinfo.key:
        text += f"[{value.tzinfo.key}]"
    return text + _FOLD if value.fold else text


def _split(text: str) -> tuple[str, ZoneInfo | None, int]:
    fold = int(text.endswith(_FOLD))
    stamp, _, zone = text.removesuffix(_FOLD).partition("[")
    return stamp, ZoneInfo(zone[:-1]) if zone else None, fold


def _datetime_from_text(text: str) -> datetime:
    stamp, zone, fold = _split(text)
    value = datetime.fromisoformat(stamp)
    if zone is None or value.tzinfo is None:
        return value.replace(tzinfo=zone or value.tzinfo, fold=fold)
    for one in (fold, 1 - fold):
        in_zone = value.replace(tzinfo=zone, fold=one)
        if in_zone.utcoffset() == value.utcoffset():
            return in_zone
    raise ValueError(f"{zone.key} has no such offset at that time")


def _time_from_text(text: str) -> time:
    stamp, zone, fold = _split(text)
    value = time.fromisoformat(stamp)
    return value.replace(tzinfo=zone or value.tzinfo, fold=fold)


def _to_microseconds(value: timedelta) -> int:
    return value // _MICROSECOND


def _from_microseconds(count: int) -> timedelta:
    return timedelta(microseconds=count)


declare(Family(datetime, named("datetime.datetime", STR), _stamp_to_text, _datetime_from_text))
declare(Family(date, named("datetime.date", STR), date.isoformat, date.fromisoformat))
declare(Family(time, named("datetime.time", STR), _stamp_to_text, _time_from_text))
declare(Family(timedelta, named("datetime.timedelta", INT), _to_microseconds, _from_microseconds))

"""Dates and times, as ISO 8601 text; durations, as whole microseconds; zones, by their key.

A naive datetime stays naive and an aware one aware. A zone with a key travels in brackets behind the offset, as RFC
9557 writes it (`2024-10-27T02:30:00+01:00[Europe/Berlin]`); other zones travel as their offset. `fold` is kept.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from promissory.typesys.durations import duration_of, duration_text
from promissory.typesys.errors import TypeMismatch
from promissory.typesys.families.registry import Family, declare, named
from promissory.typesys.types import INT, NONE, STR, TupleType
from promissory.typesys.unions import union

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


def _duration_from_json(value: Any) -> timedelta:
    if isinstance(value, str):
        return duration_of(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("a duration is seconds, 1h30m, or PT1H30M")
    return timedelta(seconds=value)


declare(Family(datetime, named("datetime.datetime", STR), _stamp_to_text, _datetime_from_text))
declare(Family(date, named("datetime.date", STR), date.isoformat, date.fromisoformat))
declare(Family(time, named("datetime.time", STR), _stamp_to_text, _time_from_text))
declare(
    Family(
        timedelta,
        named("datetime.timedelta", INT),
        _to_microseconds,
        _from_microseconds,
        from_json=_duration_from_json,
        to_json=duration_text,
    )
)


def _zone_to_text(zone: ZoneInfo) -> str:
    if zone.key is None:
        raise TypeMismatch("a ZoneInfo that was made of a file has no key to travel by")
    return str(zone.key)


def _offset_to_wire(zone: timezone) -> tuple[int, str | None]:
    given: tuple[Any, ...] = zone.__getinitargs__()  # type: ignore[attr-defined]
    return given[0] // _MICROSECOND, given[1] if len(given) > 1 else None


def _offset_from_wire(parts: tuple[int, str | None]) -> timezone:
    offset = timedelta(microseconds=parts[0])
    if parts[1] is None:
        return UTC if not offset else timezone(offset)
    return timezone(offset, parts[1])


declare(Family(ZoneInfo, named("zoneinfo.ZoneInfo", STR), _zone_to_text, ZoneInfo))
declare(
    Family(
        timezone, named("datetime.timezone", TupleType((INT, union([STR, NONE])))), _offset_to_wire, _offset_from_wire
    )
)

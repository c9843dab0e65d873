"""Durations as people write them: seconds, `1h30m`, or ISO 8601 (`PT1H30M`)."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

_SECONDS: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_WITH_UNITS: Final = re.compile(
    r"(?P<sign>[+-]?)(?:(?P<w>N)w)?(?:(?P<d>N)d)?(?:(?P<h>N)h)?(?:(?P<m>N)m(?:in)?)?(?:(?P<s>N)s)?"
    r"(?:(?P<ms>N)ms)?(?:(?P<us>N)[uµ]s)?".replace("N", r"\d+(?:\.\d+)?")
)
_ISO: Final = re.compile(
    r"(?P<sign>[+-]?)P(?:(?P<w>N)W)?(?:(?P<d>N)D)?(?:T(?:(?P<h>N)H)?(?:(?P<m>N)M)?(?:(?P<s>N)S)?)?".replace(
        "N", r"\d+(?:[.,]\d+)?"
    )
)
_UNITS: Final = {
    "w": "weeks",
    "d": "days",
    "h": "hours",
    "m": "minutes",
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
}


def duration_of(text: str) -> timedelta:
    """Read a duration. Raises `ValueError`, which says how one is written.

    >>> duration_of("1h30m") == duration_of("PT1H30M") == duration_of("5400")
    True
    """
    said = text.strip()
    if _SECONDS.fullmatch(said):
        return timedelta(seconds=float(said))
    for form, written in ((_WITH_UNITS, said.replace(" ", "").lower()), (_ISO, said.upper())):
        found = form.fullmatch(written)
        parts = {} if found is None else {k: v for k, v in found.groupdict().items() if v and k != "sign"}
        if found is not None and parts and not written.endswith("T"):
            whole = timedelta(**{_UNITS[unit]: float(number.replace(",", ".")) for unit, number in parts.items()})
            return -whole if found["sign"] == "-" else whole
    raise ValueError("a duration is seconds, 1h30m, or PT1H30M")


def duration_text(duration: timedelta) -> str:
    """Write a duration as ISO 8601.

    >>> duration_text(timedelta(days=1, minutes=90)), duration_text(timedelta(seconds=-0.5)), duration_text(timedelta())
    ('P1DT1H30M', '-PT0.5S', 'PT0S')
    """
    whole = abs(duration)
    hours, rest = divmod(whole.seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    fraction = f".{whole.microseconds:06}".rstrip("0") if whole.microseconds else ""
    days = f"{whole.days}D" if whole.days else ""
    counts = {"H": f"{hours}", "M": f"{minutes}", "S": f"{seconds}{fraction}"}
    clock = "".join(number + unit for unit, number in counts.items() if number != "0")
    sign = "-" if duration < timedelta() else ""
    return f"{sign}P{days}{'T' + clock if clock else ''}" if days or clock else "PT0S"

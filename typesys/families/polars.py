"""polars: frames and series, as the stream format of Arrow that polars writes itself."""

from __future__ import annotations

import io
from typing import Any, Final

import polars as pl

from promissory.typesys.buffer import Buffer
from promissory.typesys.errors import TypeMismatch
from promissory.typesys.families.registry import Family, declare, named
from promissory.typesys.types import ANY, BUFFER

_MOST_SHOWN: Final = 10_000


def _to_wire(frame: pl.DataFrame) -> Buffer:
    for name, dtype in frame.schema.items():
        if dtype == pl.Object:
            raise TypeMismatch(
                f"column {name!r} holds Python objects, which have no wire form: cast it to a type of polars"
            )
    stream = io.BytesIO()
    frame.write_ipc_stream(stream)
    return Buffer.of(stream.getbuffer())


def _from_wire(buffer: Buffer) -> pl.DataFrame:
    try:
        return pl.read_ipc_stream(io.BytesIO(buffer.view()))
    except pl.exceptions.PanicException as panic:  # no `Exception`: it would end the worker
        raise ValueError(f"polars can't read it: {panic}") from None


def _series_to_wire(series: pl.Series) -> Buffer:
    return _to_wire(series.to_frame())


def _series_from_wire(buffer: Buffer) -> pl.Series:
    return _from_wire(buffer).to_series()


def _to_json(frame: pl.DataFrame) -> Any:
    from promissory.typesys.as_json import to_json
    from promissory.typesys.self_describing import lower_any

    if frame.height * frame.width > _MOST_SHOWN:
        return f"<a frame of {frame.height} rows and {frame.width} columns>"
    return to_json(lower_any(frame.to_dicts()), ANY)


declare(
    Family(
        pl.DataFrame,
        named("polars.DataFrame", BUFFER),
        _to_wire,
        _from_wire,
        hashable=False,
        from_json=pl.DataFrame,
        to_json=_to_json,
    )
)
declare(
    Family(
        pl.Series,
        named("polars.Series", BUFFER),
        _series_to_wire,
        _series_from_wire,
        hashable=False,
        from_json=pl.Series,
        to_json=lambda series: _to_json(series.to_frame()),
    )
)

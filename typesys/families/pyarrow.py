"""Apache Arrow: tables, record batches, arrays and schemas, as Arrow's own stream format.

A stream is written straight from the columns' memory, and read as columns that lie in the mapped stream.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from promissory.typesys.buffer import Buffer, Write
from promissory.typesys.families.registry import Family, declare, named
from promissory.typesys.types import BUFFER

_COLUMN = "column"


class _Sink:
    """What Arrow takes for a file: hands its pieces on."""

    closed = False

    def __init__(self, write: Write) -> None:
        self._write = write

    def write(self, piece: Any) -> int:
        view = memoryview(piece)
        self._write(view)
        return view.nbytes

    def flush(self) -> None:
        return

    def close(self) -> None:
        return


def stream_of(table: Any) -> Buffer:
    """The buffer with a table, or a record batch, as a stream."""

    def into(file: Any) -> None:
        with pa.ipc.new_stream(file, table.schema) as writer:
            writer.write(table)

    def write(take: Write) -> None:
        with pa.PythonFile(_Sink(take), mode="w") as file:
            into(file)

    counted = pa.MockOutputStream()
    into(counted)
    return Buffer(counted.size(), write)


def table_in(buffer: Buffer) -> Any:
    """The table in a stream."""
    with pa.ipc.open_stream(pa.py_buffer(buffer.view())) as reader:
        table = reader.read_all()
    table.validate()
    return table


def _batch_in(buffer: Buffer) -> Any:
    with pa.ipc.open_stream(pa.py_buffer(buffer.view())) as reader:
        batch = reader.read_next_batch()
    batch.validate()
    return batch


def _array_to_wire(array: Any) -> Buffer:
    return stream_of(pa.RecordBatch.from_arrays([array], names=[_COLUMN]))


def _chunked_to_wire(array: Any) -> Buffer:
    return stream_of(pa.Table.from_arrays([array], names=[_COLUMN]))


def _chunked_from_wire(buffer: Buffer) -> Any:
    return table_in(buffer).column(0)


def _schema_from_wire(buffer: Buffer) -> Any:
    return pa.ipc.read_schema(pa.py_buffer(buffer.view()))


def _rows(table: Any) -> Any:
    from promissory.typesys.as_json import to_json
    from promissory.typesys.self_describing import lower_any
    from promissory.typesys.types import ANY

    if table.num_rows * table.num_columns > MOST_SHOWN:
        return f"<a table of {table.num_rows} rows and {table.num_columns} columns>"
    return to_json(lower_any(table.to_pylist()), ANY)


MOST_SHOWN = 10_000
"""The cells of a table that are shown as JSON."""

declare(
    Family(
        pa.Table,
        named("pyarrow.Table", BUFFER),
        stream_of,
        table_in,
        hashable=False,
        from_json=pa.Table.from_pylist,
        to_json=_rows,
    )
)
declare(
    Family(pa.RecordBatch, named("pyarrow.RecordBatch", BUFFER), stream_of, _batch_in, hashable=False, to_json=_rows)
)
declare(
    Family(pa.ChunkedArray, named("pyarrow.ChunkedArray", BUFFER), _chunked_to_wire, _chunked_from_wire, hashable=False)
)
declare(
    Family(
        pa.Array,
        named("pyarrow.Array", BUFFER),
        _array_to_wire,
        lambda buffer: _batch_in(buffer).column(0),
        subclasses=True,
        hashable=False,
        from_json=pa.array,
        to_json=lambda array: array.to_pylist(),
    )
)
declare(
    Family(
        pa.Schema,
        named("pyarrow.Schema", BUFFER),
        lambda schema: Buffer.of(schema.serialize()),
        _schema_from_wire,
        hashable=False,
    )
)

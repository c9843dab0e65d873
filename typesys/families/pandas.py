"""pandas: frames, series, indexes and moments.

Columns whose dtype is one of numpy travel as arrays, and come back without a copy. Columns of pandas' own dtypes (text,
nullable numbers, periods, intervals, Arrow's) travel through Arrow; categories, and moments with a zone, as the arrays
of which they are made. A column of Python objects travels if they are of one class, and is one of objects again.

A frame of one dtype is one array; any other is an array a column. Everything rides on `Any`: a frame is a tuple of
plain values and arrays.
"""

from __future__ import annotations

from datetime import timezone
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from promissory.typesys.as_json import to_json
from promissory.typesys.depth import check_depth
from promissory.typesys.errors import TypeMismatch
from promissory.typesys.families.registry import Family, declare, named
from promissory.typesys.scalars import said
from promissory.typesys.self_describing import holds_opaque, lower_any
from promissory.typesys.types import ANY, INT, NONE, STR, TupleType

_MOST_SHOWN: Final = 10_000
_PLAIN, _OBJECTS, _CATEGORY, _ZONED, _MASKED, _ARROW = "array", "objects", "category", "zoned", "masked", "arrow"
_RANGE, _MULTI, _ONE = "range", "multi", "index"


# --- columns ----------------------------------------------------------------------------------------------------------


def _column(values: Any) -> tuple[Any, ...]:
    """An array of pandas or numpy, taken apart."""
    dtype = values.dtype
    if isinstance(dtype, np.dtype):
        if dtype.kind != "O":
            return _PLAIN, np.asarray(values)
        return _OBJECTS, _of_one_class(list(values))
    if isinstance(dtype, pd.CategoricalDtype):
        return _CATEGORY, np.asarray(values.codes), _index(values.categories), bool(values.ordered)
    if isinstance(dtype, pd.DatetimeTZDtype):
        return _ZONED, np.asarray(values.tz_convert(None)), _zone(dtype.tz)
    if isinstance(values, _NULLABLE):
        plain = values.to_numpy(dtype.numpy_dtype, na_value=dtype.numpy_dtype.type(0))
        return _MASKED, dtype.kind, plain, np.asarray(values.isna())
    if isinstance(dtype, pd.SparseDtype):
        raise TypeMismatch("it is sparse, which has no wire form: make it dense (sparse.to_dense)")
    try:
        import pyarrow as pa
    except ImportError:
        raise TypeMismatch(
            f"its dtype {dtype} travels through Arrow, which isn't installed: pip install 'promissory[pandas]'"
        ) from None
    try:
        return _ARROW, _dtype_text(dtype), pa.array(values)
    except (pa.ArrowException, TypeError, ValueError, NotImplementedError) as error:
        raise TypeMismatch(f"its dtype {dtype} has no wire form: {error}") from None


def _array_of(holder: Any) -> Any:
    """The array of a series or an index, not copied, in the form that `_column` takes apart."""
    dtype = holder.dtype
    if isinstance(dtype, np.dtype):
        return holder.to_numpy()
    return pd.DatetimeIndex(holder) if isinstance(dtype, pd.DatetimeTZDtype) else holder.array


def _column_of(parts: tuple[Any, ...]) -> Any:
    kind, *rest = parts
    if kind == _PLAIN:
        return rest[0]
    if kind == _OBJECTS:
        found = np.empty(len(rest[0]), dtype=object)
        found[:] = rest[0]
        return found
    if kind == _CATEGORY:
        codes, categories, ordered = rest
        return pd.Categorical.from_codes(codes, dtype=pd.CategoricalDtype(_index_of(categories), ordered))
    if kind == _ZONED:
        moments, zone = rest
        return pd.DatetimeIndex(moments).tz_localize("UTC").tz_convert(zone).array
    if kind == _MASKED:
        letter, plain, mask = rest
        return _OF_KIND[letter](plain, mask)
    dtype, array = rest
    return _dtype_of(dtype, array).__from_arrow__(array)


def _of_one_class(values: list[Any]) -> list[Any]:
    """Objects that are all of one class, but for those that are missing. Raises `TypeMismatch` at the first other."""
    there = [(row, one) for row, one in enumerate(values) if not _is_missing(one)]
    if there and type(there[0][1]) not in _SCALARS:
        for row, one in there:
            try:
                check_depth(one)
            except TypeMismatch as mismatch:
                raise TypeMismatch(f"what it holds in row {row} {mismatch.problem}") from None
            if holds_opaque(lower_any(one)):
                raise TypeMismatch(
                    f"it holds {said(one)} in row {row}, which has no wire form: convert the column (astype)"
                )
    for row, one in there:
        if type(one) is not type(there[0][1]):
            raise TypeMismatch(
                f"it holds {said(there[0][1])} in row {there[0][0]} and {said(one)} in row {row}: "
                "a column of objects has to hold one kind, so convert it (astype)"
            )
    return values


_SCALARS: Final = frozenset((str, bytes, bool, int, float))


def _labels(values: list[Any]) -> list[Any]:
    """Labels, which may be of several classes. Raises `TypeMismatch` for one without a wire form."""
    for one in values:
        if type(one) not in _SCALARS and holds_opaque(lower_any(one)):
            raise TypeMismatch(f"its label {one!r:.60} is of {said(one)}, which has no wire form")
    return values


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or (type(value) is float and value != value)


def _dtype_text(dtype: Any) -> str:
    if isinstance(dtype, pd.StringDtype):
        missing = "nan" if dtype.na_value is not pd.NA else "NA"
        return f"string {dtype.storage} {missing}"
    return "arrow" if isinstance(dtype, pd.ArrowDtype) else str(dtype)


def _dtype_of(text: str, array: Any) -> Any:
    if text == "arrow":
        return pd.ArrowDtype(array.type)
    if text.startswith("string "):
        _, storage, missing = text.split(" ")
        return pd.StringDtype(storage, na_value=np.nan) if missing == "nan" else pd.StringDtype(storage)
    return pd.api.types.pandas_dtype(text)


_OF_KIND: Final[dict[str, Any]] = {
    "b": pd.arrays.BooleanArray,
    "f": pd.arrays.FloatingArray,
    "i": pd.arrays.IntegerArray,
    "u": pd.arrays.IntegerArray,
}
_NULLABLE: Final = (pd.arrays.BooleanArray, pd.arrays.FloatingArray, pd.arrays.IntegerArray)


def _zone(zone: Any) -> Any:
    """A time zone as it is written: one of Python's own, or the name of another library's."""
    if isinstance(zone, timezone | ZoneInfo):
        return zone
    name = getattr(zone, "zone", None)
    if isinstance(name, str):
        return name
    raise TypeMismatch(f"its time zone {zone!r} has no wire form: use one of zoneinfo")


# --- indexes ----------------------------------------------------------------------------------------------------------


def _index(index: Any) -> tuple[Any, ...]:
    """An index, taken apart."""
    if isinstance(index, pd.RangeIndex):
        return _RANGE, index.start, index.stop, index.step, index.name
    if isinstance(index, pd.MultiIndex):
        levels = [_index(level) for level in index.levels]
        return _MULTI, levels, [np.asarray(codes) for codes in index.codes], list(index.names)
    if index.dtype.kind == "O" and isinstance(index.dtype, np.dtype):
        return _ONE, (_OBJECTS, _labels(list(index))), index.name, None
    frequency = getattr(index, "freqstr", None) if isinstance(index, pd.DatetimeIndex | pd.TimedeltaIndex) else None
    if frequency is not None and not _is_spelled(frequency, index.freq):
        raise TypeMismatch(f"its frequency {index.freq!r} has no text that says it: set it to None (index.freq = None)")
    return _ONE, _column(_array_of(index)), index.name, frequency


def _is_spelled(text: str, frequency: Any) -> bool:
    try:
        return bool(pd.tseries.frequencies.to_offset(text) == frequency)
    except ValueError:
        return False


def _index_of(parts: tuple[Any, ...]) -> Any:
    kind, *rest = parts
    if kind == _RANGE:
        start, stop, step, name = rest
        return pd.RangeIndex(start, stop, step, name=name)
    if kind == _MULTI:
        levels, codes, names = rest
        return pd.MultiIndex(
            levels=[_index_of(level) for level in levels], codes=codes, names=names, verify_integrity=False
        )
    column, name, frequency = rest
    values = _column_of(column)
    found = pd.Index(values, dtype=object if column[0] == _OBJECTS else values.dtype, name=name, copy=False)
    if frequency is not None:
        found.freq = frequency
    return found


# --- series and frames ------------------------------------------------------------------------------------------------


def _flags_of(holder: Any) -> Any:
    return holder.flags


def _series_to_wire(series: pd.Series[Any]) -> tuple[Any, ...]:
    duplicates = _flags_of(series).allows_duplicate_labels
    return _index(series.index), _column(_array_of(series)), series.name, dict(series.attrs), duplicates


def _series_from_wire(parts: tuple[Any, ...]) -> pd.Series[Any]:
    index, column, name, attributes, duplicates = parts
    values = _column_of(column)
    found: pd.Series[Any] = pd.Series(values, index=_index_of(index), dtype=values.dtype, name=name, copy=False)
    found.attrs.update(attributes)
    _flags_of(found).allows_duplicate_labels = duplicates
    return found


def _frame_to_wire(frame: pd.DataFrame) -> tuple[Any, ...]:
    dtypes = list(dict.fromkeys(frame.dtypes))
    data: Any
    if len(dtypes) == 1 and isinstance(dtypes[0], np.dtype) and dtypes[0].kind != "O":
        data = frame.to_numpy()
    else:
        data = []
        for position, label in enumerate(frame.columns):
            try:
                data.append(_column(_array_of(frame.iloc[:, position])))
            except TypeMismatch as mismatch:
                raise TypeMismatch(f"column {label!r}: {mismatch.problem}") from None
    unique = frame.flags.allows_duplicate_labels
    return _index(frame.index), _index(frame.columns), data, dict(frame.attrs), unique


def _frame_from_wire(parts: tuple[Any, ...]) -> pd.DataFrame:
    index, columns, data, attributes, duplicates = parts
    labels, rows = _index_of(columns), _index_of(index)
    if isinstance(data, np.ndarray):
        frame = pd.DataFrame(data, index=rows, columns=labels, copy=False)
    else:
        series = {
            position: pd.Series(values, index=rows, dtype=values.dtype, copy=False)
            for position, values in enumerate(map(_column_of, data))
        }
        frame = pd.DataFrame(series, index=rows, copy=False)
        frame.columns = labels
    frame.attrs.update(attributes)
    _flags_of(frame).allows_duplicate_labels = duplicates
    return frame


def _to_json(frame: pd.DataFrame) -> Any:
    if frame.size > _MOST_SHOWN:
        return f"<a frame of {len(frame)} rows and {len(frame.columns)} columns>"
    if not (isinstance(frame.index, pd.RangeIndex) and frame.index.name is None):
        frame = frame.reset_index(allow_duplicates=True)
    rows = [dict(zip(map(str, frame.columns), row, strict=True)) for row in frame.astype(object).to_numpy().tolist()]
    return to_json(lower_any(rows), ANY)


def _series_to_json(series: pd.Series[Any]) -> Any:
    """The values by their labels; without these, if a label is there twice."""
    if series.size > _MOST_SHOWN:
        return f"<a series of {len(series)} values>"
    values = series.astype(object).tolist()
    labelled = series.index.is_unique and not isinstance(series.index, pd.RangeIndex)
    return to_json(lower_any(dict(zip(map(str, series.index), values, strict=True)) if labelled else values), ANY)


# --- moments ----------------------------------------------------------------------------------------------------------


def _moment_to_wire(moment: pd.Timestamp) -> tuple[int, str, Any]:
    zone = None if moment.tz is None else _zone(moment.tz)
    return int(np.asarray(moment.asm8).astype(np.int64)), moment.unit, zone


def _moment_from_wire(parts: tuple[int, str, Any]) -> pd.Timestamp:
    count, unit, zone = parts
    as_moment: Any = np.datetime64
    moment = pd.Timestamp(as_moment(count, unit))
    return moment if zone is None else moment.tz_localize("UTC").tz_convert(zone)


def _span_to_wire(span: pd.Timedelta) -> tuple[int, str]:
    return int(np.asarray(span.asm8).astype(np.int64)), span.unit


declare(
    Family(
        pd.DataFrame,
        named("pandas.DataFrame", ANY),
        _frame_to_wire,
        _frame_from_wire,
        hashable=False,
        from_json=pd.DataFrame,
        to_json=_to_json,
    )
)
declare(
    Family(
        pd.Series,
        named("pandas.Series", ANY),
        _series_to_wire,
        _series_from_wire,
        hashable=False,
        from_json=pd.Series,
        to_json=_series_to_json,
    )
)
declare(Family(pd.Index, named("pandas.Index", ANY), _index, _index_of, subclasses=True, hashable=False))
declare(Family(pd.Categorical, named("pandas.Categorical", ANY), _column, _column_of, hashable=False))
_STAMP: Final = TupleType((INT, STR, ANY))
declare(
    Family(
        pd.Timestamp,
        named("pandas.Timestamp", _STAMP),
        _moment_to_wire,
        _moment_from_wire,
        from_json=pd.Timestamp,
        to_json=lambda moment: moment.isoformat(),
    )
)
declare(
    Family(
        pd.Timedelta,
        named("pandas.Timedelta", TupleType((INT, STR))),
        _span_to_wire,
        lambda parts: pd.Timedelta(np.timedelta64(*parts)),
        from_json=pd.Timedelta,
        to_json=lambda span: span.isoformat(),
    )
)
declare(Family(type(pd.NaT), named("pandas.NaT", NONE), lambda value: None, lambda value: pd.NaT))
declare(Family(type(pd.NA), named("pandas.NA", NONE), lambda value: None, lambda value: pd.NA))

"""Arrays and scalars of numpy: what travels, what an annotation may state, and what is refused."""

import hashlib
from collections.abc import Hashable
from typing import Annotated, Any, Literal, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

np = pytest.importorskip("numpy")

from hypothesis.extra import numpy as arrays  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from promissory import Shape, type_of  # noqa: E402
from promissory.errors import AnnotationError, FormatError, ParseError, TypeMismatch  # noqa: E402
from promissory.typesys import assignable, codec_of, why_not  # noqa: E402
from promissory.typesys.as_json import to_json  # noqa: E402
from promissory.typesys.canonical import pack  # noqa: E402
from promissory.typesys.parse import parse_json, parse_text  # noqa: E402
from promissory.typesys.transcode import transcode  # noqa: E402
from promissory.typesys.type_format import type_bytes, type_from_bytes  # noqa: E402
from promissory.typesys.types import ANY  # noqa: E402

QUICK = settings(max_examples=25, deadline=None, database=None, derandomize=True)
LONG = settings(QUICK, max_examples=3000)


def travel(value, annotation=np.ndarray):
    codec = codec_of(annotation)
    data = codec.encode(value)
    again = codec.decode(data)
    assert codec.encode(again) == data
    return again


def the_same(again, array):
    return (
        type(again) is np.ndarray
        and (again.dtype.str, again.dtype, again.shape) == (array.dtype.str, array.dtype, array.shape)
        and again.tobytes() == array.tobytes()
    )


def passed(value, source, target):
    there = codec_of(source)
    return codec_of(target).decode(pack(transcode(there.lower(value), there.type, type_of(target))))


ARRAYS = {
    "special floats": np.array([np.nan, np.inf, -np.inf, -0.0, 5e-324]),
    "a NaN with a payload": np.array([0x7FF8000000000123, 0xFFF8000000000000], "u8").view("f8"),
    "0-d": np.array(3.5),
    "empty": np.empty((0, 3)),
    "empty in Fortran's order": np.empty((3, 0, 2), order="F"),
    "Fortran": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    "big-endian": np.arange(5, dtype=">i4"),
    "big-endian complex": np.array([1 - 2j, complex(np.nan, -0.0)], dtype=">c16"),
    "NaT": np.array(["NaT", "2020-01-01"], dtype="M8[s]"),
    "spans": np.array([1, "NaT"], dtype="m8[ns]"),
    "moments of 25 s": np.zeros(2, dtype="M8[25s]"),
    "text": np.array(["a", "bcd", "", "\ud800", "\U0001f600"]),
    "bytes": np.array([b"a", b"bcd\xff"]),
    "bool": np.array([True, False]),
    "half": np.array([1.5, -0.0], dtype="f2"),
    "long double": np.array([1.5, -0.0], dtype=np.longdouble),
    "void": np.array([b"abc", b"\0\1\2"], dtype="V3"),
    "fields": np.array([(1, 2.0), (3, np.nan)], dtype=[("a", "<i4"), ("b", ">f8")]),
    "fields with gaps": np.zeros(2, dtype=np.dtype([("a", "i1"), ("b", "<f8")], align=True)),
    "fields in fields": np.zeros(2, dtype=[("a", [("x", "i4"), ("y", "M8[D]")], (2,))]),
    "no fields": np.zeros(2, dtype=[]),
    "32 dimensions": np.zeros((1,) * 32),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_V2_an_array_comes_back_with_its_dtype_and_order(name):
    array = ARRAYS[name]
    for again in (
        travel(array),
        travel(array, Any),
        travel([array], list[np.ndarray])[0],
        travel(array, np.ndarray | None),
    ):
        assert the_same(again, array)
        assert again.flags.f_contiguous == array.flags.f_contiguous
        assert again.flags.c_contiguous == array.flags.c_contiguous
        assert again.flags.writeable


@pytest.mark.parametrize(
    "array",
    [
        np.arange(20)[::3],
        np.arange(6).reshape(2, 3)[:, ::-1],
        np.broadcast_to(np.arange(3), (2, 3)),
        np.arange(24).reshape(2, 3, 4).transpose(1, 0, 2),
        np.zeros(4, dtype=[("a", "i2"), ("b", "f8")])["b"],
        np.asfortranarray(np.arange(12.0).reshape(3, 4))[::2],
    ],
)
def test_V2_an_array_whose_memory_has_gaps_is_written_without_them(array):
    again = travel(array)
    assert the_same(again, array)
    assert again.flags.c_contiguous
    assert codec_of(np.ndarray).encode(array) == codec_of(np.ndarray).encode(np.ascontiguousarray(array))


def test_V2_an_array_that_may_not_be_written_to_comes_back_as_one_that_may():
    array = np.arange(3)
    array.flags.writeable = False
    again = travel(array)
    again[0] = 9
    assert (again[0], array[0]) == (9, 0)


def test_V2_each_reader_has_an_array_of_its_own():
    codec = codec_of(np.ndarray)
    mine = np.arange(4)
    data = codec.encode(mine)
    first, second = codec.decode(data), codec.decode(data)
    first[:] = 7
    assert (list(second), list(mine), data) == ([0, 1, 2, 3], [0, 1, 2, 3], codec.encode(mine))


def test_V2_an_array_of_records_comes_back_with_records_or_is_refused():
    array = np.array([(1,)], dtype=np.dtype((np.record, [("a", "i4")])))
    try:
        again = travel(array)
    except TypeMismatch:
        return
    assert again[0].a == 1


def test_V2_texts_of_no_letters_keep_their_dtype_or_are_refused():
    array = np.zeros(2, dtype=[("a", "U0")])["a"]
    try:
        again = travel(array)
    except TypeMismatch:
        return
    assert the_same(again, array)


@pytest.mark.parametrize("annotation", [np.ndarray, Any])
@pytest.mark.parametrize(
    "array",
    [np.array([1, None], dtype=object), np.zeros(1, dtype=[("a", "O")]), np.array(None), np.empty(0, dtype=object)],
)
def test_V2_an_array_of_objects_is_refused_with_its_path(array, annotation):
    inner = dict[str, list[annotation]]
    with pytest.raises(TypeMismatch, match=r"^\['a'\]\[1\]: an array of Python objects has no wire form.*tolist"):
        codec_of(inner).encode({"a": [np.zeros(1), array]})
    with pytest.raises(TypeMismatch, match="an array of Python objects has no wire form"):
        codec_of(annotation).encode(array)


def test_V2_a_dtype_without_text_is_one_clear_error():
    overlapping = np.zeros(2, dtype={"names": ["a", "b"], "formats": ["i4", "i4"], "offsets": [0, 2]})
    for annotation in (np.ndarray, Any):
        with pytest.raises(TypeMismatch, match="overlapping"):
            codec_of(annotation).encode(overlapping)


@pytest.mark.parametrize(
    "array", [np.ma.masked_array([1, 2], [True, False]), np.zeros(2, dtype=[("a", "i4")]).view(np.recarray)]
)
def test_V2_an_array_of_a_derived_class_is_not_taken_for_a_plain_one(array):
    with pytest.raises(TypeMismatch, match=f"expected ndarray, got {type(array).__name__}"):
        codec_of(np.ndarray).encode(array)


def test_V2_an_array_in_a_file_is_read_as_a_plain_one(tmp_path):
    mapped = np.memmap(tmp_path / "a", dtype="i4", shape=(3,), mode="w+")
    mapped[:] = [1, 2, 3]
    for annotation in (np.memmap, Any):
        again = codec_of(annotation).decode(codec_of(annotation).encode(mapped))
        assert the_same(again, np.array([1, 2, 3], dtype="i4"))


dtypes = st.one_of(
    arrays.boolean_dtypes(),
    arrays.integer_dtypes(endianness="?"),
    arrays.unsigned_integer_dtypes(endianness="?"),
    arrays.floating_dtypes(endianness="?"),
    arrays.complex_number_dtypes(endianness="?"),
    arrays.datetime64_dtypes(endianness="?"),
    arrays.timedelta64_dtypes(endianness="?"),
    arrays.byte_string_dtypes(endianness="?", min_len=1),
    arrays.unicode_string_dtypes(endianness="?", min_len=1),
    arrays.array_dtypes(st.sampled_from([np.dtype("i2"), np.dtype(">f8"), np.dtype("U3")]), max_size=3),
)
some = arrays.arrays(dtypes, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
views = st.sampled_from([lambda one: one, np.asfortranarray, lambda one: one[..., ::-1] if one.ndim else one])
examples = st.builds(lambda one, view: view(one), some, views)


@QUICK
@given(examples)
def test_V2_any_array_comes_back_the_same(array):
    for annotation in (np.ndarray, Any):
        again = travel(array, annotation)
        assert the_same(again, array)
        assert again.flags.writeable


@pytest.mark.full
@LONG
@given(examples)
def test_V2_any_array_comes_back_the_same_of_many(array):
    assert the_same(travel(array), array)


@QUICK
@given(examples, examples)
def test_V2_equal_arrays_have_equal_bytes_and_others_have_others(one, other):
    codec = codec_of(np.ndarray)
    assert codec.encode(one.copy(order="K")) == codec.encode(one)
    alike = one.dtype.str == other.dtype.str and one.dtype == other.dtype and one.shape == other.shape
    if not alike or one.tobytes() != other.tobytes():
        assert codec.encode(one) != codec.encode(other)


@QUICK
@given(examples)
def test_V2_an_array_goes_to_any_and_to_the_type_that_states_all_of_it_and_back(array):
    there = codec_of(np.ndarray)
    tree = transcode(there.lower(array), there.type, ANY)
    assert pack(tree) == codec_of(Any).encode(array)
    assert pack(transcode(tree, ANY, there.type)) == there.encode(array)
    exact = codec_of(Annotated[np.ndarray, Shape(*array.shape), array.dtype])
    assert exact.encode(array) == there.encode(array)
    assert pack(transcode(there.lower(array), there.type, exact.type)) == there.encode(array)
    assert type_from_bytes(type_bytes(exact.type)) == exact.type


def test_V2_the_bytes_are_the_same_in_every_process(project):
    source = """
        import hashlib
        import numpy as np
        from typing import Any
        from promissory.typesys import codec_of
        array = np.array([(1, b"x")], dtype=[("a", ">i4"), ("b", "S2")])
        value = {"a": array, "b": [np.float32(0.1), np.datetime64("NaT")], "c": {np.int8(1), np.int8(-1)}}
        print(hashlib.sha256(codec_of(Any).encode(value)).hexdigest())
    """
    array = np.array([(1, b"x")], dtype=[("a", ">i4"), ("b", "S2")])
    value = {"a": array, "b": [np.float32(0.1), np.datetime64("NaT")], "c": {np.int8(1), np.int8(-1)}}
    here = hashlib.sha256(codec_of(Any).encode(value)).hexdigest()
    assert {project.code(source, PYTHONHASHSEED=seed).strip() for seed in ("1", "2")} == {here}


# --- scalars ----------------------------------------------------------------------------------------------------------


SCALARS = [
    np.float64(-0.0),
    np.float64("nan"),
    np.float64("-inf"),
    np.float32(0.1),
    np.float16(1.5),
    np.int8(-128),
    np.uint64(2**64 - 1),
    np.bool_(True),
    np.str_("a\ud800"),
    np.bytes_(b"x\0y"),
    np.complex64(1 - 0j),
    np.complex128(complex(np.nan, -np.inf)),
    np.datetime64("NaT"),
    np.datetime64("NaT", "ns"),
    np.datetime64("2020-01-01", "D"),
    np.datetime64(5, "25s"),
    np.timedelta64("NaT", "s"),
    np.timedelta64(-5, "ns"),
    np.timedelta64(5),
]


@pytest.mark.parametrize("scalar", SCALARS, ids=repr)
def test_V2_a_scalar_comes_back_as_what_it_is(scalar):
    for annotation in (type(scalar), Any, type(scalar) | None):
        again = travel(scalar, annotation)
        assert type(again) is type(scalar)
        assert (again.dtype, repr(again)) == (scalar.dtype, repr(scalar))


def test_V2_a_scalar_is_a_key_and_a_member_of_a_set():
    keys = {np.int8(1): "a", np.int8(-1): "b"}
    assert travel(keys, dict[np.int8, str]) == keys
    assert travel(set(keys), set[np.int8]) == set(keys)
    assert {type(key) for key in travel(keys, Any)} == {np.int8}


@pytest.mark.parametrize(
    ("value", "annotation", "sentence"),
    [
        (1.0, np.float64, "expected float64, got float"),
        (1, np.int8, "expected int8, got int"),
        (np.int8(1), np.int16, "expected int16, got int8"),
        (np.zeros(2), np.float64, "expected float64, got ndarray"),
        ([1.0], np.ndarray, "expected ndarray, got list"),
        ({"a": [np.int8(1), 2]}, dict[str, list[np.int8]], "['a'][1]: expected int8, got int"),
    ],
)
def test_T1_what_is_no_such_value_is_refused_with_its_path(value, annotation, sentence):
    with pytest.raises(TypeMismatch) as caught:
        codec_of(annotation).encode(value)
    assert str(caught.value) == sentence


# --- what an annotation states ----------------------------------------------------------------------------------------

Number = TypeVar("Number", bound=np.generic)
STATED = [
    (np.ndarray, "ndarray"),
    (NDArray[Any], "ndarray"),
    (NDArray[np.float32], "ndarray[float32]"),
    (NDArray[np.bool_], "ndarray[bool]"),
    (NDArray[np.floating], "ndarray"),
    (NDArray[np.floating[Any]], "ndarray"),
    (NDArray[Number], "ndarray"),
    (Annotated[np.ndarray, "said"], "ndarray"),
    (Annotated[np.ndarray, Shape("N", 3)], "ndarray[*, (*, 3)]"),
    (Annotated[np.ndarray, Shape("N", 3), np.float32], "ndarray[float32, (*, 3)]"),
    (Annotated[NDArray[np.float32], Shape(3)], "ndarray[float32, (3,)]"),
    (Annotated[NDArray[np.float32], Shape()], "ndarray[float32, ()]"),
    (Annotated[np.ndarray, np.dtype(">i2")], "ndarray[>int16]"),
    (np.ndarray[tuple[int, Literal[3]], np.dtype[np.int8]], "ndarray[int8, (*, 3)]"),
    (np.ndarray[tuple[int, ...], np.dtype[np.int8]], "ndarray[int8]"),
    (np.ndarray[Any, np.dtype[Any]], "ndarray"),
]


@pytest.mark.parametrize(("annotation", "text"), STATED)
def test_T1_an_annotation_states_dtype_and_shape(annotation, text):
    type_ = type_of(annotation)
    assert str(type_) == text
    assert type_from_bytes(type_bytes(type_)) == type_


@pytest.mark.parametrize(
    ("annotation", "array"),
    [
        (NDArray[np.str_], np.array(["ab"])),
        (NDArray[np.bytes_], np.array([b"ab"])),
        (NDArray[np.void], np.zeros(1, dtype="V3")),
        (NDArray[np.datetime64], np.array(["2020"], dtype="M8[s]")),
        (NDArray[np.timedelta64], np.array([1], dtype="m8[s]")),
    ],
)
def test_T1_a_class_of_many_dtypes_takes_each_of_them(annotation, array):
    assert the_same(travel(array, annotation), array)


def test_T1_an_array_of_objects_can_not_be_annotated():
    with pytest.raises(AnnotationError, match="an array of Python objects has no wire form"):
        type_of(NDArray[np.object_])


@pytest.mark.parametrize(
    ("dimensions", "reason"),
    [
        ((-1,), "not -1"),
        ((True,), "not True"),
        ((1.5,), "not 1.5"),
        ((None,), "not None"),
        (("N", "N"), r"Shape\('N', 'N'\) names two dimensions alike"),
    ],
)
def test_T1_a_shape_is_of_sizes_and_names_that_differ(dimensions, reason):
    with pytest.raises(AnnotationError, match=reason):
        Shape(*dimensions)


def test_T1_shapes_are_compared_by_their_dimensions():
    assert (Shape("N", 3), hash(Shape(3)), repr(Shape())) == (Shape("N", 3), hash(Shape(3)), "Shape()")
    assert Shape("N") != Shape("M")
    assert isinstance(Shape(1), Hashable)


FLOATS = np.zeros((2, 3), "<f4")


@pytest.mark.parametrize(
    ("annotation", "value", "sentence"),
    [
        (NDArray[np.float64], FLOATS, "expected ndarray[float64], got an array of float32 with the shape (2, 3)"),
        (NDArray[np.float32], FLOATS.astype(">f4"), "expected ndarray[float32], got an array of >f4 with the shape"),
        (Annotated[np.ndarray, Shape("N", 4)], FLOATS, "expected ndarray[*, (*, 4)], got an array of float32"),
        (Annotated[np.ndarray, Shape(3)], FLOATS, "expected ndarray[*, (3,)], got an array of float32"),
        (
            dict[str, list[Annotated[np.ndarray, Shape(3, 3)]]],
            {"a": [FLOATS]},
            "['a'][0]: expected ndarray[*, (3, 3)], got an array of float32 with the shape (2, 3)",
        ),
    ],
)
def test_T1_an_array_that_is_not_as_stated_is_refused(annotation, value, sentence):
    with pytest.raises(TypeMismatch) as caught:
        codec_of(annotation).encode(value)
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(("annotation", "text"), STATED)
def test_T1_whatever_was_stated_an_array_has_one_wire_form(annotation, text):
    shape = (3, 3) if "(*, 3)" in text else (3,) if "(3,)" in text else ()
    dtype = ">i2" if ">" in text else "i1" if "int8" in text else "?" if "bool" in text else "f4"
    array = np.ones(shape, dtype)
    assert codec_of(annotation).encode(array) == codec_of(np.ndarray).encode(array)


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [
        (np.ndarray, NDArray[np.float32], None),
        (NDArray[np.float32], np.ndarray, None),
        (NDArray[np.float32], Any, None),
        (Any, NDArray[np.float32], None),
        (NDArray[np.float32], NDArray[np.float64], "its dtype is float32, not float64"),
        (list[NDArray[np.int8]], list[NDArray[np.int16]], "its items: its dtype is int8, not int16"),
        (Annotated[np.ndarray, Shape("N", 3)], Annotated[np.ndarray, Shape(2, "M")], None),
        (Annotated[np.ndarray, Shape("N", 3)], Annotated[np.ndarray, Shape(2, 4)], "its dimension 1 is 3, not 4"),
        (Annotated[np.ndarray, Shape(3)], Annotated[np.ndarray, Shape(2, 4)], "it has 1 dimensions, not 2"),
        (Annotated[np.ndarray, Shape(3)], NDArray[np.int8], None),
        (np.ndarray, list[float], "ndarray is not list[float]"),
        (NDArray[np.float32] | None, NDArray[np.float32], "it may be None"),
    ],
)
def test_T1_what_an_array_leaves_open_is_no_obstacle(source, target, reason):
    assert why_not(type_of(source), type_of(target)) == reason
    assert assignable(type_of(source), type_of(target)) == (reason is None)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (np.ndarray, NDArray[np.float32]),
        (Any, NDArray[np.float32]),
        (NDArray[np.float32], Annotated[np.ndarray, Shape(2, "N")]),
        (Any, NDArray[np.float64] | NDArray[np.float32]),
        (np.ndarray, NDArray[np.float64] | NDArray[np.float32] | None),
        (NDArray[np.float32], Any),
    ],
)
def test_T1_what_was_left_open_is_looked_at_when_the_value_is_there(source, target):
    assert the_same(passed(FLOATS, source, target), FLOATS)


@pytest.mark.parametrize(
    ("value", "source", "target", "sentence"),
    [
        (FLOATS, np.ndarray, NDArray[np.float64], "expected ndarray[float64], got ndarray[float32, (2, 3)]"),
        (FLOATS, Any, NDArray[np.float64], "expected ndarray[float64], got ndarray[float32, (2, 3)]"),
        (FLOATS, NDArray[np.float32], Annotated[np.ndarray, Shape(2, 4)], "expected ndarray[*, (2, 4)], got ndarray"),
        ([FLOATS], list[Any], list[Annotated[np.ndarray, Shape(1)]], "[0]: expected ndarray[*, (1,)], got ndarray"),
    ],
)
def test_T1_what_turns_out_to_be_otherwise_is_refused_with_its_path(value, source, target, sentence):
    with pytest.raises(TypeMismatch) as caught:
        passed(value, source, target)
    assert str(caught.value).startswith(sentence)


def test_T1_an_array_is_no_key():
    for container in (set[np.ndarray], dict[NDArray[np.int8], int], frozenset[tuple[int, np.ndarray]]):
        with pytest.raises(AnnotationError, match="can't be a key or a member of a set, it is not hashable"):
            type_of(container)


# --- JSON and text ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("array", "shown"),
    [
        (np.array([1.5, np.nan, np.inf, -np.inf, -0.0]), [1.5, "NaN", "Infinity", "-Infinity", -0.0]),
        (np.array(3), 3),
        (np.arange(6).reshape(2, 3), [[0, 1, 2], [3, 4, 5]]),
        (np.array(["2020-01-01", "NaT"], dtype="M8[D]"), ["2020-01-01", None]),
        (np.array(["x"]), ["x"]),
        (np.zeros((200, 100)), "<an array of float64 with the shape (200, 100)>"),
    ],
)
def test_an_array_is_shown_as_json(array, shown):
    for annotation in (np.ndarray, Any):
        codec = codec_of(annotation)
        assert repr(to_json(codec.lower(array), codec.type)) == repr(shown)


@pytest.mark.parametrize(
    ("annotation", "given", "array"),
    [
        (np.ndarray, [[1, 2], [3, 4]], np.array([[1, 2], [3, 4]])),
        (NDArray[np.float64], [1.5, 2.5], np.array([1.5, 2.5])),
        (NDArray[np.float64], [1, 2], np.array([1.0, 2.0])),
        (NDArray[np.float32], [1.5, 2], np.array([1.5, 2], dtype="f4")),
        (NDArray[np.int8], [1, 2], np.array([1, 2], dtype="i1")),
        (Annotated[np.ndarray, Shape(2)], [1, 2], np.array([1, 2])),
    ],
)
def test_an_array_is_read_from_json_and_from_text(annotation, given, array):
    codec = codec_of(annotation)
    assert the_same(codec.lift_tree(parse_json(given, codec.type)), array)
    assert the_same(codec.lift_tree(parse_text(str(given), codec.type)), array)


@pytest.mark.parametrize(
    ("annotation", "given"),
    [
        (np.ndarray, [[1], [2, 3]]),
        (np.ndarray, [1, None]),
        (np.ndarray, [{"a": 1}]),
        (Annotated[np.ndarray, Shape(3)], [1, 2]),
        (NDArray[np.int8], ["x"]),
    ],
)
def test_json_that_is_no_such_array_is_a_parse_error(annotation, given):
    with pytest.raises(ParseError, match="is not a ndarray"):
        parse_json({"a": [given]}, type_of(dict[str, list[annotation]]))


def test_a_number_that_its_dtype_can_not_hold_is_a_parse_error():
    assert codec_of(np.int8).lift_tree(parse_text("5", type_of(np.int8))) == 5
    with pytest.raises(ParseError, match="500 is not a int8"):
        parse_text("500", type_of(np.int8))


# --- bytes that are no value ------------------------------------------------------------------------------------------

EIGHT = b"\0" * 8


@pytest.mark.parametrize(
    "tree",
    [
        ["<f8", [2], False, EIGHT],
        ["<f8", [-1], False, b""],
        ["<f8", [-1, -1], False, EIGHT],
        ["<f8", [2**63], False, EIGHT],
        ["<f8", [0, 2**70], False, b""],
        ["<f8", [1] * 70, False, EIGHT],
        ["<f8", [1], 5, EIGHT],
        ["<f8", ["1"], False, EIGHT],
        ["<f8", 1, False, EIGHT],
        ["<f8", [1], False, "text"],
        ["<f8", [1], False],
        ["|O", [1], False, EIGHT],
        ["[('a', 'O')]", [1], False, EIGHT],
        ["[('a', 'O')]", [0], False, b""],
        ["T", [1], False, EIGHT * 2],
        ["nope", [1], False, b"x"],
        ["[" * 5000, [1], False, b"x"],
        ["(1)", [1], False, b"x"],
        ["[__import__('os')]", [1], False, b"x"],
        ["<M8[zz]", [1], False, EIGHT],
        ["\ud800", [1], False, b"x"],
        None,
    ],
)
def test_T1_a_tree_that_is_no_array_is_a_format_error(tree):
    with pytest.raises(FormatError):
        codec_of(np.ndarray).decode(pack(tree))
    with pytest.raises(FormatError):
        codec_of(list[np.ndarray]).decode(pack([tree]))


@pytest.mark.parametrize("dtype", ["<U0", "|S0", "|V0"])
def test_T1_no_few_bytes_become_a_large_array(dtype):
    try:
        array = codec_of(np.ndarray).decode(pack([dtype, [10**6], False, b""]))
    except FormatError:
        return
    assert array.nbytes == 0


def damaged(whole, data):
    at = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(at, min(at + 3, len(whole))))
    return whole[:at] + data.draw(st.binary(max_size=4)) + whole[end:]


@pytest.mark.parametrize("name", ["Fortran", "fields", "NaT", "text"])
@QUICK
@given(data=st.data())
def test_T1_changed_bytes_are_an_array_or_a_format_error(name, data):
    codec = codec_of(np.ndarray)
    try:
        codec.decode(damaged(codec.encode(ARRAYS[name]), data))
    except FormatError:
        pass


def test_T1_an_array_cut_short_or_continued_is_a_format_error():
    for annotation in (np.ndarray, Any):
        whole = codec_of(annotation).encode(ARRAYS["Fortran"])
        for end in range(len(whole)):
            with pytest.raises(FormatError):
                codec_of(annotation).decode(whole[:end])
        with pytest.raises(FormatError):
            codec_of(annotation).decode(whole + b"\0")

"""Canonical msgpack: one byte string for a tree, and a reader that proves it."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promissory.typesys import FormatError
from promissory.typesys.canonical import digest, pack, pack_map, unpack, unpack_canonical

QUICK = settings(max_examples=150, deadline=None, database=None, derandomize=True)

trees = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**80), 2**80)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=12,
)


@QUICK
@given(trees)
def test_a_tree_is_read_back(tree):
    assert unpack(pack(tree)) == tree
    assert repr(unpack_canonical(pack(tree), "a tree")) == repr(tree)


@QUICK
@given(st.binary(max_size=30))
def test_T1_any_bytes_are_a_tree_or_a_format_error(data):
    for read in (unpack, lambda data: unpack_canonical(data, "a tree")):
        try:
            read(data)
        except FormatError:
            pass


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, "00"),
        (127, "7f"),
        (128, "cc80"),
        (-32, "e0"),
        (-33, "d0df"),
        (2**64 - 1, "cfffffffffffffffff"),
        (2**64, "c70901010000000000000000"),
        (-(2**63), "d38000000000000000"),
        (-(2**63) - 1, "c70901ff7fffffffffffffff"),
        (2**127 - 1, "d8017fffffffffffffffffffffffffffffff"),
        (2**127, "c711010080000000000000000000000000000000"),
        (-(2**127) + 1, "d80180000000000000000000000000000001"),
    ],
)
def test_an_integer_has_its_shortest_form(number, expected):
    assert pack(number).hex() == expected
    assert unpack_canonical(bytes.fromhex(expected), "a number") == number


@pytest.mark.parametrize(
    "data",
    [
        "cc00",  # a small integer written long
        "cd0001",
        "d001",
        "ca3f800000",  # a float of 32 bits
        "d90161",  # a short text written long
        "dc000101",  # a short array written long
        "d40105",  # a small integer as a large one
        "c702010000",
        "c70a0100010000000000000000",  # a large integer with a leading zero too many
        "c70001",
        "82a16201a16102",  # keys out of order
        "82a16101a16102",  # a key twice
        "9182a16201a16102",  # the same inside a list
        "9182a16101a16102",
        "81a16182a16201a16102",  # the same inside a map
        "8101c0",  # a key that is no text
        "81c401610a",
        "81c001",
        "d6ff00000001",  # a time stamp: no extension of ours
        "d70203040506070809ff",
        "d40505",  # an unknown extension
        "c1",
        "",
        "91",
        "a2c328",  # no UTF-8
        "00c0",
        "ddffffffff",
        "dfffffffff",
        "c6ffffffff",
    ],
)
def test_bytes_that_are_not_canonical_are_a_format_error(data):
    with pytest.raises(FormatError):
        unpack_canonical(bytes.fromhex(data), "a tree")


@pytest.mark.parametrize("data", ["d6ff00000001", "d7ff0000000000000001", "c70cff000000000000000000000001"])
def test_a_time_stamp_of_msgpack_is_not_canonical(data):
    with pytest.raises(FormatError):
        unpack_canonical(bytes.fromhex(data), "a tree")


def test_a_map_is_written_in_the_order_of_its_keys_bytes():
    assert pack_map({"b": 1, "a": 2, "é": 3, "Z": 4}) == bytes.fromhex("84a15a04a16102a16201a2c3a903")
    assert unpack_canonical(pack_map({"b": 1, "a": 2**70}), "a map") == {"a": 2**70, "b": 1}


def test_a_lone_surrogate_is_kept():
    assert unpack_canonical(pack("a\ud800"), "a text") == "a\ud800"


def test_a_lone_surrogate_is_kept_in_the_key_of_a_map():
    assert unpack_canonical(pack_map({"\ud800": 1}), "a map") == {"\ud800": 1}


def test_an_error_names_the_thing_and_the_offset():
    with pytest.raises(FormatError) as caught:
        unpack(b"\x01\x02", "a plan")
    assert (caught.value.what, caught.value.offset) == ("a plan", 1)
    assert str(caught.value) == "a plan has bytes after its end (at byte 1)"
    with pytest.raises(FormatError) as caught:
        unpack_canonical(b"\x92\x01\xcc\x05", "a plan")
    assert str(caught.value) == "a plan is not canonical (at byte 2)"


def test_an_error_tells_where_bytes_that_are_cut_short_end():
    with pytest.raises(FormatError) as caught:
        unpack(b"\x93\x01\x02", "a plan")
    assert caught.value.offset == 3


@pytest.mark.parametrize("levels", [1100, 5000, 200_000])
def test_T1_bytes_nested_too_deeply_are_a_format_error(levels):
    for data in (b"\x91" * levels + b"\x00", b"\x81\xa1a" * levels + b"\x00"):
        with pytest.raises(FormatError):
            unpack_canonical(data, "a tree")


@pytest.mark.parametrize("levels", [100, 500, 600, 1000])
def test_T1_bytes_nested_deeply_are_a_tree_or_a_format_error(levels):
    for data in (b"\x91" * levels + b"\x00", b"\x81\xa1a" * levels + b"\x00"):
        try:
            unpack_canonical(data, "a tree")
        except FormatError:
            pass


def test_a_digest_is_32_bytes_and_depends_on_its_domain():
    assert len(digest("value", b"x")) == 32
    assert digest("value", b"x") == digest("value", b"x")
    assert digest("value", b"x") != digest("plan", b"x")
    assert digest("value", b"") != digest("valu", b"e")
    assert digest("value", b"x").hex() == GOLDEN_DIGEST


GOLDEN_DIGEST = "7e4199024c897408a5059bf2ccec876b5314333fa67f2e36d1c04af18eef46ee"


def test_a_nan_that_the_encoder_wrote_is_canonical():
    assert math.isnan(unpack_canonical(pack(math.nan), "a number"))

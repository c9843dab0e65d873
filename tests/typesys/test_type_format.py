"""A type as bytes: golden vectors, round trips, and everything that is not a type."""

from dataclasses import make_dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promissory.typesys import FormatError, type_of
from promissory.typesys.canonical import pack, pack_map
from promissory.typesys.type_format import type_bytes, type_from_bytes
from promissory.typesys.types import (
    ANY,
    BOOL,
    BYTES,
    FLOAT,
    INT,
    NONE,
    STR,
    Definition,
    DictType,
    EnumType,
    Field,
    FlagType,
    FrozenSetType,
    ListType,
    LiteralType,
    NamedType,
    OpaqueType,
    RecordType,
    RefType,
    SetType,
    TupleType,
    VarTupleType,
    closed,
)
from promissory.typesys.unions import union

QUICK = settings(max_examples=150, deadline=None, database=None, derandomize=True)

GOLDEN = [
    (ANY, "00"),
    (NONE, "01"),
    (BOOL, "02"),
    (INT, "03"),
    (FLOAT, "04"),
    (STR, "05"),
    (BYTES, "06"),
    (ListType(INT), "920a03"),
    (DictType(STR, INT), "930b0503"),
    (TupleType((INT, STR)), "920c920305"),
    (TupleType(()), "920c90"),
    (VarTupleType(INT), "920d03"),
    (SetType(INT), "920e03"),
    (FrozenSetType(INT), "920f03"),
    (union([NONE, INT]), "9210920301"),
    (LiteralType(("a", "b")), "921192a161a162"),
    (LiteralType((None, True, b"1", 1, "1")), "921195c0c3c4013101a131"),
    (EnumType("m:E", (("A", 1), ("B", "b"), ("C", None))), "9312a36d3a459392a1410192a142a16292a143c0"),
    (
        RecordType("m:R", (Definition("m:R", "dataclass", (Field("x", INT), Field("y", STR, False))),)),
        "9313a36d3a529193a36d3a52c29293a17803c393a17905c2",
    ),
    (
        RecordType("m:P", (Definition("m:P", "namedtuple", (Field("x", INT),)),)),
        "9313a36d3a509193a36d3a50c39193a17803c3",
    ),
    (
        RecordType("m:T", (Definition("m:T", "dataclass", (Field("left", union([RefType("m:T"), NONE])),)),)),
        "9313a36d3a549193a36d3a54c29193a46c6566749210929214a36d3a5401c3",
    ),
    (
        RecordType(
            "m:B",
            (
                Definition("m:A", "dataclass", (Field("b", RefType("m:B")),)),
                Definition("m:B", "dataclass", (Field("a", RefType("m:A")),)),
            ),
        ),
        "9313a36d3a429293a36d3a41c29193a1629214a36d3a42c393a36d3a42c29193a1619214a36d3a41c3",
    ),
    (NamedType("datetime.date", STR), "9315ad6461746574696d652e6461746505"),
    (OpaqueType("m:X"), "9216a36d3a58"),
    (FlagType("m:F", (("A", 1), ("B", -2))), "9317a36d3a469292a1410192a142fe"),
    (NamedType("collections.Counter", DictType(STR, INT)), "9315b3636f6c6c656374696f6e732e436f756e746572930b0503"),
    (
        RecordType("m:D", (Definition("m:D", "typeddict", (Field("a", INT), Field("b", STR, False))),)),
        "9313a36d3a449193a36d3a44029293a16103c393a16205c2",
    ),
    (
        RecordType("m:G[int]", (Definition("m:G[int]", "dataclass", (Field("x", INT),)),)),
        "9313a86d3a475b696e745d9193a86d3a475b696e745dc29193a17803c3",
    ),
]


@pytest.mark.parametrize(("type_", "expected"), GOLDEN, ids=[f"{i}-{t}" for i, (t, _) in enumerate(GOLDEN)])
def test_a_type_has_these_bytes_and_no_others(type_, expected):
    assert type_bytes(type_).hex() == expected
    assert type_from_bytes(bytes.fromhex(expected)) == type_


NAMES = ["m:A", "m:B", "pkg.mod:Outer.Inner", "m:G[m:A | None]"]
names = st.sampled_from(NAMES)
scalars = st.sampled_from([ANY, NONE, BOOL, INT, FLOAT, STR, BYTES])
literals = st.lists(st.sampled_from([None, True, b"x", 1, "a", "b"]), min_size=1, unique_by=repr).map(
    lambda values: LiteralType(tuple(sorted(values, key=lambda one: (type(one).__name__, repr(one)))))
)
enums = st.builds(
    EnumType,
    names,
    st.lists(st.tuples(st.text("AB", min_size=1), st.none() | st.integers() | st.text()), unique_by=lambda m: m[0]).map(
        tuple
    ),
)
flags = st.builds(
    FlagType, names, st.lists(st.tuples(st.text("AB", min_size=1), st.integers()), unique_by=lambda m: m[0]).map(tuple)
)
leaves = (
    scalars
    | literals
    | enums
    | flags
    | st.builds(OpaqueType, names)
    | st.builds(NamedType, st.just("datetime.date"), st.just(STR))
)


def containers(inner):
    return st.one_of(
        *(st.builds(one, inner) for one in (ListType, VarTupleType, SetType, FrozenSetType)),
        st.builds(DictType, inner, inner),
        st.builds(NamedType, st.just("collections.OrderedDict"), st.builds(DictType, inner, inner)),
        st.lists(inner, max_size=3).map(lambda items: TupleType(tuple(items))),
        st.lists(inner, min_size=1, max_size=3).map(union),
    )


mentioning = st.recursive(leaves | st.builds(RefType, names), containers, max_leaves=6)
fields = st.lists(
    st.builds(Field, st.text("xyz", min_size=1), mentioning, st.booleans()), max_size=3, unique_by=lambda f: f.name
)
kinds = st.sampled_from(["dataclass", "namedtuple", "typeddict"])
definitions = st.fixed_dictionaries(
    {name: st.builds(Definition, st.just(name), kinds, fields.map(tuple)) for name in NAMES}
)
types = st.builds(closed, mentioning, definitions)


@QUICK
@given(types)
def test_every_type_is_read_back_from_its_bytes(type_):
    assert type_from_bytes(type_bytes(type_)) == type_


@QUICK
@given(types, st.data())
def test_T1_changed_bytes_are_another_type_or_a_format_error(type_, data):
    whole = type_bytes(type_)
    at = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(at, min(at + 3, len(whole))))
    changed = whole[:at] + data.draw(st.binary(max_size=4)) + whole[end:]
    try:
        found = type_from_bytes(changed)
    except FormatError:
        return
    assert type_bytes(found) == changed


@QUICK
@given(st.binary(max_size=40))
def test_T1_any_bytes_are_a_type_or_a_format_error(data):
    try:
        found = type_from_bytes(data)
    except FormatError:
        return
    assert type_bytes(found) == data


@pytest.mark.parametrize(("type_", "expected"), GOLDEN, ids=[f"{i}-{t}" for i, (t, _) in enumerate(GOLDEN)])
def test_T1_a_type_cut_short_or_continued_is_a_format_error(type_, expected):
    whole = bytes.fromhex(expected)
    for end in range(len(whole)):
        with pytest.raises(FormatError):
            type_from_bytes(whole[:end])
    with pytest.raises(FormatError):
        type_from_bytes(whole + b"\0")


MALFORMED = [
    7,
    -1,
    99,
    True,
    None,
    1.0,
    "list",
    [],
    [9, 3],
    [23, "m:X"],
    [10],
    [10, 3, 3],
    [10, "int"],
    [11, 3],
    [12, 3],
    [16, []],
    [16, [3]],
    [16, [3, 3]],
    [16, [1, 3]],
    [16, [3, [16, [5, 6]]]],
    [17, []],
    [17, ["b", "a"]],
    [17, ["a", "a"]],
    [17, [1.5]],
    [17, [[1]]],
    [17, "ab"],
    [18, 5, []],
    [18, "m:E", [["A"]]],
    [18, "m:E", [[5, 1]]],
    [18, "m:E", [["A", [1]]]],
    [18, "m:E", [["A", 1.5]]],
    [18, "m:E", [["A", True]]],
    [19, "m:R"],
    [19, "m:R", []],
    [19, "m:R", [["m:R", False]]],
    [19, "m:R", [["m:R", 0, []]]],
    [19, "m:R", [["m:R", 3, []]]],
    [19, 5, [[5, False, []]]],
    [19, "m:R", [["m:R", False, [["x", 3]]]]],
    [19, "m:R", [["m:R", False, [["x", 3, 1]]]]],
    [19, "m:R", [["m:R", False, [["x", 3, True], ["x", 5, True]]]]],
    [20, "m:R"],
    [10, [20, "m:R"]],
    [20, None],
    [21, "datetime.date"],
    [22, b"m:X"],
    [22],
]


@pytest.mark.parametrize("tree", MALFORMED, ids=range(len(MALFORMED)))
def test_T1_a_tree_that_is_no_type_is_a_format_error(tree):
    with pytest.raises(FormatError):
        type_from_bytes(pack(tree))


MENTIONS_B = ["m:A", False, [["b", [20, "m:B"], True]]]
MENTIONS_NOTHING = ["m:B", False, []]


def test_a_record_whose_definitions_are_complete_and_in_order_is_read():
    tree = [19, "m:A", [MENTIONS_B, MENTIONS_NOTHING]]
    known = (Definition("m:A", "dataclass", (Field("b", RefType("m:B")),)), Definition("m:B", "dataclass", ()))
    assert type_from_bytes(pack(tree)) == RecordType("m:A", known)


@pytest.mark.parametrize(
    "tree",
    [
        [19, "m:C", [MENTIONS_NOTHING]],  # not the record's own
        [19, "m:A", [MENTIONS_B]],  # missing
        [19, "m:A", [MENTIONS_NOTHING, MENTIONS_B]],  # out of order
        [19, "m:B", [MENTIONS_B, MENTIONS_NOTHING]],  # superfluous
        [19, "m:B", [MENTIONS_NOTHING, MENTIONS_NOTHING]],  # twice
        [12, [[19, "m:B", [MENTIONS_NOTHING]], [20, "m:B"]]],  # mentioned outside of the definitions
        [
            19,
            "m:A",
            [["m:A", False, [["b", [19, "m:B", [MENTIONS_NOTHING]], True]]]],
        ],  # in full where a mention belongs
    ],
    ids=["another", "missing", "order", "superfluous", "twice", "outside", "in full"],
)
def test_T1_a_record_with_other_definitions_than_it_needs_is_a_format_error(tree):
    with pytest.raises(FormatError):
        type_from_bytes(pack(tree))


def test_T1_a_map_where_a_type_belongs_is_a_format_error():
    for data in (
        pack_map({"a": 1}),
        b"\x81\x00\x03",
        b"\x81\x00\x0a",
        b"\x82\x00\x0a\x01\x03",
        b"\x92\x0a\x81\x00\x0a",
    ):
        with pytest.raises(FormatError):
            type_from_bytes(data)


def test_T1_a_type_nested_too_deeply_is_a_format_error():
    for levels in (201, 600, 5000):
        with pytest.raises(FormatError):
            type_from_bytes(b"\x92\x0a" * levels + b"\x03")


def test_a_malformed_type_does_not_change_the_bytes_of_a_good_one():
    with pytest.raises(FormatError):
        type_from_bytes(pack([18, "m:Poisoned", [["A", 1.0]]]))
    assert type_bytes(EnumType("m:Poisoned", (("A", 1),))) == pack([18, "m:Poisoned", [["A", 1]]])


@pytest.mark.parametrize("levels", [10, 63, 64])
def test_an_annotation_as_deep_as_may_be_is_read_back(levels):
    annotation = int
    for _ in range(levels):
        annotation = list[annotation]
    type_ = type_of(annotation)
    assert type_from_bytes(type_bytes(type_)) == type_


def test_records_as_deep_as_may_be_are_read_back():
    innermost = make_dataclass("Level0", [("x", int)])
    for depth in range(1, 32):
        innermost = make_dataclass(f"Level{depth}", [("inner", list[innermost])])
    type_ = type_of(innermost)
    assert len(type_.definitions) == 32
    assert type_from_bytes(type_bytes(type_)) == type_

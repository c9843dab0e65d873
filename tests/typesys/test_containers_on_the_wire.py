"""Lists, tuples, dicts and sets."""

from collections import OrderedDict, defaultdict
from typing import Any, NamedTuple

import pytest

from promissory.typesys import TypeMismatch, codec_of
from promissory.typesys.canonical import unpack


class Pair(NamedTuple):
    a: int
    b: int


class Numbers(list):
    pass


def travel(value, annotation):
    codec = codec_of(annotation)
    return codec.decode(codec.encode(value))


CONTAINERS = [
    (list[int], []),
    (list[int], [1, 2**70, -5]),
    (list[float], [1.5, float("inf"), float("-inf")]),
    (list[list[str]], [[], ["a"], ["b", "c"]]),
    (list[None], [None, None]),
    (tuple[()], ()),
    (tuple[int, ...], ()),
    (tuple[int, ...], (1, 2, 3)),
    (tuple[int, str, None], (1, "a", None)),
    (tuple[tuple[int, int], ...], ((1, 2), (3, 4))),
    (dict[str, int], {}),
    (dict[str, int], {"b": 1, "a": 2}),
    (dict[int, str], {2**70: "x", -1: "y"}),
    (dict[bytes, bool], {b"": True, b"\xff": False}),
    (dict[float, int], {1.5: 1, float("inf"): 2}),
    (dict[None, int], {None: 1}),
    (dict[bool, int], {True: 1, False: 0}),
    (dict[tuple[int, str], list[int]], {(1, "a"): [1], (2, "b"): []}),
    (dict[frozenset[int], int], {frozenset((1, 2)): 1}),
    (dict[Pair, int], {Pair(1, 2): 3}),
    (dict[int | str, int], {1: 1, "1": 2}),
    (dict[str, dict[str, dict[str, int]]], {"a": {"b": {"c": 1}}, "d": {}}),
    (set[int], set()),
    (set[int], {3, 1, 2, 2**70}),
    (frozenset[str], frozenset({"a", "\ud800"})),
    (set[tuple[int, str]], {(1, "a"), (0, "b")}),
    (frozenset[frozenset[int]], frozenset({frozenset(), frozenset({1})})),
    (set[int | str], {1, "1"}),
]


@pytest.mark.parametrize(("annotation", "value"), CONTAINERS, ids=[f"{i}-{a}" for i, (a, _) in enumerate(CONTAINERS)])
def test_a_container_comes_back_equal_and_of_its_class(annotation, value):
    again = travel(value, annotation)
    assert again == value
    assert type(again) is type(value)


def test_a_dict_keeps_its_order():
    assert list(travel({"z": 1, "a": 2, "m": 3}, dict[str, int])) == ["z", "a", "m"]
    assert list(travel({"z": "x", "a": 2}, dict[str, int | str])) == ["z", "a"]


def test_dicts_of_another_order_have_other_bytes():
    codec = codec_of(dict[str, int])
    assert codec.encode({"a": 1, "b": 2}) != codec.encode({"b": 2, "a": 1})


def test_a_set_has_the_same_bytes_in_whatever_order_it_was_filled():
    words = [f"word{i}" for i in range(200)]
    for annotation, kind in ((set[str], set), (frozenset[str], frozenset), (Any, set), (Any, frozenset)):
        codec = codec_of(annotation)
        assert codec.encode(kind(words)) == codec.encode(kind(reversed(words)))


def test_a_set_is_written_in_the_order_of_its_items_bytes():
    assert unpack(codec_of(set[int]).encode({300, -1, 5, 200})) == [5, 200, 300, -1]


def test_a_set_of_numbers_that_are_one_float_has_that_float_once():
    codec = codec_of(set[float])
    assert codec.encode({2**53, 2**53 + 1}) == codec.encode({float(2**53)})


def test_a_dict_of_numbers_that_are_one_float_is_refused():
    with pytest.raises(TypeMismatch) as caught:
        codec_of(dict[float, int]).encode({2**53: 1, 2**53 + 1: 2})
    assert str(caught.value) == "two of its keys are the same as float"


def test_a_dict_whose_keys_hold_numbers_that_are_one_float_is_refused():
    with pytest.raises(TypeMismatch):
        codec_of(dict[tuple[float, str], int]).encode({(2**53, "a"): 1, (2**53 + 1, "a"): 2})


def test_a_dict_of_numbers_that_are_one_float_of_a_union_is_refused():
    with pytest.raises(TypeMismatch):
        codec_of(dict[float | str, int]).encode({2**53: 1, 2**53 + 1: 2})


def test_subclasses_of_containers_travel_as_the_plain_class():
    assert type(travel(Numbers([1]), list[int])) is list
    assert type(travel(OrderedDict(a=1), dict[str, int])) is dict
    assert type(travel(defaultdict(int, a=1), dict[str, int])) is dict
    assert type(travel(Pair(1, 2), tuple[int, ...])) is tuple
    assert type(travel(Pair(1, 2), tuple[int, int])) is tuple


def test_subclasses_of_containers_may_hold_integers_of_any_size():
    assert travel(Numbers([2**70]), list[int]) == [2**70]
    assert travel(Pair(2**70, 1), tuple[int, ...]) == (2**70, 1)
    assert travel(OrderedDict(a=2**70), dict[str, int]) == {"a": 2**70}


def test_a_large_integer_anywhere_inside_is_written():
    value = {"a": [(1, {2**100})]}
    assert travel(value, dict[str, list[tuple[int, set[int]]]]) == value


def test_a_decoded_value_is_a_new_one():
    codec = codec_of(list[list[int]])
    data = codec.encode([[1]])
    first = codec.decode(data)
    first[0].append(2)
    assert codec.decode(data) == [[1]]


def test_encoding_leaves_the_value_as_it_was():
    value = {"b": [1, 2.5], "a": []}
    codec_of(dict[str, list[float]]).encode(value)
    assert repr(value) == "{'b': [1, 2.5], 'a': []}"


def test_a_large_value_does_not_change_what_is_written_after_it():
    codec = codec_of(list[int])
    before = codec.encode([1])
    codec.encode(list(range(400_000)))
    assert codec.encode([1]) == before


def test_a_value_that_could_not_be_written_leaves_nothing_behind():
    from promissory.typesys.canonical import pack

    before = pack([1])
    try:
        pack([1, 2, object()])
    except TypeError:
        pass
    assert pack([1]) == before

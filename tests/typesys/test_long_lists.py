"""V4: a list of more than 128 KiB lies in blocks. They follow from its items alone; what it grows to shares them."""

from dataclasses import dataclass
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promissory import Store
from promissory.errors import FormatError
from promissory.executor.store.keys import part_key
from promissory.executor.worker.chunking import cut, flattened, items_of, join, length_of, listed
from promissory.planner.plan.show import value_text
from promissory.typesys import codec_of, type_of
from promissory.typesys.buffer import INSIDE, NAMES_ONLY, Buffer, PartName
from promissory.typesys.canonical import (
    EXT_LONG_LIST,
    has_parts,
    in_parts,
    long_list_in,
    opened,
    pack,
    parts_mentioned,
    unpack,
)
from promissory.typesys.long_lists import LONG, PAGE, Block, LongList, body_of, from_payload, header, to_payload

QUICK = settings(max_examples=40, deadline=None, database=None, derandomize=True)
LEAF, MIDDLE, LARGE = 1 << 14, 1 << 17, 1 << 20


class Memory(Store):
    """A store in memory that notes which parts were read."""

    def __init__(self):
        super().__init__(None)
        self.read = []

    def mapped(self, names):
        self.read += names
        return super().mapped(names)

    @property
    def kept(self):
        """The keys of the parts, each with the number of its bytes."""
        return {key: len(self.get(key)) for folder in self.list("parts") for key in self.list(folder)}


@pytest.fixture
def memory():
    return Memory()


def plain(count, length=60):
    """A list with items of so many bytes."""
    return [f"{number:0{length - 2}d}" for number in range(count)]


def sizes_of(data):
    """The bytes of each block of a list, and of its tail."""
    one = long_list_in(opened(data)[0])
    assert isinstance(one, LongList)
    tail = body_of(one.tail, len(one) - sum(block.items for block in one.blocks))
    return [sum(name.size for name in block.names) for block in one.blocks], len(tail)


# --- what comes back --------------------------------------------------------------------------------------------------

LISTS = {
    "integers": list(range(200_000)),
    "beyond 64 bits": [2**70 + number for number in range(20_000)],
    "text": plain(5_000),
    "long text": ["x" * 50_000, "y" * 300_000, "z"] * 3,
    "lists": [[float(number)] * 10 for number in range(4_000)],
    "long lists": [plain(4_000), [], plain(3_000)],
    "long lists in long lists": [[plain(3_000), plain(3_001)] for _ in range(2)] + [[str(n)] for n in range(60_000)],
    "small before a large one": [1] * 2_000 + ["x" * LARGE] + [2] * 2_000,
    "buffers": [bytes([number]) * 70_000 for number in range(3)] + [b"a" * 100] * 3_000,
    "surrogates": ["\ud800" * 50] * 2_000,
}


@pytest.mark.parametrize("value", LISTS.values(), ids=LISTS)
def test_V4_a_long_list_comes_back_as_it_was(memory, value):
    codec = codec_of(Any)
    data = codec.encode(value, memory)
    assert len(data) < LONG
    assert codec.decode(data, memory) == value
    assert codec.encode(codec.decode(data, memory), memory) == codec.encode(value, NAMES_ONLY) == data
    assert opened(data)[1] == parts_mentioned(opened(data)[0])
    assert {part_key(name.digest) for name in opened(data)[1]} <= memory.kept.keys()


@dataclass
class Record:
    name: str
    history: list[str]
    by_name: dict[str, tuple[int, ...]]


def test_V4_long_lists_lie_in_blocks_wherever_in_a_value_they_are(memory):
    value = Record("a", plain(5_000), {"many": tuple(range(60_000)), "few": (1,)})
    data = codec_of(Record).encode(value, memory)
    assert len(data) < LEAF + 20_000
    assert codec_of(Record).decode(data, memory) == value
    many = {f"{number:06d}": (number,) for number in range(30_000)}
    data = codec_of(dict[str, tuple[int, ...]]).encode(many, memory)
    assert len(data) < LEAF + 2_000
    assert codec_of(dict[str, tuple[int, ...]]).decode(data, memory) == many


@pytest.mark.parametrize("beyond", [0, 1])
def test_V4_a_list_is_long_from_the_bytes_of_its_items_on(memory, beyond):
    value = ["x" * (LONG // 4 - 3)] * 3 + ["x" * (LONG // 4 - 3 + beyond)]
    data = codec_of(list[str]).encode(value, memory)
    assert has_parts(data) is bool(beyond)
    assert codec_of(list[str]).decode(data, memory) == value


def test_V4_without_a_place_for_parts_a_long_list_is_whole():
    value = plain(10_000)
    data = pack(value)
    assert not has_parts(data)
    assert pack(value, INSIDE) == data


# --- where it is cut --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [3, 60, 900, 5_000, 20_000, 200_000])
def test_V4_blocks_have_about_a_mebibyte_and_what_is_left_falls_to_smaller_ones(memory, length):
    data = pack(plain(2 * LARGE * 3 // (2 * length) + 7, length), memory)
    blocks, tail = sizes_of(data)
    large = [size for size in blocks if size >= LARGE]
    middle = [size for size in blocks if MIDDLE <= size < LARGE]
    small = [size for size in blocks if LEAF <= size < MIDDLE]
    assert blocks == [*large, *middle, *small]
    assert len(middle) <= 8
    assert len(small) <= 8
    assert tail < 2 * LEAF
    assert max(large, default=LARGE) <= LARGE + MIDDLE + max(LEAF, length) * 2


@pytest.mark.parametrize(("length", "turns"), [(100, 6_000), (3_000, 700), (40_000, 80)])
def test_V4_a_list_that_grew_shares_its_blocks(memory, length, turns):
    items, once = [], sum(map(len, plain(turns, length)))
    heads, before = 0, []
    for item in plain(turns, length):
        items.append(item)
        if len(items) % max(1, turns // 60) == 0:
            data = pack(items, memory)
            if has_parts(data):
                found = [block.names for block in long_list_in(opened(data)[0]).blocks]
                large = [names for names in before if sum(name.size for name in names) >= LARGE]
                assert found[: len(large)] == large
                before = found
            heads += len(data)
    # Each item was written at most once a level.
    assert sum(memory.kept.values()) <= 3 * once
    assert heads <= 80 * (LONG + length)


@QUICK
@given(st.data())
def test_V4_the_blocks_follow_from_the_items_and_not_from_how_they_came_together(data):
    memory = Memory()
    lengths = data.draw(st.lists(st.sampled_from([1, 5, 20, 700, 9_000, 70_000]), min_size=1, max_size=6))
    items = [
        item
        for number, length in enumerate(lengths)
        for item in [f"{number}" * length] * data.draw(st.integers(1, max(2, 140_000 // length)))
    ]
    whole = pack(items, memory)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(items)), max_size=6)))
    pieces = [items[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(items)], strict=True)]
    assert join([pack(piece, data.draw(st.sampled_from([memory, INSIDE]))) for piece in pieces], memory) == whole
    assert unpack(whole, parts=memory) == items
    assert b"".join(items_of(whole, memory)) == body_of(pack(items), len(items))
    assert length_of(whole) == len(items)


# --- cutting and joining ----------------------------------------------------------------------------------------------


def test_B3_a_long_list_is_cut_as_the_same_list_in_one_piece(memory):
    value = plain(4_000, 200) + plain(20, 300_000) + plain(3_000)
    long, short = pack(value, memory), pack(value)
    other = pack(list(range(len(value))))
    chunks = list(cut([listed(long, memory), listed(other, memory)]))
    assert chunks == list(cut([listed(short, INSIDE), listed(other, INSIDE)]))
    assert sum(count for count, _ in chunks) == len(value)
    assert all(count == PAGE or len(part) >= LARGE for count, (part, _) in chunks[:-1])
    assert join((part for _, (part, _) in chunks), memory) == long


def test_B3_the_lists_of_a_list_are_flattened_however_long_they_are(memory):
    value = [plain(4_000), ["a"], [], plain(3_000)]
    for data in (pack(value, memory), pack(value)):
        flat = flattened(data, memory)
        assert flat.total == 7_001
        chunks = [unpack(part, parts=memory) for _, (part,) in cut([flat])]
        assert [item for chunk in chunks for item in chunk] == [item for one in value for item in one]


def test_V4_items_name_the_parts_that_they_mention(memory):
    codec = codec_of(list[bytes])
    value = [bytes([number % 7]) * 70_000 for number in range(20)] + [b"a" * 200] * 2_000 + [b"b" * 80_000]
    data = codec.encode(value, memory)
    items = list(items_of(data, memory))
    assert [codec_of(bytes).decode(item, memory) for item in items] == value
    assert [len(opened(item)[1]) for item in items] == [1] * 20 + [0] * 2_000 + [1]
    assert join([pack([]), data], memory) == data
    (count, (part,)), *_ = cut([listed(data, memory)])
    assert codec.decode(part, memory) == value[:count]


def test_V4_a_join_of_small_lists_is_no_long_list(memory):
    assert join([pack([1]), pack([]), pack(["a"])], memory) == pack([1, "a"])
    assert memory.kept == {}


# --- who has no place to read from ------------------------------------------------------------------------------------


def test_V4_a_long_list_can_be_handed_on_unread(memory):
    value = ["first", [plain(5_000), bytes(80_000)], [b"c" * 70_000] * 5_000]
    data = codec_of(Any).encode(value, memory)
    tree = unpack(data)
    memory.read.clear()
    assert pack(tree) == pack(tree, memory) == data
    assert memory.read == []


def test_V4_a_plan_tells_how_long_a_long_list_is(memory):
    data = codec_of(list[str]).encode(plain(5_000), memory)
    assert value_text(data, type_of(list[str])) == "<list of 5,000 items>"


# --- bytes that are none ----------------------------------------------------------------------------------------------

NAME = PartName(bytes(32), 9)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc0",
        msgpack.packb([]) + header(0),
        msgpack.packb([[1, [NAME]]]),
        msgpack.packb([[1, [NAME]]]) + b"\xa1a",
        msgpack.packb([[0, [NAME]]]) + header(0),
        msgpack.packb([[True, [NAME]]]) + header(0),
        msgpack.packb([[1, []]]) + header(0),
        msgpack.packb([[1, [[b"short", 9]]]]) + header(0),
        msgpack.packb([[1, [NAME], [], 5]]) + header(0),
        msgpack.packb([7]) + header(0),
    ],
)
def test_J4_what_is_no_long_list_is_refused(payload):
    data = in_parts(msgpack.packb(msgpack.ExtType(EXT_LONG_LIST, payload)), [NAME])
    with pytest.raises(FormatError):
        unpack(data)


@pytest.mark.parametrize("content", [b"\x01\x02\x03", b"\x01", b"\xc1\x01", b"\xd4\x09\x01\x01"])
def test_J4_a_block_with_other_items_than_it_says_is_refused(memory, content):
    (name,) = memory.keep(Buffer.of(content))
    data = pack(LongList((Block(2, (name,)),), header(0)))
    with pytest.raises(FormatError):
        unpack(data, parts=memory)


def test_V4_a_long_list_is_written_as_it_was_read():
    one = LongList((Block(3, (NAME, NAME)), Block(1, (NAME,), (NAME,))), pack([1, 2]))
    assert from_payload(to_payload(one)) == one
    assert len(one) == 6

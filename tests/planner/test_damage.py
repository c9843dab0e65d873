"""Plan format: bytes that are cut, changed or of another version are refused, with the offset."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promissory import Plan, dynamic, task, workflow
from promissory.errors import PlanFormatError
from promissory.planner.plan.format import FUTURES_FILE, MAGIC, PLAN_FILE, futures_to_bytes, read_plan
from promissory.planner.plan.shape_format import shape_bytes
from promissory.typesys.canonical import pack, unpack
from promissory.typesys.envelope import seal


@task
def inc(x: int, by: int = 1) -> int:
    return x + by


@dynamic(max_depth=7, allow_repeat=True)
def deep(xs: list[int]) -> int:
    return 0


@workflow
def nested(x: int) -> int:
    return inc(x)


@workflow
def handed(x: int) -> int:
    return x


@workflow
def small(x: int = 3) -> list[int]:
    first = inc(x).with_overrides(name="first")
    second = deep([first, nested(x), 7])
    first >> second
    return [second, x]


@workflow
def large(x: int) -> int:
    return deep(list(range(5000)))


PLANS = [small.compile(), large.compile()]
SMALL = PLANS[0].to_bytes()


@pytest.mark.parametrize("length", range(len(SMALL)))
def test_every_cut_is_found(length):
    with pytest.raises(PlanFormatError) as caught:
        Plan.from_bytes(SMALL[:length])
    assert 0 <= caught.value.offset <= length
    assert f"at byte {caught.value.offset}" in str(caught.value)


def test_every_flipped_bit_is_found():
    for position in range(len(SMALL)):
        for bit in range(8):
            damaged = bytearray(SMALL)
            damaged[position] ^= 1 << bit
            with pytest.raises(PlanFormatError) as caught:
                Plan.from_bytes(bytes(damaged))
            assert 0 <= caught.value.offset <= len(SMALL)


def test_bytes_behind_the_end_are_found():
    with pytest.raises(PlanFormatError, match="has bytes after its end") as caught:
        Plan.from_bytes(SMALL + b"\0")
    assert caught.value.offset == len(SMALL)


def test_another_file_is_named_as_such():
    with pytest.raises(PlanFormatError, match="this is some other file"):
        Plan.from_bytes(b"\x89PNG" + SMALL[4:])


def test_a_newer_version_says_what_to_install():
    payload = SMALL[15:-32]
    with pytest.raises(
        PlanFormatError, match="has format version 7; this reader knows up to 6: install a newer promissory to read it"
    ) as caught:
        Plan.from_bytes(seal(MAGIC, 7, PLAN_FILE, payload))
    assert caught.value.offset == 4


def test_an_unknown_kind_is_refused():
    with pytest.raises(PlanFormatError, match="unknown kind 9"):
        Plan.from_bytes(seal(MAGIC, 1, 9, SMALL[15:-32]))


def test_a_large_literal_with_another_digest_is_refused():
    who, shape, literals, blobs = unpack(PLANS[1].to_bytes()[15:-32])
    blobs[0] = blobs[0][:-1] + b"\0"
    with pytest.raises(PlanFormatError, match="digest does not match"):
        Plan.from_bytes(seal(MAGIC, 1, PLAN_FILE, pack([who, shape, literals, blobs])))


@pytest.mark.parametrize("place", [2, 3], ids=["literals", "large literals"])
@pytest.mark.parametrize("empty", ["", {}, b"", None], ids=repr)
def test_T1_what_is_empty_and_no_list_is_refused(place, empty):
    fields = unpack(handed.compile().to_bytes()[15:-32])
    assert fields[place] == []
    fields[place] = empty
    with pytest.raises(PlanFormatError, match="a list was expected"):
        Plan.from_bytes(seal(MAGIC, 1, PLAN_FILE, pack(fields)))


def resealed(kind, payload):
    data = seal(MAGIC, 1, kind, payload)
    try:
        plan, header = read_plan(data)
    except PlanFormatError as error:
        assert 0 <= error.offset <= len(data)
        return
    written = plan.to_bytes() if header is None else futures_to_bytes(plan, header)
    assert written == data, "bytes were accepted that no writer makes"
    str(plan)


@given(st.data())
def test_a_changed_payload_with_a_good_check_sum_is_refused_or_canonical(data):
    payload = bytearray(SMALL[15:-32])
    for _ in range(data.draw(st.integers(1, 3))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    resealed(PLAN_FILE, bytes(payload))


@given(st.data())
def test_a_changed_shape_with_good_lengths_is_refused_or_canonical(data):
    shape = bytearray(shape_bytes(PLANS[0].shape))
    for _ in range(data.draw(st.integers(1, 3))):
        shape[data.draw(st.integers(0, len(shape) - 1))] = data.draw(st.integers(0, 255))
    resealed(PLAN_FILE, pack([None, bytes(shape), list(PLANS[0].literals), []]))


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused(data):
    with pytest.raises(PlanFormatError):
        Plan.from_bytes(data)


trees = st.recursive(
    st.none() | st.integers(-3, 300) | st.text(max_size=3) | st.binary(max_size=3), lambda t: st.lists(t, max_size=4)
)


@given(st.sampled_from([PLAN_FILE, FUTURES_FILE]), trees)
def test_an_arbitrary_payload_is_refused(kind, tree):
    resealed(kind, pack(tree))


@pytest.mark.parametrize("header", [[b"p" * 16, 5, 2, "more"], [b"p" * 16, 5], [b"p" * 16, -1, 2], ["p", 5, 2]])
def test_D1_a_header_of_another_form_is_refused(header):
    payload = pack([header, shape_bytes(PLANS[0].shape), list(PLANS[0].literals), []])
    with pytest.raises(PlanFormatError):
        read_plan(seal(MAGIC, 1, FUTURES_FILE, payload))


def test_D1_a_futures_file_carries_no_large_literals():
    with pytest.raises(PlanFormatError):
        read_plan(
            seal(
                MAGIC,
                1,
                FUTURES_FILE,
                pack([[b"p" * 16, 5, 2], shape_bytes(PLANS[0].shape), list(PLANS[0].literals), [b"x"]]),
            )
        )

"""Golden vectors: the bytes and digests of two small plans.

If one of these changes, the format's version must change with it.
"""

import pytest

from promissory import Plan
from promissory.planner.plan.format import FuturesHeader, futures_from_bytes, futures_to_bytes

SOURCE = '''
from dataclasses import dataclass
from enum import Enum

from promissory import dynamic, task, workflow


class Kind(Enum):
    ONE = 1
    TWO = "two"


@dataclass
class Row:
    kind: Kind
    values: list[float]


@task
def inc(x: int, by: int = 1) -> int:
    """Not part of the identity."""
    return x + by  # nor is this


@task
def pack_row(row: Row, *, label: str | None = None) -> Row:
    return row


@dynamic(max_depth=9)
def shrink(n: int) -> int:
    return shrink(n - 1) if n else 0


@workflow
def tiny(x: int) -> int:
    return inc(x)


@workflow
def whole(x: int, y: float = 0.5) -> tuple[Row, int]:
    first = tiny(shrink(x))
    log = inc(x, 300).with_overrides(name="log")
    first >> log
    return pack_row(Row(Kind.TWO, [first, y, 2]), label="a"), tiny(first)
'''

VECTORS = {
    "tiny": (
        (
            "50524d50000101000000000000007b94c0c4759491c401039196af676f6c64656e5f666c6f773a696e63c42092e2e8"
            "ef94ca14da0df06a9a"
            "6d3088e6d78ea788893e08766109480a190646d99294a17800c00194a2627900c401010100c400009198a474696e79"
            "9194a17800c0019193"
            "a6726573756c740000c401009100c40592920000c090900090902b23c0e707afa1dc4e9a9c68079aec674daec2b469"
            "5b12d25f4a47baa8ed"
            "9a01"
        ),
        "084f1c3fb2e905b547bbcf8611d76af13eb014b3d9d2d8f1ec167eb04476fb6d",
    ),
    "whole": (
        (
            "50524d50000101000000000000026e94c0c5024b9495c40103c45c9313af676f6c64656e5f666c6f773a526f779193"
            "af676f6c64656e5f66"
            "6c6f773a526f77c29293a46b696e649312b0676f6c64656e5f666c6f773a4b696e649292a34f4e450192a354574fa3"
            "74776fc393a676616c"
            "756573920a04c3c4059210920501c40104c460920c929313af676f6c64656e5f666c6f773a526f779193af676f6c64"
            "656e5f666c6f773a52"
            "6f77c29293a46b696e649312b0676f6c64656e5f666c6f773a4b696e649292a34f4e450192a354574fa374776fc393"
            "a676616c756573920a"
            "04c3039396b2676f6c64656e5f666c6f773a736872696e6bc42039d2d97180475ff600bdc5973c97952aa058cb65ab"
            "c1dd77526e31bd3954"
            "ed619194a16e00c00100c40c81a96d61785f6465707468090196af676f6c64656e5f666c6f773a696e63c42092e2e8"
            "ef94ca14da0df06a9a"
            "6d3088e6d78ea788893e08766109480a190646d99294a17800c00194a2627900c401010100c4000096b4676f6c6465"
            "6e5f666c6f773a7061"
            "636b5f726f77c420f2c6203b2103a82f45ce845651e498e7f6c94a6b72f3b6f5c72dcbee49389d9c9294a3726f7701"
            "c00194a56c6162656c"
            "02c4039201c00201c400009298a577686f6c659294a17800c00194a17903c409cb3fe0000000000000019193a67265"
            "73756c740492039203"
            "04c4050001000001950001010201c41c91920000910092920000ff929305c092fe92029301920001fdfc9101919202"
            "9101919202c40a81a4"
            "6e616d65a36c6f6798a474696e799194a17800c0019193a6726573756c740000c401009101c40592920000c0909004"
            "94c403cd012cc404a3"
            "54574fc409cb4000000000000000c4049200a161908f7099f063042cafad5f540f1497facfc88e486815e1e0d26bd14904ab00c04b"
        ),
        "1d01cbf507ff7e88b6dffc8d2323e41e51363dec7f5f112aefb53efe237aa1ed",
    ),
}

FUTURES = (
    "50524d50000102000000000000008f9493c410000102030405060708090a0b0c0d0e0f0302c4759491c401039196af676f6c64656e5f666c"
    "6f773a696e63c42092e2e8ef94ca14da0df06a9a6d3088e6d78ea788893e08766109480a190646d99294a17800c00194a2627900c4010101"
    "00c400009198a474696e799194a17800c0019193a6726573756c740000c401009100c40592920000c0909000909085857b7e66a08160c625"
    "ca796ea31866ff6a73a3aeb6dbf693a8f341fcee1f60"
)


@pytest.fixture
def flows(write_module):
    return write_module("golden_flow", SOURCE)


@pytest.mark.parametrize("name", VECTORS)
def test_the_bytes_of_a_plan_are_pinned(flows, name):
    data, digest = VECTORS[name]
    plan = getattr(flows, name).compile()
    assert plan.to_bytes().hex() == data
    assert plan.digest == digest


@pytest.mark.parametrize("name", VECTORS)
def test_the_pinned_bytes_are_read_without_the_code(name):
    data, digest = VECTORS[name]
    plan = Plan.from_bytes(bytes.fromhex(data))
    assert plan.digest == digest
    assert plan.to_bytes().hex() == data


def test_the_pinned_plan_reads_as_its_source_does():
    assert str(Plan.from_bytes(bytes.fromhex(VECTORS["whole"][0]))) == (
        "plan whole(x: int, y: float = 0.5) -> tuple[Row, int]\n"
        "  shrink   : int = dynamic shrink(n=x) to depth 9\n"
        "  tiny     : int = plan tiny(x=shrink)\n"
        "  log      : int = task inc(x=x, by=300) after tiny\n"
        "  pack_row : Row = task pack_row(row=Row(kind=Kind.TWO, values=[tiny, y, 2.0]), label='a')\n"
        "  tiny~2   : int = plan tiny(x=tiny)\n"
        "  return (pack_row, tiny~2)\n"
        "\n"
        "plan tiny(x: int) -> int\n"
        "  inc : int = task inc(x=x)\n"
        "  return inc"
    )


def test_D1_the_bytes_of_a_futures_file_are_pinned(flows):
    data = futures_to_bytes(flows.tiny.compile(), FuturesHeader(bytes(range(16)), 3, 2))
    assert data.hex() == FUTURES
    assert futures_from_bytes(bytes.fromhex(FUTURES)) == (
        Plan.from_bytes(bytes.fromhex(VECTORS["tiny"][0])),
        FuturesHeader(bytes(range(16)), 3, 2),
    )

"""The sealed envelope of every stored file: any damage is found, and said where."""

from hashlib import blake2b

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promissory.typesys import FormatError
from promissory.typesys.envelope import seal, unseal

MAGIC = b"PRMS"
PAYLOAD = b"some payload"
WHOLE = seal(MAGIC, 2, 7, PAYLOAD)


def open_it(data, versions=range(1, 3)):
    return unseal(data, MAGIC, versions, "a plan")


def refusal(data, versions=range(1, 3)):
    with pytest.raises(FormatError) as caught:
        open_it(data, versions)
    return str(caught.value)


def test_an_envelope_has_these_bytes():
    head = bytes.fromhex("50524d53" + "0002" + "07" + "000000000000000c") + PAYLOAD
    assert head + blake2b(head, digest_size=32).digest() == WHOLE


@settings(max_examples=50, deadline=None, database=None, derandomize=True)
@given(st.binary(max_size=200), st.integers(0, 65535), st.integers(0, 255))
def test_what_was_sealed_comes_out(payload, version, kind):
    data = seal(MAGIC, version, kind, payload)
    assert unseal(data, MAGIC, range(version, version + 1), "a plan") == (version, kind, payload)
    version_found, kind_found, found = unseal(memoryview(data), MAGIC, range(version, version + 1), "a plan")
    assert (version_found, kind_found, bytes(found)) == (version, kind, payload)


@pytest.mark.parametrize("length", range(len(WHOLE)))
def test_J4_a_file_cut_short_anywhere_is_refused(length):
    assert refusal(WHOLE[:length]).startswith("a plan is cut short: ")


@pytest.mark.parametrize("at", range(len(WHOLE)))
def test_J4_a_flipped_bit_anywhere_is_found(at):
    for bit in range(8):
        data = bytearray(WHOLE)
        data[at] ^= 1 << bit
        refusal(bytes(data))


def test_bytes_after_the_end_are_refused():
    assert refusal(WHOLE + b"\0") == f"a plan has bytes after its end (at byte {len(WHOLE)})"
    assert refusal(WHOLE + WHOLE) == f"a plan has bytes after its end (at byte {len(WHOLE)})"


def test_a_short_file_says_how_many_bytes_are_there():
    assert refusal(b"") == "a plan is cut short: 0 bytes are less than a header (at byte 0)"
    assert refusal(WHOLE[:20]) == f"a plan is cut short: 20 of {len(WHOLE)} bytes are there (at byte 20)"


def test_another_kind_of_file_is_refused():
    assert (
        refusal(seal(b"GIF8", 1, 1, PAYLOAD))
        == "a plan begins with b'GIF8', not with b'PRMS': this is some other file (at byte 0)"
    )


def test_a_newer_version_says_what_to_do():
    assert refusal(seal(MAGIC, 3, 1, PAYLOAD)) == (
        "a plan has format version 3; this reader knows up to 2: install a newer promissory to read it (at byte 4)"
    )


def test_a_version_that_never_was_is_refused():
    assert (
        refusal(seal(MAGIC, 0, 1, PAYLOAD))
        == "a plan has format version 0; this reader knows up to 2: it was never released (at byte 4)"
    )


def test_an_older_version_is_read():
    assert open_it(seal(MAGIC, 1, 1, PAYLOAD)) == (1, 1, PAYLOAD)


def test_damage_is_told_from_the_rest():
    damaged = WHOLE[:16] + b"X" + WHOLE[17:]
    assert (
        refusal(damaged) == f"a plan is damaged: its check sum does not match its bytes (at byte {15 + len(PAYLOAD)})"
    )


def test_a_length_beyond_all_memory_is_only_cut_short():
    data = WHOLE[:7] + b"\xff" * 8 + WHOLE[15:]
    assert refusal(data).startswith("a plan is cut short: ")

"""J5, J6: a verb is one request, so that its end is known.

A library that tries again by itself, looks first, or sends a value in parts would show here.
"""

import os

import pytest

from promissory import Store
from promissory.executor.store.keys import log_key

MIB = 1 << 20
LOG = log_key("some-run", "worker-1")


def requests_of(place, action):
    """The methods of the requests that an action makes."""
    place.proxy.forget()
    action()
    return [request.split()[0] for request in place.proxy.requests]


@pytest.fixture
def store(cloud):
    one = cloud.store()
    one.put_new("a/warm", b"12345")
    return one


def test_J5_a_creation_is_one_request(cloud, store):
    assert len(requests_of(cloud, lambda: store.put_new("a/new", b"1"))) == 1


def test_J5_a_creation_that_lost_is_one_more_that_looks_whose_it_is(cloud, store):
    methods = requests_of(cloud, lambda: store.put_new("a/warm", b"other"))
    assert len(methods) == 2
    assert methods[1] == "GET"


@pytest.mark.parametrize("verb", ["put", "get", "get_range", "delete"])
def test_J5_each_other_verb_is_one_request(cloud, store, verb):
    actions = {
        "put": lambda: store.put("a/warm", b"2"),
        "get": lambda: store.get("a/warm"),
        "get_range": lambda: store.get_range("a/warm", 1, 3),
        "delete": lambda: store.delete("a/warm"),
    }
    assert len(requests_of(cloud, actions[verb])) == 1


def test_J5_to_look_for_a_key_costs_two_requests_at_most(cloud, store):
    """One of these libraries asks for the key and for a folder at one time."""
    assert len(requests_of(cloud, lambda: store.exists("a/warm"))) <= (2 if cloud.family == "gs" else 1)


def test_J5_to_find_that_a_key_is_not_there_costs_few_requests(cloud, store):
    assert len(requests_of(cloud, lambda: store.exists("a/none"))) <= (3 if cloud.family == "gs" else 2)


def test_J5_a_listing_costs_two_requests_at_most(cloud, store):
    assert len(requests_of(cloud, lambda: store.list("a"))) <= 2


def test_X5_a_log_that_grows_costs_one_request_a_piece(cloud, store):
    store.append(LOG, b"first")
    assert len(requests_of(cloud, lambda: [store.append(LOG, b"more") for _ in range(5)])) == 5


def test_J5_an_empty_range_asks_nobody(cloud, store):
    assert requests_of(cloud, lambda: store.get_range("a/warm", 3, 3)) == []


@pytest.mark.full(keep=1)
@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
@pytest.mark.parametrize("size", [6 * MIB, 30 * MIB, 120 * MIB], ids=["6 MiB", "30 MiB", "120 MiB"])
def test_J5_a_large_value_is_created_in_one_request(cloud, store, size):
    """In parts there would be no condition on the whole, and a crash would leave parts that are paid for and never
    seen.
    """
    if size > 30 * MIB and cloud.family != "s3":
        pytest.skip("the largest is tried on one of them")
    data = os.urandom(64) * (size // 64)
    methods = requests_of(cloud, lambda: store.put_new("a/large", data))
    assert [method for method in methods if method in ("PUT", "POST")] in (["PUT"], ["POST"])
    assert Store(cloud.url).get("a/large") == data


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
def test_J5_a_large_value_that_is_there_is_not_sent_again(cloud, store):
    data = os.urandom(64) * (6 * MIB // 64)
    store.put_value(data)
    assert set(requests_of(cloud, lambda: store.put_value(data))) <= {"HEAD", "GET"}


@pytest.mark.parametrize("size", [3 * MIB])
def test_J5_a_program_that_makes_warnings_errors_can_store_large_values(cloud, store, size, request):
    assert store.put_new("a/large", bytes(size))


def test_J6_a_request_that_fails_is_made_once_by_the_library(cloud, faults):
    """Trying again is the store's; a library's own second try would lose a creation to its first."""
    store = Store(cloud.url, patience=0)
    store.put_new("a/warm", b"1")
    actions = [
        lambda: store.put_new("a/new", b"1"),
        lambda: store.put("a/warm", b"2"),
        lambda: store.get("a/warm"),
        lambda: store.exists("a/warm"),
        lambda: store.delete("a/warm"),
        lambda: store.list("a"),
    ]
    for fault in (
        faults.Answer(500, "InternalError"),
        faults.Answer(503, "SlowDown"),
        faults.Answer(429, "TooManyRequests"),
    ):
        for number, action in enumerate(actions):
            cloud.proxy.forget()
            cloud.proxy.fail(lambda request, body, fault=fault: fault)
            with pytest.raises(OSError):
                action()
            assert len(cloud.proxy.requests) <= (2 if cloud.family == "gs" and number == 3 else 1), (
                number,
                fault.__class__.__name__,
                getattr(fault, "status", None),
                cloud.proxy.requests,
            )


def test_J6_a_creation_whose_connection_is_reset_is_sent_once_by_the_library(cloud, faults):
    """The connection is one that was used before: such a one is where HTTP libraries try again without a word."""
    store = Store(cloud.url, patience=0)
    store.put_new("a/warm", b"1")
    cloud.proxy.forget()
    cloud.proxy.fail(lambda request, body: faults.Reset())
    with pytest.raises(OSError):
        store.put_new("a/new", b"1")
    assert len(cloud.proxy.requests) == 1


def test_J6_a_read_whose_connection_is_reset_is_made_once_by_the_library(cloud, faults, request):
    store = Store(cloud.url, patience=0)
    store.put_new("a/warm", b"1")
    assert store.get("a/warm") == b"1"
    cloud.proxy.forget()
    cloud.proxy.fail(lambda request, body: faults.Reset())
    with pytest.raises(OSError):
        store.get("a/warm")
    assert len(cloud.proxy.requests) == 1

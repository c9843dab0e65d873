"""J6: what may pass by itself is tried again with growing delays, and a creation never loses to itself.

What won't pass is told at once.
"""

import threading

import pytest

import promissory.executor.store.file_systems
from promissory import Store
from promissory.errors import NotInStore, StoreError
from promissory.executor.store.keys import log_key

LOG = log_key("some-run", "worker-1")
WRITES = {"s3": "PUT", "gs": "POST", "abfs": "PUT"}
PASSING = [
    (500, "InternalError"),
    (502, ""),
    (503, "SlowDown"),
    (503, "ServiceUnavailable"),
    (503, "ServerBusy"),
    (504, ""),
    (429, "TooManyRequests"),
    (408, "RequestTimeout"),
]


@pytest.fixture
def store(cloud):
    one = cloud.store()
    one.put_new("a/warm", b"12345")
    return one


@pytest.mark.full(keep=2)
@pytest.mark.parametrize(("status", "code"), PASSING)
def test_J6_a_busy_server_is_asked_again(cloud, store, faults, status, code):
    actions = {
        "put_new": lambda: store.put_new("a/new", b"1"),
        "put": lambda: store.put("a/warm", b"12345"),
        "get": lambda: store.get("a/warm") == b"12345",
        "get_range": lambda: store.get_range("a/warm", 1, 2) == b"2",
        "exists": lambda: store.exists("a/warm"),
        "list": lambda: "a/warm" in store.list("a"),
        "changed": lambda: store.changed("a/warm") > 0,
        "append": lambda: store.append(LOG, b"x") == 0,
        "delete": lambda: store.delete("a/new"),
    }
    for verb, action in actions.items():
        cloud.proxy.forget()
        cloud.proxy.fail_times(faults.Answer(status, code), 2)
        assert action() in (True, None), verb
        assert len(cloud.proxy.requests) >= 3, verb


def test_J6_a_server_that_is_busy_and_says_so_in_html_is_asked_again(cloud, store, request):

    class Html:
        after = False

        def strike(self, handler):
            handler._answer(
                503,
                {"Content-Type": "text/html"},
                b"<html><body>the balancer has nobody to ask, your request is invalid now</body></html>",
            )

    for action in (lambda: store.put_new("a/new", b"1"), lambda: store.get("a/warm"), lambda: store.list("a")):
        cloud.proxy.fail_times(Html(), 2)
        assert action()


def test_J6_a_server_error_whose_text_speaks_of_something_invalid_is_asked_again(cloud, store, faults, request):
    """The status counts, not the words."""
    for action in (lambda: store.put_new("a/new", b"1"), lambda: store.get("a/warm"), lambda: store.list("a")):
        cloud.proxy.fail_times(faults.Answer(503, "Unavailable", said="the shard's state is invalid, try again"), 2)
        assert action()


def test_J6_a_reset_before_the_server_did_anything_is_tried_again(cloud, store, faults):
    for action in (
        lambda: store.put_new("a/new", b"1"),
        lambda: store.get("a/warm"),
        lambda: store.list("a"),
        lambda: store.exists("a/warm"),
    ):
        cloud.proxy.fail_times(faults.Reset(), 2)
        assert action()


def test_J6_a_creation_whose_answer_was_lost_is_known_as_ones_own(cloud, store, faults):
    cloud.proxy.fail_times(faults.Reset(after=True), 1, WRITES[cloud.family])
    assert store.put_new("a/mine", b"my nonce") is True
    assert store.get("a/mine") == b"my nonce"


@pytest.mark.parametrize("status", [500, 503])
def test_J6_a_creation_that_was_made_and_reported_as_failed_is_known_as_ones_own(cloud, store, faults, status):
    cloud.proxy.fail_times(faults.Answer(status, "InternalError", after=True), 1, WRITES[cloud.family])
    assert store.put_new("a/mine", b"my nonce") is True


@pytest.mark.full
def test_J6_a_creation_whose_answers_were_lost_again_and_again_is_known_as_ones_own(cloud, store, faults):
    cloud.proxy.fail_times(faults.Reset(after=True), 4, "a/mine" if cloud.family != "gs" else "")
    assert store.put_new("a/mine", b"my nonce") is True


def test_J6_a_creation_that_lost_while_its_connection_broke_is_told_so(cloud, store, faults):
    """Somebody else created the key, and my own request was reset: it is theirs."""
    store.put_new("a/theirs", b"their nonce")
    cloud.proxy.fail_times(faults.Reset(after=True), 2, WRITES[cloud.family])
    assert store.put_new("a/theirs", b"my nonce") is False


def test_J6_a_look_at_what_is_there_already_is_repeated_when_its_connection_breaks(cloud, store, faults):
    """What the server said of the creation is no answer to the look that follows."""
    store.put_new("a/theirs", b"their nonce")
    cloud.proxy.fail_times(faults.Reset(), 2, "GET")
    assert store.put_new("a/theirs", b"my nonce") is False
    cloud.proxy.fail_times(faults.Reset(), 2, "GET")
    assert store.put_new("a/theirs", b"their nonce") is True


@pytest.mark.full
def test_J6_a_large_creation_whose_answer_was_lost_is_known_as_ones_own(on_s3, faults):
    store = on_s3.store()
    data = bytes(range(256)) * (8 << 10)
    on_s3.proxy.fail_times(faults.Reset(after=True), 1, "PUT")
    assert store.put_new("a/large", data) is True


def test_J6_a_conflict_of_two_conditional_writes_on_s3_means_again_and_not_exists(on_s3, faults):
    store = on_s3.store()
    on_s3.proxy.fail_times(faults.Answer(409, "ConditionalRequestConflict"), 2, "PUT")
    assert store.put_new("a/new", b"1") is True
    assert store.get("a/new") == b"1"


def test_J6_an_operation_that_s3_aborted_is_tried_again(on_s3, faults):
    store = on_s3.store()
    on_s3.proxy.fail_times(faults.Answer(409, "OperationAborted"), 1, "PUT")
    assert store.put_new("a/new", b"1") is True


def test_J6_it_is_there_already_is_not_taken_on_trust(on_s3, faults):
    """S3 says so (412) also of one's own request that somebody between sent twice: what is there is read."""
    store = on_s3.store()
    store.put_new("a/mine", b"my nonce")
    on_s3.proxy.fail_times(faults.Answer(412, "PreconditionFailed"), 1, "PUT")
    assert store.put_new("a/mine", b"my nonce") is True
    on_s3.proxy.fail_times(faults.Answer(412, "PreconditionFailed"), 1, "PUT")
    assert store.put_new("a/mine", b"another's nonce") is False


def test_J6_an_answer_that_ends_in_the_middle_is_asked_for_again(cloud, store, faults, request):
    data = bytes(range(256)) * 400
    store.put_new("a/value", data)
    cloud.proxy.fail_times(faults.Cut(), 2, "GET")
    assert store.get("a/value") == data


def test_J6_a_piece_of_a_log_whose_answer_was_lost_is_in_the_log_once(cloud, faults):
    store = cloud.store()
    store.append(LOG, b"first ")
    cloud.proxy.fail_times(faults.Reset(after=True), 1, WRITES[cloud.family])
    assert store.append(LOG, b"second ") == 6
    assert store.append(LOG, b"third") == 13
    assert Store(cloud.url).get(LOG) == b"first second third"


@pytest.mark.full
def test_J6_a_server_that_does_not_answer_is_asked_again(cloud, faults, monkeypatch):
    monkeypatch.setattr(promissory.executor.store.file_systems, "_READ", 0.3)
    store = cloud.store()
    store.put_new("a/warm", b"1")
    cloud.proxy.fail_times(faults.Silence(), 1)
    assert store.get("a/warm") == b"1"
    cloud.proxy.fail_times(faults.Silence(after=True), 1, WRITES[cloud.family])
    assert store.put_new("a/mine", b"my nonce") is True


@pytest.mark.full
def test_J6_a_server_that_is_restarted_is_waited_for(on_s3, another_proxy, free_port, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port}")
    store = on_s3.store()
    back = threading.Timer(0.3, lambda: another_proxy(on_s3.proxy, port=free_port))
    back.start()
    assert store.put_new("a/new", b"1") is True
    back.join()
    assert store.get("a/new") == b"1"


def test_J6_patience_ends_with_an_error_that_names_key_store_and_cause(cloud, faults):
    store = Store(cloud.url, patience=0.2)
    cloud.proxy.fail(lambda request, body: faults.Answer(503, "SlowDown"))
    with pytest.raises(StoreError, match=rf"can't write a/new in the store {cloud.url}: .*"):
        store.put_new("a/new", b"1")
    assert len(cloud.proxy.requests) > 2


def test_J6_nobody_there_is_told_with_the_address(on_s3, free_port, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port}")
    with pytest.raises(StoreError, match=f"can't read a/k in the store {on_s3.url}: .*127.0.0.1:{free_port}"):
        Store(on_s3.url, patience=0.1).get("a/k")


@pytest.mark.parametrize(
    ("status", "code"), [(403, "AccessDenied"), (403, "AuthorizationFailure"), (401, "Unauthorized")]
)
def test_J6_what_is_forbidden_is_told_at_once_with_the_way_out(cloud, store, faults, status, code, request):
    actions = [
        ("write", lambda: store.put_new("a/new", b"1")),
        ("read", lambda: store.get("a/warm")),
        ("list", lambda: store.list("a")),
        ("delete", lambda: store.delete("a/warm")),
        ("look for", lambda: store.exists("a/warm")),
    ]
    for verb, action in actions:
        cloud.proxy.forget()
        cloud.proxy.fail(lambda request, body: faults.Answer(status, code))
        with pytest.raises(
            StoreError, match=f"can't {verb} .* in the store {cloud.url}: .*credentials come from the environment"
        ):
            action()
        assert len(cloud.proxy.requests) == 1, verb


@pytest.mark.parametrize(("status", "code"), [(400, "ExpiredToken"), (400, "InvalidRequest"), (501, "NotImplemented")])
def test_J6_what_will_not_pass_is_told_at_once(cloud, store, faults, status, code):
    cloud.proxy.forget()
    cloud.proxy.fail(lambda request, body: faults.Answer(status, code))
    with pytest.raises(StoreError, match="can't write a/new in the store"):
        store.put_new("a/new", b"1")
    assert len(cloud.proxy.requests) == 1


def test_J6_a_bucket_that_is_not_there_is_told_at_once(cloud):
    cloud.url = f"{cloud.family}://no-such-bucket-here/prefix"
    store = cloud.store()
    cloud.proxy.forget()
    with pytest.raises(
        StoreError, match=f"can't write a/new in the store {cloud.url}: .*(bucket|container|no-such-bucket-here)"
    ):
        store.put_new("a/new", b"1")
    assert len(cloud.proxy.requests) <= 2


def test_J6_a_key_that_cannot_be_looked_at_is_no_missing_key(cloud, store, faults):
    """Else a journal would seem to end where the server had a bad moment."""
    cloud.proxy.fail(lambda request, body: faults.Answer(403, "AccessDenied"))
    with pytest.raises(StoreError) as told:
        store.exists("a/warm")
    assert not isinstance(told.value, NotInStore)


@pytest.mark.full(keep=4)
@pytest.mark.parametrize("fault", ["busy", "reset", "forbidden", "misunderstood"])
@pytest.mark.parametrize("which", [1, 2, 3])
def test_J6_one_bad_moment_never_makes_a_key_look_missing(cloud, store, faults, fault, which):
    """A library may ask several questions for one answer: an error of any of them is no "no"."""
    made = {
        "busy": faults.Answer(503, "SlowDown"),
        "reset": faults.Reset(),
        "forbidden": faults.Answer(403, "AccessDenied"),
        "misunderstood": faults.Answer(400, "BadRequest"),
    }[fault]
    asked = []

    def choose(request, body):
        asked.append(request)
        return made if len(asked) == which else None

    for verb, expected in ((store.exists, True), (store.list, ["a/warm"]), (store.get, b"12345")):
        asked.clear()
        cloud.proxy.fail(choose)
        try:
            found = verb("a" if verb == store.list else "a/warm")
        except NotInStore:
            raise
        except StoreError:
            continue
        assert found == expected, asked


def test_J6_no_credentials_are_told_at_once(on_s3, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StoreError, match="credentials come from the environment"):
        Store(on_s3.url).put_new("a/new", b"1")

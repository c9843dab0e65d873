"""T4: the credentials of a store are in the environment only: never in the store, a log, an error, or what is shown."""

import pytest

from promissory.errors import StoreError

SOURCE = """
import os, sys, traceback
from promissory import Store, resume, run
from promissory import dynamic, task, workflow

@task(retries=1, retry_delay=0)
def fails(x: int) -> int:
    print("failing", x)
    raise ValueError(f"no {x}")

@task
def inc(x: int) -> int:
    print("counting", x)
    return x + 1

@task
def looks(x: int, url: str) -> list[int]:
    store = Store(url)
    print(store, store._backend, vars(store))
    return [x] * 5000

@dynamic
def more(x: int, url: str) -> int:
    a = inc(x)
    looks(a, url)
    return fails(a)

@workflow
def flow(x: int, url: str) -> int:
    return more(x, url)

url, engine = sys.argv[1:]
for attempt in range(2):
    try:
        if attempt:
            done = resume("r", store=url, engine=engine)
        else:
            done = run(flow, {"x": 1, "url": url}, store=url, engine=engine, run_id="r")
        print(done.result)
    except Exception as error:
        traceback.print_exc()
        print(repr(error), error, vars(error), error.__cause__, file=sys.stderr)
"""


@pytest.mark.full
def test_T4_credentials_are_nowhere_after_runs_with_failures(cloud, project, faults, credentials):
    project.write("flow.py", SOURCE)
    said = ""
    for engine in ("inline", "processes") if cloud.family == "s3" else ("processes",):
        process = project.spawn("flow.py", cloud.url + engine, engine)
        output, errors = project.finish(process)
        assert "no 2" in errors
        said += output + errors
    cloud.url = cloud.url + "inline"
    stored = cloud.contents()
    cloud.url = cloud.url.removesuffix("inline") + "processes"
    stored |= cloud.contents()
    assert len(stored) > 10
    for secret in credentials:
        assert secret not in said
        assert [key for key, data in stored.items() if secret in key or secret.encode() in data] == []


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("moment", [1, 8, 14])
def test_T4_credentials_are_in_no_error_of_a_store_that_fails_during_a_run(cloud, project, faults, credentials, moment):
    project.write("flow.py", SOURCE)
    for fault in (faults.Answer(403, "SignatureDoesNotMatch", said="the signature does not match"),):
        cloud.proxy.forget()
        asked = []

        def choose(request, body, asked=asked, fault=fault):
            asked.append(request)
            return fault if len(asked) >= moment else None

        cloud.proxy.fail(choose)
        output, errors = project.finish(project.spawn("flow.py", cloud.url, "inline"))
        assert "StoreError" in errors
        for secret in credentials:
            assert secret not in output + errors
    stored = cloud.contents()
    for secret in credentials:
        assert [key for key, data in stored.items() if secret in key or secret.encode() in data] == []


def test_T4_credentials_are_in_nothing_that_a_store_tells_of_itself(cloud, credentials):
    store = cloud.store()
    told = repr(store) + store.url + str(store)
    for secret in credentials:
        assert secret not in told


def test_T4_credentials_are_in_no_error_of_any_verb(cloud, faults, credentials):
    import pickle
    import traceback

    store = cloud.store(patience=0)
    actions = [
        lambda: store.put_new("k", b"1"),
        lambda: store.put("k", b"1"),
        lambda: store.get("k"),
        lambda: store.exists("k"),
        lambda: store.list("k"),
        lambda: store.delete("k"),
        lambda: store.changed("k"),
    ]
    for fault in (
        faults.Answer(403, "InvalidAccessKeyId"),
        faults.Answer(500, "InternalError"),
        faults.Answer(400, "AuthorizationHeaderMalformed"),
        faults.Reset(),
    ):
        cloud.proxy.fail(lambda request, body, fault=fault: fault)
        for action in actions:
            with pytest.raises(StoreError) as told:
                action()
            text = (
                "".join(traceback.format_exception(told.value))
                + repr(told.value)
                + repr(pickle.dumps(StoreError(str(told.value))))
            )
            for secret in credentials:
                assert secret not in text


def test_T4_an_error_of_a_store_can_travel_between_processes(cloud, faults, credentials):
    """A worker's StoreError reaches the executor as data, without the library's own errors, which may hold requests."""
    import pickle

    cloud.proxy.fail(lambda request, body: faults.Answer(403, "AccessDenied"))
    with pytest.raises(StoreError) as told:
        cloud.store().get("k")
    data = pickle.dumps(told.value)
    assert type(pickle.loads(data)) is StoreError
    for secret in credentials:
        assert secret.encode() not in data

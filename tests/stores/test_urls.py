"""J5: which URLs make a store, and a server is believed only after it has shown that it keeps two writers apart."""

import warnings

import pytest

from promissory import Store, run, task, workflow
from promissory.errors import StoreError, UnsupportedStore
from promissory.executor.store.probe import probe


@task
def inc(x: int) -> int:
    return x + 1


@workflow
def twice(x: int) -> int:
    return inc(inc(x))


@pytest.fixture
def forgetful(on_s3, another_proxy, monkeypatch):
    """A server that speaks S3 and takes no notice of If-None-Match."""
    proxy = another_proxy(on_s3.proxy, drops=("if-none-match",))
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    return proxy


def test_J5_a_server_that_takes_no_notice_of_the_condition_is_refused(on_s3, forgetful):
    with pytest.raises(
        UnsupportedStore,
        match=(
            r"lets two writers create one key .* so it can't be shared. Use another one; "
            r"or, .* say so: single\+s3://"
        ),
    ):
        run(twice, {"x": 1}, store=on_s3.url)
    assert [key for key in on_s3.contents() if "/runs/" in key] == []


def test_J5_such_a_server_serves_one_writer_who_says_so(on_s3, forgetful):
    done = run(twice, {"x": 1}, store=f"single+{on_s3.url}")
    assert done.result == 3
    assert Store(f"single+{on_s3.url}").is_for_one_writer


def test_J5_a_run_by_a_single_writer_is_found_again_by_its_url(on_s3):
    done = run(twice, {"x": 1}, store=f"single+{on_s3.url}")
    assert done.result == 3
    assert Store(on_s3.url).list("runs") == [f"runs/{done.id}"]


def test_J5_a_store_that_keeps_writers_apart_is_asked_once_and_left_clean(cloud):
    store = cloud.store()
    probe(store)
    assert store.list("probe") == []
    cloud.proxy.forget()
    probe(cloud.store())
    assert cloud.proxy.requests == []


def test_J5_the_question_survives_a_lost_answer(cloud, faults):
    cloud.proxy.fail_times(faults.Reset(after=True), 1, "POST" if cloud.family == "gs" else "PUT")
    probe(cloud.store())


def test_J5_a_store_that_cannot_be_written_is_told_before_anything_runs(cloud, faults):
    ran = []

    @task
    def notes(x: int) -> int:
        ran.append(x)
        return x

    @workflow
    def noted(x: int) -> int:
        return notes(x)

    cloud.proxy.fail(lambda request, body: faults.Answer(403, "AccessDenied"))
    with pytest.raises(StoreError, match=f"in the store {cloud.url}"):
        run(noted, {"x": 1}, store=cloud.url)
    assert ran == []


@pytest.mark.parametrize(
    "url",
    ["ftp://host/x", "http://host/x", "https://host/x", "sftp://host/x", "hdfs://host/x", "zip://x", "nonsense://x"],
)
def test_J5_what_cannot_create_atomically_is_refused_with_both_ways_out(url):
    with pytest.raises(
        UnsupportedStore, match=r"can't be shared: .* Use file://, s3://, gs:// or abfs://; or, .* say so: single\+"
    ):
        Store(url)


@pytest.mark.parametrize("url", ["single+nonsense://x", "single+nonsense+more://x"])
def test_J5_what_nobody_knows_is_refused_also_for_a_single_writer(url):
    with pytest.raises(UnsupportedStore, match="nonsense"):
        Store(url)


SECRET = "wJalrXUtnFEMI"


@pytest.mark.parametrize(
    "url",
    [
        f"s3://AKID:{SECRET}@bucket/prefix",
        pytest.param(f"s3://AKID:{SECRET}/and+more@bucket/prefix"),
        pytest.param(f"s3://AKID:/{SECRET}@bucket/prefix"),
        pytest.param(f"s3://AKID:{SECRET}#more@bucket/prefix"),
        f"s3://AKID:{SECRET}?more@bucket/prefix",
        f"s3://bucket/prefix?secret={SECRET}",
        pytest.param(f"s3://bucket/prefix#secret={SECRET}"),
        f"gs://:{SECRET}@bucket/prefix",
        f"abfs://container/prefix?sig={SECRET}",
        f"abfs://container@account.dfs.core.windows.net/prefix?sv=2024&sig={SECRET}",
        f"ftp://me:{SECRET}@host/x",
        pytest.param(f"ftp://me:{SECRET}/more@host/x"),
        f"single+ftp://me:{SECRET}@host/x",
        f"single+sftp://me:{SECRET}@host/x",
        f"single+https://host/x?token={SECRET}",
    ],
)
def test_T4_a_url_with_credentials_is_refused_and_not_echoed(url):
    with pytest.raises(UnsupportedStore, match=r"credentials .*put them into the environment") as told:
        Store(url)
    assert SECRET not in str(told.value)
    assert SECRET not in repr(told.value.__cause__)


@pytest.mark.parametrize("url", ["s3://", "gs:///", "abfs://", "s3:///prefix"])
def test_J5_a_url_without_a_bucket_is_refused(url, s3):
    with pytest.raises(UnsupportedStore, match=r"bucket|container"):
        Store(url)


def test_J5_a_library_that_is_not_installed_is_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "aiobotocore.httpsession", None)
    with pytest.raises(
        UnsupportedStore, match=r"needs a library that is not installed .*: pip install 'promissory\[s3\]'"
    ):
        Store("s3://bucket/prefix")


def test_J5_azure_without_an_account_is_told(monkeypatch):
    pytest.importorskip("adlfs")
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING", raising=False)
    with pytest.raises(UnsupportedStore, match=r"the store abfs://container/prefix can't be used: .*account"):
        Store("abfs://container/prefix")


def test_T4_a_connection_string_that_is_wrong_is_not_echoed(monkeypatch):
    pytest.importorskip("adlfs")
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", f"AccountName=a;AccountKee={SECRET};nonsense")
    with pytest.raises(UnsupportedStore) as told:
        Store("abfs://container/prefix")
    assert SECRET not in str(told.value)


def test_J5_a_bucket_may_be_the_store_itself(on_s3):
    store = Store("s3://promissory")
    key = f"{on_s3.url.rpartition('/')[2]}/in-the-root"
    assert store.put_new(key, b"1")
    assert store.get(key) == b"1"
    assert key in store.list(key.partition("/")[0])


@pytest.mark.parametrize("written", ["{url}/", "{url}//"])
def test_J5_a_trailing_slash_means_nothing(cloud, written):
    store = Store(written.format(url=cloud.url))
    store.put_new("k", b"1")
    assert cloud.store().get("k") == b"1"


@pytest.mark.parametrize(("scheme", "family"), [("s3a", "s3"), ("gcs", "gs"), ("az", "abfs"), ("abfss", "abfs")])
def test_J5_other_spellings_of_a_scheme_mean_the_same_store(request, scheme, family, on_s3):
    request.getfixturevalue(family)
    path = on_s3.url.partition("://")[2]
    Store(f"{scheme}://{path}").put_new("k", b"1")
    assert Store(f"{family}://{path}").get("k") == b"1"


def test_J5_a_store_that_is_dropped_leaves_no_warning_behind(cloud):
    import gc

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        store = cloud.store()
        store.put_new("k", b"1")
        del store
        gc.collect()
    assert [str(one.message) for one in told] == []

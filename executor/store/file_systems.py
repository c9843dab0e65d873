"""fsspec's file systems for object stores, built so that one verb is one request whose end is known.

Endpoint and credentials come from the environment, as each library reads them. None is ever passed, so the text form of
a file system holds none. Three features are turned off, in each library where they hide: listing caches (they would
hide keys that another process wrote), the library's own retries, and aiohttp's silent second try after a lost
connection. With the last two on, a creation could lose to itself unnoticed. The switches are partly private names of
the libraries; a test counts requests, and fails if a switch has gone.

============ ==================================================================================================
family       environment
============ ==================================================================================================
s3           AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL, …
gs           GOOGLE_APPLICATION_CREDENTIALS, STORAGE_EMULATOR_HOST, …
abfs         AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT_NAME with AZURE_STORAGE_ACCOUNT_KEY, …
============ ==================================================================================================
"""

from __future__ import annotations

import warnings
from typing import Any, Final

from promissory.executor.errors import UnsupportedStore

_CONNECT: Final = 10.0
_READ: Final = 60.0
_LARGEST: Final = 5 << 30
_PLAIN: Final = {"use_listings_cache": False, "skip_instance_cache": True}

IN_ONE_REQUEST: Final = {"s3": {"chunksize": _LARGEST}, "gs": {"chunksize": _LARGEST << 10}, "abfs": {}}
"""The options that keep each library from sending a large value in parts."""


def file_system(url: str, family: str | None) -> tuple[Any, str]:
    """The file system of a URL, and the path in it.

    Args:
        url: the URL, without credentials.
        family: `s3`, `gs`, `abfs`; None for any other that fsspec knows.

    Raises:
        UnsupportedStore: the URL's library is not installed, or can't make sense of the environment.
    """
    # aiohttp warns of each body above 1 MiB that is given whole. Here bodies are given whole on purpose.
    warnings.filterwarnings("ignore", "Sending a large body directly", ResourceWarning)
    try:
        if family is None:
            return _any(url)
        fs = {"s3": _s3, "gs": _gs, "abfs": _abfs}[family]()
    except ImportError as error:
        way_out = f"pip install 'promissory[{family}]'" if family is not None else "install what it names"
        raise UnsupportedStore(f"the store {url} needs a library that is not installed ({error}): {way_out}") from None
    except ValueError as error:
        raise UnsupportedStore(f"the store {url} can't be used: {str(error).splitlines()[0]}") from None
    return fs, url.partition("://")[2].strip("/")


def _any(url: str) -> tuple[Any, str]:
    import fsspec

    fs, path = fsspec.core.url_to_fs(url, **_PLAIN)
    return fs, str(path).rstrip("/")


def _s3() -> Any:
    import fsspec
    from aiobotocore.httpsession import AIOHTTPSession

    class Once(AIOHTTPSession):  # type: ignore[misc]
        async def _get_session(self, *args: Any, **kwargs: Any) -> Any:
            session = await super()._get_session(*args, **kwargs)
            session._retry_connection = False
            return session

    settings = {
        "retries": {"total_max_attempts": 1, "mode": "standard"},
        "connect_timeout": _CONNECT,
        "read_timeout": _READ,
        "http_session_cls": Once,
        "max_pool_connections": 64,
    }
    fs = fsspec.filesystem("s3", max_concurrency=1, config_kwargs=settings, **_PLAIN)
    fs.retries = 1
    return fs


def _gs() -> Any:
    import aiohttp
    from gcsfs.core import GCSFileSystem

    class Once(GCSFileSystem):  # type: ignore[misc]
        _request = GCSFileSystem._request.__wrapped__

        async def _set_session(self) -> Any:
            session = await super()._set_session()
            session._retry_connection = False
            return session

    fs = Once(**_PLAIN)
    fs.requests_timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT, sock_read=_READ)
    return fs


def _abfs() -> Any:
    import fsspec

    fs = fsspec.filesystem(
        "abfs", assume_container_exists=True, connection_timeout=_CONNECT, read_timeout=_READ, **_PLAIN
    )
    client = fs.service_client
    client._config.max_single_put_size = _LARGEST
    pipeline = client._pipeline
    for policy in pipeline._impl_policies:
        if hasattr(policy, "total_retries"):
            policy.total_retries = policy.connect_retries = policy.read_retries = policy.status_retries = 0
    connection = pipeline._transport.connection_config
    connection.timeout, connection.read_timeout = _CONNECT, _READ

    async def opened() -> None:
        await pipeline._transport.open()
        pipeline._transport.session._retry_connection = False

    fsspec.asyn.sync(fs.loop, opened)
    return fs

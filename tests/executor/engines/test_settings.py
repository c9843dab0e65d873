"""The process of a body is as the body expects, whatever the body before it on the same worker did (X12)."""

import contextvars
import decimal
import faulthandler
import gc
import io
import locale
import logging
import os
import re
import resource
import signal
import socket
import sys
import threading
import time
import warnings

import pytest

import promissory
from promissory import run, task, workflow

VARIABLE = contextvars.ContextVar("VARIABLE", default="as it was")


def as_seen_by_a_body():
    root = logging.getLogger()
    return {
        "zone": (time.tzname, time.localtime(0).tm_hour, time.mktime((2020, *[1] * 8))),
        "limits": [resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT_")],
        "mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "handlers": [str(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGWINCH, signal.SIGRTMIN)],
        "processors": sorted(os.sched_getaffinity(0)),
        "priority": os.getpriority(os.PRIO_PROCESS, 0),
        "recursion": sys.getrecursionlimit(),
        "locale": locale.setlocale(locale.LC_ALL),
        "warnings": (list(map(str, warnings.filters)), str(warnings.showwarning)),
        "logging": (root.level, list(map(str, root.handlers)), root.filters, root.manager.disable),
        "path": list(sys.path),
        "socket": socket.getdefaulttimeout(),
        "decimal": (decimal.getcontext().prec, decimal.getcontext().rounding, str(decimal.getcontext().traps)),
        "variable": VARIABLE.get(),
        "gc": (gc.isenabled(), gc.get_threshold()),
        "tracing": (sys.gettrace() is None, sys.getprofile() is None),
        "faults": faulthandler.is_enabled(),
        "hooks": list(map(str, (sys.excepthook, sys.unraisablehook, threading.excepthook))),
        "threads": (threading.stack_size(), sys.getswitchinterval(), sys.get_int_max_str_digits()),
        "users": (os.getuid(), os.geteuid(), os.getgid(), os.getegid()),
    }  # fmt: skip


# --- what is put back -------------------------------------------------------------------------------------------------


def time_zone():
    os.environ["TZ"] = "Asia/Tokyo"
    time.tzset()


def time_zone_of_c_alone():
    os.environ["TZ"] = "XYZ-9"
    time.mktime((2020, *[1] * 8))


def time_zone_whose_variable_is_put_back():
    os.environ["TZ"] = "XYZ-9"
    time.tzset()
    del os.environ["TZ"]


def soft_limits():
    for kind in (resource.RLIMIT_CORE, resource.RLIMIT_STACK, resource.RLIMIT_CPU, resource.RLIMIT_NOFILE):
        resource.setrlimit(kind, (101, resource.getrlimit(kind)[1]))


def limits_of_memory_and_files():
    for kind, most in ((resource.RLIMIT_AS, 1 << 33), (resource.RLIMIT_FSIZE, 1 << 30)):
        resource.setrlimit(kind, (most, resource.getrlimit(kind)[1]))


def a_limit_by_prlimit():
    resource.prlimit(0, resource.RLIMIT_CORE, (100, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def signal_mask():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD])


def rare_signal_handlers():
    signal.signal(signal.SIGWINCH, lambda number, frame: None)
    signal.signal(signal.SIGRTMIN, signal.SIG_IGN)
    time.sleep(0.01)  # these are looked at after bodies that take their time


def processors():
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def priority():
    os.nice(5)


def priority_by_another_function():
    os.setpriority(os.PRIO_PROCESS, 0, 7)


def recursion_limit():
    sys.setrecursionlimit(150)


def a_locale():
    for name in ("C.UTF-8", "C"):
        if locale.setlocale(locale.LC_ALL) != name:
            locale.setlocale(locale.LC_ALL, name)
            return


def warnings_as_errors():
    warnings.simplefilter("error")


def no_warnings():
    warnings.resetwarnings()
    warnings.showwarning = print


def root_logger():
    logging.basicConfig(level=logging.DEBUG, stream=io.StringIO(), force=True)
    logging.getLogger().addFilter(lambda record: False)


def root_logger_without_handlers():
    logging.getLogger().handlers.clear()
    logging.getLogger().setLevel(logging.CRITICAL)


def logging_at_all():
    logging.disable(logging.CRITICAL)


def path():
    sys.path.insert(0, "/nowhere")


def path_of_another_list():
    sys.path = ["/nowhere"]


def socket_timeout():
    socket.setdefaulttimeout(0.001)


def decimals():
    decimal.getcontext().prec = 3
    decimal.getcontext().traps[decimal.Inexact] = True
    decimal.getcontext().rounding = decimal.ROUND_UP


def a_context_variable():
    VARIABLE.set("changed")


def garbage_collection():
    gc.disable()
    gc.set_threshold(1)


def tracing():
    sys.settrace(lambda frame, event, argument: None)
    sys.setprofile(lambda frame, event, argument: None)


def faults():
    faulthandler.disable()


def hooks():
    sys.excepthook = sys.unraisablehook = threading.excepthook = print


def threads():
    threading.stack_size(1 << 20)
    sys.setswitchinterval(1)
    sys.set_int_max_str_digits(0)


def effective_user():
    os.seteuid(65534)


SPOILERS = [
    time_zone,
    time_zone_of_c_alone,
    time_zone_whose_variable_is_put_back,
    soft_limits,
    limits_of_memory_and_files,
    a_limit_by_prlimit,
    signal_mask,
    rare_signal_handlers,
    processors,
    priority,
    priority_by_another_function,
    recursion_limit,
    a_locale,
    warnings_as_errors,
    no_warnings,
    root_logger,
    root_logger_without_handlers,
    logging_at_all,
    path,
    path_of_another_list,
    socket_timeout,
    decimals,
    a_context_variable,
    garbage_collection,
    tracing,
    faults,
    hooks,
    threads,
    pytest.param(effective_user, marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root may be another user")),
]


@task
def look(x: int) -> str:
    return repr(as_seen_by_a_body())


@pytest.mark.full(keep=6)
@pytest.mark.skipif(sys.platform != "linux", reason="looks at what only Linux has")
@pytest.mark.parametrize("spoil", SPOILERS)
def test_X12_the_next_body_finds_its_process_as_it_was(store, spoil):
    @task
    def spoils(x: int) -> str:
        before = as_seen_by_a_body()
        spoil()
        return repr([name for name, value in as_seen_by_a_body().items() if value != before[name]])

    @workflow
    def flow() -> list[str]:
        before = look(1)
        spoilt = spoils(1)
        then = look(2)
        before >> spoilt >> then
        return [before, spoilt, then]

    ended = run(flow, store=store, engine="processes", max_parallelism=1, echo=False)
    before, changed, then = ended.result
    assert changed != "[]"
    assert before == then
    assert {row.attempts for row in ended.nodes() if row.kind == "task"} == {1}


@pytest.mark.full
def test_X12_a_body_that_fails_leaves_nothing_behind_either(store):
    @task
    def spoils(x: int) -> int:
        recursion_limit()
        signal_mask()
        warnings_as_errors()
        raise ValueError

    expected = run(look, {"x": 1}, store=store, engine="processes", max_parallelism=1).result
    assert run(spoils, {"x": 1}, store=store, engine="processes", max_parallelism=1, echo=False).state == "FAILED"
    assert run(look, {"x": 1}, store=store, engine="processes", max_parallelism=1).result == expected


@pytest.mark.parametrize("spoil", [path, warnings_as_errors, pytest.param(root_logger, marks=pytest.mark.full)])
def test_X12_the_first_body_of_a_worker_leaves_nothing_behind_either(store, spoil):
    """Modules of ours are loaded meanwhile, and no change of the body's is taken for theirs."""

    @task
    def spoils(x: int) -> decimal.Decimal:
        spoil()
        return decimal.Decimal(x)

    @workflow
    def flow() -> list[str]:
        spoilt = spoils(1)
        then = look(2)
        spoilt >> then
        return [then]

    promissory.end_idle_workers()
    (then,) = run(flow, store=store, engine="processes", max_parallelism=1, echo=False).result
    promissory.end_idle_workers()
    fresh = run(look, {"x": 2}, store=store, engine="processes", max_parallelism=1).result
    assert re.sub("at 0x[0-9a-f]+", "", then) == re.sub("at 0x[0-9a-f]+", "", fresh)


def test_X12_what_a_module_changes_when_a_body_loads_it_stays(store, tmp_path, monkeypatch):
    (tmp_path / "loaded_late.py").write_text("import warnings; warnings.filterwarnings('ignore', message='late')")
    monkeypatch.syspath_prepend(str(tmp_path))

    @task
    def uses(x: int) -> bool:
        import loaded_late

        return any(filter[1] is not None and filter[1].pattern == "late" for filter in loaded_late.warnings.filters)

    @workflow
    def flow() -> list[bool]:
        return [uses(1), uses(2)]

    assert run(flow, store=store, engine="processes", max_parallelism=1).result == [True, True]


# --- what can't be put back -------------------------------------------------------------------------------------------


def hard_limit():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if os.geteuid() == 0:
        another_user()


def another_user():
    os.setgid(65534)
    os.setuid(65534)


@pytest.mark.parametrize(
    "spoil",
    [
        hard_limit,
        pytest.param(
            another_user,
            marks=[pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user"), pytest.mark.full],
        ),
    ],
)
@pytest.mark.skipif(
    resource.getrlimit(resource.RLIMIT_CORE)[1] == 0 and os.geteuid() != 0, reason="there is nothing to lower"
)
def test_X12_a_worker_that_may_not_put_a_setting_back_ends_after_the_body(store, tmp_path, spoil):
    """The body counts, once; the next one runs on a fresh worker."""

    @task
    def spoils(x: int) -> int:
        for folder in [tmp_path, *tmp_path.parents][:2]:
            folder.chmod(0o777)
        spoil()
        return os.getpid()

    @task
    def then(before: int) -> list[int]:
        return [before, os.getpid(), os.getuid(), *resource.getrlimit(resource.RLIMIT_CORE)]

    @workflow
    def flow() -> list[int]:
        return then(spoils(1))

    ended = run(flow, engine="processes", store="memory://", max_parallelism=1, echo=False)
    before, after, *found = ended.result
    assert before != after
    assert found == [os.getuid(), *resource.getrlimit(resource.RLIMIT_CORE)]
    assert {row.attempts for row in ended.nodes() if row.kind == "task"} == {1}


# --- what stays -------------------------------------------------------------------------------------------------------


def test_X12_what_a_module_changes_when_it_is_loaded_stays(store, write_module):
    """Also in the runs after the one in which it was loaded, since it is loaded once."""
    module = write_module(
        "sets_itself_up",
        """
        import decimal
        import logging
        import sys
        import warnings
        from promissory import task

        sys.setrecursionlimit(2345)
        warnings.filterwarnings("ignore", message="of the module")
        logging.getLogger().setLevel(17)
        decimal.getcontext().prec = 7

        @task
        def look(x: int) -> list[int]:
            found = [sys.getrecursionlimit(), logging.getLogger().level, decimal.getcontext().prec]
            ours = any(filter[1] is not None and "of the module" in filter[1].pattern for filter in warnings.filters)
            sys.setrecursionlimit(150)
            warnings.resetwarnings()
            logging.getLogger().setLevel(5)
            decimal.getcontext().prec = 3
            return [*found, int(ours)]
        """,
    )
    try:
        for _ in range(3):
            ended = run(module.look, {"x": 1}, store=store, engine="processes", max_parallelism=1)
            assert ended.result == [2345, 17, 7, 1]
    finally:
        sys.setrecursionlimit(1000)
        logging.getLogger().setLevel(logging.WARNING)
        decimal.setcontext(decimal.Context())


@pytest.mark.parametrize("engine", ["threads", "inline"])
def test_X12_on_other_engines_the_process_is_the_users(store, engine):
    @task
    def spoils(x: int) -> int:
        sys.setrecursionlimit(3456)
        return x

    before = sys.getrecursionlimit()
    try:
        run(spoils, {"x": 1}, store=store, engine=engine)
        assert sys.getrecursionlimit() == 3456
    finally:
        sys.setrecursionlimit(before)


def test_X12_a_program_that_changes_its_time_zone_has_it_in_kept_workers(store, monkeypatch):
    @task
    def hour(x: int) -> int:
        return time.localtime(0).tm_hour

    for zone, expected in (("UTC0", 0), ("XYZ-9", 9), ("UTC0", 0)):
        monkeypatch.setenv("TZ", zone)
        assert run(hour, {"x": 1}, store=store, engine="processes", max_parallelism=1).result == expected

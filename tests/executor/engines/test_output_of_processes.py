"""X5 on processes: whatever a body says, be it from Python, from C or from programs that it starts, is in its attempt's
log and is repeated with the node's path.
"""

import ctypes
import logging
import os
import subprocess
import sys
import threading
import time
import warnings

import pytest

from promissory import dynamic, run, start, task, workflow
from promissory.executor.history.history import History
from promissory.executor.store.keys import log_key


def said(store, row):
    return None if row.log is None else store.get_range(row.log[0], row.log[1], row.log[1] + row.log[2]).decode()


def rows(ended):
    return {row.path: row for row in ended.nodes()}


# --- where it comes from ----------------------------------------------------------------------------------------------


def prints():
    print("said")


def prints_to_standard_error():
    print("said", file=sys.stderr)


def prints_without_a_newline():
    print("said", end="")


def writes_bytes():
    sys.stdout.buffer.write(b"said\n")


def logs():
    logging.getLogger("mine").warning("said")


def sets_up_logging():
    logging.basicConfig(level=logging.INFO, format="%(message)s", force=True)
    logging.getLogger("mine").info("said")


def warns():
    warnings.showwarning = lambda message, *_, **__: print(message)
    warnings.warn("said", UserWarning, stacklevel=1)


def writes_to_the_descriptor():
    os.write(1, b"said\n")


def writes_to_the_descriptor_of_errors():
    os.write(2, b"said\n")


def speaks_c():
    c = ctypes.CDLL(None)
    c.puts(b"said")
    c.fflush(None)


def speaks_in_a_thread():
    thread = threading.Thread(target=prints)
    thread.start()
    thread.join()


def starts_a_program():
    subprocess.run(["sh", "-c", "echo said"], check=True)


def starts_a_program_that_complains():
    subprocess.run(["sh", "-c", "echo said >&2"], check=True)


def starts_a_python():
    subprocess.run([sys.executable, "-c", "print('said')"], check=True)


def forks():
    child = os.fork()
    if child == 0:
        os.write(1, b"said\n")
        os._exit(0)
    os.waitpid(child, 0)


WAYS = [
    prints,
    prints_to_standard_error,
    prints_without_a_newline,
    writes_bytes,
    logs,
    sets_up_logging,
    warns,
    writes_to_the_descriptor,
    writes_to_the_descriptor_of_errors,
    speaks_c,
    speaks_in_a_thread,
    starts_a_program,
    starts_a_program_that_complains,
    starts_a_python,
    forks,
]


@pytest.mark.full(keep=4)
@pytest.mark.parametrize("say", WAYS, ids=lambda say: say.__name__)
def test_X5_what_a_body_says_is_in_its_log_and_is_repeated_with_the_path(store, capfd, say):
    @task
    def talk(x: int) -> int:
        say()
        return x

    @task
    def silent(x: int) -> int:
        return x

    @workflow
    def flow() -> int:
        return silent(talk(1))

    ended = run(flow, store=store, engine="processes", max_parallelism=1)
    found = rows(ended)
    assert said(store, found["main/talk"]).rstrip().endswith("said")
    assert said(store, found["main/talk"]).count("said") == 1
    assert found["main/silent"].log is None
    output = capfd.readouterr()
    assert output.out == ""
    (line,) = output.err.splitlines()
    assert line.startswith("main/talk | ")
    assert line.endswith("said")


def test_X5_output_is_in_the_order_in_which_it_was_said(project):
    """In a process of its own: workers take on the logging of their program, and a test runner has set up its own."""
    project.write(
        "ordered.py",
        """
        import logging, os, subprocess, sys
        from promissory import run, task

        @task
        def talk(x: int) -> int:
            for number in range(0, 50, 5):
                print(number)
                print(number + 1, file=sys.stderr)
                os.write(1, b"%d\\n" % (number + 2))
                subprocess.run(["echo", str(number + 3)], check=True)
                logging.getLogger("mine").error(number + 4)
            return x

        if __name__ == "__main__":
            logging.basicConfig(format="%(message)s")
            ended = run(talk, {"x": 1}, engine="processes", echo=False)
            (row,) = ended.nodes()
            key, offset, length = row.log
            print(ended.store.get_range(key, offset, offset + length).decode())
        """,
    )
    assert project.python("ordered.py").split() == [str(number) for number in range(50)]


def test_X5_a_c_library_that_keeps_its_text_back_says_it_for_the_body_that_called_it(project):
    """C's own buffer is not Python's: what stays in it would appear with a later body, or never."""
    project.write(
        "speaks.py",
        """
        import ctypes
        from promissory import run
        from promissory import task, workflow

        @task
        def speaks(x: int) -> int:
            ctypes.CDLL(None).puts(b"from C %d" % x)
            return x

        @workflow
        def flow() -> list[int]:
            return [speaks(x) for x in range(3)]

        if __name__ == "__main__":
            run(flow, engine="processes", max_parallelism=1, run_id="speaks", echo=False)
        """,
    )
    project.python("speaks.py", PYTHONUNBUFFERED="")
    found = [row for row in History(project.store, "speaks").nodes() if row.kind == "task"]
    assert [said(project.store, row) for row in found] == ["from C 0\n", "from C 1\n", "from C 2\n"]


def test_X5_what_a_dynamic_says_while_it_is_traced_is_its_own(store, capfd):
    @task
    def talk(x: int) -> int:
        print("talking", x)
        return x

    @dynamic
    def grows(x: int) -> int:
        print("tracing")
        return talk(x)

    found = rows(run(grows, {"x": 1}, store=store, engine="processes"))
    assert (said(store, found["main/grows"]), said(store, found["main/grows/talk"])) == ("tracing\n", "talking 1\n")
    assert capfd.readouterr().err == "main/grows | tracing\nmain/grows/talk | talking 1\n"


@pytest.mark.parametrize("failing", [ValueError, SystemExit])
def test_X5_what_a_failing_body_said_is_kept(store, capfd, failing):
    @task
    def fails(x: int) -> int:
        print("before the end")
        raise failing(x)

    (row,) = run(fails, {"x": 1}, store=store, engine="processes").nodes()
    assert (row.state, said(store, row)) == ("FAILED", "before the end\n")
    assert capfd.readouterr().err == "main/fails | before the end\n"


def test_X5_what_a_module_says_while_it_is_loaded_is_no_tasks(store, write_module, capfd):
    module = write_module(
        "talks_when_loaded",
        """
        from promissory import task
        print("loaded")

        @task
        def work(x: int) -> int:
            print("working")
            return x
        """,
    )
    capfd.readouterr()
    (row,) = run(module.work, {"x": 1}, store=store, engine="processes").nodes()
    assert said(store, row) == "working\n"
    assert capfd.readouterr().err == "main/work | working\n"


# --- where it goes ----------------------------------------------------------------------------------------------------


@pytest.mark.full
def test_X5_each_of_many_bodies_on_several_workers_has_its_own_text(store, capfd):
    @task
    def talk(x: int) -> int:
        print(f"{x} begins")
        os.write(2, f"{x} ends\n".encode())
        return x

    @workflow
    def flow() -> list[int]:
        return [talk(x) for x in range(100)]

    found = [row for row in run(flow, store=store, engine="processes", max_parallelism=2).nodes() if row.kind == "task"]
    assert [said(store, row) for row in found] == [f"{x} begins\n{x} ends\n" for x in range(100)]
    repeated = capfd.readouterr().err.splitlines()
    assert sorted(repeated) == sorted(
        f"{row.path} | {x} {what}" for x, row in enumerate(found) for what in ("begins", "ends")
    )


@pytest.mark.full
def test_X5_workers_that_served_another_run_keep_the_runs_apart(store):
    @task
    def talk(word: str) -> str:
        print(word)
        return word

    for word in ("one", "two", "three"):
        (row,) = run(talk, {"word": word}, store=store, engine="processes", max_parallelism=1, echo=False).nodes()
        assert said(store, row) == f"{word}\n"
        assert row.log[1] == 0


def test_X5_nothing_is_written_where_nothing_was_said(store, capfd):
    @task
    def silent(x: int) -> int:
        return x

    ended = run(silent, {"x": 1}, store=store, engine="processes")
    assert store.list(f"runs/{ended.id}/logs") == []
    assert [row.log for row in ended.nodes()] == [None]
    assert capfd.readouterr() == ("", "")


def test_X5_without_echo_nothing_is_repeated_and_everything_is_kept(store, capfd):
    @task
    def talk(x: int) -> int:
        print("said")
        return x

    (row,) = run(talk, {"x": 1}, store=store, engine="processes", echo=False).nodes()
    assert said(store, row) == "said\n"
    assert capfd.readouterr() == ("", "")


def test_X5_the_log_of_a_body_that_runs_grows_while_it_does(store, gate, capfd, eventually):
    held, again = gate("first"), gate("second")

    @task
    def talk(x: int) -> int:
        print("one")
        with open(held.path) as file:
            file.read()
        print("two")
        with open(again.path) as file:
            file.read()
        print("three")
        return x

    def log():
        key = log_key(going.id, "process-1-1")
        return store.get(key) if store.exists(key) else b""

    going = start(talk, {"x": 1}, store=store, engine="processes", max_parallelism=1)
    held.reached()
    eventually(lambda: log() == b"one\n", "the first line in the log")
    eventually(lambda: capfd.readouterr().err == "main/talk | one\n", "the first line on standard error")
    held.open()
    again.reached()
    eventually(lambda: log() == b"one\ntwo\n", "the second line")
    again.open()
    (row,) = going.wait(60).nodes()
    assert said(store, row) == "one\ntwo\nthree\n"
    assert capfd.readouterr().err.splitlines()[-1] == "main/talk | three"


def test_X5_a_line_is_repeated_whole_even_if_it_comes_in_pieces(store, capfd):
    @task
    def talk(x: int) -> int:
        for piece in (b"a l", b"ine \xc3", b"\xa4n", b"d more\nand the rest"):
            os.write(1, piece)
            time.sleep(0.3)  # somebody looks in between
        return x

    (row,) = run(talk, {"x": 1}, store=store, engine="processes").nodes()
    assert said(store, row) == "a line änd more\nand the rest"
    assert capfd.readouterr().err == "main/talk | a line änd more\nmain/talk | and the rest\n"


def test_X5_all_text_can_be_said_and_what_is_no_text_too(store, capfd):
    @task
    def odd(x: int) -> int:
        print("é\U0001f600\udcff\0")
        os.write(1, b"\xff\xfe\n")
        return x

    (row,) = run(odd, {"x": 1}, store=store, engine="processes").nodes()
    key, offset, length = row.log
    assert store.get_range(key, offset, offset + length) == "é\U0001f600\\udcff\0\n".encode() + b"\xff\xfe\n"
    assert len(capfd.readouterr().err.splitlines()) == 2


def test_X5_a_body_that_says_much_is_repeated_whole(store, capfd):
    @task
    def talk(x: int) -> int:
        for number in range(20000):
            print("line", number)
        return x

    run(talk, {"x": 1}, store=store, engine="processes")
    assert capfd.readouterr().err == "".join(f"main/talk | line {number}\n" for number in range(20000))


def test_X5_progress_of_a_line_that_never_ends_is_kept(store):
    """As progress bars write it."""

    @task
    def draws(x: int) -> int:
        for number in range(1000):
            print(f"\r{number / 10:.1f} %", end="", file=sys.stderr)
        return x

    (row,) = run(draws, {"x": 1}, store=store, engine="processes", echo=False).nodes()
    assert said(store, row).split("\r")[-1] == "99.9 %"


def test_X5_logging_that_the_program_set_up_is_set_up_in_workers_too(project):
    project.write(
        "program.py",
        """
        import logging
        from promissory import run
        from promissory import task

        @task
        def talk(x: int) -> int:
            logging.getLogger("mine").info("from the body")
            logging.getLogger("mine").debug("too quiet")
            return x

        if __name__ == "__main__":
            logging.basicConfig(level=logging.INFO, format="%(levelname)s!%(message)s")
            run(talk, {"x": 1}, engine="processes")
        """,
    )
    process = project.spawn("program.py")
    _, errors = project.finish(process)
    assert errors == "main/talk | INFO!from the body\n"


def test_X5_a_reader_that_went_away_does_not_fail_the_run(project):
    project.write(
        "long.py",
        """
        from promissory import run
        from promissory import task

        @task
        def talks(x: int) -> int:
            for number in range(20000):
                print("line", number)
            return x

        if __name__ == "__main__":
            ended = run(talks, {"x": 1}, run_id="long", engine="processes")
            open("state", "w").write(ended.state)
        """,
    )
    process = project.spawn("long.py")
    process.stderr.close()
    process.stderr = None
    process.wait(60)
    assert project.lines("state") == ["SUCCEEDED"]

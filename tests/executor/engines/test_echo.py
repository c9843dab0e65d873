"""X5: where the words of bodies are shown, and what a run says of itself."""

import json
import threading

import pytest

from promissory import Context, current_context, run, start, task, wait_for_input, workflow
from promissory.errors import InputError

PROGRAM = """
import logging, sys
from promissory import Context, run, task, workflow

@task
def talk(ctx: Context, x: int) -> int:
    print("printed", x)
    print("wrong", x, file=sys.stderr)
    print("no newline", end="")
    ctx.logger.info("by the context")
    logging.getLogger("lib").info("quiet")
    logging.getLogger("lib").warning("loud")
    return x

@workflow
def flow(x: int = 1) -> int:
    return talk(x)

if __name__ == "__main__":
    SET_UP
    CALL
"""

KEPT = "printed 1\nwrong 1\nno newlineINFO promissory.main.talk: by the context\nINFO lib: quiet\nWARNING lib: loud\n"


def said(project, set_up, call):
    project.write("said.py", PROGRAM.replace("SET_UP", set_up or "pass").replace("CALL", call))
    process = project.spawn("said.py")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out, err


def kept(store, run):
    (row,) = run.nodes()
    key, offset, length = row.log
    return store.get_range(key, offset, offset + length).decode()


@pytest.mark.parametrize("call", ["flow()", "run(flow)", "run(flow, engine='threads', echo='plain')"])
def test_X5_plain_echo_is_what_the_program_would_have_said(project, call):
    out, err = said(project, "", call)
    assert out == "printed 1\nno newline"
    assert err == "wrong 1\nINFO promissory.main.talk: by the context\nWARNING lib: loud\n"


def test_X5_plain_echo_of_workers_is_without_paths(project):
    out, err = said(project, "", "run(flow, engine='processes', echo='plain')")
    assert out == KEPT.replace("INFO lib: quiet\n", "")
    assert " | " not in err


def test_X5_a_record_goes_to_the_programs_handlers_alone(project):
    out, err = said(project, "logging.basicConfig(format='%(name)s <%(message)s>')", "flow()")
    assert out == "printed 1\nno newline"
    assert err == "wrong 1\nlib <loud>\n"


def test_X5_paths_go_to_standard_error_on_every_engine(project):
    for engine in ("inline", "threads", "processes"):
        out, err = said(project, "", f"run(flow, engine={engine!r}, echo='paths')")
        assert out == ""
        assert [line for line in err.splitlines() if " | " in line] == [
            "main/talk | printed 1",
            "main/talk | wrong 1",
            "main/talk | no newlineINFO promissory.main.talk: by the context",
            "main/talk | WARNING lib: loud",
        ], engine


@pytest.mark.parametrize("engine", ["inline", "threads", "processes"])
def test_X5_the_log_keeps_records_from_info_on(project, engine):
    out, _ = said(
        project,
        "",
        f"done = run(flow, engine={engine!r}, echo=False); (row,) = done.nodes(); key, at, size = row.log; "
        "print(done.store.get_range(key, at, at + size).decode(), end='')",
    )
    assert out == KEPT


def test_X5_the_level_of_what_is_kept_can_be_set(store, monkeypatch):
    @task
    def talk(ctx: Context) -> None:
        ctx.logger.debug("small")
        ctx.logger.warning("large")

    large = "WARNING promissory.main.talk: large\n"
    assert kept(store, run(talk, store=store, echo=False, log_level="WARNING")) == large
    assert kept(store, run(talk, store=store, echo=False, log_level=10)).startswith(
        "DEBUG promissory.main.talk: small\n"
    )
    monkeypatch.setenv("PROMISSORY_LOG_LEVEL", "error")
    assert run(talk, store=store, echo=False).nodes()[0].log is None
    with pytest.raises(InputError, match=r"log_level .* is DEBUG, INFO, .* not 'LOUD'"):
        run(talk, store=store, log_level="LOUD")


def test_X5_a_logger_that_the_program_silenced_stays_silent(store):
    import logging

    @task
    def talk() -> None:
        logging.getLogger("silenced.below").info("not wanted")
        logging.getLogger("other").info("wanted")

    logging.getLogger("silenced").setLevel(logging.ERROR)
    try:
        assert kept(store, run(talk, store=store, echo=False)) == "INFO other: wanted\n"
    finally:
        logging.getLogger("silenced").setLevel(logging.NOTSET)


def test_X5_a_body_can_still_set_up_logging_itself(project):
    project.write(
        "sets.py",
        """
        import logging
        from promissory import run, task

        @task
        def sets_up() -> None:
            logging.basicConfig(format="mine %(message)s", level=logging.INFO)
            logging.getLogger("lib").info("said")

        if __name__ == "__main__":
            for engine in ("inline", "processes"):
                done = run(sets_up, engine=engine, echo=False)
                (row,) = done.nodes()
                key, at, size = row.log
                print(done.store.get_range(key, at, at + size).decode(), end="")
                logging.getLogger().handlers.clear()
        """,
    )
    assert project.python("sets.py").splitlines() == ["mine said", "mine said"]


def test_X5_logging_is_as_it_was_after_a_run(store):
    import logging

    before = logging.Logger.isEnabledFor, logging.Logger.callHandlers, threading.Thread.start
    known = set(logging.root.manager.loggerDict)

    @task
    def talk(ctx: Context, x: int) -> None:
        ctx.logger.info("said")

    run(talk, {"x": 1}, store=store, echo=False)
    assert (logging.Logger.isEnabledFor, logging.Logger.callHandlers, threading.Thread.start) == before
    assert not {name for name in set(logging.root.manager.loggerDict) - known if "talk" in name}


@pytest.mark.parametrize("echo", [False, "plain"])
def test_X5_a_body_that_puts_its_streams_away_still_logs(project, echo):
    project.write(
        "away.py",
        """
import contextlib, logging, sys
from promissory import run, task

@task
def quiet() -> int:
    with contextlib.redirect_stdout(None):
        print("nowhere")
        logging.getLogger("lib").warning("away")
    sys.stderr.close()
    logging.getLogger("lib").info("closed")
    return 1

if __name__ == "__main__":
    done = run(quiet, engine="processes", echo=ECHO)
    print(done.result, repr(done.logs()))
""".replace("ECHO", repr(echo)),
    )
    process = project.spawn("away.py")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert out.splitlines()[-1].startswith("1 ")
    assert "WARNING lib: away" in out.splitlines()[-1]
    assert "INFO lib: closed" in out.splitlines()[-1]


@pytest.mark.parametrize("echo", [True, 1, "path", "none"])
def test_X5_an_unknown_echo_is_refused(store, echo):
    @task
    def one() -> int:
        return 1

    with pytest.raises(InputError, match=r'echo is "plain"'):
        run(one, store=store, echo=echo)


def test_X5_a_retry_is_told_when_it_happens(store, capsys):
    tries = []

    @task(retries=2, retry_delay=0.02)
    def flaky() -> int:
        tries.append(1)
        if len(tries) < 3:
            raise OSError("connection reset\nby a peer")
        return 1

    assert run(flaky, store=store).result == 1
    assert capsys.readouterr().err.splitlines() == [
        "promissory: main/flaky failed in attempt 1 of 3 (OSError: connection reset); the next one begins in 0.02 s",
        "promissory: main/flaky failed in attempt 2 of 3 (OSError: connection reset); the next one begins in 0.02 s",
    ]


def test_X5_many_retries_are_not_told_one_by_one(store, capsys):
    from promissory import map_task

    seen = set()

    @task(retries=1)
    def flaky(x: int) -> int:
        if x not in seen:
            seen.add(x)
            raise OSError("once")
        return x

    @workflow
    def flow() -> list[int]:
        return map_task(flaky)(x=list(range(500)))

    assert run(flow, store=store).result == list(range(500))
    told = capsys.readouterr().err.splitlines()
    assert 20 <= len(told) < 100


def test_X5_a_gate_that_waits_tells_how_to_answer(store, capsys, eventually):
    @workflow
    def flow() -> int:
        return wait_for_input("size", 60, int)

    going = start(flow, store=store, run_id="asks")
    eventually(lambda: any(row.state == "WAITING" for row in going.nodes()), "the gate")
    going.stop()
    going.wait(60)
    told = capsys.readouterr().err
    assert told.startswith(
        "promissory: main/size waits for an answer (int): promissory answer asks size VALUE --store "
    )


def test_X5_a_thread_of_a_body_belongs_to_the_body(store):
    @task
    def works(x: int) -> str:
        found = []

        def inside() -> None:
            print("said by a thread of", x)
            found.append(current_context().path)

        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        return found[0]

    @workflow
    def flow() -> list[str]:
        return [works(1), works(2), works(3)]

    for engine in ("inline", "threads", "processes"):
        done = run(flow, store=store, engine=engine, max_parallelism=3, echo=False)
        assert done.result == ["main/works", "main/works~2", "main/works~3"], engine
        for number, row in enumerate(done.nodes(), 1):
            key, offset, length = row.log
            assert store.get_range(key, offset, offset + length).decode() == f"said by a thread of {number}\n"


@pytest.mark.parametrize("engine", ["inline", "threads", "processes"])
def test_X5_on_the_command_line_stdout_is_the_results_alone(project, engine):
    project.write(
        "raw.py",
        """
        import os, subprocess
        from promissory import task, workflow

        @task
        def raw(x: int) -> int:
            print("printed")
            os.write(1, b"written\\n")
            subprocess.run(["sh", "-c", "echo started; echo wrong >&2"], check=True)
            return x

        @workflow
        def flow(x: int = 5) -> int:
            return raw(x)
        """,
    )
    command = project.spawn("-m", "promissory", "run", "--engine", engine, "--json", "--run-id", engine, "raw.py")
    out, err = command.communicate(timeout=60)
    assert json.loads(out) == 5
    told = [line for line in err.splitlines() if " | " in line]
    assert sorted(told) == sorted(f"main/raw | {word}" for word in ("printed", "written", "started", "wrong"))
    log, _ = project.spawn("-m", "promissory", "logs", engine).communicate(timeout=60)
    log = log.splitlines()
    assert sorted(log) == sorted(told)


def test_X5_streams_that_the_program_replaced_while_a_run_waits_are_listened_to(store, capsys, eventually):
    import contextlib
    import io

    @workflow
    def waits() -> int:
        return wait_for_input("size", 600, int)

    @task
    def talk() -> None:
        print("said")

    going = start(waits, store=store)
    eventually(lambda: any(row.state == "WAITING" for row in going.nodes()), "the gate")
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        done = run(talk, store=store)
    assert shown.getvalue() == "said\n"
    assert kept(store, done) == "said\n"
    going.stop()
    going.wait(60)

"""X5: what a body prints and logs lies in its attempt's log and is repeated with the node's path."""

import logging
import sys
import threading

from promissory import dynamic, run, start, task, workflow
from promissory.executor.protocol.events import NODE_DONE


@task
def talk(x: int) -> int:
    print("out", x)
    print("err", x, file=sys.stderr)
    logging.getLogger("mine").warning("log %d", x)
    print("no newline", end="")
    return x


@task
def silent(x: int) -> int:
    return x


@dynamic
def grows(x: int) -> int:
    print("tracing")
    return silent(talk(x))


def said(store, row):
    return None if row.log is None else store.get_range(row.log[0], row.log[1], row.log[1] + row.log[2]).decode()


def rows(ended):
    return {row.path: row for row in ended.nodes()}


def test_X5_what_a_body_says_is_in_its_own_log(store, capsys):
    @workflow
    def flow() -> list[int]:
        return [talk(1), silent(1), talk(2)]

    found = rows(run(flow, store=store))
    assert said(store, found["main/talk"]) == "out 1\nerr 1\nWARNING mine: log 1\nno newline"
    assert said(store, found["main/talk~2"]) == "out 2\nerr 2\nWARNING mine: log 2\nno newline"
    assert found["main/silent"].log is None


def test_X5_it_is_repeated_on_standard_error_with_the_path(store, capsys):
    run(grows, {"x": 7}, store=store, echo="paths")
    output = capsys.readouterr()
    assert output.out == ""
    lines = output.err.splitlines()
    assert lines[0] == "main/grows | tracing"
    assert lines[1:3] == ["main/grows/talk | out 7", "main/grows/talk | err 7"]
    assert lines[-1] == "main/grows/talk | no newline"


def test_X5_without_echo_nothing_is_repeated_and_everything_is_kept(store, capsys):
    ended = run(grows, {"x": 7}, store=store, echo=False)
    assert capsys.readouterr() == ("", "")
    assert said(store, rows(ended)["main/grows"]) == "tracing\n"


def test_X5_nothing_is_written_where_nothing_was_said(store):
    ended = run(silent, {"x": 1}, store=store)
    assert store.list(f"runs/{ended.id}/logs") == []


def test_X5_what_a_failing_body_said_is_kept(store, capsys):
    @task
    def fails(x: int) -> int:
        print("before the end")
        raise ValueError(x)

    (row,) = run(fails, {"x": 1}, store=store).nodes()
    assert (row.state, said(store, row)) == ("FAILED", "before the end\n")


def test_X5_a_log_is_part_of_its_event(store, events_of, capsys):
    ended = run(talk, {"x": 1}, store=store)
    (event,) = [event for event in events_of(store, ended.id) if event[0] == NODE_DONE]
    key, offset, length = event[4][4]
    assert (key, offset, length) == (f"runs/{ended.id}/logs/inline-1", 0, len(store.get(key)))


def test_X5_the_streams_are_as_before_when_the_run_is_over(store, capsys):
    stdout, stderr, handlers = sys.stdout, sys.stderr, list(logging.getLogger().handlers)
    run(grows, {"x": 1}, store=store)
    assert (sys.stdout, sys.stderr, logging.getLogger().handlers) == (stdout, stderr, handlers)


def test_X5_two_runs_at_one_time_keep_apart_what_they_say_and_leave_the_streams_as_they_were(store, capsys):
    stdout, stderr = sys.stdout, sys.stderr
    began, ended, go = ({"one": threading.Event(), "two": threading.Event()} for _ in range(3))

    @task
    def says(name: str) -> str:
        began[name].set()
        assert go[name].wait(60)
        print("said by", name)
        ended[name].set()
        return name

    one = start(says, {"name": "one"}, store=store)
    assert began["one"].wait(60)
    two = start(says, {"name": "two"}, store=store)
    assert began["two"].wait(60)
    try:
        go["one"].set()
        one.wait(60)
        go["two"].set()
        two.wait(60)
        assert (sys.stdout, sys.stderr) == (stdout, stderr)
    finally:
        sys.stdout, sys.stderr = stdout, stderr
    assert [said(store, row) for each in (one, two) for row in each.nodes()] == ["said by one\n", "said by two\n"]


def test_X5_the_author_may_print_while_a_run_goes_on_in_the_background(store, capsys):
    began, go = threading.Event(), threading.Event()

    @task
    def waits(x: int) -> int:
        began.set()
        assert go.wait(60)
        return x

    going = start(waits, {"x": 1}, store=store)
    assert began.wait(60)
    print("mine")
    go.set()
    going.wait(60)
    (row,) = going.nodes()
    assert row.log is None
    assert capsys.readouterr().out == "mine\n"


def test_X5_writing_something_that_is_no_text_is_an_error_of_the_body_alone(store, capsys):
    caught = []

    @task
    def writes(x: int) -> int:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.write(b"bytes")
            except TypeError as error:
                caught.append(str(error))
        print("text")
        return x

    for echo in ("plain", "paths", False):
        ended = run(writes, {"x": 1}, store=store, echo=echo)
        assert ended.result == 1
        assert [said(store, row) for row in ended.nodes()] == ["text\n"]
    assert len(caught) == 6


def test_X5_bytes_may_be_written_to_the_buffer_below(store, capsys):
    @task
    def writes(x: int) -> int:
        sys.stdout.buffer.write(b"raw\n")
        sys.stdout.buffer.flush()
        return x

    ended = run(writes, {"x": 1}, store=store)
    assert ended.result == 1
    assert [said(store, row) for row in ended.nodes()] == ["raw\n"]


def test_X5_a_body_may_set_up_logging_as_a_script_does(project):
    """`basicConfig` does nothing when the root logger has a handler; ours must not be in the way."""
    project.write(
        "talks.py",
        """
        import logging
        from promissory import run
        from promissory import task

        @task
        def talks(x: int) -> int:
            logging.basicConfig(level=logging.INFO, format="%(message)s")
            logging.info("info %d", x)
            return x

        if __name__ == "__main__":
            run(talks, {"x": 1}, run_id="talks")
        """,
    )
    process = project.spawn("talks.py")
    _, errors = project.finish(process)
    assert "info 1" in errors


def test_X5_all_text_can_be_said(store, capsys):
    @task
    def odd(x: int) -> int:
        print("é\U0001f600\udcff\0")
        return x

    (row,) = run(odd, {"x": 1}, store=store, echo=False).nodes()
    assert said(store, row) == "é\U0001f600\\udcff\0\n"


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
            ended = run(talks, {"x": 1}, run_id="long", echo="paths")
            open("state", "w").write(ended.state)
        """,
    )
    process = project.spawn("long.py")
    process.stderr.close()
    process.stderr = None
    process.wait(60)
    assert project.lines("state") == ["SUCCEEDED"]

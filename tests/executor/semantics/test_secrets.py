"""T4: in a run, a Secret is a name everywhere but in the body that asks for its value; and what a body then says or
raises is stored and shown without it.
"""

import dataclasses
import itertools
import logging
import os
import pickle
import subprocess
import sys
import traceback
from typing import Any, NamedTuple

import pytest

from promissory import Loop, Secret, Store, conditional, current_context, dynamic, resume, run, task, workflow
from promissory.errors import InputError, RunFailed
from promissory.typesys import secret as secret_module

NAME = "SECRET_OF_THESE_TESTS"
VALUE = "value-not-to-be-told-4711"
NUMBERS = itertools.count(4711)
ENGINES = ["inline", "threads", "processes"]


@dataclasses.dataclass(frozen=True)
class Login:
    user: str
    password: Secret


class Access(NamedTuple):
    url: str
    token: Secret


@pytest.fixture(autouse=True)
def known(monkeypatch):
    """The secret is in the environment, with a value that no test before has revealed."""
    monkeypatch.setattr(secret_module, "_resolvers", [])
    monkeypatch.setitem(globals(), "VALUE", f"value-not-to-be-told-{next(NUMBERS)}")
    monkeypatch.setenv(NAME, VALUE)


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param


@pytest.fixture
def place(tmp_path):
    return tmp_path / "store"


def all_bytes(place):
    """Everything under a folder, by path, names included."""
    found = {}
    for folder, _, names in os.walk(place):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                found[path] = file.read()
    return found


def assert_untold(place, capfd, *more, value=None):
    """Nowhere in the store, in what went to the terminal, or in `more` stands the value."""
    value = value or VALUE
    stored = all_bytes(place)
    assert stored
    assert [path for path, data in stored.items() if value.encode() in data or value in path] == []
    said = capfd.readouterr()
    assert value not in said.out
    assert value not in said.err
    for text in more:
        assert value not in text
    return said.out + said.err


def log_of(place, run_id):
    """All that the run's bodies said, as it is kept."""
    store = Store(place)
    folder = f"runs/{run_id}/logs"
    return b"".join(store.get(key) for key in store.list(folder)).decode()


def told_by(error):
    """Everything that an error tells of itself, and of its causes."""
    return "".join(traceback.format_exception(error)) + repr(error) + str(error.__cause__) + repr(vars(error))


# --- as inputs and values ---


@task
def length(token: Secret) -> int:
    return len(token.reveal())


@task
def chosen(name: str) -> Secret:
    return Secret(name)


@task
def logged_in(
    login: Login, access: Access, others: dict[str, Secret], named: dict[Secret, int], more: list[Secret]
) -> list[int]:
    every = [login.password, access.token, *others.values(), *named, *more]
    return [len(one.reveal()) for one in every]


@workflow
def given(token: Secret) -> int:
    return length(token)


@workflow
def literal() -> int:
    return length(Secret(NAME))


@workflow
def result_of_a_task(name: str) -> int:
    return length(chosen(name))


@workflow
def in_everything(name: str) -> list[int]:
    token = Secret(NAME)
    return logged_in(
        Login("me", token), Access("https://example.org", token), {"a": token}, {token: 1}, [token, chosen(name)]
    )


@dynamic
def one_each(tokens: list[Secret], depth: int) -> list[int]:
    if depth:
        return one_each(tokens, depth - 1)
    return [length(token) for token in tokens]


@workflow
def through_dynamics(token: Secret) -> list[int]:
    return one_each([token, Secret(NAME)], 2)


@task
def of_any(value: Any) -> int:
    return len(value.reveal())


@workflow
def as_any(token: Secret) -> int:
    return of_any(token)


TOKEN = Secret(NAME)


@workflow
def by_default(token: Secret = TOKEN) -> int:
    return length(token)


CASES = {
    "input": (given, {"token": Secret(NAME)}, 25),
    "literal": (literal, {}, 25),
    "result": (result_of_a_task, {"name": NAME}, 25),
    "in records and containers": (in_everything, {"name": NAME}, [25] * 6),
    "dynamics": (through_dynamics, {"token": Secret(NAME)}, [25, 25]),
    "Any": (as_any, {"token": Secret(NAME)}, 25),
    "default": (by_default, {}, 25),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.full(keep=10)
def test_T4_only_the_name_of_a_secret_is_stored(engine, place, capfd, case):
    flow, inputs, expected = CASES[case]
    done = run(flow, inputs, store=place, engine=engine)
    assert done.result == expected
    assert_untold(place, capfd, repr(done), repr(done.outputs), repr([*done.nodes()]))
    assert any(NAME.encode() in data for data in all_bytes(place).values())


def test_T4_a_secret_that_is_a_result_comes_back_as_its_name(place):
    @workflow
    def gives() -> Secret:
        return chosen(NAME)

    assert run(gives, {}, store=place).result == Secret(NAME)


def test_T4_a_plan_shows_the_name_only():
    plan = literal.compile()
    assert VALUE not in plan.show()
    assert VALUE.encode() not in plan.to_bytes()
    assert NAME in plan.show()


def test_T4_a_value_where_the_secret_is_wanted_is_refused_and_not_echoed(place):
    with pytest.raises(Exception) as told:
        run(given, {"token": VALUE}, store=place)
    assert VALUE not in "".join(traceback.format_exception(told.value))


def test_T4_the_value_of_the_moment_is_used(place, monkeypatch):
    """Between a run and its resumption a password may have changed."""

    @task
    def opens(token: Secret) -> str:
        if token.reveal() != "the-new-password":
            raise PermissionError("wrong password")
        return "open"

    @workflow
    def door(token: Secret) -> str:
        return opens(token)

    with pytest.raises(RunFailed, match="wrong password") as told:
        run(door, {"token": Secret(NAME)}, store=place).result
    monkeypatch.setenv(NAME, "the-new-password")
    assert resume(told.value.run_id, store=place).result == "open"


# --- what bodies say ---


@task
def prints(token: Secret) -> int:
    print("the token is", token.reveal())
    return 1


@task
def prints_in_pieces(token: Secret) -> int:
    value = token.reveal()
    for character in value:
        print(character, end="", flush=True)
    print(flush=True)
    sys.stderr.write(value[:9])
    sys.stderr.flush()
    sys.stderr.write(value[9:] + "\n")
    return 1


@task
def prints_around_the_pieces(token: Secret) -> int:
    value = token.reveal()
    for start in range(40):
        print("x" * (65536 - start) + value)
    return 1


@task
def prints_what_looks_like_it(token: Secret) -> int:
    print(token.reveal()[:-1], end="")
    return 1


@task
def logs(token: Secret) -> int:
    logging.getLogger("of.the.author").warning("token %s of %s", token.reveal(), {"token": token.reveal()})
    return 1


@task
def has_a_child_print(token: Secret) -> int:
    token.reveal()
    code = f"import os, sys; print(os.environ[{NAME!r}]); sys.stderr.write(os.environ[{NAME!r}] + chr(10))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    print(said.stdout, said.stderr)
    return 1


@task
def has_a_child_print_by_itself(token: Secret) -> int:
    token.reveal()
    code = f"import os, sys; print(os.environ[{NAME!r}]); sys.stderr.write(os.environ[{NAME!r}] + chr(10))"
    subprocess.run([sys.executable, "-c", code], check=True)
    return 1


@task
def prints_bytes(token: Secret) -> int:
    sys.stdout.buffer.write(b"as bytes: " + token.reveal().encode() + b"\n")
    return 1


@task
def prints_on_a_thread(token: Secret) -> int:
    import threading

    thread = threading.Thread(target=lambda: print("on a thread:", token.reveal()))
    thread.start()
    thread.join()
    return 1


@task
def writes_to_the_descriptor(token: Secret) -> int:
    value = token.reveal().encode()
    os.write(1, value[:5])
    os.write(1, value[5:] + b"\n")
    return 1


SAYING = [prints, prints_in_pieces, prints_around_the_pieces, logs, has_a_child_print, prints_bytes, prints_on_a_thread]
SAYING_BELOW_PYTHON = [has_a_child_print_by_itself, writes_to_the_descriptor]


def flow_of(body):
    @workflow
    def says(token: Secret) -> int:
        return body(token)

    return says


@pytest.mark.parametrize("body", SAYING, ids=lambda body: body.name)
@pytest.mark.full(keep=10)
def test_T4_what_a_body_says_is_kept_and_shown_with_stars(engine, place, capfd, body):
    done = run(flow_of(body), {"token": Secret(NAME)}, store=place, engine=engine)
    assert done.result == 1
    log = log_of(place, done.id)
    assert "***" in log
    shown = assert_untold(place, capfd)
    assert "***" in shown or body is logs  # the author's own handlers show it, if they do


@pytest.mark.parametrize("body", SAYING_BELOW_PYTHON, ids=lambda body: body.name)
def test_T4_what_programs_of_a_body_say_is_kept_and_shown_with_stars(place, capfd, body):
    done = run(flow_of(body), {"token": Secret(NAME)}, store=place, engine="processes")
    assert "***" in log_of(place, done.id)
    assert "***" in assert_untold(place, capfd)


def test_T4_the_beginning_of_a_value_at_the_end_of_what_is_said_is_no_value(engine, place):
    done = run(flow_of(prints_what_looks_like_it), {"token": Secret(NAME)}, store=place, engine=engine)
    assert log_of(place, done.id) == VALUE[:-1]


def test_T4_a_key_of_several_lines_is_not_echoed_line_by_line(engine, place, capfd, monkeypatch):
    key = "-----BEGIN KEY-----\nfirst-line-of-the-key-4711\nsecond-line-of-the-key-4711\n-----END KEY-----"
    monkeypatch.setenv(NAME, key)
    run(flow_of(prints), {"token": Secret(NAME)}, store=place, engine=engine)
    assert_untold(place, capfd, value="first-line-of-the-key-4711")


def test_T4_two_secrets_of_one_beginning_are_both_kept(place, capfd, monkeypatch):
    monkeypatch.setenv("SHORT_ONE", "token-abc")
    monkeypatch.setenv("LONG_ONE", "token-abc-and-the-rest-of-it")

    @task
    def prints_both(short: Secret, long: Secret) -> int:
        print(short.reveal(), long.reveal())
        return 1

    @workflow
    def both() -> int:
        return prints_both(Secret("SHORT_ONE"), Secret("LONG_ONE"))

    run(both, {}, store=place)
    assert_untold(place, capfd, value="and-the-rest-of-it")


# --- what other processes of a body reveal ---


@task
def has_a_fork_print(token: Secret) -> int:
    child = os.fork()
    if not child:
        os.write(1, b"the child says " + token.reveal().encode() + b"\n")
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) + 1


@task
def has_a_fork_of_a_fork_print(token: Secret) -> int:
    """The child in between has ended, and closed what it inherited, as a daemon does."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        if os.fork():
            os._exit(0)
        os.write(1, b"the child says " + token.reveal().encode() + b"\n")
        os.close(writing)
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    os.read(reading, 1)
    return 1


@task
def has_a_process_of_multiprocessing_print(token: Secret) -> int:
    import multiprocessing

    child = multiprocessing.get_context("fork").Process(target=lambda: print("the child says", token.reveal()))
    child.start()
    child.join()
    return 1


@task
def has_a_fork_return_it(token: Secret) -> int:
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, token.reveal().encode())
        os._exit(0)
    os.waitpid(child, 0)
    print("the child found", os.read(reading, 100).decode())
    return 1


@task
def has_a_fork_die_with_it(token: Secret) -> int:
    """The worker dies before it has looked at what its child said."""
    child = os.fork()
    if not child:
        os.write(2, b"the child says " + token.reveal().encode() + b"\n")
        os.kill(os.getppid(), 9)
        os._exit(0)
    os.waitpid(child, 0)
    return 1


@task
def has_a_program_print(token: Secret) -> int:
    code = f"from promissory import Secret; print('the program says', Secret({NAME!r}).reveal())"
    subprocess.run([sys.executable, "-c", code], check=True)
    return 1


@task
def has_a_closed_fork_reveal(token: Secret) -> int:
    child = os.fork()
    if not child:
        os.closerange(3, 1000)
        try:
            os.write(1, b"the child says " + token.reveal().encode() + b"\n")
        except LookupError as refusal:
            os.write(1, str(refusal).encode())
        os._exit(0)
    os.waitpid(child, 0)
    return 1


OF_CHILDREN = [
    has_a_fork_print,
    has_a_fork_of_a_fork_print,
    has_a_process_of_multiprocessing_print,
    has_a_fork_return_it,
    has_a_program_print,
]


@pytest.mark.parametrize("body", OF_CHILDREN, ids=lambda body: body.name)
def test_T4_what_children_of_a_body_reveal_is_kept_and_shown_with_stars(place, capfd, body):
    done = run(flow_of(body), {"token": Secret(NAME)}, store=place, engine="processes")
    assert done.result == 1
    assert "***" in log_of(place, done.id)
    assert "***" in assert_untold(place, capfd)


@pytest.mark.parametrize("engine", ["inline", "threads"])
def test_T4_a_body_that_says_what_its_child_revealed_says_stars(place, capfd, engine):
    done = run(flow_of(has_a_fork_return_it), {"token": Secret(NAME)}, store=place, engine=engine)
    assert done.result == 1
    assert log_of(place, done.id) == "the child found ***\n"
    assert_untold(place, capfd)


def test_T4_what_a_child_revealed_is_no_last_word_of_its_worker(place, capfd):
    with pytest.raises(RunFailed, match="its worker") as told:
        run(flow_of(has_a_fork_die_with_it), {"token": Secret(NAME)}, store=place, engine="processes").result
    assert "the child says ***" in assert_untold(place, capfd, told_by(told.value))


def test_T4_a_child_that_can_tell_nobody_is_refused_the_value(place, capfd):
    done = run(flow_of(has_a_closed_fork_reveal), {"token": Secret(NAME)}, store=place, engine="processes")
    assert done.result == 1
    assert "could not be kept out of the log" in log_of(place, done.id)
    assert_untold(place, capfd)


# --- what a run would keep for its bodies ---


@task
def loops_with_it(token: Secret) -> int:
    raise Loop({"session": [token.reveal()]})


@task
def iterates_with_it(token: Secret) -> int:
    current_context().next_iteration(f"Bearer {token.reveal()}")
    return 1


@task
def loops_with_it_in_a_long_list(token: Secret) -> int:
    raise Loop(["x" * 1000] * 200 + [token.reveal()] + ["x" * 1000] * 200)


@task
def iterates_with_it_in_large_bytes(token: Secret) -> int:
    current_context().next_iteration([bytes(70_000), b"x" * 70_000 + token.reveal().encode()])
    return 1


@dynamic
def calls_with_it_in_a_long_list(token: Secret) -> int:
    return characters_of([{"password": f"{number:05d}"} for number in range(9_000)] + [{"password": token.reveal()}])


@task
def sets_it(token: Secret) -> int:
    current_context().channel().set("session", token.reveal().encode())
    return 1


@task
def appends_it(token: Secret) -> int:
    current_context().channel().append("sessions", (1, token.reveal()))
    return 1


@task
def makes_it_a_key(token: Secret) -> int:
    current_context().channel().add(token.reveal())
    return 1


@task
def writes_it_down(token: Secret) -> int:
    current_context().checkpoint.write({token.reveal(): 1})
    return 1


@task
def ends_with_it(token: Secret) -> int:
    current_context().terminate("enough", outputs=token.reveal())
    return 1


@dynamic
def calls_with_it(token: Secret) -> int:
    return characters(token.reveal())


@dynamic
def calls_with_it_in_a_record(token: Secret) -> int:
    return characters_of([{"password": token.reveal()}])


@dynamic
def compares_with_it(token: Secret) -> int:
    found = spoken("nothing")
    return conditional("known").if_(found == token.reveal()).then(1).else_().then(2)


@task
def asks_for_a_task_with_it(token: Secret) -> int:
    current_context().next_task(characters, text=token.reveal())
    return 1


@dynamic
def names_a_node_after_it(token: Secret) -> int:
    return characters("1").with_overrides(name=token.reveal())


@dynamic
def fails_an_arm_with_it(token: Secret) -> int:
    found = characters("1")
    return conditional("known").if_(found == 1).then(found).else_().fail(f"not {token.reveal()}")


@dynamic
def captures_it(token: Secret) -> int:
    value = token.reveal()

    @task
    def uses() -> int:
        return len(value)

    return uses()


@task
def characters(text: str) -> int:
    return len(text)


@task
def spoken(text: str) -> str:
    return text


@task
def characters_of(entries: list[dict[str, str]]) -> int:
    return len(entries)


KEEPING = [
    loops_with_it,
    loops_with_it_in_a_long_list,
    iterates_with_it,
    iterates_with_it_in_large_bytes,
    sets_it,
    appends_it,
    makes_it_a_key,
    writes_it_down,
    ends_with_it,
    calls_with_it,
    calls_with_it_in_a_record,
    calls_with_it_in_a_long_list,
    compares_with_it,
    asks_for_a_task_with_it,
    names_a_node_after_it,
    fails_an_arm_with_it,
    captures_it,
]


@pytest.mark.parametrize("body", KEEPING, ids=lambda body: body.name)
@pytest.mark.full(keep=14)
def test_T4_what_a_run_would_keep_for_its_bodies_may_not_hold_the_value(engine, place, capfd, body):
    done = run(flow_of(body), {"token": Secret(NAME)}, store=place, engine=engine)
    with pytest.raises(RunFailed, match=f"holds the value of Secret\\('{NAME}'\\)") as told:
        done.result
    assert "pass the Secret itself" in str(told.value)
    assert_untold(place, capfd, told_by(told.value))


def test_T4_an_input_may_not_hold_a_value_that_the_program_revealed(place):
    with pytest.raises(InputError, match="text is stored, and holds the value of Secret"):
        run(characters, {"text": Secret(NAME).reveal()}, store=place)


def test_T4_a_short_value_is_a_word_that_may_be_kept(place, monkeypatch):
    monkeypatch.setenv(NAME, "admin")

    @task
    def keeps(token: Secret) -> int:
        token.reveal()
        current_context().checkpoint.write("admin")
        print("admin")
        return 1

    done = run(flow_of(keeps), {"token": Secret(NAME)}, store=place)
    assert done.result == 1
    assert log_of(place, done.id) == "***\n"


# --- what bodies raise ---


class Unfriendly(Exception):
    def __init__(self, url, token):
        super().__init__(f"{url} refused the caller")
        self.token = token

    def __reduce__(self):
        return type(self), ("https://example.org", self.token)


@task
def raises_text(token: Secret) -> int:
    raise ValueError(f"https://example.org?token={token.reveal()} said no")


@task
def raises_arguments(token: Secret) -> int:
    raise ConnectionError(401, {"Authorization": f"Bearer {token.reveal()}"}, [token.reveal().encode()])


@task
def raises_an_attribute(token: Secret) -> int:
    raise Unfriendly("https://example.org", token.reveal())


@task
def raises_a_chain(token: Secret) -> int:
    try:
        raise KeyError(token.reveal())
    except KeyError:
        raise RuntimeError("could not log in") from ValueError(token.reveal())


@task
def raises_a_note(token: Secret) -> int:
    error = RuntimeError("could not log in")
    error.add_note(f"the token was {token.reveal()}")
    raise error


@task
def raises_a_group(token: Secret) -> int:
    raise ExceptionGroup("several", [ValueError(token.reveal()), TypeError("else")])


@task
def exits(token: Secret) -> int:
    sys.exit(f"no way in with {token.reveal()}")


@task
def raises_very_much(token: Secret) -> int:
    """The text is longer than what is kept, and cut within the value."""
    raise ValueError("a" * 32760 + token.reveal() + "b" * 40000)


@task
def returns_it_for_a_number(token: Secret) -> int:
    return token.reveal()  # type: ignore[return-value]


RAISING = [
    raises_text,
    raises_arguments,
    raises_an_attribute,
    raises_a_chain,
    raises_a_note,
    raises_a_group,
    exits,
    returns_it_for_a_number,
]


@pytest.mark.parametrize("body", RAISING, ids=lambda body: body.name)
@pytest.mark.full(keep=10)
def test_T4_what_a_body_raises_is_kept_and_told_without_the_value(engine, place, capfd, body):
    done = run(flow_of(body), {"token": Secret(NAME)}, store=place, engine=engine)
    with pytest.raises(RunFailed) as told:
        done.result
    assert_untold(place, capfd, told_by(told.value), repr(done.error), repr([*done.nodes()]))
    assert VALUE.encode() not in pickle.dumps(str(told.value))


def test_T4_an_error_that_holds_no_value_keeps_its_class(engine, place):
    @task
    def fails(token: Secret) -> int:
        token.reveal()
        raise PermissionError("no way in")

    with pytest.raises(RunFailed) as told:
        run(flow_of(fails), {"token": Secret(NAME)}, store=place, engine=engine).result
    assert isinstance(told.value.__cause__, PermissionError)


def test_T4_a_text_that_is_shortened_is_not_cut_within_a_value(engine, place, capfd):
    with pytest.raises(RunFailed) as told:
        run(flow_of(raises_very_much), {"token": Secret(NAME)}, store=place, engine=engine).result
    assert_untold(place, capfd, told_by(told.value), value=VALUE[:8])


@pytest.mark.parametrize("value", ["back\\slash-4711", "quote'\"quote-4711", "first-4711\nbreak-4711"])
def test_T4_a_value_that_python_shows_escaped_is_kept_too(engine, place, capfd, monkeypatch, value):
    """`KeyError` shows its argument's `repr`, as lists and dicts show their items'."""
    monkeypatch.setenv(NAME, value)

    @task
    def looks_up(token: Secret) -> int:
        return {}[token.reveal()]

    with pytest.raises(RunFailed) as told:
        run(flow_of(looks_up), {"token": Secret(NAME)}, store=place, engine=engine).result
    assert_untold(place, capfd, told_by(told.value), value=repr(value)[1:-1])


def test_T4_a_failure_is_retried_without_the_value_being_told(engine, place, capfd):
    @task(retries=2, retry_delay=0)
    def fails(token: Secret) -> int:
        raise OSError(token.reveal())

    with pytest.raises(RunFailed) as told:
        run(flow_of(fails), {"token": Secret(NAME)}, store=place, engine=engine).result
    assert_untold(place, capfd, told_by(told.value))


# --- bodies that take their worker along ---


@task
def dies(token: Secret) -> int:
    print("last words:", token.reveal(), flush=True)
    os._exit(3)


@task
def dies_in_the_middle(token: Secret) -> int:
    os.write(2, b"y" * 5000 + token.reveal().encode())
    os.kill(os.getpid(), 9)
    return 1


@task
def crashes_below_python(token: Secret) -> int:
    import ctypes

    print("last words:", token.reveal(), flush=True)
    ctypes.string_at(0)
    return 1


@pytest.mark.parametrize("body", [dies, dies_in_the_middle, crashes_below_python], ids=lambda body: body.name)
def test_T4_the_last_words_of_a_worker_are_kept_and_shown_with_stars(place, capfd, body):
    with pytest.raises(RunFailed, match="its worker") as told:
        run(flow_of(body), {"token": Secret(NAME)}, store=place, engine="processes").result
    assert_untold(place, capfd, told_by(told.value))


def test_T4_last_words_that_are_shortened_are_not_cut_within_a_value(place, capfd):
    """Values one after the other, so that wherever the cut is, it is in one."""

    @task
    def dies_saying_much(token: Secret) -> int:
        os.write(2, token.reveal().encode() * 4000)
        os.kill(os.getpid(), 9)
        return 1

    with pytest.raises(RunFailed) as told:
        run(flow_of(dies_saying_much), {"token": Secret(NAME)}, store=place, engine="processes").result
    assert_untold(place, capfd, told_by(told.value), value=VALUE[-10:])


def test_T4_a_body_that_is_stopped_for_its_time_leaves_stars(place, capfd):
    @task(timeout=1.0)
    def waits(token: Secret) -> int:
        import threading

        print("waiting with", token.reveal(), flush=True)
        threading.Event().wait()
        return 1

    with pytest.raises(RunFailed) as told:
        run(flow_of(waits), {"token": Secret(NAME)}, store=place, engine="processes").result
    assert "***" in assert_untold(place, capfd, told_by(told.value))


# --- where workers find values ---


@workflow
def unknown() -> int:
    return length(Secret("NOBODY_KNOWS_THIS"))


def test_T4_an_unknown_secret_fails_the_node_with_the_way_out(engine, place):
    with pytest.raises(
        RunFailed, match="the secret NOBODY_KNOWS_THIS is not known here: set the environment variable"
    ) as told:
        run(unknown, {}, store=place, engine=engine).result
    assert isinstance(told.value.__cause__, LookupError)


def test_T4_a_plan_with_an_unknown_secret_compiles_and_needs_no_value():
    assert unknown.compile().digest == unknown.compile().digest


def test_T4_workers_find_secrets_in_files(engine, place, capfd, tmp_path, monkeypatch):
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "db.password").write_text("the-password-in-a-file\n")
    monkeypatch.setenv("PROMISSORY_SECRETS", str(tmp_path / "secrets"))
    assert run(given, {"token": Secret("db.password")}, store=place, engine=engine).result == len(
        "the-password-in-a-file"
    )
    assert_untold(place, capfd, value="the-password-in-a-file")


def test_T4_a_file_that_is_no_text_is_not_stored_with_the_failure(engine, place, capfd, tmp_path, monkeypatch):
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "key").write_bytes(b"\xff\xfe" + VALUE.encode())
    monkeypatch.setenv("PROMISSORY_SECRETS", str(tmp_path / "secrets"))
    with pytest.raises(RunFailed) as told:
        run(given, {"token": Secret("key")}, store=place, engine=engine).result
    assert_untold(place, capfd, told_by(told.value))


def test_T4_a_resolver_in_the_module_of_the_tasks_is_there_on_every_engine(engine, place, capfd, write_module):
    module = write_module(
        "with_a_vault",
        """
        from promissory import task, workflow
        from promissory import Secret
        from promissory.typesys.secret import register_resolver

        def vault(name):
            return "out-of-the-vault-4711" if name == "IN_THE_VAULT" else None

        register_resolver(vault)

        @task
        def opens(token: Secret) -> int:
            print(token.reveal())
            return len(token.reveal())

        @workflow
        def door() -> int:
            return opens(Secret("IN_THE_VAULT"))
        """,
    )
    done = run(module.door, {}, store=place, engine=engine)
    assert done.result == 21
    assert log_of(place, done.id) == "***\n"
    assert_untold(place, capfd, value="out-of-the-vault-4711")


# --- the command line ---

SCRIPT = """
from promissory import task, workflow
from promissory import Secret

@task
def length(token: Secret, fails: bool) -> int:
    print("with", token.reveal())
    if fails:
        raise ValueError("not with " + token.reveal())
    return len(token.reveal())

@workflow
def fetch(token: Secret, fails: bool = False) -> int:
    "Fetches something."
    return length(token, fails)
"""


@pytest.fixture
def promissory(project):
    """A function (arguments…) → the finished command."""
    project.write("fetch.py", SCRIPT)

    def command(*arguments):
        process = project.spawn("-c", "import sys; from promissory.executor.cli.main import main; main()", *arguments)
        output, errors = project.finish(process)
        return process.returncode, output, errors

    return command


@pytest.mark.parametrize("given_as", ["option", "json"])
def test_T4_the_command_line_takes_the_name_of_a_secret(promissory, project, given_as):
    arguments = ["fetch", "--token", NAME] if given_as == "option" else ["--inputs", f'{{"token": "{NAME}"}}', "fetch"]
    ours, flow = ([], arguments) if given_as == "option" else (arguments[:2], arguments[2:])
    code, output, errors = promissory("run", *ours, "fetch.py", *flow)
    assert (code, output.strip()) == (0, "25"), errors
    assert VALUE not in errors
    assert "***" in errors
    assert [path for path, data in all_bytes(project.folder / "store").items() if VALUE.encode() in data] == []


def test_T4_the_command_line_tells_a_failure_without_the_value(promissory, project):
    code, output, errors = promissory("run", "fetch.py", "fetch", "--token", NAME, "--fails")
    assert code == 1
    assert VALUE not in output + errors
    assert "not with ***" in errors
    for arguments in (["runs"], ["logs"], ["status"], ["explain"]):
        if arguments != ["runs"]:
            run_id = Store(project.folder / "store").list("runs")[0].rpartition("/")[2]
            arguments = [*arguments, run_id, *(["fetch/length"] if arguments == ["explain"] else [])]
        _, said, also = promissory(*arguments)
        assert VALUE not in said + also


def test_T4_the_command_line_refuses_what_cannot_be_a_name_without_echoing_it(promissory, project):
    code, output, errors = promissory("run", "fetch.py", "fetch", "--token", "ghp/abcdefghijklmnopqrstuvwxyz==")
    assert code == 2
    assert "ghp/abcdefghijklmnopqrstuvwxyz==" not in output + errors
    assert "Give the name, never the value" in errors


def test_T4_the_help_says_that_a_name_is_wanted(promissory):
    code, output, errors = promissory("run", "fetch.py", "fetch", "--help")
    assert code == 0, errors
    assert "--token" in output

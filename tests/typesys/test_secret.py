"""T4: a Secret is a name.

Its value is looked up where it is used, and what was revealed in a process is masked in what that process writes.
"""

import copy
import pickle

import pytest

import promissory.typesys.secret
from promissory.typesys import Secret, codec_of
from promissory.typesys.secret import SecretNotFound, holds_secret, masked, masked_bytes, register_resolver

VALUE = "value-not-to-be-told-4711"


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path):
    """Nothing revealed, nobody asked, no folder of the machine's own."""
    monkeypatch.setattr(promissory.typesys.secret, "_revealed", set())
    monkeypatch.setattr(promissory.typesys.secret, "_forms", {})
    monkeypatch.setattr(promissory.typesys.secret, "_hidden", ())
    monkeypatch.setattr(promissory.typesys.secret, "_resolvers", [])
    monkeypatch.setenv("PROMISSORY_SECRETS", str(tmp_path / "secrets"))
    (tmp_path / "secrets").mkdir()


@pytest.fixture
def folder(tmp_path):
    """Where secrets lie as files."""
    return tmp_path / "secrets"


def reveal(monkeypatch, *values):
    """Have values be revealed, in this order."""
    for number, value in enumerate(values):
        monkeypatch.setenv(f"REVEALED_{number}", value)
        Secret(f"REVEALED_{number}").reveal()


def test_T4_a_secret_is_its_name_in_every_form():
    secret = Secret("API_TOKEN")
    assert (
        repr(secret),
        secret.name,
        secret == Secret("API_TOKEN"),
        secret == Secret("OTHER"),
        secret == "API_TOKEN",
    ) == (
        "Secret('API_TOKEN')",
        "API_TOKEN",
        True,
        False,
        False,
    )
    assert {secret: 1}[Secret("API_TOKEN")] == 1
    assert pickle.loads(pickle.dumps(secret)) == copy.deepcopy(secret) == copy.copy(secret) == secret


def test_T4_no_form_of_a_revealed_secret_holds_its_value(monkeypatch):
    monkeypatch.setenv("API_TOKEN", VALUE)
    secret = Secret("API_TOKEN")
    assert secret.reveal() == VALUE
    assert VALUE not in f"{secret} {secret!r} {pickle.dumps(secret)!r} {codec_of(Secret).encode(secret)!r}"


@pytest.mark.parametrize("name", ["A", "_x", "db.password", "API-TOKEN", "a" * 128])
def test_T4_a_name_may_be_what_environments_and_containers_have(name):
    assert Secret(name).name == name


@pytest.mark.parametrize(
    "name", ["", "1a", "a b", "a/b", "../a", ".a", "-a", "ä", "a" * 129, "a\n", "a=b", None, 5, b"A"]
)
def test_T4_what_cannot_be_a_name_is_refused(name):
    with pytest.raises(ValueError, match=r"can't name a secret: letters, digits, '_', '\.' and '-' can"):
        Secret(name)


def test_T4_a_value_given_in_place_of_the_name_is_not_echoed():
    value = "ghp/abcdefghijklmnopqrstuvwxyz=="
    with pytest.raises(ValueError, match="Give the name, never the value") as told:
        Secret(value)
    assert value not in str(told.value)


def test_T4_a_short_value_given_in_place_of_the_name_is_not_echoed():
    with pytest.raises(ValueError, match="Give the name, never the value") as told:
        Secret("hunter2!")
    assert "hunter2!" not in str(told.value)


def test_T4_bytes_of_a_secret_are_checked_when_they_are_read():
    codec = codec_of(Secret)
    with pytest.raises((TypeError, ValueError)):
        codec.decode(codec_of(str).encode("../../etc/passwd"))


# --- where it is looked up ---


def test_T4_the_environment_is_asked(monkeypatch):
    monkeypatch.setenv("API_TOKEN", VALUE)
    assert Secret("API_TOKEN").reveal() == VALUE


@pytest.mark.parametrize("written", [VALUE, VALUE + "\n", VALUE + "\r\n"], ids=["bare", "line", "line of Windows"])
def test_T4_a_file_is_asked_where_the_environment_has_none(folder, written):
    (folder / "db.password").write_bytes(written.encode())
    assert Secret("db.password").reveal() == VALUE


def test_T4_a_file_may_have_several_lines(folder):
    (folder / "key").write_text("-----BEGIN-----\nabc\n-----END-----\n")
    assert Secret("key").reveal() == "-----BEGIN-----\nabc\n-----END-----"


def test_T4_a_resolver_comes_before_the_environment_and_that_before_files(monkeypatch, folder):
    (folder / "A").write_text("file")
    assert Secret("A").reveal() == "file"
    monkeypatch.setenv("A", "environment")
    assert Secret("A").reveal() == "environment"
    register_resolver(lambda name: "resolver" if name == "A" else None)
    assert Secret("A").reveal() == "resolver"


def test_T4_a_resolver_that_does_not_know_passes_the_question_on(monkeypatch):
    asked = []
    register_resolver(lambda name: asked.append(name))
    register_resolver(lambda name: f"vault:{name}")
    assert Secret("A").reveal() == "vault:A"
    assert asked == ["A"]


def test_T4_a_resolver_is_asked_each_time_so_that_values_may_rotate():
    values = iter(["first-value", "second-value"])
    register_resolver(lambda name: next(values))
    assert [Secret("A").reveal(), Secret("A").reveal()] == ["first-value", "second-value"]
    assert masked("first-value second-value") == "*** ***"


def test_T4_a_resolver_that_fails_is_heard():
    def sealed(name):
        raise ConnectionError("the vault is sealed")

    register_resolver(sealed)
    with pytest.raises(ConnectionError, match="the vault is sealed"):
        Secret("A").reveal()


def test_T4_a_resolver_that_gives_no_text_is_told_so():
    register_resolver(lambda name: VALUE.encode())
    with pytest.raises(TypeError, match=r"resolver.*A.*(str|text)") as told:
        Secret("A").reveal()
    assert VALUE not in str(told.value)


def test_T4_an_unknown_secret_is_told_with_every_way_out(folder):
    with pytest.raises(
        SecretNotFound,
        match="the secret NOT_HERE is not known here: set the environment variable NOT_HERE, put it into the file",
    ) as told:
        Secret("NOT_HERE").reveal()
    assert str(folder / "NOT_HERE") in str(told.value)
    assert "register a resolver" in str(told.value)


def test_T4_a_file_that_is_no_text_is_told_without_its_bytes(folder):
    """What Python raises (UnicodeDecodeError) holds the whole file, and would travel with the failure."""
    (folder / "key").write_bytes(b"\xff\xfe" + VALUE.encode())
    with pytest.raises(Exception, match="key") as told:
        Secret("key").reveal()
    assert VALUE.encode() not in pickle.dumps(told.value)
    assert VALUE not in str(told.value)


# --- what is masked ---


def test_T4_nothing_is_masked_before_it_was_revealed(monkeypatch):
    monkeypatch.setenv("API_TOKEN", VALUE)
    assert masked(VALUE) == VALUE
    assert not holds_secret(VALUE.encode())


def test_T4_a_revealed_value_is_stars_wherever_it_stands(monkeypatch):
    reveal(monkeypatch, VALUE)
    assert masked(f"a{VALUE}b{VALUE}{VALUE}") == "a***b******"
    assert masked_bytes(f"a{VALUE}b.".encode()) == (b"a***b.", b"")
    assert holds_secret(b"x" + VALUE.encode() + b"y")


def test_T4_a_value_that_begins_like_another_is_masked_whole(monkeypatch):
    reveal(monkeypatch, "token-abc", "token-abc-and-more")
    assert masked("it is token-abc-and-more.") == "it is ***."
    assert masked_bytes(b"it is token-abc-and-more.")[0] == b"it is ***."


def test_T4_a_value_inside_another_is_masked_whole(monkeypatch):
    reveal(monkeypatch, "hunter2", "postgres://me:hunter2@db/prod")
    assert masked("dsn=postgres://me:hunter2@db/prod") == "dsn=***"
    assert masked_bytes(b"dsn=postgres://me:hunter2@db/prod.")[0] == b"dsn=***."


def test_T4_values_that_overlap_leave_nothing_of_either(monkeypatch):
    reveal(monkeypatch, "abcdefgh", "efghijkl")
    told = masked("abcdefghijkl")
    assert "ijkl" not in told
    assert "abcd" not in told


@pytest.mark.parametrize("pieces", [1, 2, 3, 7, 25])
def test_T4_a_value_that_comes_in_pieces_is_masked(monkeypatch, pieces):
    reveal(monkeypatch, VALUE)
    data = f"before {VALUE} after {VALUE}".encode()
    size = -(-len(data) // pieces)
    told, held = b"", b""
    for start in range(0, len(data), size):
        whole, held = masked_bytes(held + data[start : start + size])
        told += whole
    assert told + held == b"before *** after ***"


def test_T4_a_value_with_several_lines_is_masked_line_by_line_too(monkeypatch):
    """Output is echoed, searched and shown by lines."""
    reveal(monkeypatch, "-----BEGIN-----\nfirst-line-of-the-key\nsecond-line-of-the-key\n-----END-----")
    assert "first-line-of-the-key" not in masked("main/fetch | first-line-of-the-key\n")


@pytest.mark.parametrize("value", ["back\\slash-value", "line\nbreak-value", "quote'and\"quote", "tab\tvalue"])
def test_T4_a_value_as_python_shows_it_is_masked(monkeypatch, value):
    """A KeyError, a list or a dict that is printed shows a string's `repr`."""
    reveal(monkeypatch, value)
    for shown in (repr(value), str(KeyError(value)), str([value]), str({"password": value})):
        assert repr(value)[1:-1] not in masked(shown), shown


def test_T4_a_value_outside_ascii_is_masked(monkeypatch):
    reveal(monkeypatch, "pässwörd-日本")
    assert masked("x pässwörd-日本 y") == "x *** y"
    assert masked_bytes("x pässwörd-日本 y".encode())[0] == b"x *** y"
    assert holds_secret(pickle.dumps("pässwörd-日本"))


def test_T4_very_short_values_are_left_alone(monkeypatch):
    reveal(monkeypatch, "abc", "")
    assert masked("abc") == "abc"


class Meanwhile(str):
    """A text during whose masking a body on another thread reveals one more secret."""

    def replace(self, *arguments):
        Secret("ONE_MORE").reveal()
        return super().replace(*arguments)


def test_T4_a_secret_may_be_revealed_while_another_thread_masks(monkeypatch):
    reveal(monkeypatch, "first-value", "second-value")
    monkeypatch.setenv("ONE_MORE", "third-value")
    assert masked(Meanwhile("a first-value b second-value")) == "a *** b ***"

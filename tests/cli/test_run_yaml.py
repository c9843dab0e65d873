"""`promissory run --inputs` takes YAML where PyYAML is installed, and says so where it is not."""

import sys

import pytest

FLOW = """
    from dataclasses import dataclass, field
    from datetime import date, timedelta
    from promissory import task

    @dataclass
    class Order:
        item: str
        count: int = 1
        tags: list[str] = field(default_factory=list)

    @task
    def show(
        orders: list[Order],
        country: str = "",
        day: date | None = None,
        wait: timedelta = timedelta(0),
        by_number: dict[int, float] = {},
        raw: bytes = b"",
        flag: bool = False,
        names: set[str] = set(),
    ) -> str:
        return repr((orders, country, day, wait, by_number, raw, flag, sorted(names)))
"""
DOCUMENT = """
# the orders of the day
orders:
  - item: cup
    count: 2
  - item: "7"
    tags: [new, no, 12:30]
country: no
day: 2026-11-30
wait: 1h30m
by_number: {1: 2, 3: .5}
raw: !!binary AP8=
flag: true
names: !!set {a, b}
"""
SHOWN = (
    "([Order(item='cup', count=2, tags=[]), Order(item='7', count=1, tags=['new', 'no', '12:30'])], 'no', "
    "datetime.date(2026, 11, 30), datetime.timedelta(seconds=5400), {1: 2.0, 3: 0.5}, b'\\x00\\xff', True, "
    "['a', 'b'])\n"
)


@pytest.fixture
def flow(shell):
    return shell.write("flow.py", FLOW)


@pytest.mark.parametrize("name", ["inputs.yaml", "inputs.YML", "inputs"])
def test_inputs_come_from_a_yaml_file(cli, shell, flow, name):
    shell.write(name, DOCUMENT)
    assert cli("run", "--inputs", f"@{name}", "flow.py", "show")[:2] == (0, SHOWN)


def test_inputs_are_yaml_on_the_command_line_and_options_override_them(cli, flow):
    code, out, _ = cli("run", "--inputs", "orders: [{item: cup}]\ncountry: de", "flow.py", "show", "--country", "at")
    assert code == 0
    assert out.startswith("([Order(item='cup', count=1, tags=[])], 'at'")


def test_anchors_and_merges_of_yaml_are_followed(cli, flow):
    document = "orders: [&first {item: cup, count: 3}, *first, {<<: *first, count: 4}]"
    code, out, said = cli("run", "--inputs", document, "flow.py", "show")
    assert code == 0, said
    assert out.count("count=3") == 2
    assert "Order(item='cup', count=4, tags=[])" in out


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("orders: [", "--inputs is not YAML: while parsing a flow"),
        ("just words", "--inputs is a JSON object, or a YAML mapping, with an entry an input"),
        ("- a\n- b", "--inputs is a JSON object, or a YAML mapping, with an entry an input"),
        ('{"orders": [}', "--inputs is not JSON: Expecting value"),
        ("orders: !!python/object/apply:os.system [true]", "--inputs is not YAML: could not determine a constructor"),
        ("orders: [{item: cup, count: many}]", "--inputs: orders: [0].count: expected int, got str"),
        ("@missing.yaml", "--inputs @missing.yaml: No such file or directory"),
        ("x: &x [*x]", "--inputs is not YAML"),
    ],
)
def test_what_is_no_yaml_of_inputs_is_told(cli, flow, given, sentence):
    code, out, said = cli("run", "--inputs", given, "flow.py", "show")
    assert (code, out) == (2, "")
    assert sentence in said


def test_a_yaml_mapping_may_be_written_in_braces(cli, flow):
    assert cli("run", "--inputs", "{orders: [{item: cup}]}", "flow.py", "show")[0] == 0


def test_a_json_file_is_json(cli, shell, flow):
    shell.write("inputs.json", "orders: []")
    code, _, said = cli("run", "--inputs", "@inputs.json", "flow.py", "show")
    assert (code, "--inputs is not JSON: " in said) == (2, True)


def test_where_pyyaml_is_not_installed_that_is_told_and_json_is_taken(cli, flow, monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    code, _, said = cli("run", "--inputs", "orders: []", "flow.py", "show")
    assert code == 2
    assert "--inputs is not JSON. YAML needs PyYAML: pip install 'promissory[yaml]'" in said
    assert cli("run", "--inputs", '{"orders": []}', "flow.py", "show")[0] == 0

"""J1: of many writers of one key at one time exactly one creates it, and everybody sees it whole."""

import os
import threading

import pytest

from promissory import Store

ROUNDS = 60
WRITERS = 8


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("url", ["folder", "memory"])
def test_J1_of_eight_threads_one_creates_a_key(tmp_path, durable, url):
    store = Store(tmp_path / "store" if url == "folder" else None)
    contents = [bytes([writer]) * 3000 for writer in range(WRITERS)]
    won = [[] for _ in range(ROUNDS)]
    seen = [set() for _ in range(ROUNDS)]
    together = threading.Barrier(WRITERS)
    problems = []

    def write(writer):
        try:
            for number in range(ROUNDS):
                together.wait(60)
                if store.put_new(f"race/{number}", contents[writer], durable=durable):
                    won[number].append(writer)
                seen[number].add(store.get(f"race/{number}"))
        except BaseException as error:
            problems.append(error)
            together.abort()

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    for number in range(ROUNDS):
        assert len(won[number]) == 1
        assert seen[number] == {contents[won[number][0]]}
    assert len(store.list("race")) == ROUNDS


SOURCE = """
import sys
from promissory import Store

store, name, gate = Store(sys.argv[1]), sys.argv[2], sys.argv[3]
content = name.encode() * 2000
won = []
open(gate).read()
for number in range(150):
    if store.put_new(f"race/{number}", content, durable=number % 5 == 0):
        won.append(number)
    seen = store.get(f"race/{number}")
    assert len(seen) == 2000 and len(set(seen)) == 1, seen[:10]
print(*won)
"""


def test_J1_of_four_processes_one_creates_a_key(project, gate):
    project.write("racer.py", SOURCE)
    gates = [gate(name) for name in "abcd"]
    processes = [
        project.spawn("racer.py", str(project.folder / "store"), name, one.path)
        for name, one in zip("abcd", gates, strict=True)
    ]
    for one in gates:
        one.reached()
    for one in gates:
        one.open()
    winners = {}
    for name, process in zip("abcd", processes, strict=True):
        output, errors = project.finish(process)
        assert process.returncode == 0, errors
        for number in map(int, output.split()):
            assert winners.setdefault(number, name) == name
    assert sorted(winners) == list(range(150))
    for number, name in winners.items():
        assert project.store.get(f"race/{number}") == name.encode() * 2000
    assert len(os.listdir(project.folder / "store" / "race")) == 150

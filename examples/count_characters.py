"""Count the letters that two words share: a first dynamic, and the meaning of value semantics.

    python examples/count_characters.py
    promissory run examples/count_characters.py --s1 Pear --s2 Earth

A dynamic sees its inputs as values, so it may loop over them. The tasks that it calls become a plan, the futures file.
The tasks here change the list that they are given, on purpose: each consumer of a value gets its own copy, so no task
sees the changes of another.
"""

from promissory import dynamic, task, workflow


@task
def index_of(letter: str) -> int:
    """Give the place of a letter in the alphabet."""
    return ord(letter) - ord("a") if letter.isascii() and letter.isalpha() else 26


@task
def mark(counts: list[int], index: int) -> list[int]:
    """Count one letter more. Changes its argument, which is its own."""
    counts[index] += 1
    return counts


@task
def shared(counts1: list[int], counts2: list[int]) -> int:
    """Count the letters that two counts have in common."""
    common = 0
    while counts1:
        common += min(counts1.pop(), counts2.pop())
    return common


@dynamic
def count_common(s1: str, s2: str) -> int:
    """Call one task for each letter. The number of letters is known only here, at run time."""
    counts1 = counts2 = [0] * 27
    for letter in s1.lower():
        counts1 = mark(counts1, index_of(letter))
    for letter in s2.lower():
        counts2 = mark(counts2, index_of(letter))
    return shared(counts1, counts2)


@workflow
def start_wf(s1: str, s2: str) -> int:
    """Count the letters that two words have in common."""
    return count_common(s1=s1, s2=s2)


if __name__ == "__main__":
    print(start_wf(s1="Pear", s2="Earth"))

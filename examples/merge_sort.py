"""Sort a file of numbers: two dynamics that call each other.

    promissory run examples/merge_sort.py sort_file --path numbers.txt

`merge_sort` decides, from the size of its list, whether to sort it here or to split it and have both halves sorted by
`merge_sort_remotely`, which calls `merge_sort` again. Each level of the recursion is a futures file;
`promissory futures RUN` lists them. The depth is limited: 100 levels, unless the run says otherwise.
"""

import random
import sys
import tempfile
from pathlib import Path

from promissory import dynamic, task, workflow


@task
def read_numbers(path: Path) -> list[int]:
    """Read the numbers of a text file, separated by white space."""
    return [int(word) for word in path.read_text().split()]


@task
def split(numbers: list[int]) -> tuple[list[int], list[int]]:
    """Split a list into halves."""
    middle = len(numbers) // 2
    return numbers[:middle], numbers[middle:]


@task
def sort_locally(numbers: list[int]) -> list[int]:
    """Sort a list that is small enough."""
    return sorted(numbers)


@task
def merge(sorted_list1: list[int], sorted_list2: list[int]) -> list[int]:
    """Merge two sorted lists."""
    merged = []
    left, right = iter(sorted_list1), iter(sorted_list2)
    a, b = next(left, None), next(right, None)
    while a is not None and b is not None:
        if a <= b:
            merged.append(a)
            a = next(left, None)
        else:
            merged.append(b)
            b = next(right, None)
    merged += [] if a is None else [a, *left]
    merged += [] if b is None else [b, *right]
    return merged


@dynamic
def merge_sort_remotely(numbers: list[int], threshold: int) -> list[int]:
    """Sort both halves, each as a dynamic of its own, and merge them."""
    left, right = split(numbers=numbers)
    return merge(
        sorted_list1=merge_sort(numbers=left, threshold=threshold),
        sorted_list2=merge_sort(numbers=right, threshold=threshold),
    )


@dynamic
def merge_sort(numbers: list[int], threshold: int) -> list[int]:
    """Sort a small list here, and hand on a larger one."""
    if len(numbers) <= threshold:
        return sort_locally(numbers=numbers)
    return merge_sort_remotely(numbers=numbers, threshold=threshold)


@workflow
def sort_file(path: Path, threshold: int = 50) -> list[int]:
    """Sort the numbers of a file.

    Lists of at most `threshold` numbers are sorted in one task.
    """
    return merge_sort(numbers=read_numbers(path=path), threshold=threshold)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        file = Path(sys.argv[1])
    else:
        file = Path(tempfile.mkdtemp()) / "numbers.txt"
        draw = random.Random(7)
        file.write_text(" ".join(str(draw.randrange(10_000)) for _ in range(400)))
    numbers = sort_file(path=file)
    print(f"{len(numbers)} numbers" + (f", from {numbers[0]} to {numbers[-1]}" if numbers else ""))

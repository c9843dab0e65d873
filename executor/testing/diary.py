"""The diary of workloads: which bodies began, and how often. It survives the process if `PROMISSORY_DIARY` names a
file."""

from __future__ import annotations

import os
import threading
from collections import Counter
from pathlib import Path

_lock = threading.Lock()
_diary: list[str] = []


def say(label: str) -> None:
    """Note that the body with this label begins."""
    file = os.environ.get("PROMISSORY_DIARY")
    with _lock:
        if file:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            os.write(descriptor, f"{label}\n".encode())
            os.close(descriptor)
        else:
            _diary.append(label)
    print(label)


def said() -> Counter[str]:
    """How often each body has begun, by its label."""
    file = os.environ.get("PROMISSORY_DIARY")
    if file:
        return Counter(Path(file).read_text().splitlines() if os.path.exists(file) else ())
    with _lock:
        return Counter(_diary)


def forget() -> None:
    """Begin a new diary."""
    file = os.environ.get("PROMISSORY_DIARY")
    if file:
        Path(file).unlink(missing_ok=True)
    with _lock:
        _diary.clear()

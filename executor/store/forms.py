"""The forms of the keys that this package gives: only a key of one of these forms is ever removed (rule J8).

A folder that is used as a store may hold other files, and a listing shows them like ours. So whether a key is ours is
decided by its whole name, here and nowhere else.
"""

from __future__ import annotations

import re
from typing import Final

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
_RUN = f"runs/{_NAME}"
_QUEUE = r"queues/[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_DIGEST = r"([0-9a-f]{2})/\1[0-9a-f]{62}"
_IDENTITY = r"([0-9a-f]{2})/\1[0-9a-f]{30}"

_FORMS: Final = (
    f"objects/{_DIGEST}",
    f"parts/{_DIGEST}",
    rf"code/{_DIGEST}\.zip",
    rf"plans/{_DIGEST}\.plan",
    f"cache/{_DIGEST}",
    rf"leases/{_DIGEST}/\d{{8}}",
    "probe/[0-9a-f]{16}",
    "executors/[0-9a-f]{16}/alive",
    rf"{_QUEUE}/waiting/\d{{7}}-\d{{20}}-{_NAME}",
    f"{_QUEUE}/waiting/open",
    f"{_QUEUE}/carried/{_NAME}",
    f"{_QUEUE}/config",
    rf"{_QUEUE}/slots/(all|[0-9a-f]{{16}})-\d+/\d{{8}}",
    f"{_RUN}/manifest",
    f"{_RUN}/beat",
    f"{_RUN}/summary",
    rf"{_RUN}/journal/\d{{20}}",
    rf"{_RUN}/base/\d{{20}}",
    f"{_RUN}/code/[0-9a-f]{{64}}",
    f"{_RUN}/snapshots/[0-9a-f]{{64}}",
    rf"{_RUN}/inbox/\d{{20}}-[0-9a-f]{{16}}(-refused)?",
    rf"{_RUN}/futures/{_IDENTITY}\.futures",
    rf"{_RUN}/checkpoints/{_IDENTITY}/\d{{8}}",
    rf"{_RUN}/logs/[a-z]+(-\d+)+",
    rf"{_RUN}/logs/[a-z]+(-\d+)+/\d{{20}}",
)
_KEY: Final = [re.compile(form) for form in _FORMS]
_FOLDER: Final = [re.compile(_RUN), *(re.compile(_folder) for form in _FORMS if (_folder := form.rpartition("/")[0]))]
_TEMPORARY: Final = re.compile(r"(.+)/\.tmp-[0-9a-f]{16}")

FOLDERS: Final = tuple(dict.fromkeys(form.partition("/")[0] for form in _FORMS))
"""The folders right below a store in which keys of ours lie."""


def is_ours(key: str) -> bool:
    """Whether a key has the whole form of a key that this package gives.

    >>> is_ours("runs/census-1/manifest"), is_ours("runs/census-1/notes.txt"), is_ours("objects/readme")
    (True, False, False)
    """
    return any(form.fullmatch(key) for form in _KEY)


def is_leftover(key: str) -> bool:
    """Whether a name is that of a temporary file which a killed writer left in a folder of ours.

    >>> is_leftover("runs/census-1/.tmp-0123456789abcdef"), is_leftover("src/.tmp-0123456789abcdef")
    (True, False)
    """
    found = _TEMPORARY.fullmatch(key)
    return found is not None and any(form.fullmatch(found[1]) for form in _FOLDER)

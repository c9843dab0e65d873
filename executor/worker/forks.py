"""Signal handlers of this package's are not for forks of its processes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Collection
from signal import pthread_sigmask


def default_in_forks(numbers: Collection[int], is_ours: Callable[[object], bool]) -> None:
    """From now on forks of this process have the default handlers for these signals in place of ours.

    The signals are blocked while the process forks: Python forgets a signal that a fork hears before it runs.
    """
    masks = threading.local()

    def block() -> None:
        masks.before = pthread_sigmask(signal.SIG_BLOCK, numbers)

    def unblock() -> None:
        pthread_sigmask(signal.SIG_SETMASK, masks.before)

    def forget() -> None:
        for number in numbers:
            if is_ours(signal.getsignal(number)):
                signal.signal(number, signal.SIG_DFL)
        unblock()

    os.register_at_fork(before=block, after_in_parent=unblock, after_in_child=forget)

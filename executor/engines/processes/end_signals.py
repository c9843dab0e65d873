"""SIGTERM and SIGHUP in a worker process.

A service manager or a scheduler of jobs sends them to every process of a service or job. The executor hears them too,
gives bodies their time to finish (rule X10), and ends its workers afterwards. So workers outlive these signals.
"""

from __future__ import annotations

import os
import signal
import threading
from signal import pthread_sigmask


def outlive_end_signals() -> None:
    """Have this process outlive SIGTERM and SIGHUP, unless they are ignored already. Processes that it starts hear them
    as ever: a program has the default handlers, and a fork gets them here, before it can hear a signal."""
    numbers = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_DFL]
    masks = threading.local()

    def handle(number: int, frame: object) -> None:
        """Go on."""

    def block() -> None:
        masks.before = pthread_sigmask(signal.SIG_BLOCK, numbers)

    def unblock() -> None:
        pthread_sigmask(signal.SIG_SETMASK, masks.before)

    def forget() -> None:
        for number in numbers:
            if signal.getsignal(number) is handle:
                signal.signal(number, signal.SIG_DFL)
        unblock()

    for number in numbers:
        signal.signal(number, handle)
        signal.siginterrupt(number, False)
    # Python forgets a signal that a fork hears before it runs.
    os.register_at_fork(before=block, after_in_parent=unblock, after_in_child=forget)

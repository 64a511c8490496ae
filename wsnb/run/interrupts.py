"""SIGINT and SIGTERM: passed to the running kernels once, so that they can save; a second one ends them at once."""

import contextlib
import signal
import threading


class Interrupts:
    """Whether somebody asked us to stop.

    asked    the number of the first signal, or 0
    kernels  functions, called as kernel() on the first signal and kernel(kill=True) on the second
    idle     threads that may be left where they are: the main thread gets a KeyboardInterrupt there
    """

    def __init__(self, say):
        self.asked, self.kernels, self.idle, self._say = 0, set(), set(), say

    def _handle(self, number, _frame):
        first, self.asked = not self.asked, self.asked or number
        kernels = tuple(self.kernels)
        if kernels:
            self._say("stopping: the stage may save its state (once more kills it)" if first else "killing the stage")
        for kernel in kernels:
            kernel(**({} if first else {"kill": True}))
        if threading.main_thread() in self.idle or not (first or kernels):
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def installed(self):
        """Handle both signals inside; the earlier handlers come back afterwards."""
        earlier = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def immediate(self):
        """Inside, the work may end anywhere. Raises KeyboardInterrupt if a signal came before."""
        thread = threading.current_thread()
        if self.asked:
            raise KeyboardInterrupt
        self.idle.add(thread)
        try:
            yield
        finally:
            self.idle.discard(thread)
        if self.asked:
            raise KeyboardInterrupt

    def join(self, threads) -> None:
        """Wait for the end of THREADS; once somebody asked us to stop, not for idle ones."""
        for thread in threads:
            while thread.is_alive() and not (self.asked and thread in self.idle):
                thread.join(0.1)

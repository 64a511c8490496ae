"""SIGINT and SIGTERM: passed to the kernel once, so that it can save; a second one ends it at once."""

import contextlib
import signal


class Interrupts:
    """Whether somebody asked us to stop, and whom to tell.

    asked    the number of the first signal, or 0
    kernel   called as kernel() on the first signal and kernel(kill=True) on the second, if set
    at_once  True where no kernel runs and a KeyboardInterrupt does no harm
    """

    def __init__(self, say):
        self.asked, self.kernel, self.at_once, self._say = 0, None, False, say

    def _handle(self, number, _frame):
        first, self.asked = not self.asked, self.asked or number
        if self.kernel is not None:
            self._say(
                "stopping: the stage may save its state (once more kills it)"
                if first
                else "killing the stage"
            )
            self.kernel(**({} if first else {"kill": True}))
        elif self.at_once or not first:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def installed(self):
        """Handle both signals inside; the former handlers come back afterwards."""
        former = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def immediate(self):
        """Inside, a signal raises KeyboardInterrupt. Raises it also if one came before."""
        if self.asked:
            raise KeyboardInterrupt
        self.at_once = True
        try:
            yield
        finally:
            self.at_once = False

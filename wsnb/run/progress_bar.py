"""On a terminal, a bar under the lines of `wsnb run`: finished stages of all that are to run, and how far one is."""

import contextlib
import re
import sys
import threading

COUNTED = re.compile(r"\d\d:\d\d:\d\d (\d+/\d+ .*)")  # a line of Stage.progress
FORMAT = "{n_fmt}/{total_fmt} stages |{bar:20}| {elapsed}{postfix}"


class Bar:
    """The bar of one run; shows nothing where standard output is no terminal, or if QUIET."""

    shown = None  # tqdm's, while there is one

    def __init__(self, quiet: bool):
        self.wanted = not quiet and sys.stdout.isatty()

    def __enter__(self):
        if self.wanted:
            from tqdm import tqdm

            tqdm.monitor_interval = 0  # no thread of its own
            tqdm.set_lock(threading.RLock())  # nor a semaphore for other processes
            Bar.shown = tqdm(total=0, file=sys.stdout, leave=False, dynamic_ncols=True, bar_format=FORMAT)
        return self

    def __exit__(self, *error):
        if self.wanted:
            Bar.shown.close()
            Bar.shown = None

    def add(self, count: int) -> None:
        """COUNT more stages are to run."""
        if self.wanted:
            Bar.shown.total += count
            Bar.shown.refresh()

    def advance(self) -> None:
        """A stage has ended."""
        if self.wanted:
            Bar.shown.set_postfix_str("", refresh=False)
            Bar.shown.update()

    def takes(self, title: str, line: str) -> bool:
        """Whether LINE, which the stage TITLE logged, only says how far it is and stands in the bar now."""
        found = COUNTED.fullmatch(line) if self.wanted else None
        if found:
            Bar.shown.set_postfix_str(f"{title.rpartition(' ')[2]} {found[1]}")
        return bool(found)


def above():
    """A context in which printed lines go above the bar, if one is shown."""
    return Bar.shown.external_write_mode(file=sys.stdout) if Bar.shown is not None else contextlib.nullcontext()

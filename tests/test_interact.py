"""Controls: shown where somebody sits at the kernel; in a batch run as a strip of pictures."""

from types import SimpleNamespace

import numpy as np
import pytest

from wsnb.viz import interactive
from wsnb.viz.tiles import tiles


def sit(monkeypatch, allowed):
    shell = SimpleNamespace(kernel=SimpleNamespace(_allow_stdin=allowed))
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)


@pytest.mark.parametrize("allowed", [False, True])
def test_somebody_sits_there_if_the_kernel_takes_input(monkeypatch, allowed):
    sit(monkeypatch, allowed)
    assert interactive.interactive() is allowed


def shade(level=2, wide=False):
    return tiles([np.full((8, 16 if wide else 8, 3), 20 * level, np.uint8)])


def test_a_batch_run_leaves_pictures_at_some_places(monkeypatch):
    sit(monkeypatch, False)
    made = interactive.controls(shade, level=(0, 10), wide=(0, 1))
    assert list(made.frames) == [f"level = {k}" for k in (0, 2, 4, 6, 8, 10)] and made.start == 1
    page = made._repr_html_()
    assert page.count("<img") == 6 and page.count(" hidden>") == 5 and 'alt="level = 2"' in page
    assert "http" not in page and page.index('alt="level = 2"') < page.index("level = 4")


def test_switches_are_turned_off_one_at_a_time(monkeypatch):
    sit(monkeypatch, False)
    seen = []

    def rules(tags=True, box_prior=True):
        seen.append((tags, box_prior))
        return shade()

    made = interactive.controls(rules, tags=True, box_prior=True)
    assert list(made.frames) == ["all rules", "without tags", "without box prior"] and made.start == 0
    assert seen == [(True, True), (False, True), (True, False)]


def test_what_is_no_picture_leaves_nothing(monkeypatch):
    sit(monkeypatch, False)
    assert interactive.controls(lambda n=1: f"value {n}", n=(0.0, 1.0)) is None


def test_a_reader_gets_a_slider_whose_result_is_displayed(monkeypatch):
    monkeypatch.setattr(interactive, "interactive", lambda: True)
    widget = interactive.controls(lambda n=1: f"value {n}", n=(0, 3))
    assert widget.auto_display
    slider = widget.children[0]
    assert (slider.min, slider.max, slider.value) == (0, 3, 1)
    slider.value = 2
    assert widget.result == "value 2"


def test_outside_ipython_nothing_is_interactive(monkeypatch):
    monkeypatch.setattr("IPython.get_ipython", lambda: None)
    assert not interactive.interactive()

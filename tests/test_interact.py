"""Controls: drawn and shown where somebody sits at the kernel, nothing in a batch run."""

from types import SimpleNamespace

import pytest

from wsnb import interact


def sit(monkeypatch, allowed):
    shell = SimpleNamespace(kernel=SimpleNamespace(_allow_stdin=allowed))
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)


@pytest.mark.parametrize("allowed", [False, True])
def test_somebody_sits_there_if_the_kernel_takes_input(monkeypatch, allowed):
    sit(monkeypatch, allowed)
    assert interact.interactive() is allowed


def test_a_batch_run_draws_nothing(monkeypatch):
    sit(monkeypatch, False)
    assert interact.controls(lambda n: pytest.fail("drawn"), n=(0, 3)) is None


def test_a_reader_gets_a_slider_whose_result_is_displayed(monkeypatch):
    monkeypatch.setattr(interact, "interactive", lambda: True)
    widget = interact.controls(lambda n=1: f"value {n}", n=(0, 3))
    assert widget.auto_display
    slider = widget.children[0]
    assert (slider.min, slider.max, slider.value) == (0, 3, 1)
    slider.value = 2
    assert widget.result == "value 2"


def test_outside_ipython_nothing_is_interactive(monkeypatch):
    monkeypatch.setattr("IPython.get_ipython", lambda: None)
    assert not interact.interactive()

"""Clicks and drags, as events made up: they set the controls, and the picture is drawn once."""

import numpy as np
import pytest

from wsnb.viz import interactive
from wsnb.viz.tiles import tiles


class Shown:
    """Two tiles of 100x50 that are drawn anew for each value."""

    def __init__(self):
        self.calls = []

    def __call__(self, left=0, top=0, right=9, bottom=9):
        self.calls.append((left, top, right, bottom))
        shade = np.full((50, 100, 3), left, np.uint8)
        return tiles([shade, shade], ["one", "other"], width=204)


def event(kind, x, y, **more):
    return {"type": kind, "dataX": x, "dataY": y, **more}


def boxes(tile, *sides):
    return dict(zip(("left", "top", "right", "bottom"), (round(100 * side) for side in sides), strict=True))


@pytest.fixture
def shown():
    return Shown()


def panel(shown, pointer):
    return interactive.panel(shown, pointer, left=(0, 100), top=(0, 100), right=(0, 100), bottom=(0, 100))


def test_a_click_sets_two_sliders_at_once(shown):
    seen = []
    made = panel(shown, interactive.Click(lambda *place: seen.append(place) or {"left": 30, "top": 20}))
    pointer = made.listener._dom_handlers.callbacks[0]
    assert made.listener.source is made.picture and made.listener.watched_events == ["click"]
    before = made.picture.value
    pointer(event("click", 104 + 25, 18 + 40))
    assert seen == [(1, 0.25, 0.8)] and shown.calls == [(0, 0, 9, 9), (30, 20, 9, 9)]
    assert made.picture.value != before and [w.value for w in made.kwargs_widgets] == [30, 20, 9, 9]
    pointer(event("click", 101, 30))  # between the tiles
    assert len(shown.calls) == 2
    made.kwargs_widgets[0].value = 31  # the sliders still work
    assert shown.calls[-1] == (31, 20, 9, 9)


def test_a_drag_draws_a_box(shown):
    made = panel(shown, interactive.Drag(boxes))
    hand = made.listener._dom_handlers.callbacks[0]
    hand(event("mousemove", 10, 30, buttons=0))
    hand(event("mousedown", 90, 58))
    still = made.picture.value
    hand(event("mousemove", 40, 30, buttons=1))
    assert made.picture.value != still and len(shown.calls) == 1  # a rectangle follows, nothing is computed
    hand(event("mouseup", 40, -5))  # let go above the picture
    assert shown.calls[1:] == [(40, 0, 90, 80)]
    hand(event("mousemove", 10, 30, buttons=0))
    assert len(shown.calls) == 2


def test_a_button_let_go_outside_ends_the_drag(shown):
    made = panel(shown, interactive.Drag(boxes))
    hand = made.listener._dom_handlers.callbacks[0]
    hand(event("mousedown", 114, 28))
    hand(event("mousemove", 194, 48, buttons=0))
    assert shown.calls[1:] == [(10, 20, 90, 60)]


@pytest.mark.parametrize("start, end", [((50, 5), (80, 60)), ((50, 30), (52, 60))])
def test_what_is_no_box_is_left_alone(shown, start, end):
    made = panel(shown, interactive.Drag(boxes))
    hand, still = made.listener._dom_handlers.callbacks[0], made.picture.value
    for kind, place in (("mousedown", start), ("mousemove", end), ("mouseup", end)):
        hand(event(kind, *place, buttons=1))
    assert len(shown.calls) == 1 and made.picture.value == still


def test_an_unknown_control_of_a_rule_is_told(shown):
    made = panel(shown, interactive.Click(lambda *place: {"lefft": 1}))
    with pytest.raises(KeyError, match="lefft"):
        made.listener._dom_handlers.callbacks[0](event("click", 10, 30))
    made.kwargs_widgets[0].value = 7  # and the sliders still work
    assert shown.calls[-1][0] == 7

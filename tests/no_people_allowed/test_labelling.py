"""How often confident labels are right."""

import numpy as np

from wsnb.data.item import Item
from wsnb.files import save_png
from wsnb.papers.no_people_allowed import confident_labels


def test_right_counts_known_pixels_alone(tmp_path):
    label = np.array([[0, 0, 1, 255], [0, 2, 1, 1]], np.uint8)
    truth = {"a": np.array([[0, 1, 1, 1], [0, 255, 1, 2]], np.uint8), "b": np.full((4, 8), 1, np.uint8)}
    save_png(tmp_path / "a.png", label)
    save_png(tmp_path / "b.png", np.array([[1, 2]], np.uint8))  # enlarged: half of b's 32 pixels are right
    items = [Item(id=name, image=None, mask=None) for name in truth]
    found = confident_labels.right(items[:1], lambda item: truth[item.id], tmp_path)
    assert found == {"background": 2 / 3, "object": 2 / 3}
    found = confident_labels.right(items, lambda item: truth[item.id], tmp_path)
    assert found == {"background": 2 / 3, "object": 18 / 35}


def test_right_of_no_pixel_is_none(tmp_path):
    save_png(tmp_path / "a.png", np.full((2, 2), 255, np.uint8))
    truth = np.zeros((2, 2), np.uint8)
    found = confident_labels.right([Item(id="a", image=None, mask=None)], lambda _: truth, tmp_path)
    assert found == {"background": None, "object": None}

"""Charts and rows of pictures: they draw what they are given, the same bytes each time."""

import numpy as np
import pandas as pd
import pytest

from wsnb import viz
from wsnb.data.item import Item
from wsnb.files import save_png
from wsnb.viz import charts
from wsnb.viz.pictures import good_and_bad_figure, ladder_figure


def test_charts_draw_their_numbers():
    axis = charts.quality_figure({"CAM": 31.25, "walk": 40.0}).axes[0]
    assert [bar.get_height() for bar in axis.patches] == [31.25, 40.0]
    assert [text.get_text() for text in axis.texts] == ["31.2", "40.0"]
    axis = charts.quality_figure({"CAM": {"faithful": 1.0, "fixed": 2.0}, "walk": {"fixed": 3.0}}).axes[0]
    assert sorted(bar.get_height() for bar in axis.patches) == [1.0, 2.0, 3.0]
    axis = charts.sweep_figure([0.1, 0.2], {"train": [3, 4]}, chosen=0.2).axes[0]
    assert axis.lines[0].get_ydata().tolist() == [3, 4] and axis.lines[1].get_xdata()[0] == 0.2
    frame = pd.DataFrame({"a": [10.0, np.nan], "b": [1.0, 2.0], "c": [3.0, 4.0]})
    axis = charts.class_figure(frame, ["x", "y"]).axes[0]
    assert [text.get_text() for text in axis.get_xticklabels()] == ["x", "y"] and len(axis.patches) == 6
    axis = charts.confusion_figure(np.array([[3, 1], [0, 0]]), ["x", "y"]).axes[0]
    assert axis.images[0].get_array().tolist() == [[75, 25], [0, 0]]
    assert charts.loss_figure([{"epoch": 0, "loss": 2.0}]).axes[0].lines[0].get_xdata().tolist() == [1]
    one, two = (charts.quality_figure({"a": 1.0})._repr_png_() for _ in range(2))
    assert one == two


def test_palette_and_background():
    palette = np.zeros((256, 3), np.uint8)
    palette[0] = (10, 200, 30)
    image, mask = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8)
    assert (viz.overlay(image, mask) == 0).all()  # background is left alone
    assert viz.overlay(image, mask, alpha=1.0, palette=palette, background=None)[4, 4].tolist() == [10, 200, 30]
    assert viz.colour(mask, palette)[0, 0].tolist() == [10, 200, 30]


@pytest.fixture
def items(tmp_path):
    made = []
    for k in range(5):
        save_png(tmp_path / f"p{k}.png", np.full((6, 8), k % 2, np.uint8))
        made.append(Item(f"p{k}", tmp_path / "none.jpg", None, None, None))
    return made


def test_rows_of_pictures(items, tmp_path):
    def image_of(item):
        return np.full((6, 8, 3), 100, np.uint8)

    def truth_of(item):
        return np.zeros((6, 8), np.uint8)

    figure = ladder_figure(items[:2], image_of, truth_of, {"a_crf": tmp_path, "b": tmp_path})
    assert [axis.get_title() for axis in figure.axes] == ["picture", "ground truth", "a + crf", "b"] + [""] * 4
    order = pd.DataFrame({"id": [item.id for item in items], "mIoU": [0.9, 0.7, 0.5, 0.3, 0.1]})
    figure = good_and_bad_figure(order, {item.id: item for item in items}, image_of, truth_of, tmp_path, count=1)
    assert [axis.get_title() for axis in figure.axes][2::3] == ["mIoU 90 %", "mIoU 50 %", "mIoU 10 %"]
    empty = good_and_bad_figure(order[:0], {}, image_of, truth_of, tmp_path)
    assert "no picture" in empty.axes[0].get_title()

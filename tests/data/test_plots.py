"""Pictures of pictures: colours, sizes, and the same bytes each time."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from wsnb import viz
from wsnb.data import voc
from wsnb.data.synthetic import shapes
from wsnb.viz import charts


@pytest.fixture(scope="module")
def scene():
    return shapes.scene(2)


def test_one_colour_a_class():
    shown = viz.colour(np.array([[0, 1, 15, 255]], np.uint8))
    assert shown.tolist() == [[[0, 0, 0], [128, 0, 0], [192, 128, 128], list(viz.VOID_COLOUR)]]
    assert min(viz.VOID_COLOUR) > 200


def test_boundaries():
    mask = np.zeros((6, 8), np.uint8)
    mask[:, 4:] = 2
    assert viz.boundaries(mask).any(0).tolist() == [False] * 3 + [True] * 2 + [False] * 3
    assert viz.boundaries(mask, 2).any(0).sum() == 4


def test_overlay_leaves_background_alone(scene):
    shown = viz.overlay(scene.image, scene.mask)
    assert shown.dtype == np.uint8 and np.array_equal(shown[scene.mask == 0], scene.image[scene.mask == 0])
    assert not np.array_equal(shown, scene.image)
    with pytest.raises(ValueError, match="size"):
        viz.overlay(scene.image, scene.mask[1:])


def test_heat(scene):
    shown = viz.heat(scene.image, np.linspace(0, 1, 12).reshape(3, 4))
    assert shown.shape == scene.image.shape and shown.dtype == np.uint8
    with pytest.raises(ValueError, match="NaN"):
        viz.heat(scene.image, np.full((3, 4), np.nan))


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_same_bytes_each_time(scene, tmp_path, suffix):
    def draw():
        return viz.grid([scene.image, viz.colour(scene.mask)], ["picture", "mask"], columns=2, width=4)

    one, two = viz.save(draw(), tmp_path / f"a{suffix}"), viz.save(draw(), tmp_path / f"b{suffix}")
    assert one.read_bytes() == two.read_bytes()
    figure = draw()
    viz.save(figure, one)
    assert viz.save(figure, one).read_bytes() == two.read_bytes()  # drawing does not move it
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"a{suffix}", f"b{suffix}"]


def test_grid_takes_mixed_sizes(scene, tmp_path):
    images = [scene.image, scene.image.transpose(1, 0, 2), scene.image[..., 0], scene.image, scene.image]
    path = viz.save(viz.grid(images, columns=2, width=5), tmp_path / "a.png")
    width, height = Image.open(path).size
    assert width == round(5 * viz.DPI) and height > width
    with pytest.raises(ValueError, match="titles"):
        viz.grid(images, ["one"])
    with pytest.raises(ValueError, match="0 images"):
        viz.grid([])


def test_legend_and_notebook_bytes(tmp_path):
    path = viz.save(viz.legend(voc.CLASSES, [0, 15]), tmp_path / "a.png")
    pixels = np.array(Image.open(path).convert("RGB")).reshape(-1, 3)
    assert (pixels == voc.PALETTE[15]).all(1).any() and not (pixels == voc.PALETTE[1]).all(1).any()
    assert viz.legend(voc.CLASSES, [0, 15])._repr_png_() == path.read_bytes()
    with pytest.raises(ValueError, match="cannot be saved as .gif"):
        viz.save(viz.legend(voc.CLASSES), tmp_path / "a.gif")


def test_names_that_look_like_formulas_are_written_as_they_are(tmp_path):
    names = ["background", r"$\frac{a$", "$$", "a_{b}^c$x$"]
    values = pd.DataFrame({name: [0.5, 1.0, 2.0, 3.0] for name in names[1:]}, index=names)
    for figure in (viz.legend(names), viz.grid([np.zeros((4, 4), np.uint8)], names[1:2]),
                   charts.class_figure(values, names), charts.confusion_figure(np.eye(4), names)):
        assert viz.save(figure, tmp_path / "a.png").stat().st_size > 1000


def test_a_figure_is_drawn_once_until_it_changes(scene, tmp_path, monkeypatch):
    figure = viz.grid([scene.image], ["one"])
    axis, drawings = figure.axes[0], []
    monkeypatch.setattr(figure, "savefig", lambda *to, **how: drawings.append(viz.Figure.savefig(figure, *to, **how)))
    path = viz.save(figure, tmp_path / "a.png")
    assert figure._repr_png_() == path.read_bytes() and len(drawings) == 1
    changes = (lambda: axis.set_title("two"), lambda: axis.images[0].set_data(scene.image[::-1]),
               lambda: axis.plot([3, 9], [3, 9]), lambda: axis.lines[0].set_ydata([9, 3]),
               lambda: axis.texts or axis.text(9, 9, "three"), lambda: axis.texts[0].set_text("four"),
               lambda: figure.set_size_inches(3, 2))
    for number, change in enumerate(changes, 2):
        before = figure._repr_png_()
        change()
        assert figure._repr_png_() != before and len(drawings) == number
    before = figure._repr_png_()
    viz.save(figure, tmp_path / "a.svg")  # another format is another drawing, and leaves the PNG as it is
    assert figure._repr_png_() == before
    axis.texts[0].set_text("five")
    viz.save(figure, tmp_path / "a.svg")  # and does not pass for a PNG of the change
    assert figure._repr_png_() != before

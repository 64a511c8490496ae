"""A box drawn with the mouse on a picture in JupyterLab: its sliders and the pictures follow."""

import os
import time

import pytest

pytest.importorskip("selenium", reason="selenium is not installed: pip install -e .[test]")
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402

from tests.browser import lab as reader  # noqa: E402

NOTEBOOKS = {  # name -> (parameters, the sliders of the box, tiles in the row, width of a tile in their units, slow)
    "00_start.ipynb": ({}, ("x0", "y0", "x1", "y1"), 2, 128, False),
    "simple_does_it/06_labels.ipynb": ({"limit": 2, "workers": 0, "label_recipes": ["rectangles"]},
                                       ("left", "top", "right", "bottom"), 4, 100, True),
}
SLIDERS = """return [...arguments[0].closest('.jp-Cell').querySelectorAll('.widget-slider')].map(slider =>
  [slider.querySelector('.widget-label').textContent, +slider.querySelector('.noUi-handle').ariaValueNow])"""
SIDE = "const side = arguments[0].getBoundingClientRect(); return [side.width, side.height]"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_box_drawn_with_the_mouse(name, driver, lab, project, screenshots):
    parameters, names, tiles, most, slow = NOTEBOOKS[name]
    if slow and not os.environ.get("WSNB_SLOW"):
        pytest.skip("runs another minute or two: set WSNB_SLOW=1")
    reader.set_parameters(project / "notebooks" / name, **parameters)
    cells = reader.run_all(driver, lab, name, 900)
    assert not [error for _, error in cells if error]

    def cell():  # the picture whose sliders are those of a box
        for image in driver.find_elements(By.CSS_SELECTOR, ".jp-Notebook img.widget-image"):
            if [label for label, _ in driver.execute_script(SLIDERS, image)] == [*names]:
                return image
        return None

    image = reader.until(cell, 60, "the picture under the sliders")
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", image)
    width, height = driver.execute_script(SIDE, image)
    before, start = image.get_attribute("src"), (-0.45 * width, -0.2 * height)
    hand = ActionChains(driver, duration=100).move_to_element_with_offset(image, *map(int, start)).click_and_hold()
    for step in (40, 60):
        hand.move_by_offset(step, 30)
    hand.perform()
    reader.until(lambda: image.get_attribute("src") != before, 30, "a rectangle follows the mouse")
    sliders, clock = driver.execute_script(SLIDERS, image), time.monotonic()
    ActionChains(driver, duration=100).release().perform()
    reader.until(lambda: driver.execute_script(SLIDERS, image) != sliders, 30, "the sliders follow")
    took = time.monotonic() - clock
    x0, y0, x1, y1 = (value for _, value in driver.execute_script(SLIDERS, image))
    driver.save_screenshot(str(screenshots / f"{name.removesuffix('.ipynb').replace('/', '-')}-drawn.png"))
    print(f"{name}: box {x0, y0, x1, y1} after {took:.2f} s")
    assert y0 < y1
    unit = most * tiles / width
    assert x0 == pytest.approx(0.05 * width * unit, abs=3) and x1 - x0 == pytest.approx(100 * unit, abs=3)
    assert not [error for _, error in driver.execute_script(reader.CELLS) if error]

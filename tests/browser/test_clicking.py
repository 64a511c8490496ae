"""A click on a picture in JupyterLab: the four relations of the pixel that was clicked (spml, 04)."""

import time

import pytest

pytest.importorskip("selenium", reason="selenium is not installed: pip install -e .[test]")
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402

from tests.browser import lab as reader  # noqa: E402

PICTURES = 4
CHAIN = {  # name -> parameters: the chain up to the embedding, as a reader runs it by hand
    "spml/01_regions.ipynb": {"limit": PICTURES, "workers": 0},
    "spml/03_weak_masks.ipynb": {"limit": PICTURES, "workers": 0, "supervision": "point"},
    "spml/04_embedding.ipynb": {"limit": PICTURES, "threads": 1, "supervision": "point", "iterations": 2, "batch": 4},
}
SLIDERS = """const all = [...arguments[0].closest(".jp-Cell").querySelectorAll(".widget-slider")];
return Object.fromEntries(all.map(one =>
  [one.querySelector('.widget-label').textContent, +one.querySelector('.noUi-handle').ariaValueNow]))"""
COUNT = """return 1 + +arguments[0].closest('.jp-Cell').querySelector('.noUi-handle').ariaValueMax"""
IMAGE = "const box = arguments[0].getBoundingClientRect(); return [box.width, box.height]"


def test_a_click_asks_about_its_pixel(driver, lab, project, screenshots):
    for name, parameters in CHAIN.items():
        reader.set_parameters(project / "notebooks" / name, **parameters)
        cells = reader.run_all(driver, lab, name, 600)
        assert not [error for _, error in cells if error], name

    image = driver.find_element(By.CSS_SELECTOR, ".jp-Notebook img.widget-image")
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", image)
    before, sliders = image.get_attribute("src"), driver.execute_script(SLIDERS, image)
    assert set(sliders) == {"picture", "y", "x"}
    width, height = driver.execute_script(IMAGE, image)
    tile = (1 if sliders["picture"] == 0 else 0) + 0.25  # a quarter into a tile of another picture
    place = int(width * (tile / driver.execute_script(COUNT, image) - 0.5)), int(-0.1 * height)  # in the second row
    clock = time.monotonic()
    ActionChains(driver).move_to_element_with_offset(image, *place).click().perform()
    driver.save_screenshot(str(screenshots / "spml-04_embedding-clicked.png"))
    reader.until(lambda: driver.execute_script(SLIDERS, image) != sliders, 30, "the sliders follow")
    reader.until(lambda: image.get_attribute("src") != before, 30, "the relations of the pixel are drawn")
    took = time.monotonic() - clock
    driver.save_screenshot(str(screenshots / "spml-04_embedding-clicked.png"))
    found = driver.execute_script(SLIDERS, image)
    print(f"clicked: {sliders} -> {found} after {took:.2f} s")
    assert found["picture"] == int(tile)
    assert found["x"] == pytest.approx(0.25, abs=0.06)
    assert 0 <= found["y"] <= 1
    assert not [error for _, error in driver.execute_script(reader.CELLS) if error]

"""Pointing at an open notebook's picture with the mouse: a box drawn on it, a pixel clicked; its sliders follow."""

import time

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

from tests.browser import lab

SLIDERS = """return [...arguments[0].closest('.jp-Cell').querySelectorAll('.widget-slider')].map(
  one => [one.querySelector('.widget-label').textContent, +one.querySelector('.noUi-handle').ariaValueNow])"""
SIDE = "const side = arguments[0].getBoundingClientRect(); return [side.width, side.height]"


def _picture(driver, names):
    """The picture under the sliders NAMES, in the middle of the window, with its width and height."""
    for image in driver.find_elements(By.CSS_SELECTOR, ".jp-Notebook img.widget-image"):
        if [name for name, _ in driver.execute_script(SLIDERS, image)] == names:
            driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", image)
            return image, *driver.execute_script(SIDE, image)
    raise AssertionError(f"no picture under {names}")


def _followed(driver, image, hand):
    """The sliders after HAND was performed, and the seconds that they took."""
    before, clock = driver.execute_script(SLIDERS, image), time.monotonic()
    hand.perform()
    lab.until(lambda: driver.execute_script(SLIDERS, image) != before, 30, "the sliders follow")
    took = time.monotonic() - clock
    return dict(driver.execute_script(SLIDERS, image)), took


def draw(driver, names, tiles, most):
    """Draw a box of 100x60 pixels on the first of so many TILES in a row, MOST wide in the units of the sliders NAMES
    (left, top, right, bottom). Returns the seconds until they follow."""
    image, width, height = _picture(driver, names)
    unit, before = most * tiles / width, image.get_attribute("src")
    hand = ActionChains(driver, duration=100)
    hand.move_to_element_with_offset(image, int(-0.45 * width), int(-0.2 * height)).click_and_hold()
    hand.move_by_offset(40, 30).move_by_offset(60, 30).perform()
    lab.until(lambda: image.get_attribute("src") != before, 30, "a rectangle follows the mouse")
    found, took = _followed(driver, image, ActionChains(driver, duration=100).release())
    x0, y0, x1, y1 = (found[name] for name in names)
    assert x0 == pytest.approx(0.05 * width * unit, abs=3) and x1 - x0 == pytest.approx(100 * unit, abs=3)
    assert y0 < y1
    return took


def click(driver, names, tiles, down, picture=None):
    """Click a quarter into the first of so many TILES in a row, DOWN of the picture's height below its middle: of the
    sliders NAMES, x and y follow, and `picture` if that is the number of the tile. Returns the seconds that took."""
    image, width, height = _picture(driver, names)
    before = image.get_attribute("src")
    place = int(width * (0.25 / tiles - 0.5)), int(down * height)
    hand = ActionChains(driver).move_to_element_with_offset(image, *place).click()
    found, took = _followed(driver, image, hand)
    lab.until(lambda: image.get_attribute("src") != before, 30, "the picture follows")
    assert found["x"] == pytest.approx(0.25, abs=0.06) and 0 <= found["y"] <= 1
    assert picture is None or found["picture"] == picture
    return took

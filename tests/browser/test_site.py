"""The built site as a reader walks it: every link and picture, nothing from the network, no page wider than a phone."""

import json
import os
import shutil
import urllib.parse
from pathlib import Path

import numpy as np
import pytest

from tests.browser.conftest import ROOT
from tests.report import made
from wsnb.report import build
from wsnb.run import papers
from wsnb.viz import interactive
from wsnb.viz.tiles import tiles

By = pytest.importorskip("selenium.webdriver.common.by", reason="selenium is not installed").By
Keys = pytest.importorskip("selenium.webdriver.common.keys", reason="selenium is not installed").Keys

SEEN = """return {
  links: [...document.querySelectorAll('a[href]')].map(link => new URL(link.getAttribute('href'), location).href),
  broken: [...document.images].filter(image => !(image.complete && image.naturalWidth)).map(image => image.src),
  silent: [...document.images].filter(image => !image.alt.trim()).map(image => image.src),
  wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  title: document.title}"""
EAGER = "document.querySelectorAll('img[loading=lazy]').forEach(image => image.loading = 'eager')"


PUBLISHED = ("no_people_allowed/voc_small_irn", "panoptic/camvid_small", "simple_does_it/voc_small_semantic",
             "single_stage/voc_small", "spml/voc_small_tag", "student/voc_small_full", "student/voc_small_grabcut_plus")


@pytest.fixture(scope="module")
def site(driver, tmp_path_factory):
    """A site of a hand-made run, of some PUBLISHED, and of all notebooks of this project, or the one in $WSNB_SITE."""
    if os.environ.get("WSNB_SITE"):
        return Path(os.environ["WSNB_SITE"]).resolve()
    root = tmp_path_factory.mktemp("site")
    for name in ("notebooks", "params", *(f"figures/{title}" for title in PUBLISHED)):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    for stage in ("01_train", "03_evaluate"):
        folder = made.manifest(root / "runs", "single_stage/shapes", stage, [made.result(52.3, dataset="shapes")])
        made.notebook(folder / "notebook.ipynb", stage)
        (folder / "good_and_bad.png").write_bytes(made.png())
        made.again(folder)
    build.build(root / "runs", root / "figures", root / "_site", project=root)
    return root / "_site"


def requests(driver):
    """Addresses that the browser asked for since the last call, but for files and data inside pages."""
    sent = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    urls = [event["params"]["request"]["url"] for event in sent if event["method"] == "Network.requestWillBeSent"]
    return [url for url in urls if urllib.parse.urlsplit(url).scheme not in ("file", "data", "blob", "about", "chrome")]


def test_every_page_on_a_phone(site, driver, screenshots):
    driver.set_window_size(420, 1600)
    requests(driver)
    start = (site / "index.html").as_uri()
    waiting, seen, faults = [start], set(), []
    while waiting:
        address = waiting.pop()
        seen.add(address)
        driver.get(address)
        driver.execute_script(EAGER)
        found = driver.execute_script(SEEN)
        faults += [(address, "picture", url) for url in found["broken"]]
        faults += [(address, "no text", url) for url in found["silent"]]
        faults += [(address, "too wide by", found["wide"])] if found["wide"] > 1 else []
        faults += [(address, "request", url) for url in requests(driver)]
        faults += [(address, "refused", entry["message"]) for entry in driver.get_log("browser")
                   if "Content Security Policy" in entry["message"]]
        for link in found["links"]:
            parts = urllib.parse.urlsplit(link)
            if parts.scheme != "file":
                continue
            path = Path(urllib.parse.unquote(parts.path))
            page = path.as_uri()
            if not path.is_file():
                faults.append((address, "link", link))
            elif path.suffix == ".html" and page not in seen and page not in waiting:
                waiting.append(page)
    written = {path.as_uri() for path in site.rglob("*.html")}
    print(f"{len(seen)} of {len(written)} pages walked, {len(faults)} faults")
    assert not faults
    apart = {urllib.parse.urlsplit(page).path.rpartition("/")[2] for page in written - seen}
    assert apart <= {"genindex.html", "search.html"}  # every page can be reached
    assert len(seen) > 30
    driver.get(start)
    driver.save_screenshot(str(screenshots / "site-phone.png"))


def test_search_without_a_server(site, driver, screenshots):
    driver.set_window_size(1300, 1600)
    driver.get((site / "search.html").as_uri() + "?q=GrabCut")
    driver.implicitly_wait(20)
    try:
        found = driver.find_elements(By.CSS_SELECTOR, "#search-results li a")
    finally:
        driver.implicitly_wait(0)
    assert found and not requests(driver)
    driver.save_screenshot(str(screenshots / "site-search.png"))


def test_dark_mode(site, driver, screenshots):
    driver.set_window_size(1300, 1600)
    driver.get((site / "index.html").as_uri())
    colours = []
    for mode in ("light", "dark"):
        driver.execute_script("document.body.dataset.theme = arguments[0]", mode)
        body = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
        text = driver.execute_script("return getComputedStyle(document.querySelector('article p')).color")
        colours.append((body, text))
        driver.save_screenshot(str(screenshots / f"site-{mode}.png"))
    assert colours[0][0] != colours[1][0] and colours[0][1] != colours[1][1]


def test_the_chain_is_drawn_and_leads_on(site, driver, screenshots):
    driver.set_window_size(1300, 1600)
    driver.get((site / "single_stage/index.html").as_uri())
    chain = driver.find_element(By.CSS_SELECTOR, "svg.chain")
    assert chain.size["width"] > 200 and "Chain of" in chain.get_attribute("aria-label")
    notebooks = list((ROOT / "notebooks/single_stage").glob("0*.ipynb"))
    assert len(chain.find_elements(By.TAG_NAME, "rect")) == len(notebooks)
    driver.save_screenshot(str(screenshots / "site-chain.png"))
    driver.execute_script("arguments[0].dispatchEvent(new MouseEvent('click', {bubbles: true}))",
                          chain.find_element(By.TAG_NAME, "a"))
    assert driver.current_url.endswith("single_stage/shapes/01_train.html")


def test_a_table_becomes_cards_on_a_phone(site, driver, screenshots):
    driver.set_window_size(420, 1600)
    driver.get((site / "index.html").as_uri())
    cell = driver.find_element(By.CSS_SELECTOR, "article table.docutils:has(thead th:nth-child(4)) tbody td")
    assert driver.execute_script("return getComputedStyle(arguments[0]).display", cell) == "grid"
    name = driver.execute_script("return getComputedStyle(arguments[0], '::before').content", cell)
    assert name.strip('"') == cell.get_attribute("data-column") != ""
    driver.execute_script("arguments[0].scrollIntoView()", cell)
    driver.save_screenshot(str(screenshots / "site-phone-table.png"))
    driver.set_window_size(1300, 1600)
    assert driver.execute_script("return getComputedStyle(arguments[0]).display", cell) == "table-cell"


def test_a_figure_keeps_its_tiles_readable_on_a_phone_and_is_numbered(site, driver, screenshots):
    driver.set_window_size(420, 1600)
    driver.get((site / "single_stage/voc_small/index.html").as_uri())
    figures = driver.find_elements(By.CSS_SELECTOR, "article figure")
    said = [figure.find_element(By.TAG_NAME, "figcaption").text for figure in figures]
    assert said and all(text.startswith(f"Figure {k}. ") and len(text) > 20 for k, text in enumerate(said, 1))
    image = figures[0].find_element(By.TAG_NAME, "img")
    driver.execute_script("arguments[0].scrollIntoView()", image)
    assert image.size["width"] >= 600  # five tiles of 120 pixels; the figure scrolls, not the page
    assert driver.execute_script("return arguments[0].scrollWidth > arguments[0].clientWidth", figures[0])
    driver.save_screenshot(str(screenshots / "site-phone-figure.png"))


def test_a_slider_moves_and_is_spoken(site, driver):
    frames = {f"power = {k}": tiles([np.full((20, 30, 3), 50 * k, np.uint8)], width=120) for k in (1, 2, 3)}
    driver.get((site / "index.html").as_uri())
    driver.execute_script("document.querySelector('article').insertAdjacentHTML('beforeend', arguments[0])",
                          interactive.Preview(frames, 0)._repr_html_())
    figure = driver.find_element(By.CSS_SELECTOR, "figure.control")
    slider = figure.find_element(By.TAG_NAME, "input")
    assert slider.get_attribute("aria-label") == "picture" and slider.get_attribute("aria-valuetext") == "power = 1"
    slider.send_keys(Keys.ARROW_RIGHT)
    assert slider.get_attribute("aria-valuetext") == figure.find_element(By.TAG_NAME, "output").text == "power = 2"
    shown = [image.get_attribute("alt") for image in figure.find_elements(By.TAG_NAME, "img") if image.is_displayed()]
    assert shown == ["power = 2"]


def test_the_front_page_begins_with_the_papers(site, driver, screenshots):
    driver.set_window_size(1300, 1600)
    driver.get((site / "index.html").as_uri())
    cards = driver.find_elements(By.CSS_SELECTOR, "article .sd-card:has(a[href$='/index.html'])")
    names = [card.text.splitlines()[0] for card in cards]
    assert names == [*(paper.name for paper in papers.load().values()), "Student"]  # the chain that is no paper's
    first, second = (driver.find_element(By.XPATH, f"//h2[contains(., '{title}')]") for title in (
        "The same pictures", "Reported and ours"))
    assert cards[0].location["y"] < 500 and cards[0].location["y"] < first.location["y"] < second.location["y"]
    driver.save_screenshot(str(screenshots / "site-front.png"))


def test_code_is_copied_and_a_notebook_taken_along(site, driver):
    driver.get((site / "single_stage/notebooks/02_masks.html").as_uri())
    block = driver.find_element(By.CSS_SELECTOR, "div.highlight")
    driver.execute_script("""window.copied = null; Object.defineProperty(navigator, 'clipboard',
      {value: {writeText: text => { window.copied = text; return Promise.resolve(); }}});
      arguments[0].querySelector('button.copy').click()""", block)
    assert driver.execute_script("return window.copied").strip() == block.find_element(By.TAG_NAME, "pre").text.strip()
    link = driver.find_element(By.CSS_SELECTOR, "a.download").get_attribute("href")
    taken = Path(urllib.parse.unquote(urllib.parse.urlsplit(link).path))
    assert taken.read_bytes() == (ROOT / "notebooks/single_stage/02_masks.ipynb").read_bytes()

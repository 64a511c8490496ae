"""Driving JupyterLab as a reader does: open, Run All, look, shut down."""

import ast
import base64
import json
import time
import urllib.request

from selenium.webdriver.common.by import By

ERROR = '[data-mime-type="application/vnd.jupyter.error"]'
IDLE = ".jp-Notebook-ExecutionIndicator[data-status='idle']"
CELLS = f"""return [...document.querySelectorAll('.jp-Notebook .jp-CodeCell')].map(cell => [
  cell.querySelector('.jp-InputPrompt').textContent.trim(),
  [...cell.querySelectorAll('{ERROR}')].map(e => e.textContent).join(' ')])"""
FAULTS = """const all = [...document.querySelectorAll('.jp-Notebook .jp-OutputArea-output')], words = /^<[^]*>$/;
return all.filter(one => /error|stderr/.test(one.dataset.mimeType) || words.test(one.textContent.trim())).map(
  one => one.textContent)"""
TALL = "return document.querySelector('.jp-Notebook .jp-WindowedPanel-outer').clientHeight"
LONG = """document.querySelector('.jp-Notebook .jp-WindowedPanel-outer').scrollTop = 0;
return [...document.querySelectorAll('.jp-Notebook .jp-Cell')].pop().getBoundingClientRect().bottom"""
SHUT = """const done = arguments[0], headers = {'X-XSRFToken': document.cookie.match(/_xsrf=([^;]+)/)[1]};
fetch('/api/sessions').then(answer => answer.json()).then(all => Promise.all(all.map(
  one => fetch(`/api/sessions/${one.id}`, {method: 'DELETE', headers})))).then(all => done(all.map(one => one.ok)))"""


def set_parameters(path, **values):
    """Change literals in a notebook's parameters cell, as a reader would type them."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cell = next(cell for cell in notebook["cells"] if "parameters" in cell["metadata"].get("tags", []))
    lines = "".join(cell["source"]).splitlines()
    for name, value in values.items():
        place = next(i for i, line in enumerate(lines) if line.split(":")[0].strip() == name)
        type_ = ast.unparse(ast.parse(lines[place]).body[0].annotation)
        lines[place] = "".join([f"{name}: {type_} = {value!r}", *lines[place].partition("  # ")[1:]])
    cell["source"] = "\n".join(lines)
    path.write_text(json.dumps(notebook), encoding="utf-8")


def wait(condition, seconds):
    """The first true value of CONDITION(), asked again and again; None if there is none in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.2)
    return None


def until(condition, seconds, what):
    """`wait`, but fails naming WHAT."""
    found = wait(condition, seconds)
    assert found, f"{what}: not within {seconds} s"
    return found


def run_all(driver, lab, name, seconds):
    """Open notebooks/NAME, choose Run, Run All Cells, wait for the end. Returns [(prompt, error)] of its cells; folded
    ones (solutions) show no prompt."""
    place = "".join(letter for letter in name if letter.isalnum())
    # driver.get would wait for the whole page to load, and give up where the machine is busy
    driver.execute_cdp_cmd("Page.navigate", {"url": f"{lab}/lab/workspaces/{place}/tree/{name}?reset"})
    until(lambda: driver.find_elements(By.CSS_SELECTOR, ".jp-Notebook .jp-CodeCell"), 300, f"{name} opens")
    until(lambda: _connected(lab, name), 300, f"the kernel of {name} starts")
    until(lambda: driver.find_elements(By.CSS_SELECTOR, IDLE), 300, f"the kernel of {name} is idle")
    menu = next(item for item in driver.find_elements(By.CSS_SELECTOR, ".lm-MenuBar-item") if item.text == "Run")
    menu.click()
    item = "li.lm-Menu-item[data-command='runmenu:run-all']"
    until(lambda: driver.find_elements(By.CSS_SELECTOR, item), 60, "the menu Run opens")[0].click()

    def finished():
        cells = driver.execute_script(CELLS)
        idle = driver.find_elements(By.CSS_SELECTOR, IDLE)
        if any(error for _, error in cells):
            return cells
        if idle and all(prompt[1:-2].isdigit() for prompt, _ in cells if prompt):
            return cells
        return None

    try:
        return until(finished, seconds, f"{name} runs to its end")
    except AssertionError as error:
        state = driver.find_element(By.CSS_SELECTOR, ".jp-Notebook-ExecutionIndicator").get_attribute("data-status")
        prompts = [prompt for prompt, _ in driver.execute_script(CELLS)]
        dialogs = [dialog.text for dialog in driver.find_elements(By.CSS_SELECTOR, ".jp-Dialog")]
        raise AssertionError(f"{error}; kernel {state}, prompts {prompts}, dialogs {dialogs}, "
                             f"browser {driver.get_log('browser')[-5:]}") from error


def _connected(lab, name):
    """Whether the page is connected to its kernel: before that it looks idle, and Run All asks which kernel to take."""
    with urllib.request.urlopen(f"{lab}/api/sessions", timeout=60) as answer:
        sessions = json.load(answer)
    return any(session["path"] == name and session["kernel"]["connections"] for session in sessions)


def faults(driver):
    """What the open notebook shows, its controls included, and no reader should see: errors, warnings, and the <words>
    for an object in place of its picture."""
    return driver.execute_script(FAULTS)


def photograph(driver, path):
    """Save a picture of the whole open notebook, however long it is."""
    size = {"width": 1300, "height": min(16000, int(driver.execute_script(LONG)) + 100)}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**size, "deviceScaleFactor": 1, "mobile": False})
    wait(lambda: driver.execute_script(TALL) > size["height"] - 200, 10)
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
    path.write_bytes(base64.b64decode(shot["data"]))
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def shut(driver):
    """End every kernel of the open page's server."""
    assert all(driver.execute_async_script(SHUT))

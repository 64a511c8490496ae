"""Driving JupyterLab as a reader does: open, Run All, look, move the controls."""

import ast
import json
import time
import urllib.request

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

ERROR = '[data-mime-type="application/vnd.jupyter.error"]'
IDLE = ".jp-Notebook-ExecutionIndicator[data-status='idle']"
CELLS = f"""return [...document.querySelectorAll('.jp-Notebook .jp-CodeCell')].map(cell => [
  cell.querySelector('.jp-InputPrompt').textContent.trim(),
  [...cell.querySelectorAll('{ERROR}')].map(e => e.textContent).join(' ')])"""
PICTURE = """return [...arguments[0].closest('.jp-Cell').querySelectorAll('.jp-OutputArea-output img')]
  .map(image => image.src).join()"""
HANDLES = ".jp-Notebook .noUi-handle"
SELECTS = ".jp-Notebook .widget-dropdown select"
BOXES = ".jp-Notebook .widget-checkbox input"


def set_parameters(path, **values):
    """Change literals in a notebook's parameters cell, as a reader would type them."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cell = next(cell for cell in notebook["cells"] if "parameters" in cell["metadata"].get("tags", []))
    lines = "".join(cell["source"]).splitlines()
    for name, value in values.items():
        place = next(i for i, line in enumerate(lines) if line.split(":")[0].strip() == name)
        type_ = ast.unparse(ast.parse(lines[place]).body[0].annotation)
        lines[place] = f"{name}: {type_} = {value!r}"
    cell["source"] = "\n".join(lines)
    path.write_text(json.dumps(notebook), encoding="utf-8")


def until(condition, seconds, what):
    """The first true value of CONDITION(), asked again and again. Fails naming WHAT."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError(f"{what}: not within {seconds} s")


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


def move_all(driver):
    """Move every slider, choice and tick by one. Returns [(what, seconds until its picture changed)]."""
    moved = []
    for handle in driver.find_elements(By.CSS_SELECTOR, HANDLES):
        driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", handle)
        value = float(handle.get_attribute("aria-valuenow"))
        least, most = (float(handle.get_attribute(f"aria-value{end}")) for end in ("min", "max"))
        key = Keys.ARROW_LEFT if value - least > most - value else Keys.ARROW_RIGHT
        before, start = driver.execute_script(PICTURE, handle), time.monotonic()
        driver.execute_script("arguments[0].focus()", handle)
        for _ in range(3):  # far enough that something changes
            handle.send_keys(key)
        moved.append((f"slider {len(moved)}", _changed(driver, handle, before, start)))
    for choice in driver.find_elements(By.CSS_SELECTOR, SELECTS):
        before, start = driver.execute_script(PICTURE, choice), time.monotonic()
        choice.send_keys(Keys.ARROW_DOWN)
        moved.append((f"choice {len(moved)}", _changed(driver, choice, before, start)))
    for tick in driver.find_elements(By.CSS_SELECTOR, BOXES):
        before, start = driver.execute_script(PICTURE, tick), time.monotonic()
        ActionChains(driver).move_to_element(tick).click(tick).perform()
        moved.append((f"tick {len(moved)}", _changed(driver, tick, before, start)))
    return moved


def _changed(driver, control, before, start):
    until(lambda: driver.execute_script(PICTURE, control) not in (before, ""), 60, "the picture follows its control")
    return time.monotonic() - start

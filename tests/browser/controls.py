"""The controls of an open notebook, whatever they are: each is moved as a reader moves it, and its picture awaited."""

import ast
import time

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.browser import lab

CONTROLS = ".jp-Notebook .jp-OutputArea .widget-inline-hbox, .jp-Notebook .jp-OutputArea .jupyter-button"
LABEL = """const [one] = arguments, tick = one.querySelector('.widget-label-basic');  // beside an empty label
return (tick || one.querySelector('.widget-label') || one).textContent.trim()"""
PICTURE = """return [...arguments[0].closest('.jp-Cell').querySelectorAll('.jp-OutputArea-output img')]
  .map(image => image.src).join()"""
HANDLE, CHOICE, BUTTON = ".noUi-handle", "select", "input[type=checkbox], button"
SHOW = "arguments[0].scrollIntoView({block: 'center'})"


def named(notebook):
    """Names of the controls that the code of NOTEBOOK (its JSON) asks for, from the first cell to the last."""
    calls = [node for cell in notebook["cells"] if cell["cell_type"] == "code"
             for node in ast.walk(ast.parse("".join(cell["source"]))) if isinstance(node, ast.Call)]
    return [word.arg for call in calls if ast.unparse(call.func) == "interactive.controls" for word in call.keywords]


def in_page(driver):
    """Controls of the open notebook in their order: [(name, element)]."""
    found = driver.find_elements(By.CSS_SELECTOR, CONTROLS)
    return [(driver.execute_script(LABEL, one), one) for one in found]


def move(driver, name, control):
    """Move a control and wait until its picture is another, or an error is shown. Returns the seconds that took."""
    driver.execute_script(SHOW, control)
    before, start = driver.execute_script(PICTURE, control), time.monotonic()

    def changed():
        return driver.execute_script(PICTURE, control) not in (before, "") or lab.faults(driver)

    handles, choices, buttons = (control.find_elements(By.CSS_SELECTOR, inner) for inner in (HANDLE, CHOICE, BUTTON))
    if handles:
        _slide(driver, handles[0])
        if not lab.wait(changed, 3):
            _slide(driver, handles[0], whole=True)
    elif choices:
        choices[0].send_keys(Keys.ARROW_DOWN)
    else:
        button = buttons[0] if buttons else control
        ActionChains(driver).move_to_element(button).click(button).perform()
    lab.until(changed, 60, f"the picture follows {name}")
    took = time.monotonic() - start
    lab.until(lambda: driver.find_elements(By.CSS_SELECTOR, lab.IDLE), 60, "the kernel has answered")
    return took


def _slide(driver, handle, whole=False):
    """Three steps towards the farther end, or the whole way, which shows a change where a few steps show none."""
    value, least, most = (float(handle.get_attribute(f"aria-value{what}")) for what in ("now", "min", "max"))
    step, end = (Keys.ARROW_LEFT, Keys.HOME) if value - least > most - value else (Keys.ARROW_RIGHT, Keys.END)
    driver.execute_script("arguments[0].focus()", handle)
    for key in [end] if whole else [step] * 3:
        handle.send_keys(key)

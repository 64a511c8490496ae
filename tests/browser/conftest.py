"""A headless Chromium, and a JupyterLab on a copy of the notebooks; skipped, with the reason, where there is none.

Screenshots are kept in build/screenshots/ of the project, or in $WSNB_SCREENSHOTS.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SETTINGS = {
    "notebook-extension/tracker": '{"windowingMode": "none"}',  # every cell in the page, so that each can be looked at
    "apputils-extension/notification": '{"fetchNews": "false"}',  # nothing over the pictures
}


@pytest.fixture(scope="module")  # what a page of the former module still sends is not the next one's
def driver(tmp_path_factory):
    """A selenium driver of a headless Chromium that logs its network requests."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: pip install -e .[test]")
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    chromedriver = shutil.which("chromedriver")
    if browser is None or chromedriver is None:
        pytest.skip("no Chromium with chromedriver here: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    profile = tmp_path_factory.mktemp("profile")
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                 "--window-size=1300,1600", f"--user-data-dir={profile}", "--disable-background-networking",
                 "--disable-component-update"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    found = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver))
    found.set_page_load_timeout(120)
    found.set_script_timeout(60)
    yield found
    found.quit()


@pytest.fixture(scope="session")
def screenshots():
    """Folder of the pictures that are kept."""
    folder = Path(os.environ.get("WSNB_SCREENSHOTS", ROOT / "build/screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of notebooks/ and params/, so that what JupyterLab saves changes nothing here."""
    root = tmp_path_factory.mktemp("project")
    for name in ("notebooks", "params"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    return root


@pytest.fixture(scope="module")
def lab(project, driver):
    """The address of a running JupyterLab on the project's notebooks/."""
    home = project / "home"
    for name, text in SETTINGS.items():
        settings = home / f"settings/@jupyterlab/{name}.jupyterlab-settings"
        settings.parent.mkdir(parents=True)
        settings.write_text(text)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ, "WSNB_ROOT": str(project), "PYTHONPATH": str(ROOT), "HOME": str(home), "OMP_NUM_THREADS": "1",
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"), "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "JUPYTER_CONFIG_DIR": str(home / "config"), "OMP_WAIT_POLICY": "passive", "MPLCONFIGDIR": str(home / "mpl"),
    }  # fmt: skip
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", f"--port={port}", "--ip=127.0.0.1",
               "--IdentityProvider.token=", "--ServerApp.password=", "--allow-root", "--LabApp.news_url=",
               "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
               f"--notebook-dir={project / 'notebooks'}"]
    log = open(home / "lab.log", "w")  # noqa: SIM115 - open as long as the server
    server = subprocess.Popen(command, env=environment, cwd=project, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    for _ in range(240):
        try:
            urllib.request.urlopen(f"{address}/api", timeout=2).read()
            break
        except OSError:
            assert server.poll() is None, (home / "lab.log").read_text()
            time.sleep(0.5)
    yield address
    server.terminate()
    try:
        server.wait(30)
    except subprocess.TimeoutExpired:  # now and then it waits for its extensions for ever, all kernels being gone
        server.kill()
        server.wait(30)
    log.close()

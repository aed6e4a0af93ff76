"""A headless Chromium, driven over its debugging protocol."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from websockets.sync.client import connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--hide-scrollbars", "--remote-debugging-port=0",
)  # fmt: skip


def executable() -> str | None:
    """The browser of this machine."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Chromium:
    """A browser with one page. Use as a context manager."""

    def __init__(self, folder: Path, width: int = 1000, height: int = 700):
        command = [executable() or "chromium", *FLAGS, f"--user-data-dir={folder}", f"--window-size={width},{height}", "about:blank"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._count, self._events = 0, list[dict[str, Any]]()
        try:
            port = until(lambda: (folder / "DevToolsActivePort").read_text().split()[0] if (folder / "DevToolsActivePort").is_file() else "", 30)
            pages = until(lambda: [p for p in json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=10)) if p["type"] == "page"], 30)
            self._socket = connect(pages[0]["webSocketDebuggerUrl"], max_size=1 << 28)
            size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
            self.call("Page.enable")
            self.call("Emulation.setDeviceMetricsOverride", **size)
        except BaseException:
            self._process.kill()
            raise

    def __enter__(self) -> Chromium:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command of the protocol, and wait for its result."""
        self._count += 1
        self._socket.send(json.dumps({"id": self._count, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout=60))
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                return answer["result"]
            self._events.append(answer)

    def _wait_for(self, event: str) -> dict[str, Any]:
        """The parameters of the last event of a kind."""

        def last() -> Any:
            self.call("Runtime.enable")  # reads what has arrived
            return next((entry["params"] for entry in reversed(self._events) if entry.get("method") == event), None)

        parameters = until(last, 10)
        self._events.clear()
        return parameters

    def open(self, address: str) -> None:
        self.call("Page.navigate", url=address)

    def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        return self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)["result"].get("value")

    def screenshot(self, path: Path | None = None) -> np.ndarray:
        """What is shown, uint8 [H, W, 3]; also as a PNG file."""
        data = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        if path:
            path.write_bytes(data)
        return cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)

    def text(self) -> str:
        return str(self.evaluate("document.body.innerText"))

    def click(self, text: str, selector: str = "*") -> None:
        """Click the first visible element that shows exactly this text, itself and not one inside it."""
        script = f"""(() => {{
            const shows = e => e.textContent.trim() === {json.dumps(text)};
            const all = [...document.querySelectorAll({json.dumps(selector)})].filter(e => shows(e) && e.offsetParent && ![...e.children].some(shows));
            if (!all.length) return null;
            all[0].scrollIntoView({{block: "center"}});
            const box = all[0].getBoundingClientRect();
            return [box.x + box.width / 2, box.y + box.height / 2];
        }})()"""
        places: list[Any] = [None]

        def stays() -> Any:
            places.append(self.evaluate(script))
            return places[-1] if places[-1] == places[-2] else None  # folders open slowly

        x, y = until(stays, 10)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def drag(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Move the mouse with its left button pressed."""
        self.call("Input.dispatchMouseEvent", type="mousePressed", x=start[0], y=start[1], button="left", clickCount=1)
        for part in np.linspace(0, 1, 5):
            x, y = (float(a + part * (b - a)) for a, b in zip(start, end))
            self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y, button="left", buttons=1)
        self.call("Input.dispatchMouseEvent", type="mouseReleased", x=end[0], y=end[1], button="left", clickCount=1)

    def upload(self, text: str, file: Path) -> None:
        """Choose a file for the upload button with this text."""
        self.call("Page.setInterceptFileChooserDialog", enabled=True)
        self.click(text)
        chooser = self._wait_for("Page.fileChooserOpened")
        self.call("DOM.setFileInputFiles", files=[str(file)], backendNodeId=chooser["backendNodeId"])

    def set_number(self, label: str, value: float) -> None:
        """Type a number into the input of a row (slider or number) with this label."""
        script = f"""(() => {{
            const label = [...document.querySelectorAll("label")].find(e => e.textContent.trim() === {json.dumps(label)});
            if (!label) return false;
            let row = label;
            while (row && !row.querySelector("input:not([type=hidden])")) row = row.parentElement;
            const inputs = [...row.querySelectorAll("input:not([type=hidden])")];
            const input = inputs[inputs.length - 1];
            input.focus();
            input.select();
            return true;
        }})()"""
        until(lambda: self.evaluate(script), 10)
        self.call("Input.insertText", text=str(value))
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13)
        time.sleep(0.3)  # the page sends what is typed with a delay


def until(value: Callable[[], Any], seconds: float) -> Any:
    """The first true value, asked for again and again."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := value():
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s")

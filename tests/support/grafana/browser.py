"""A headless Chromium, spoken to over a pipe in its own protocol (https://chromedevtools.github.io/devtools-protocol/).

Screenshots need half a dozen calls of it: that costs less than a driver with its own browser build.
"""

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Json = dict[str, Any]

_ANSWER_TIMEOUT_S = 60.0
_FLAGS = (
    "--headless=new", "--remote-debugging-pipe", "--no-first-run", "--no-default-browser-check", "--disable-gpu",
    "--disable-dev-shm-usage", "--disable-extensions", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--hide-scrollbars", "--force-color-profile=srgb", "--lang=en-US", "--no-proxy-server",
    # Only pages of this machine are opened.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip


class BrowserError(Exception):
    """Chromium is missing, did not answer, or rejected a call."""


class Browser:
    """A running Chromium with one page.

    Args:
        directory: for its profile and its log.

    Raises:
        BrowserError: it is not installed.
    """

    def __init__(self, directory: Path) -> None:
        program = shutil.which(os.environ.get("CHROMIUM", "chromium"))
        if program is None:
            raise BrowserError("Chromium is not installed (Debian: chromium fonts-noto-cjk); CHROMIUM names another.")
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        sandbox = () if os.geteuid() else ("--no-sandbox",)  # as root it refuses to start with a sandbox
        command = (program, *_FLAGS, *sandbox, f"--user-data-dir={directory}/profile", "about:blank")
        # It reads calls from descriptor 3 and writes answers to 4, and exits when this end is closed.
        pipes = f'exec "$0" "$@" 3<&{to_read} 4>&{to_write}'
        with (directory / "chromium.log").open("wb") as log:
            self._process = subprocess.Popen(
                ("bash", "-c", pipes, *command), pass_fds=(to_read, to_write), stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        os.close(to_read)
        os.close(to_write)
        self._buffer, self._number, self._session = b"", 0, ""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def close(self) -> None:
        with contextlib.suppress(BrowserError):
            self._session = ""
            self._call("Browser.close")
        os.close(self._write)
        os.close(self._read)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def window(self, width: int, height: int) -> None:
        """The size of the page in pixels, one to a pixel of the picture."""
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def open(self, url: str) -> None:
        """Navigates to a page, without waiting for what it loads."""
        if reason := self._call("Page.navigate", url=url).get("errorText"):
            raise BrowserError(f"{url}: {reason}")

    def evaluate(self, script: str) -> Any:
        """The value of a script's last expression, in the page.

        Raises:
            BrowserError: the script failed.
        """
        answer = self._call("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in answer:
            raise BrowserError(json.dumps(answer["exceptionDetails"])[:2000])
        return answer["result"].get("value")

    def screenshot(self) -> bytes:
        """The content of the window as PNG."""
        return base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"])

    def _call(self, method: str, **parameters: Any) -> Json:
        self._number += 1
        message: Json = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        for answer in self._answers():
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error']}")
                result: Json = answer["result"]
                return result
        raise BrowserError(f"{method}: no answer within {_ANSWER_TIMEOUT_S:g} s")

    def _answers(self) -> Iterator[Json]:
        """Messages as they arrive, events included, until the timeout or until Chromium exits."""
        deadline = time.monotonic() + _ANSWER_TIMEOUT_S
        while True:
            while b"\0" in self._buffer:
                first, _, self._buffer = self._buffer.partition(b"\0")
                yield json.loads(first)
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._read], [], [], left)[0]:
                return
            if not (data := os.read(self._read, 1 << 20)):
                return
            self._buffer += data

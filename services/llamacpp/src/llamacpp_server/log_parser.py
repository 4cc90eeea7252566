"""Filters llama.cpp's log, and reads the start-up phase and the reason of a failure from it.

llama.cpp quotes parts of a request when it rejects one (a JSON error shows the bytes before it, a schema error the
schema). Prompts must never reach a log, so once requests can arrive, only lines that are known to hold nothing but
numbers are printed whole; of warnings and errors only the location in the code is printed, other lines are dropped.
"""

import re

# The location is a function's name, after a tag when the server itself logs; no other text may match.
_LINE = re.compile(
    r"^(?P<time>[\d.]+ )(?P<level>[A-Z]) (?P<location>(?:(?:srv|slot|cmn|que|res) +)?[\w~()]+: )(?P<text>.*)$"
)
_LISTENING = "listening on "
# A minimal Debian lacks OpenMP's, which the wheel does not bring.
_NO_LIBRARY = re.compile(r"ImportError: (libgomp\S+): cannot open shared object file")
_NUMBERS_ONLY = re.compile(
    r"(id +\d+ \| task -?\d+ \| )?"
    r"(prompt eval time =|eval time =|total time =|graphs reused =|stop processing:|processing task,"
    r"|selected slot by |n_past was set to \d|need to evaluate at least 1 token|cancel task, id_task = "
    r"|unauthorized: Invalid API Key$|cleaning up before exit|waiting for main loop exit|main loop exited"
    r"|task id = \d+, error: request \(\d+ tokens\) exceeds the available context size)"
)


class LogParser:
    """Parses the log of one run of the engine.

    Attributes:
        reason: the best explanation so far of why it could not start; empty when there is none.
    """

    def __init__(self) -> None:
        self._serving = False
        self.reason = ""

    def feed(self, line: str) -> tuple[str | None, str | None]:
        """Take a line.

        Returns:
            What may be printed of it, if anything, and the start-up phase that it begins, if any.
        """
        match = _LINE.match(line)
        if self._serving:
            return _safe(match), None
        if match is None:
            if library := _NO_LIBRARY.match(line):
                self.reason = f"{library[1]} is not on this machine (on Debian: apt-get install -y libgomp1)"
            return line, None
        text = match["text"].strip()
        if match["level"] == "E" and len(text) > len(self.reason):
            self.reason = text
        if _LISTENING in text:
            self._serving = True
            return line, "probing"
        return line, "loading_weights" if text.startswith("loading model") else _warm_up(text)


def _warm_up(text: str) -> str | None:
    return "warming_up" if "initializing, n_slots" in text else None


def _safe(match: re.Match[str] | None) -> str | None:
    if match is None:
        return None
    text = match["text"].strip()
    if _NUMBERS_ONLY.match(text):
        return match[0]
    if match["level"] in "WE":
        return f"{match['time']}{match['level']} {match['location']}(text withheld: it may quote a request)"
    return None

"""Reads the start-up phase, and the reason of a failure, from vLLM's log."""

import re
from collections import deque

_MAX_LINES = 400  # every process repeats the cause of a failure, followed by tracebacks

# Messages of vLLM 0.32; the first match wins.
_PHASES = tuple(
    (re.compile(pattern), phase)
    for pattern, phase in (
        (r"Starting vLLM server on ", "starting_server"),
        (r"Capturing (CUDA graphs|cudagraphs)", "capturing_graphs"),
        (r"(GPU|CPU) KV cache size: |Warming up done|Graph capturing finished", "warming_up"),
        (
            r"torch\.compile|Dynamo|Compiling a graph|Warming up model for the compilation",
            "compiling",
        ),
        (r"Loading \w+ checkpoint shards|Time spent downloading weights|Loading weights took", "loading_weights"),
        (r"^[\w./-]+\.(safetensors|bin|gguf|json|model|txt|py): +\d+%|^(Fetching|Downloading) ", "downloading"),
        (r"Starting to load model ", "loading_weights"),
        (r"Initializing a V1 LLM engine", "starting_engine"),
        (r"non-default args: ", "reading_configuration"),
    )
)
_PREFIX = re.compile(r"^(\([^)]*pid=\d+\) )?((?P<level>[A-Z]+) \d\d-\d\d \d\d:\d\d:\d\d \[[^\]]*\] ?)?")
_ERROR = re.compile(r"^(?:[\w.]+\.)?\w*(?:Error|Exception): (?P<text>.+)")
_USAGE_ERROR = re.compile(r"^\S+(?: serve)?: error: (?P<text>.+)")
_VALUE_ERROR = re.compile(r"Value error, (?P<text>.+?)(?: \[type=|$)")
# Errors that only report the failure of another process.
_SECONDARY_ERRORS = (
    "Engine core initialization failed",
    "EngineCore encountered an issue",
    "WorkerProc initialization failed",
)

_KV_TOO_SMALL = re.compile(
    r"max seq len \((?P<length>\d+)\), \((?P<needed>[\d.]+) GiB KV cache is needed, which is larger than the "
    r"available KV cache memory \((?P<free>[\d.]+) GiB\)\."
    r"(?: Based on the available memory, the estimated maximum model length is (?P<fits>\d+))?"
)
_NO_KV = re.compile(r"No available memory for the cache blocks")
_GPU_BUSY = re.compile(
    r"Free memory on device \S+ \((?P<free>[\d.]+)/(?P<total>[\d.]+) GiB\) on startup is less than desired GPU memory "
    r"utilization \((?P<share>[\d.]+), (?P<needed>[\d.]+) GiB\)"
)
_CUDA_OOM = re.compile(
    r"CUDA out of memory\. Tried to allocate (?P<needed>[\d.]+ \w+)\..*?total capacity of (?P<total>[\d.]+ \w+) of "
    r"which (?P<free>[\d.]+ \w+) is free"
)


class LogParser:
    """Parses the log of one run of vLLM."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_MAX_LINES)

    def feed(self, line: str) -> str | None:
        """Take a line, and return the start-up phase that it begins, if any."""
        text = _PREFIX.sub("", line, count=1).strip()
        self._lines.append(text)
        return next((phase for pattern, phase in _PHASES if pattern.search(text)), None)

    def reason(self) -> str:
        """Return why vLLM exited, or an empty string when the log does not say; memory comes first."""
        for line in self._lines:
            if explained := _explain_memory(line):
                return explained
        for pattern in (_VALUE_ERROR, _ERROR, _USAGE_ERROR):
            for line in self._lines:
                match = pattern.search(line)
                if match and not any(echo in line for echo in _SECONDARY_ERRORS):
                    return match["text"] if pattern is not _ERROR else line
        return ""


def _explain_memory(line: str) -> str:
    if match := _KV_TOO_SMALL.search(line):
        advice = f"set max-model-len to {match['fits']} or less, or " if match["fits"] else ""
        return (
            f"Out of memory: max-model-len {match['length']} needs {match['needed']} GiB of KV cache and "
            f"{match['free']} GiB are available; {advice}raise gpu-memory-utilization, or use a smaller model."
        )
    if match := _GPU_BUSY.search(line):
        return (
            f"Out of memory: gpu-memory-utilization {match['share']} needs {match['needed']} GiB and of the "
            f"{match['total']} GiB only {match['free']} are free; lower it, or stop what else uses the GPU."
        )
    if match := _CUDA_OOM.search(line):
        return (
            f"Out of memory: {match['needed']} more were needed and of {match['total']} only {match['free']} are free; "
            "lower max-model-len, max-num-seqs or gpu-memory-utilization, or use a smaller model."
        )
    if _NO_KV.search(line):
        return (
            "Out of memory: the weights leave nothing for the KV cache; raise gpu-memory-utilization, lower "
            "max-model-len, or use a smaller model."
        )
    return ""

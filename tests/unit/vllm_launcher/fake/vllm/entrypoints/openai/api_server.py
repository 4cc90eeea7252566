"""A fake of vLLM's server: it writes lines recorded from the real one, then serves /health, or fails as it does.

FAKE_VLLM says what it does: `serve`, `out-of-memory`, `usage`, or `vanish` (die silently).
"""

import argparse
import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

STARTING = """\
(APIServer pid=7555) INFO 11-21 00:39:59 [api_utils.py:286] non-default args: {'model': 'tiny'}
(EngineCore pid=7744) INFO 11-21 00:40:56 [core.py:133] Initializing a V1 LLM engine (v0.32.0) with config: model='tiny'
(Worker pid=7883) INFO 11-21 00:41:18 [cpu_model_runner.py:68] Starting to load model tiny...
Loading safetensors checkpoint shards:   0% Completed | 0/1 [00:00<?, ?it/s]
(Worker pid=7883) INFO 11-21 00:41:20 [cpu_model_runner.py:87] Warming up model for the compilation...
"""
OUT_OF_MEMORY = """\
(EngineCore pid=19347) ERROR 11-21 01:01:27 [core.py:1510] ValueError: To serve at least one request with the model's \
max seq len (10000000), (4.77 GiB KV cache is needed, which is larger than the available KV cache memory (1.0 GiB). \
Based on the available memory, the estimated maximum model length is 2097024. Try increasing `gpu_memory_utilization`
RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {'EngineCore': 1}
"""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name is http.server's
        pass


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def serve(host: str, port: int) -> None:
    say("(APIServer pid=7555) INFO 11-21 00:41:58 [entry.py:140] Starting vLLM server on http://x")
    server = ThreadingHTTPServer((host, port), Handler)

    def stop(*_: object) -> None:
        say("fake: draining")
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    server.serve_forever(0.05)
    server.server_close()
    time.sleep(0.2)
    say("fake: drained")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--config", type=Path)
    options, _ = parser.parse_known_args()
    say("fake: argv " + json.dumps(sys.argv[1:]))
    say("fake: env " + json.dumps({name: text for name, text in os.environ.items() if "VLLM" in name or "KEY" in name}))
    match os.environ["FAKE_VLLM"]:
        case "vanish":
            sys.exit(5)
        case "usage":
            sys.exit("api_server.py: error: argument --dtype: invalid choice: 'x'")
        case "out-of-memory":
            say(STARTING + OUT_OF_MEMORY)
            sys.exit(1)
    keys = json.loads(options.config.read_text())["api-key"] if options.config else []
    say(STARTING.replace("{'model': 'tiny'}", f"{{'model': 'tiny', 'api_key': {keys}}}"))
    serve(options.host, options.port)


if __name__ == "__main__":
    main()

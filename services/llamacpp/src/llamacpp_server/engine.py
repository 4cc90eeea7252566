"""The engine's process: llama.cpp's C++ server, and nothing else.

`python -m llamacpp_server.engine` reads its parameters from standard input.

It is a process of its own, apart from the launcher, because llama.cpp ends the whole process on some broken models and
when memory runs out, and because what it logs about requests must pass a filter (see `log`).
"""

import signal
import sys

import xllamacpp  # type: ignore[import-untyped]  # it ships no stubs

from llamacpp_server.parameters import Parameters

_PROMPT_CACHE_MIB = 512  # of prompts that have left their slot; the default of 8 GiB is more than the container has
_SPARE_HTTP_THREADS = 64  # each waiting or streaming client holds one; /health and /metrics must always find a free one


def common_params(wanted: Parameters) -> xllamacpp.CommonParams:
    """Put the parameters into llama.cpp's terms."""
    params = xllamacpp.CommonParams()
    params.model.path = wanted.model
    params.model_alias = {wanted.alias}
    params.hostnames = [wanted.host]
    params.port = wanted.port
    params.api_keys = list(wanted.keys)
    params.n_ctx = wanted.ctx
    params.n_parallel = wanted.parallel
    params.cache_ram_mib = _PROMPT_CACHE_MIB
    params.n_gpu_layers = wanted.gpu_layers
    params.n_threads_http = wanted.parallel + _SPARE_HTTP_THREADS
    for cpu in (params.cpuparams, params.cpuparams_batch):
        cpu.n_threads = wanted.threads
        cpu.poll = 0  # spinning threads starve the gateway beside them: on two busy cores 243 tokens/s against 615
    params.lora_adapters = [_adapter(path) for path in wanted.lora]
    params.embedding = wanted.embeddings
    if wanted.embeddings:
        # A chat model names no pooling, and without one /v1/embeddings answers 400.
        params.n_batch = params.n_ubatch = wanted.embedding_tokens
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    params.endpoint_metrics = True
    params.endpoint_slots = False  # it shows the text of an assistant message that a client has begun
    params.endpoint_props = False  # POST /props changes the server; GET is always there
    params.ui = False
    # By default any Origin is reflected. With no origin named the header stays, empty, which no browser accepts.
    params.cors_origins = ""
    params.cors_origins_explicit = True
    params.cors_credentials = False
    return params


def main() -> None:
    """Serve until a signal ends the process."""
    try:
        server = xllamacpp.Server(common_params(Parameters.load(sys.stdin.buffer.readline())))
    except RuntimeError as error:  # llama.cpp has logged the reason, which the launcher has read
        sys.exit(str(error))
    while server.listening_address:
        signal.pause()


def _adapter(path: str) -> xllamacpp.CommonAdapterLoraInfo:
    adapter = xllamacpp.CommonAdapterLoraInfo()
    adapter.path = path
    adapter.scale = 1.0
    return adapter


if __name__ == "__main__":
    main()

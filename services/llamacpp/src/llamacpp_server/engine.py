"""The engine's process: llama.cpp's C++ server, and nothing else.

`python -m llamacpp_server.engine` reads its parameters from standard input.

It is a process of its own, apart from the launcher, because llama.cpp aborts the whole process on some broken models
and when memory runs out, and because what it logs about requests must be filtered (see `log_parser`).
"""

import signal
import sys

import xllamacpp  # type: ignore[import-untyped]  # it ships no stubs

from llamacpp_server.parameters import Parameters

_PROMPT_CACHE_MIB = 512  # cached prompts of freed slots; the default of 8 GiB is more than the container has
_SPARE_HTTP_THREADS = 64  # each waiting or streaming client holds one; /health and /metrics must always find one free


def common_params(parameters: Parameters) -> xllamacpp.CommonParams:
    """Convert the parameters to llama.cpp's own."""
    params = xllamacpp.CommonParams()
    params.model.path = parameters.model
    params.model_alias = {parameters.alias}
    params.hostnames = [parameters.host]
    params.port = parameters.port
    params.api_keys = list(parameters.keys)
    params.n_ctx = parameters.ctx
    params.n_parallel = parameters.parallel
    params.cache_ram_mib = _PROMPT_CACHE_MIB
    params.n_gpu_layers = parameters.gpu_layers
    params.n_threads_http = parameters.parallel + _SPARE_HTTP_THREADS
    for cpu in (params.cpuparams, params.cpuparams_batch):
        cpu.n_threads = parameters.threads
        cpu.poll = 0  # spinning threads starve the gateway beside them: on two busy cores 243 tokens/s against 615
    params.lora_adapters = [_adapter(path) for path in parameters.lora]
    params.embedding = parameters.embeddings
    if parameters.embeddings:
        # A chat model defines no pooling, without which /v1/embeddings responds with 400.
        params.n_batch = params.n_ubatch = parameters.embedding_tokens
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    params.endpoint_metrics = True
    params.endpoint_slots = False  # it shows the text of an assistant message that a client has begun
    params.endpoint_props = False  # POST /props changes the server; GET is always there
    params.ui = False
    # By default any Origin is reflected. Without an origin the header is sent empty, which no browser accepts.
    params.cors_origins = ""
    params.cors_origins_explicit = True
    params.cors_credentials = False
    return params


def main() -> None:
    """Serve until a signal kills the process."""
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

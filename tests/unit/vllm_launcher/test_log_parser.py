import pytest

from vllm_launcher.log_parser import LogParser


@pytest.mark.parametrize(
    ("line", "phase"),
    [
        ("(APIServer pid=7) INFO 11-21 00:39:59 [api_utils.py:286] non-default args: {}", "reading_configuration"),
        (
            "(EngineCore pid=7) INFO 11-21 00:40:56 [core.py:133] Initializing a V1 LLM engine (v0)",
            "starting_engine",
        ),
        ("model-00001-of-00002.safetensors:  12%|#2        | 600M/4.96G [00:10<01:10, 60MB/s]", "downloading"),
        ("Fetching 12 files:   8%|8         | 1/12 [00:00<00:03,  3.3it/s]", "downloading"),
        (
            "(Worker pid=7) INFO 11-21 00:41:18 [x.py:68] Starting to load model tiny...",
            "loading_weights",
        ),
        ("Loading safetensors checkpoint shards:   0% Completed | 0/1 [00:00<?, ?it/s]", "loading_weights"),
        ("INFO 11-21 00:41:18 [weight_utils.py:533] Time spent downloading weights for a/b: 61.0 s", "loading_weights"),
        ("(Worker pid=7) INFO 11-21 00:41:20 [x.py:87] Warming up model for the compilation...", "compiling"),
        ("INFO 11-21 00:41:20 [monitor.py:20] torch.compile took 50.1 s in total", "compiling"),
        ("Capturing CUDA graphs (decode, FULL):  10%|#         | 1/10 [00:00<00:01]", "capturing_graphs"),
        ("(EngineCore pid=7) INFO 11-21 00:41:53 [kv.py:2327] CPU KV cache size: 2,097,152 tokens", "warming_up"),
        ("(APIServer pid=7) INFO 11-21 00:41:58 [entry.py:140] Starting vLLM server on http://x:1", "starting_server"),
        ("(APIServer pid=7) INFO 11-21 00:40:30 [model.py:2152] Using max model len 1024", None),
    ],
)
def test_the_phase_that_a_line_begins(line: str, phase: str | None) -> None:
    assert LogParser().feed(line) == phase


def reason(*lines: str) -> str:
    log = LogParser()
    for line in lines:
        log.feed(line)
    return log.reason()


ECHO = "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {'EngineCore': 1}"


def test_too_little_kv_cache_says_what_fits() -> None:
    assert reason(
        "(EngineCore pid=1) ERROR 11-21 01:01:27 [core.py:1510] ValueError: To serve at least one request with the "
        "model's max seq len (10000000), (4.77 GiB KV cache is needed, which is larger than the available KV cache "
        "memory (1.0 GiB). Based on the available memory, the estimated maximum model length is 2097024. Try",
        ECHO,
    ) == (
        "Out of memory: max-model-len 10000000 needs 4.77 GiB of KV cache and 1.0 GiB are available; set max-model-"
        "len to 2097024 or less, or raise gpu-memory-utilization, or use a smaller model."
    )


def test_too_little_kv_cache_for_any_length() -> None:
    assert reason(
        "ValueError: To serve at least one request with the model's max seq len (8192), (4.77 GiB KV cache is needed, "
        "which is larger than the available KV cache memory (0.01 GiB). Try increasing `gpu_memory_utilization`"
    ) == (
        "Out of memory: max-model-len 8192 needs 4.77 GiB of KV cache and 0.01 GiB are available; "
        "raise gpu-memory-utilization, or use a smaller model."
    )


def test_a_gpu_that_others_use() -> None:
    assert reason(
        "ValueError: Free memory on device cuda:0 (3.1/22.05 GiB) on startup is less than desired GPU memory "
        "utilization (0.9, 19.84 GiB). Decrease GPU memory utilization or reduce GPU memory used by other processes."
    ) == (
        "Out of memory: gpu-memory-utilization 0.9 needs 19.84 GiB and of the 22.05 GiB only 3.1 are free; "
        "lower it, or stop what else uses the GPU."
    )


def test_cuda_itself_out_of_memory() -> None:
    assert reason(
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 22.05 "
        "GiB of which 1.20 GiB is free. Process 1 has 20.8 GiB memory in use.",
        ECHO,
    ).startswith("Out of memory: 2.00 GiB more were needed and of 22.05 GiB only 1.20 GiB are free; lower ")


def test_weights_that_leave_nothing() -> None:
    assert reason("ValueError: No available memory for the cache blocks. Try increasing").startswith(
        "Out of memory: the weights leave nothing for the KV cache"
    )


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            [
                "(APIServer pid=1) pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig",
                "(APIServer pid=1)   Value error, max_model_len (9) is greater than 4. [type=value_error, input=A]",
            ],
            "max_model_len (9) is greater than 4.",
        ),
        (
            ["(EngineCore pid=1) ERROR 11-21 01:01:27 [core.py:1] OSError: tiny/model.safetensors is broken", ECHO],
            "OSError: tiny/model.safetensors is broken",
        ),
        (["api_server.py: error: argument --dtype: invalid choice: 'x'"], "argument --dtype: invalid choice: 'x'"),
        ([ECHO], ""),
        ([], ""),
    ],
)
def test_the_line_that_matters(lines: list[str], message: str) -> None:
    assert reason(*lines) == message

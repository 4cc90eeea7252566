from dataclasses import replace

import xllamacpp  # type: ignore[import-untyped]  # it ships no stubs

from llamacpp_server.engine import common_params
from llamacpp_server.parameters import Parameters

WANTED = Parameters(
    model="a.gguf",
    alias="demo",
    host="127.0.0.1",
    port=8002,
    ctx=400,
    parallel=4,
    threads=3,
    embeddings=True,
    embedding_tokens=256,
    gpu_layers=0,
    lora=("b.gguf",),
    keys=("sekret", "another"),
)


def test_parameters_become_llama_cpps_own() -> None:
    params = common_params(WANTED)

    assert (params.model.path, params.model_alias, params.hostnames) == ("a.gguf", {"demo"}, ["127.0.0.1"])
    assert (params.port, params.n_ctx, params.n_parallel, params.n_gpu_layers) == (8002, 400, 4, 0)
    assert (params.cpuparams.n_threads, params.cpuparams_batch.n_threads) == (3, 3)
    assert [adapter.path for adapter in params.lora_adapters] == ["b.gguf"]
    assert params.api_keys == ["sekret", "another"]
    assert params.n_threads_http > params.n_parallel


def test_nothing_is_shown_that_should_not_be() -> None:
    params = common_params(WANTED)

    assert params.endpoint_metrics
    assert not params.endpoint_slots
    assert not params.endpoint_props
    assert not params.ui
    assert (params.cors_origins, params.cors_credentials) == ("", False)


def test_the_prompt_cache_fits_into_a_container() -> None:
    assert 0 < common_params(WANTED).cache_ram_mib <= 512 < xllamacpp.CommonParams().cache_ram_mib


def test_no_key_means_an_open_engine() -> None:
    assert common_params(replace(WANTED, keys=())).api_keys == []


def test_embeddings_need_a_pooling_and_whole_inputs() -> None:
    on = common_params(WANTED)
    off = common_params(replace(WANTED, embeddings=False))

    assert on.embedding
    assert on.pooling_type == xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    assert (on.n_batch, on.n_ubatch) == (256, 256)
    assert not off.embedding
    assert off.n_batch == xllamacpp.CommonParams().n_batch

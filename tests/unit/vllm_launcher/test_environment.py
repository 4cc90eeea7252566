import pytest

from launcher.errors import ConfigurationError
from vllm_launcher.environment import child_environment, environment_options

DEPLOYMENT = {
    "VLLM_MODEL": "LGAI-EXAONE/EXAONE-3.5-2.4B-Instruct",
    "VLLM_HOST": "0.0.0.0",
    "VLLM_PORT": "8001",
    "VLLM_API_KEY": "sekret",
    "VLLM_GPU_MEMORY_UTILIZATION": "0.85",
    "VLLM_MAX_MODEL_LEN": "8192",
    "VLLM_DTYPE": "bfloat16",
    "VLLM_MAX_LORA_RANK": "16",
    "VLLM_TENSOR_PARALLEL_SIZE": "1",
    "VLLM_BASE_URL": "http://localhost:8001/v1",
    "VLLM_LORA_ADAPTER_CHECKLIST": "checklist",
}


def test_the_variables_of_a_deployment_become_options() -> None:
    assert environment_options(DEPLOYMENT) == {
        "model": ("LGAI-EXAONE/EXAONE-3.5-2.4B-Instruct",),
        "host": ("0.0.0.0",),
        "port": ("8001",),
        "gpu-memory-utilization": ("0.85",),
        "max-model-len": ("8192",),
        "dtype": ("bfloat16",),
        "max-lora-rank": ("16",),
        "tensor-parallel-size": ("1",),
    }


def test_none_of_them_reaches_vllm() -> None:
    assert child_environment(DEPLOYMENT) == {"VLLM_NO_USAGE_STATS": "1"}


def test_variables_that_vllm_reads_itself_are_kept() -> None:
    own = {
        "PATH": "/bin",
        "HF_HOME": "/cache",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CACHE_ROOT": "/cache/vllm",
        "VLLM_HOST_IP": "10.0.0.1",
        "VLLM_DCP_Q_REPLICATE": "1",
        "VLLM_NO_USAGE_STATS": "0",
    }

    assert environment_options(own) == {}
    assert child_environment(own) == own


def test_the_launchers_own_and_the_metrics_directory_are_not() -> None:
    ours = {
        "VLLM_MODEL_FILE": "a.yaml",
        "VLLM_STATUS_HOST": "",
        "VLLM_STATUS_PORT": "8101",
        "VLLM_STOP_GRACE": "30",
        "VLLM_DRAIN_DELAY": "2.5",
        "VLLM_PYTHON": "python",
        "ENGINE_KEY_FILE": "key",
        "PROMETHEUS_MULTIPROC_DIR": "/tmp/metrics",  # noqa: S108 -- only a name
        "VLLM_SWAP_SPACE": "",
        "VLLM_IMAGE": "vllm/vllm-openai:v0.32.0",  # Compose's
        "VLLM_MEMORY": "9g",
    }

    assert environment_options(ours) == {}
    assert child_environment(ours) == {"VLLM_NO_USAGE_STATS": "1"}


def test_a_removed_option_is_refused_here_too() -> None:
    with pytest.raises(ConfigurationError, match=r"^VLLM_SWAP_SPACE: vLLM no longer accepts swap-space"):
        environment_options({"VLLM_SWAP_SPACE": "4"})


def test_a_boolean_variable() -> None:
    assert environment_options({"VLLM_ENABLE_LORA": "1"}) == {"enable-lora": True}
    with pytest.raises(ConfigurationError, match=r"^VLLM_ENABLE_LORA=maybe cannot be used"):
        environment_options({"VLLM_ENABLE_LORA": "maybe"})


def test_development_mode_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"^VLLM_SERVER_DEV_MODE opens endpoints"):
        environment_options({"VLLM_SERVER_DEV_MODE": "1"})
    assert environment_options({"VLLM_SERVER_DEV_MODE": "0"}) == {}

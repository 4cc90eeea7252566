"""A model file: one `vllm serve --config` file per model, whose keys are vLLM's option names."""

from pathlib import Path

import yaml

from launcher.errors import ConfigurationError
from vllm_launcher.options import Options, canonical, option_kind
from vllm_launcher.values import from_yaml


def read_model_file(path: Path) -> Options:
    """Read and check a model file.

    Raises:
        ConfigurationError: it cannot be read, is not a YAML mapping, or holds what vLLM would not accept.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"VLLM_MODEL_FILE={path} cannot be read ({error.strerror}); name a YAML file of vLLM's options."
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"VLLM_MODEL_FILE={path} is not YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(content, dict) or not content:
        raise ConfigurationError(f"VLLM_MODEL_FILE={path} must be a YAML mapping of vLLM's options to values.")
    options: Options = {}
    for key, raw in content.items():
        name = canonical(str(key))
        kind = option_kind(name, str(path))
        if name in options:
            raise ConfigurationError(f"{path}: {name} is written twice.")
        if raw is not None:
            options[name] = from_yaml(raw, kind, f"{path}: {name}")
    return options

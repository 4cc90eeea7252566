"""The files of settings, which a backup holds beside the data of the stack."""

from pathlib import Path

from glasshouse.settings import Settings
from glasshouse.stack.data.files import FilesComponent
from glasshouse.stack.shape import CPU_FILE

NAME = "settings"
_FILES = (".env", "vllm.env", "compose.override.yaml")
_SHIPPED = {"compose.yaml", CPU_FILE}


def component(settings: Settings) -> FilesComponent:
    """The files beside the code that are its owner's own, with those that COMPOSE_FILE names in the checkout."""
    named = settings.environment.get("COMPOSE_FILE", "")
    separator = settings.environment.get("COMPOSE_PATH_SEPARATOR", ":")
    own = [str(Path(name)) for name in named.split(separator) if name and name not in _SHIPPED]
    inside = [name for name in own if not Path(name).is_absolute() and ".." not in Path(name).parts]
    return FilesComponent(NAME, {name: settings.root / name for name in dict.fromkeys((*_FILES, *inside))})

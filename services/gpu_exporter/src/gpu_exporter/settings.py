"""Typed settings: command line over environment, read once."""

import socket
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from launcher.settings import Port, ServiceSettings


class Settings(ServiceSettings):
    """The settings of the GPU exporter: `GPU_EXPORTER_<NAME>` in the environment, `--<name>` on the command line."""

    model_config = SettingsConfigDict(env_prefix="GPU_EXPORTER_", cli_prog_name="python -m gpu_exporter")

    host: Annotated[str, Field(description="address to listen on")] = "127.0.0.1"
    port: Annotated[Port, Field(description="port of /metrics and /healthz")] = 9400
    timeout: Annotated[
        float,
        Field(
            ge=0.1,
            le=60,
            description=(
                "seconds that reading all GPUs may take; after that a scrape says that they could not be read, so it "
                "has to be below Prometheus' scrape_timeout"
            ),
        ),
    ] = 3.0
    expected: Annotated[
        int | None, Field(ge=0, le=1024, description="GPUs that should be there; unset, the most that were ever seen")
    ] = None
    replay: Annotated[
        Path | None,
        Field(description="a saved response of /metrics to play back, labelled, instead of reading a GPU: for demos"),
    ] = None
    hostname: Annotated[str, Field(min_length=1, default_factory=socket.gethostname, description="the label Hostname")]

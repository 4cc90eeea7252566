"""Starts the services under test and stops them in reverse order, with the context that they were started in."""

import contextlib
import secrets
from pathlib import Path
from typing import Any

from tests.support.engine import Engine, start_llamacpp, start_vllm
from tests.support.gateway import Gateway, start_gateway
from tests.support.mock import Mock, start_mock


class Services:
    """Starts gateways and engines.

    Args:
        directory: For their logs, keys and other files.
        exits: Stops them.
    """

    def __init__(self, directory: Path, exits: contextlib.ExitStack) -> None:
        self.directory = directory
        self._exits = exits
        self._gateways = 0
        self.key_file = directory / "engine-key"
        self.key_file.write_text(secrets.token_urlsafe(32), encoding="ascii")

    def gateway(self, *engines: Engine | Mock | str, **options: Any) -> Gateway:
        """A gateway for engines, or for addresses as in `ENGINES`; see `start_gateway`."""
        self._gateways += 1
        real = next((engine for engine in engines if isinstance(engine, Engine)), None)
        if real is not None:
            options.setdefault("ENGINE_KEY_FILE", str(real.key_file))
        addresses = ",".join(engine if isinstance(engine, str) else engine.address for engine in engines)
        gateway = start_gateway(self.directory / f"gateway-{self._gateways}", addresses, **options)
        self._exits.callback(gateway.stop)
        return gateway

    def llamacpp(self, **options: Any) -> Engine:
        """See `start_llamacpp`."""
        engine = start_llamacpp(self.directory, self.key_file, **options)
        self._exits.callback(engine.program.stop)
        return engine

    def vllm(self, **options: Any) -> Engine:
        """See `start_vllm`."""
        engine = start_vllm(self.directory, self.key_file, **options)
        self._exits.callback(engine.program.stop, 60)
        return engine

    def mock(self, **options: Any) -> Mock:
        """See `start_mock`."""
        mock = start_mock(self.directory, **options)
        self._exits.callback(mock.program.stop)
        return mock

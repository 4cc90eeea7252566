"""Where tests start their parts: what one stage has started ends with it, the last one first."""

import contextlib
import secrets
from pathlib import Path
from typing import Any

from tests.support.engine import Engine, start_llamacpp, start_vllm
from tests.support.gateway import Gateway, start_gateway
from tests.support.mock import Mock, start_mock


class Stage:
    """Starts gateways and engines.

    Args:
        directory: For logs, keys and whatever else they need.
        exits: Ends them.
    """

    def __init__(self, directory: Path, exits: contextlib.ExitStack) -> None:
        self.directory = directory
        self._exits = exits
        self._gateways = 0
        self.key_file = directory / "engine-key"
        self.key_file.write_text(secrets.token_urlsafe(32), encoding="ascii")

    def gateway(self, *engines: Engine | Mock | str, **how: Any) -> Gateway:
        """A gateway in front of engines, or of addresses as they stand in `ENGINES`; see `start_gateway`."""
        self._gateways += 1
        real = next((engine for engine in engines if isinstance(engine, Engine)), None)
        if real is not None:
            how.setdefault("ENGINE_KEY_FILE", str(real.key_file))
        addresses = ",".join(engine if isinstance(engine, str) else engine.address for engine in engines)
        gateway = start_gateway(self.directory / f"gateway-{self._gateways}", addresses, **how)
        self._exits.callback(gateway.stop)
        return gateway

    def llamacpp(self, **how: Any) -> Engine:
        """See `start_llamacpp`."""
        engine = start_llamacpp(self.directory, self.key_file, **how)
        self._exits.callback(engine.program.stop)
        return engine

    def vllm(self, **how: Any) -> Engine:
        """See `start_vllm`."""
        engine = start_vllm(self.directory, self.key_file, **how)
        self._exits.callback(engine.program.stop, 60)
        return engine

    def mock(self, **how: Any) -> Mock:
        """See `start_mock`."""
        mock = start_mock(self.directory, **how)
        self._exits.callback(mock.program.stop)
        return mock

import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xmlrpc.server import SimpleXMLRPCDispatcher, SimpleXMLRPCRequestHandler

import pytest

from glasshouse.errors import StackError
from glasshouse.stack.native import supervisor

_RUNNING = {"name": "gateway", "statename": "RUNNING", "pid": 7, "start": 100, "now": 160, "exitstatus": 0}
_FAILING = {"name": "nginx", "statename": "BACKOFF", "pid": 0, "start": 0, "now": 160, "exitstatus": 1}


class _Handler(SimpleXMLRPCRequestHandler):
    rpc_paths = ("/", "/RPC2")
    disable_nagle_algorithm = False  # of TCP; this is a Unix socket


class _Server(socketserver.UnixStreamServer, SimpleXMLRPCDispatcher):
    """Answers as supervisord does; it has one program that it cannot stop."""

    logRequests = False  # noqa: N815 - the name that the handler reads

    def __init__(self, path: Path) -> None:
        SimpleXMLRPCDispatcher.__init__(self)
        super().__init__(str(path), _Handler)
        self.asked: list[str] = []
        self.register_function(
            lambda: [{**each, "spawnerr": ""} for each in (_RUNNING, _FAILING)], "supervisor.getAllProcessInfo"
        )
        self.register_function(self._stop, "supervisor.stopProcess")
        self.register_function(self._start, "supervisor.startProcess")

    def _stop(self, name: Any, _wait: Any, /) -> bool:
        if name == "stubborn":
            raise ValueError(name)
        self.asked.append(f"stop {name}")
        return True

    def _start(self, name: Any, _wait: Any, /) -> bool:
        self.asked.append(f"start {name}")
        return True


@pytest.fixture
def server(tmp_path: Path) -> Iterator[_Server]:
    with _Server(tmp_path / "s.sock") as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_programs_are_read_as_supervisord_describes_them(server: _Server) -> None:
    found = supervisor.programs(Path(str(server.server_address)))
    assert found is not None
    gateway, nginx = found
    assert (gateway.pid, gateway.uptime_s, gateway.is_failing) == (7, 60, False)
    assert (nginx.uptime_s, nginx.exit_status, nginx.is_failing) == (0, 1, True)


def test_a_program_is_stopped_and_started(server: _Server) -> None:
    socket = Path(str(server.server_address))
    supervisor.stop_program(socket, "prometheus")
    supervisor.start_program(socket, "prometheus")
    assert server.asked == ["stop prometheus", "start prometheus"]
    with pytest.raises(StackError, match="supervisord did not stop stubborn"):
        supervisor.stop_program(socket, "stubborn")


def test_where_nobody_listens_nothing_is_known(tmp_path: Path) -> None:
    assert supervisor.programs(tmp_path / "s.sock") is None
    with pytest.raises(StackError, match="supervisord did not start prometheus"):
        supervisor.start_program(tmp_path / "s.sock", "prometheus")

"""What is relied on of uvicorn beyond its documentation. A failure here names what a new version has changed."""

from __future__ import annotations

import inspect

import pytest
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import Server, ServerState

from gateway.server.uvicorn_internals import BaseServer, Cycle

OVERRIDDEN = [
    (Cycle, RequestResponseCycle, "receive"),
    (BaseServer, Server, "startup"),
    (Server, BaseServer, "shutdown"),
]


@pytest.mark.parametrize(("ours", "theirs", "method"), OVERRIDDEN, ids=lambda value: getattr(value, "__name__", value))
def test_what_is_overridden_is_called_as_before(ours: type, theirs: type, method: str) -> None:
    assert list(inspect.signature(getattr(ours, method)).parameters) == list(
        inspect.signature(getattr(theirs, method)).parameters
    )


def test_a_cycle_is_made_of_this() -> None:
    assert list(inspect.signature(RequestResponseCycle.__init__).parameters)[1:] == [
        *("scope", "transport", "flow", "logger", "access_logger", "access_log", "default_headers", "message_event"),
        *("expect_100_continue", "keep_alive", "on_response"),
    ]


@pytest.mark.parametrize(
    "attribute",
    ["waiting_for_100_continue", "transport", "flow", "message_event", "disconnected", "body", "more_body",
     "response_started", "response_complete", "keep_alive", "on_response"],
)  # fmt: skip
def test_a_cycle_keeps_this(attribute: str) -> None:
    assert f"self.{attribute}" in inspect.getsource(RequestResponseCycle)


def test_a_cycle_says_that_it_is_the_last_and_closes_in_this_order() -> None:
    source = inspect.getsource(RequestResponseCycle.send)
    assert "if not self.keep_alive and not has_connection_close:" in source
    end = source[source.index("self.response_complete = True") :]
    assert end.index("self.transport.close()") < end.index("self.on_response()")


@pytest.mark.parametrize("method", ["pause_reading", "resume_reading", "pause_writing", "resume_writing"])
def test_flow_control_has_this(method: str) -> None:
    assert callable(getattr(FlowControl, method))


def test_a_server_keeps_this() -> None:
    assert {"connections", "tasks"} <= set(vars(ServerState()))
    stop = inspect.getsource(Server.shutdown)
    assert "connection.shutdown()" in stop
    assert "self.servers" in stop
    assert "self.config.timeout_graceful_shutdown" in stop
    for attribute in ("lifespan", "server_state", "started", "should_exit"):
        assert f"self.{attribute}" in inspect.getsource(Server)
    for attribute in ("loaded_app", "backlog"):
        assert f"self.{attribute}" in inspect.getsource(Config)

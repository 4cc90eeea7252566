"""The tree of errors: each class says how it is answered and counted."""

from __future__ import annotations

import typing

import pytest

from gateway import errors
from gateway.errors import (
    ENGINE_PHASES,
    BodyTooLarge,
    ClientError,
    EngineError,
    EngineRejected,
    EngineTimeout,
    GatewayError,
    MethodNotAllowed,
    Outcome,
)

ANSWERS = {
    "InvalidRequest": (400, "invalid_request_error", None, "client_error"),
    "ContextLengthExceeded": (400, "invalid_request_error", "context_length_exceeded", "client_error"),
    "MalformedRequest": (400, "invalid_request_error", "malformed_http", "client_error"),
    "Unauthorized": (401, "invalid_request_error", "invalid_api_key", "client_error"),
    "Forbidden": (403, "permission_error", "forbidden", "client_error"),
    "NotFound": (404, "invalid_request_error", "not_found", "client_error"),
    "ModelNotFound": (404, "invalid_request_error", "model_not_found", "client_error"),
    "RequestTimeout": (408, "invalid_request_error", "request_timeout", "client_error"),
    "BodyTooLarge": (413, "invalid_request_error", "request_too_large", "client_error"),
    "HeadersTooLarge": (431, "invalid_request_error", "headers_too_large", "client_error"),
    "ClientDisconnected": (499, "server_error", "client_closed_request", "cancelled"),
    "TooManyConnections": (503, "service_unavailable", "too_many_connections", "queue_full"),
    "TooManyUploads": (503, "service_unavailable", "too_many_uploads", "queue_full"),
    "NoEngineReady": (503, "service_unavailable", "no_engine_ready", "engine_error"),
    "EngineUnreachable": (502, "engine_error", "engine_unreachable", "engine_error"),
    "EngineBadResponse": (502, "engine_error", "engine_broken", "engine_error"),
    "EngineRateLimited": (429, "rate_limit_error", "rate_limit_exceeded", "rate_limited"),
    "EngineOverloaded": (503, "service_unavailable", "engine_overloaded", "engine_error"),
    "OutOfResources": (503, "service_unavailable", "gateway_overloaded", "internal_error"),
    "ShuttingDown": (503, "service_unavailable", "shutting_down", "internal_error"),
    "GatewayError": (500, "server_error", "internal_error", "internal_error"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_how_each_is_answered_and_counted(name: str) -> None:
    error = getattr(errors, name)("what is wrong", param="field", retry_after=3)
    assert (error.http_status, error.type, error.code, error.outcome) == ANSWERS[name]
    assert (error.message, error.param, error.retry_after, str(error)) == ("what is wrong", "field", 3, "what is wrong")


def test_every_class_is_one_of_these() -> None:
    classes = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, GatewayError)}
    by_hand = {"ClientError", "EngineError", "MethodNotAllowed", "EngineRejected", "EngineTimeout"}
    by_hand |= {"EngineStalled", "EngineReset", "EngineBusy", "UnsupportedCoding"}
    assert classes == set(ANSWERS) | by_hand


RETRIED = {
    *("RequestTimeout", "NoEngineReady", "EngineUnreachable", "EngineReset", "EngineRateLimited", "EngineOverloaded"),
    *("OutOfResources", "ShuttingDown", "TooManyConnections", "TooManyUploads"),
}


def test_sdks_are_told_whether_to_ask_again() -> None:
    """By default they ask again for 408, 409, 429 and all of 5xx, whatever came of it."""
    output = {
        name: kind.should_retry
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, GatewayError)
    }
    unsaid = {"GatewayError", "EngineError", "ClientDisconnected"}
    assert {name for name, value in output.items() if value} == RETRIED | {"EngineBusy"}
    assert {name for name, value in output.items() if value is None} == unsaid


def test_every_outcome_of_a_class_is_in_the_list() -> None:
    allowed = set(typing.get_args(Outcome))
    pending: list[type[GatewayError]] = [GatewayError]
    while pending:
        kind = pending.pop()
        assert kind.outcome in allowed
        pending.extend(kind.__subclasses__())


@pytest.mark.parametrize("status", [400, 404, 422, 429, 499])
def test_an_engines_4xx_keeps_its_status(status: int) -> None:
    error = EngineRejected("no", status=status, param="x", code="c")
    assert (error.http_status, error.code, error.outcome) == (status, "c", "client_error")
    assert isinstance(error, ClientError)


@pytest.mark.parametrize("phase", ENGINE_PHASES)
def test_a_timeout_names_its_phase(phase: errors.EnginePhase) -> None:
    error = EngineTimeout("slow", phase=phase)
    assert (error.http_status, error.type, error.code, error.outcome) == (
        *(504, "timeout_error", "engine_timeout", "timeout"),
    )
    assert error.phase == phase
    assert isinstance(error, EngineError)


def test_a_wrong_method_says_which_are_right() -> None:
    error = MethodNotAllowed("POST only", allow="POST")
    assert (error.http_status, error.code, error.allow) == (405, "method_not_allowed", "POST")


def test_a_code_of_ones_own_does_not_stick_to_the_class() -> None:
    assert BodyTooLarge("x", code="mine").code == "mine"
    assert BodyTooLarge("x").code == "request_too_large"


def test_a_coding_that_is_not_taken_says_which_are() -> None:
    error = errors.UnsupportedCoding("br is not taken", accepted="gzip")
    assert (error.http_status, error.code, error.outcome, error.accepted) == (
        *(415, "unsupported_content_encoding", "client_error", "gzip"),
    )

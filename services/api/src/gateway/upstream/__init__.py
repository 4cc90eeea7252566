"""The HTTP client to the engines, written by hand since this is the relay's hot path (docs/decisions)."""

from gateway.upstream.client import Upstream
from gateway.upstream.engine_key import EngineKey
from gateway.upstream.response import Response
from gateway.upstream.retry_after import parse_retry_after

__all__ = ["EngineKey", "Response", "Upstream", "parse_retry_after"]

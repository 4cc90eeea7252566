"""Dialects: what a request asks, a stream says, an answer took, an error means. Pure functions over bytes.

A new one is a package of its own and a line here.
"""

from gateway.dialects.base import Dialect, Endpoint
from gateway.dialects.openai import OPENAI, OPENAI_ENDPOINTS

# The relayed paths: an allow-list.
ENDPOINTS: dict[str, Endpoint] = {endpoint.path: endpoint for endpoint in OPENAI_ENDPOINTS}
# Errors have its shape on all other paths.
DEFAULT_DIALECT: Dialect = OPENAI

__all__ = ["DEFAULT_DIALECT", "ENDPOINTS"]

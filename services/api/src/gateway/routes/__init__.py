"""What FastAPI serves: everything but the relayed paths, and the documentation of those too."""

from gateway.routes.api import create_api

__all__ = ["create_api"]

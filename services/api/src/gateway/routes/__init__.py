"""What FastAPI serves: everything but the relayed paths, and their documentation."""

from gateway.routes.api import create_api

__all__ = ["create_api"]

"""What FastAPI serves: everything but the relayed paths, and the documentation of those too."""

from gateway.routes.api import rest_of_the_api

__all__ = ["rest_of_the_api"]

"""The HTTP API (contract, section 3): translate a request, call a service, map its answer back."""

from mosaic_core.entrypoints.http.blueprint import Api, create_blueprint

__all__ = ["Api", "create_blueprint"]

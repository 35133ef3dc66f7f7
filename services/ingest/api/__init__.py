"""The public HTTP API: routes, models, problems, limits."""

from services.ingest.api.app_factory import export_openapi, openapi_document

__all__ = ["export_openapi", "openapi_document"]

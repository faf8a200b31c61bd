"""The table of all routes of the control plane, in the order of the document."""

from ingress.api.resources import (
    alerts,
    audit,
    deliveries,
    jobs,
    keys,
    platforms,
    quarantine,
    schemas,
    source_refusals,
    source_rotation,
    source_verify,
    sources,
    stream_run,
    stream_tables,
    streams,
    tenants,
)
from ingress.api.routes import Route

ROUTES: tuple[Route, ...] = (
    *tenants.ROUTES,
    *keys.ROUTES,
    *platforms.ROUTES,
    *sources.ROUTES,
    *source_rotation.ROUTES,
    *source_verify.ROUTES,
    *source_refusals.ROUTES,
    *schemas.ROUTES,
    *streams.ROUTES,
    *stream_run.ROUTES,
    *stream_tables.ROUTES,
    *quarantine.ROUTES,
    *deliveries.ROUTES,
    *jobs.ROUTES,
    *alerts.ROUTES,
    *audit.ROUTES,
)

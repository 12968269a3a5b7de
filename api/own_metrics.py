"""`/metrics` of an application that has no figures but its own: how quickly it answers.

Those of the whole system are on the page of the clusters' application, once.
"""

from fastapi import FastAPI
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.responses import Response

from api.limits import RequestTimer
from api.metrics import RequestMetrics


def serve_own_metrics(app: FastAPI) -> RequestMetrics:
    """Add `/metrics` to an application that has not started, and time its requests."""
    metrics = RequestMetrics()

    async def page() -> Response:
        """How quickly this application answers, for Prometheus."""
        return Response(metrics.own_page(), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    app.add_api_route("/metrics", page, include_in_schema=False)
    app.add_middleware(RequestTimer, metrics=metrics)
    return metrics

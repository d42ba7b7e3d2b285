"""GET /metrics: what all processes of this API tell Prometheus, whichever of them is asked."""

from collections.abc import Sequence
from functools import partial
from typing import cast

from fastapi import APIRouter, Request
from fastapi.responses import Response

from api.auth import credentials
from api.context import Context, context_of
from api.parts import Works
from api.paths import READ
from api.request_metrics import RequestMetrics
from api.scopes import METRICS, check_scope
from dispatcher import metrics
from dispatcher.metrics_text import metrics_text
from dispatcher.process_watch import ProcessWatch, build_info
from dispatcher.queue_figures import read_figures
from dispatcher.shared_sheets import SharedSheets
from dispatcher.sheet import Sheet

router = APIRouter()


class ApiMetrics:
    """The metrics of one process, and of those that it shares files with."""

    def __init__(self, requests: RequestMetrics) -> None:
        self.requests = requests
        self._shared: SharedSheets | None = None
        self._context: Context | None = None
        self._watch: ProcessWatch | None = None

    def share(self, files: Sequence[int]) -> None:
        """The processes of this API have these files, the first of them is this one's."""
        self._shared = SharedSheets(files)

    def begin(self, context: Context) -> Works:
        """The parts of the API are there. Returns what is to run beside them."""
        self._context, queue = context, context.queue
        self.requests.is_known = lambda model: model in context.directory.models
        self._watch = ProcessWatch(queue.redis.link, self.publish)
        history = partial(self.requests.history.run, queue.lifeline, queue.api)
        return {"watch over the process": self._watch.run, "history": history}

    def publish(self) -> None:
        """The other processes see what this one has counted."""
        if self._shared is not None:
            self._shared.write(self._own())

    async def text(self, accept: str = "") -> tuple[bytes, str]:
        """What Prometheus gets, and its content type."""
        self.publish()  # first, so that no later scrape tells less
        whole = self._own()
        for sheet in self._shared.others() if self._shared is not None else ():
            whole.take(sheet)
        whole.take(build_info())
        if self._context is not None:
            whole.add(metrics.API_CONFIGURED, self._context.settings.api_workers)
            redis, models = self._context.queue.redis, self._context.directory.models.values()
            whole.take(await read_figures(redis, models))
        return metrics_text(whole, accept)

    def _own(self) -> Sheet:
        """The counts of this process, and of those that it replaced."""
        sheet = self.requests.sheet()
        sheet.add(metrics.API_PROCESSES, 1)
        if self._context is not None:
            sheet.take(load_of(self._context))
        if self._watch is not None:
            sheet.take(self._watch.sheet())
        if self._shared is not None:
            sheet.take(self._shared.before)
        return sheet


def load_of(context: Context) -> Sheet:
    """What this process has to do at the moment."""
    sheet = Sheet()
    is_open, in_line, _ = context.line.counts()
    sheet.add(metrics.OPEN_REQUESTS, is_open)
    sheet.add(metrics.REQUESTS_IN_LINE, in_line)
    sheet.add(metrics.BODY_BYTES, context.room.held_bytes)
    sheet.add(metrics.ANSWER_BYTES, context.answers.held_bytes)
    return sheet


@router.api_route("/v1/metrics", methods=READ)
async def scrape(request: Request) -> Response:
    """The metrics, for a token that names the scope `metrics`: they are about all tenants."""
    context = context_of(request)
    tenant = await context.authenticator.admit(credentials(request.headers))
    check_scope(tenant.scopes, METRICS)
    kept = cast(ApiMetrics, request.app.state.metrics)
    text, content_type = await kept.text(request.headers.get("accept", ""))
    return Response(text, headers={"content-type": content_type})

"""Serves one endpoint: from a request to jobs in the queue, and from their replies to its answer.

It knows nothing of what is asked: that is in the endpoint's row of `api.endpoints`.
"""

from collections.abc import Awaitable, Mapping
from typing import Any

from starlette.types import Receive, Scope, Send

from api.body import read_body
from api.context import Context
from api.endpoint import Asked, Endpoint
from api.error_handlers import wrong_method
from api.errors import ApiError, from_llamaq
from api.exchange import ClientGone, Exchange
from api.jobs import jobs_of
from api.request_log import Record
from api.shape import Shape
from api.stream import StreamedAnswer
from api.terms import read_terms
from api.whole import send_whole
from dispatcher.errors import LlamaqError


class Relay:
    """The ASGI app of one endpoint."""

    def __init__(self, endpoint: Endpoint[Any]) -> None:
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        record: Record = scope["state"]["record"]
        try:
            if scope["method"] != "POST":
                raise wrong_method(scope, {"Allow": "POST"})
            await self._serve(scope, record, receive, send)
        except ClientGone:
            record.status = 499
        except ApiError as error:
            await error.response()(scope, receive, send)
        except LlamaqError as error:
            await from_llamaq(error, record.id).response()(scope, receive, send)

    async def _serve(self, scope: Scope, record: Record, receive: Receive, send: Send) -> None:
        context: Context = scope["app"].state.context
        headers = _headers(scope)
        tenant = context.authenticator.authenticate(headers.get("authorization"))
        record.tenant = tenant.subject
        body = await read_body(headers, receive, context.settings.max_body_bytes)
        asked = self._endpoint.read(body, context.settings)
        terms = read_terms(tenant, headers, asked.fields)
        record.model, record.tier = asked.model, terms.tier
        asked = await _of_its_model(asked, context, record)
        work = asked.work(tenant.subject, context.directory.mean_completion(asked.model))
        jobs = jobs_of(self._endpoint.path, work, tenant, terms, record.id, context.settings)
        exchange = Exchange(context, record, jobs, self._endpoint.splice)
        try:
            await self._answer(asked, exchange, receive, send)
        finally:
            exchange.close()

    def _answer(
        self, asked: Asked, exchange: Exchange, receive: Receive, send: Send
    ) -> Awaitable[None]:
        if not asked.stream:
            return send_whole(exchange, self._endpoint.assemble(asked), receive, send)
        shape = Shape(asked.choices, self._endpoint.id_prefix + exchange.jobs[0].id)
        quiet_s = exchange.context.settings.queue_position_after_s
        return StreamedAnswer(exchange, shape, quiet_s).send(receive, send)


async def _of_its_model(asked: Asked, context: Context, record: Record) -> Asked:
    """The request by the own name of its model, which has a worker that is able to serve it."""
    directory = context.directory
    record.model = model = await directory.require(asked.model)
    asked = asked.of_model(model, directory.context(model))
    await directory.require_able(model, asked.needs)
    return asked


def _headers(scope: Scope) -> Mapping[str, str]:
    """The headers by their names in lower case; of several with one name the first."""
    return {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in reversed(scope["headers"])
    }

"""Serves one endpoint: from a request to jobs in the queue, and from their replies to its answer.

It knows nothing of what is asked: that is in the endpoint's row of `api.endpoints`.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from starlette.types import Receive, Scope, Send

from api.allowed_models import Lists, allowed_name, require_allowed
from api.answer_room import HeldAnswer
from api.aside import LARGE_BYTES
from api.auth import credentials
from api.body import has_left, read_body
from api.content_coding import is_packed, unpacked, unpacked_bytes
from api.context import Context
from api.departure import ClientGone
from api.endpoint import Asked, Endpoint, Items, Shape
from api.error_handlers import wrong_method
from api.errors import ApiError
from api.exchange import Exchange
from api.idempotency.key import KEY_HEADER, fingerprint_of, read_key
from api.idempotency.keyed import Keyed
from api.isolation import isolated
from api.jobs import jobs_of
from api.refusal import refuse
from api.request_log import CLIENT_GONE, Record
from api.scopes import check_scope
from api.stream import StreamedAnswer
from api.tenant import Tenant
from api.terms import read_terms
from api.unknown_fields import header_of
from api.visit import Visit
from api.whole import send_whole
from dispatcher.errors import LlamaqError
from dispatcher.job import BODY
from dispatcher.kept_answers import Asker, answer_name
from dispatcher.needs import COMPLETION, Needs

_Answer = Callable[[Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Call:
    """A request as it comes. The names of its headers are in lower case."""

    context: Context
    record: Record
    headers: Mapping[str, str]
    receive: Receive


class Relay:
    """The ASGI app of one endpoint."""

    def __init__(self, endpoint: Endpoint[Any]) -> None:
        self._endpoint = endpoint
        self.errors = endpoint.errors
        self.id_header = endpoint.id_header.encode()
        self.doors = endpoint.doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        record: Record = scope["state"]["record"]
        headers = _headers(scope)
        try:
            if scope["method"] != "POST":
                raise wrong_method(scope, {"Allow": "POST"})
            context: Context = scope["app"].state.context
            await self._serve(Call(context, record, headers, receive), send)
        except ClientGone:
            record.status, record.code = 499, CLIENT_GONE
        except (ApiError, LlamaqError) as error:
            shown = record.fail(error)
            await refuse(shown, headers, receive, send, self.errors(shown, record.id))

    async def _serve(self, call: Call, send: Send) -> None:
        context = call.context
        tenant = await context.authenticator.admit(credentials(call.headers))
        call.record.tenant = tenant.subject
        check_scope(tenant.scopes, self._endpoint.scope)
        visit = Visit(context.line, context.room, tenant.subject)
        try:
            limit = context.settings.max_body_bytes
            body = await read_body(call.headers, call.receive, limit, visit.hold)
            if "content-encoding" in call.headers and is_packed(call.headers):
                body = await _unpacked(body, context, visit)
            if KEY_HEADER in call.headers and context.once is not None:
                request = await self._keyed(call, tenant, visit, body)
                del body
                await context.once.serve(request, call.receive, send)
                return
            exchange, answer = await self._exchange(call, tenant, visit, body)
            del body
            try:
                await exchange.begin(call.receive)
                visit.work_is_done()
                await answer(send)
            finally:
                exchange.close()
        finally:
            visit.leave()

    async def _keyed(self, call: Call, tenant: Tenant, visit: Visit, body: bytes) -> Keyed:
        """The request as one that runs once. It holds the body until it runs."""
        context, record, size = call.context, call.record, len(body)
        key, read, settings = read_key(call.headers), self._endpoint.read, context.settings
        path = self._endpoint.path
        async with context.aside.alone(tenant.subject, size):
            user = await self._user_of(call, tenant, body)
            fingerprint = await context.aside.run(size, fingerprint_of, path, body)
        bodies = [body]

        async def run(receive: Receive, send: Send) -> None:
            own = replace(call, receive=receive)
            exchange, answer = await self._exchange(own, tenant, visit, bodies.pop())
            with closing(exchange):
                await exchange.begin(receive)
                visit.work_is_done()
                await answer(send)

        async def shape() -> Shape | None:
            asked = await context.aside.run(size, read, bodies[0], settings)
            return self._endpoint.shape(asked, record.id) if asked.stream else None

        asker = Asker(answer_name(tenant.subject, user, key), fingerprint, record.id)
        return Keyed(record, asker, run, visit.hold_more, shape)

    async def _user_of(self, call: Call, tenant: Tenant, body: bytes) -> str:
        """The end user of a request with a key; "" for none.

        Raises `ApiError` 403 if the tenant may not use the model now: a kept answer is not for it.
        """
        context = call.context
        has_lists = context.limiter.of(tenant, "").lists
        if not tenant.delegate and not has_lists:  # most often
            return ""
        asked = await context.aside.run(len(body), self._endpoint.read, body, context.settings)
        user = read_terms(tenant, call.headers, asked.fields).user
        lists, _ = context.limiter.of(tenant, user)
        if lists:
            await allowed_name(context.directory, lists, asked.model, asked.needs)
        return user

    async def _exchange(
        self, call: Call, tenant: Tenant, visit: Visit, body: bytes
    ) -> tuple[Exchange, _Answer]:
        """What serves the request, and what sends its answer. Neither holds the request itself."""
        context, record = call.context, call.record
        size, aside = len(body), context.aside
        async with aside.alone(tenant.subject, size):
            waited = await visit.turn() or size >= LARGE_BYTES
            if waited and has_left(call.receive):
                raise ClientGone
            asked = await aside.run(size, self._endpoint.read, body, context.settings)
            terms = read_terms(tenant, call.headers, asked.fields)
            if terms.ignored or asked.unknown.ignored:
                record.ignored = header_of(asked.unknown.names(terms.ignored))
            record.model, record.tier, record.user = asked.model, terms.tier, terms.user or None
            lists, accounts = context.limiter.of(tenant, terms.user)
            asked, needs = await self._of_its_model(asked, call, lists)
            mean = context.directory.mean_completion(asked.model)
            work = await aside.run(size, asked.work, tenant.subject, mean, terms.user)
        if needs is not work.needs:
            work = replace(work, needs=needs)
        jobs = jobs_of(self._endpoint, work, tenant, terms, record.id, context.settings)
        if record.trace is not None:
            trace = record.trace.wait()
            jobs = [replace(job, trace=trace) for job in jobs]
        visit.hold(sum([len(job.body) for job in jobs]))
        splice = self._endpoint.splice
        if context.settings.isolate_cache:
            splice = isolated(self._endpoint)
        exchange = Exchange(context, record, jobs, splice)
        if accounts:
            exchange.stay = context.limiter.stay(record.id, accounts, self._endpoint.rates)
        held = work.items and await _held(call, visit, exchange, work.items)
        return exchange, self._answer(asked, exchange, held)

    async def _of_its_model(self, asked: Asked, call: Call, lists: Lists) -> tuple[Asked, Needs]:
        """The request by the own name of its model, and what a worker must be able to do for it.

        Raises `ApiError` if no worker of the model is able, or the tenant may not use it.
        """
        directory = call.context.directory
        model = await require_allowed(directory, lists, asked.model, asked.needs)
        call.record.model = model
        asked, needs = asked.of_model(model, directory.context(model)), asked.needs
        if self._endpoint.form != BODY and not directory.makes_text(model):
            needs = needs.able(COMPLETION)
        await directory.require_able(model, needs)
        return asked, needs

    def _answer(self, asked: Asked, exchange: Exchange, held: HeldAnswer | None) -> _Answer:
        settings = exchange.context.settings
        if not asked.stream:
            assembly, after_s = self._endpoint.assemble(asked), settings.whole_answer_blanks_after_s
            return partial(send_whole, exchange, assembly, self.errors, after_s, held=held)
        shape = self._endpoint.shape(asked, exchange.record.id)
        quiet_s = settings.queue_position_after_s
        return StreamedAnswer(exchange, shape, quiet_s).send


async def _held(call: Call, visit: Visit, exchange: Exchange, items: Items) -> HeldAnswer:
    """The memory for its answer, once there is some. Raises `ApiError` 503, and `ClientGone`."""
    held = await visit.hold_answer(call.context.answers, items, exchange.jobs[0].wait_s)
    if has_left(call.receive):
        raise ClientGone
    exchange.check_ends()
    return held


async def _unpacked(packed: bytes, context: Context, visit: Visit) -> bytes:
    size = unpacked_bytes(packed, context.settings.max_body_bytes)
    visit.hold(len(packed) + size)
    return await context.aside.run(size, unpacked, packed, size)


def _headers(scope: Scope) -> Mapping[str, str]:
    """The headers by their names in lower case; of several with one name the first."""
    return {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in reversed(scope["headers"])
    }

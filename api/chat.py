"""POST /v1/chat/completions."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.responses import Response

from api.body import read_body
from api.completion import Completion, merge
from api.context import context_of
from api.exchange import ClientGone, Exchange
from api.fields import check_context
from api.jobs import jobs_of, needs_of
from api.request import ChatRequest, parse_chat
from api.request_log import record_of
from api.sse import DONE
from api.stream import StreamedAnswer
from api.terms import read_terms

router = APIRouter()


@router.post("/v1/chat/completions")
async def create_chat_completion(request: Request) -> Response:
    """OpenAI's chat completions: checked, queued, answered in one piece or as a stream."""
    context, record = context_of(request), record_of(request)
    tenant = context.authenticator.authenticate(request.headers.get("authorization"))
    record.tenant = tenant.subject
    body = await read_body(request, context.settings.max_body_bytes)
    chat = parse_chat(body, context.settings)
    terms = read_terms(tenant, request.headers, chat.fields)
    record.model, record.tier = chat.model, terms.tier
    record.model = await context.directory.require(chat.model)
    chat = chat.of_model(record.model)
    check_context(chat.fields, context.directory.context(record.model))
    await context.directory.require_able(chat.model, needs_of(chat))
    mean = context.directory.mean_completion(chat.model)
    jobs = jobs_of(chat, tenant, terms, record.id, context.settings, mean)
    exchange = Exchange(context, record, jobs)
    if chat.stream:
        return StreamedAnswer(exchange, context.settings.queue_position_after_s)
    return await _whole_answer(request, chat, exchange)


async def _whole_answer(request: Request, chat: ChatRequest, exchange: Exchange) -> Response:
    completions = [Completion(chat.prefill) for _ in range(chat.choices)]
    try:
        async with exchange.open(request.receive):
            while not exchange.done:
                for piece in await exchange.more():
                    if piece.restart:
                        completions[piece.choice] = Completion(chat.prefill)
                    else:
                        completions[piece.choice].add(piece.events)
    except ClientGone:
        exchange.record.status = 499
        return Response(status_code=499)
    for completion in completions:
        completion.add(DONE)
    return JSONResponse(merge(completions), headers=exchange.headers())

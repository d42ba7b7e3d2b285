"""POST /v1/chat/completions."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.responses import Response

from api.body import read_body
from api.completion import Completion, merge
from api.context import context_of
from api.exchange import ClientGone, Exchange
from api.request import ChatRequest, parse_chat
from api.request_log import Record, record_of
from api.settings import ApiSettings
from api.sse import DONE
from api.stream import StreamedAnswer
from api.tenant import Tenant
from dispatcher.job import Job, Want

router = APIRouter()


@router.post("/v1/chat/completions")
async def create_chat_completion(request: Request) -> Response:
    """OpenAI's chat completions: checked, queued, answered in one piece or as a stream."""
    context, record = context_of(request), record_of(request)
    tenant = context.authenticator.authenticate(request.headers.get("authorization"))
    record.tenant = tenant.subject
    body = await read_body(request, context.settings.max_body_bytes)
    chat = parse_chat(body, context.settings)
    record.model = chat.model
    await context.directory.require(chat.model)
    exchange = Exchange(context, record, jobs_of(chat, tenant, record, context.settings))
    if chat.stream:
        return StreamedAnswer(exchange, context.settings.queue_position_after_s)
    return await _whole_answer(request, chat, exchange)


def jobs_of(chat: ChatRequest, tenant: Tenant, record: Record, settings: ApiSettings) -> list[Job]:
    """The jobs that a request becomes: one per choice."""
    deadline_s = settings.stream_timeout_s if chat.stream else settings.request_timeout_s
    return [
        Job(
            id=record.id if chat.choices == 1 else f"{record.id}-{choice}",
            model=chat.model,
            tenant=tenant.subject,
            body=chat.upstream_body(choice),
            wants=wants_of(chat),
            wait_s=min(settings.queue_wait_s, deadline_s),
            deadline_s=deadline_s,
        )
        for choice in range(chat.choices)
    ]


def wants_of(chat: ChatRequest) -> frozenset[Want]:
    """What the bridge should pass on. An answer in one piece always tells its usage."""
    if not chat.stream:
        return frozenset({Want.USAGE})
    asked = {
        Want.STREAM: True,
        Want.USAGE: chat.include_usage,
        Want.PROGRESS: chat.return_progress,
        Want.TIMINGS: chat.timings_per_token,
    }
    return frozenset(want for want, yes in asked.items() if yes)


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

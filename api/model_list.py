"""GET /v1/models: what the live workers serve."""

from typing import Any

from fastapi import APIRouter, Request

from api.context import Context, context_of
from dispatcher.errors import ModelNotFound

router = APIRouter()


@router.get("/v1/models")
async def list_models(request: Request) -> dict[str, Any]:
    """OpenAI's list of models, with what llama-server calls `meta`."""
    context = _authenticated(request)
    await context.directory.refresh()
    names = sorted(name for name in context.directory.models if context.directory.serves(name))
    return {"object": "list", "data": [_describe(context, name) for name in names]}


@router.get("/v1/models/{name:path}")
async def retrieve_model(request: Request, name: str) -> dict[str, Any]:
    """One model of the list; 404 for one that no live worker serves."""
    context = _authenticated(request)
    await context.directory.refresh()
    if not context.directory.serves(name):
        raise ModelNotFound(f"No worker serves the model '{name}' now: see /v1/models.")
    return _describe(context, name)


def _authenticated(request: Request) -> Context:
    context = context_of(request)
    context.authenticator.authenticate(request.headers.get("authorization"))
    return context


def _describe(context: Context, name: str) -> dict[str, Any]:
    workers = [w for w in context.directory.models[name].workers if w.is_understood]
    slots = sum(worker.slots for worker in workers)
    context_tokens = min(worker.context for worker in workers)
    modalities = sorted({word for worker in workers for word in worker.modalities})
    meta = {
        "workers": len(workers),
        "slots": slots,
        "n_ctx": context_tokens,
        "modalities": modalities,
    }
    return {"id": name, "object": "model", "created": 0, "owned_by": "llamaq", "meta": meta}

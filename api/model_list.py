"""GET /v1/models: what the live workers serve."""

from typing import Any

from fastapi import APIRouter, Request

from api.auth import credentials
from api.context import Context, context_of
from api.paths import READ
from dispatcher.errors import ModelNotFound
from dispatcher.registry import ModelState

router = APIRouter()


@router.api_route("/v1/models", methods=READ)
async def list_models(request: Request) -> dict[str, Any]:
    """OpenAI's list of models, with what llama-server calls `meta`."""
    context = _authenticated(request)
    await context.directory.refresh()
    models = context.directory.models.values()
    live = sorted((state for state in models if state.workers), key=lambda state: state.model)
    return {"object": "list", "data": [_describe(state) for state in live]}


@router.api_route("/v1/models/{name:path}", methods=READ)
async def retrieve_model(request: Request, name: str) -> dict[str, Any]:
    """One model of the list, by any of its names; 404 for one that no live worker serves."""
    context = _authenticated(request)
    await context.directory.refresh()
    state = context.directory.state(name)
    if state is None or not state.workers:
        raise ModelNotFound(f"No worker serves the model '{name}' now: see /v1/models.")
    return _describe(state)


def _authenticated(request: Request) -> Context:
    context = context_of(request)
    context.authenticator.authenticate(credentials(request.headers))
    return context


def _describe(state: ModelState) -> dict[str, Any]:
    workers = [worker for worker in state.workers if worker.is_understood]
    slots = sum(worker.slots for worker in workers)
    context_tokens = min(worker.context for worker in workers)
    modalities = sorted({word for worker in workers for word in worker.modalities})
    meta = {
        "workers": len(workers),
        "slots": slots,
        "n_ctx": context_tokens,
        "modalities": modalities,
    }
    names = {"id": state.model, "aliases": list(state.aliases)}
    return {**names, "object": "model", "created": 0, "owned_by": "llamaq", "meta": meta}

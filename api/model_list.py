"""GET /v1/models: what the live workers serve."""

from collections.abc import Sequence, Set
from typing import Any

from fastapi import APIRouter, Request

from api.auth import credentials
from api.context import Context, context_of
from api.paths import READ
from dispatcher.errors import ModelNotFound
from dispatcher.needs import EMBEDDINGS, NATIVE_EMBEDDINGS, RERANK
from dispatcher.registry import ModelState, WorkerState

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
    endpoints = {word for worker in workers for word in worker.endpoints}
    meta = {
        "workers": len(workers),
        "slots": slots,
        "n_ctx": context_tokens,
        "modalities": modalities,
        "endpoints": sorted(endpoints),
        "kinds": _kinds(workers, endpoints),
    }
    names = {"id": state.model, "aliases": list(state.aliases)}
    return {**names, "object": "model", "created": 0, "owned_by": "llamaq", "meta": meta}


def _kinds(workers: Sequence[WorkerState], endpoints: Set[str]) -> list[str]:
    """What the model is good for, in words that clients know."""
    kinds = ["chat"] if any(worker.makes_text for worker in workers) else []
    kinds += ["embedding"] if endpoints & {EMBEDDINGS, NATIVE_EMBEDDINGS} else []
    return kinds + (["rerank"] if RERANK in endpoints else [])

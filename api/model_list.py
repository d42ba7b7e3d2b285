"""GET /v1/models: what the live workers serve."""

from collections.abc import Sequence, Set
from typing import Any

from fastapi import APIRouter, Request

from api.allowed_models import Lists, is_allowed, not_allowed
from api.context import context_of, lists_of, tenant_of
from api.directory import Directory
from api.paths import READ
from api.scopes import MODELS, check_scope
from dispatcher.errors import ModelNotFound
from dispatcher.model_state import ModelState
from dispatcher.needs import EMBEDDINGS, NATIVE_EMBEDDINGS, RERANK
from dispatcher.variants import Variant, variants_of
from dispatcher.worker_state import WorkerState

router = APIRouter()


@router.api_route("/v1/models", methods=READ)
async def list_models(request: Request) -> dict[str, Any]:
    """OpenAI's list of the models that the token is for, with what llama-server calls `meta`."""
    directory, lists = await _looked_up(request)
    live = [state for state in directory.models.values() if state.workers]
    live.sort(key=lambda state: state.model)
    allowed = [state for state in live if is_allowed(state.model, lists, directory)]
    return {"object": "list", "data": [_describe(state) for state in allowed]}


@router.api_route("/v1/models/{name:path}", methods=READ)
async def retrieve_model(request: Request, name: str) -> dict[str, Any]:
    """The model of the list that requests by this name get; 404 where no live worker serves it."""
    directory, lists = await _looked_up(request)
    state = directory.state(name)
    if not is_allowed(state.model if state else name, lists, directory):
        raise not_allowed(name, lists)
    if state is None or not state.workers:
        raise ModelNotFound(f"No worker serves the model '{name}' now: see /v1/models.")
    return _describe(state)


async def _looked_up(request: Request) -> tuple[Directory, Lists]:
    """What there is now, and what the tenant may see of it."""
    context = context_of(request)
    tenant = await tenant_of(request)
    check_scope(tenant.scopes, MODELS)
    await context.directory.refresh()
    return context.directory, lists_of(request, tenant)


def _describe(state: ModelState) -> dict[str, Any]:
    names = {"id": state.model, "aliases": list(state.aliases)}
    about = {"object": "model", "created": state.first_served_s, "owned_by": "llamaq"}
    about["status"] = {"value": state.status}
    return names | about | {"meta": {**_about_workers(state), "default": state.is_default}}


def _about_workers(state: ModelState) -> dict[str, Any]:
    """What the workers have together. Where they differ, the variant with most slots counts."""
    workers = [worker for worker in state.workers if worker.is_understood]
    variants = variants_of(workers)
    endpoints = {word for worker in workers for word in worker.endpoints}
    contexts = [worker.trained_context for worker in workers if worker.trained_context]
    return {
        "workers": sum(not worker.is_standby for worker in workers),
        "slots": sum(worker.slots for worker in workers),
        "n_ctx": min((w.context for w in workers if not w.is_unknown), default=0),
        "n_ctx_train": min(contexts, default=0),
        "modalities": sorted({word for worker in workers for word in worker.modalities}),
        "endpoints": sorted(endpoints),
        "kinds": _kinds(workers, endpoints),
        "builds": sorted({worker.build for worker in workers} - {""}),
        **(_about_weights(variants[0]) if variants else {}),
        "variants": [_describe_variant(variant) for variant in variants],
    }


def _about_weights(variant: Variant) -> dict[str, Any]:
    """In llama-server's words."""
    return {
        "ftype": variant.quantisation,
        "n_params": variant.parameters,
        "size": variant.size_bytes,
    }


def _describe_variant(variant: Variant) -> dict[str, Any]:
    return {
        "fingerprint": variant.fingerprint,
        "workers": len(variant.workers),
        "slots": variant.slots,
        "build": variant.build,
        **_about_weights(variant),
    }


def _kinds(workers: Sequence[WorkerState], endpoints: Set[str]) -> list[str]:
    """What the model is good for, in words that clients know."""
    kinds = ["chat"] if any(worker.makes_text for worker in workers) else []
    kinds += ["embedding"] if endpoints & {EMBEDDINGS, NATIVE_EMBEDDINGS} else []
    return kinds + (["rerank"] if RERANK in endpoints else [])

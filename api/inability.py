"""What a client is told if no worker of the model can serve its request."""

from api.errors import NO_RETRY, ApiError, bad_request
from dispatcher.errors import ModelNotFound, ModelUnavailable
from dispatcher.needs import (
    COMPLETION,
    EMBEDDINGS,
    INFILL,
    NATIVE_EMBEDDINGS,
    RERANK,
    TRANSCRIPTION,
    Needs,
)
from dispatcher.worker_state import WorkerState

_MEDIA = {"vision": "images", "audio": "audio", "video": "video"}
_ENDPOINTS = {
    COMPLETION: "makes text: choose another model (see /v1/models).",
    EMBEDDINGS: "serves embeddings: start its llama-server with --embeddings, and a model for "
    "chats also with --pooling mean.",
    NATIVE_EMBEDDINGS: "serves embeddings: start its llama-server with --embeddings.",
    RERANK: "serves rerank: start its llama-server with --reranking, and a model that can rank.",
    INFILL: "fills in the middle of a text: its model has no tokens for that. Choose another "
    "model: see /v1/models.",
    TRANSCRIPTION: "transcribes: start its llama-server with a model that hears, and its --mmproj.",
}


def never_served(name: str, model: str, served: str) -> ModelNotFound:
    """The error for a name that no model has; `model` is what it is an alias of, else the name."""
    whose = f", of which '{name}' is an alias" if model != name else ""
    return ModelNotFound(
        f"No worker has ever served the model '{model}'{whose}. Served now: {served or 'none'}."
    )


def unnamed(served: str) -> ApiError:
    """The error for a request without a model, where it could mean several."""
    return bad_request(
        f"Name a model in `model`: there are several. Served now: {served}.",
        param="model",
    )


def unable(model: str, needs: Needs) -> ApiError:
    """The error for a model that has workers, but none that meets these needs."""
    for word in sorted(needs.abilities):
        if word in _ENDPOINTS:
            return _not_served(f"No worker of the model '{model}' {_ENDPOINTS[word]}")
    media = " and ".join(_MEDIA.get(word, word) for word in sorted(needs.abilities))
    return bad_request(
        f"No worker of the model '{model}' takes {media}: leave them out, or choose another model "
        "(see /v1/models).",
        param="messages",
    )


def not_loaded(model: str, worker: WorkerState) -> ModelUnavailable:
    """The error for a model that the bridge of this worker has just failed to load."""
    return ModelUnavailable(
        f"The model '{model}' could not be loaded on {worker.host}: `llamaq status` says why "
        f"(worker {worker.id}). Choose another model, or try again later."
    )


def at_rest(model: str) -> ModelUnavailable:
    """The error for a model whose workers are drained or paused."""
    return ModelUnavailable(
        f"All workers of the model '{model}' that could serve this are drained or paused for now: "
        "`llamaq status` shows them. Choose another model, or try again later."
    )


def _not_served(message: str) -> ApiError:
    return ApiError(
        501, message, type="not_supported_error", code="not_supported", headers=NO_RETRY
    )

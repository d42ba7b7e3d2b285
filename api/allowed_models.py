"""Which of the models a tenant may use, and which one of them its request means.

`lists` are those of `Tenant.model_lists`: names as operators or workers give them. A model is
allowed where each list has its own name, or another name that stands for it.
"""

from collections.abc import Sequence
from typing import TypeAlias

from api.directory import Directory
from api.errors import ApiError, bad_request
from api.names import model_named, models_meant
from dispatcher.aliases import ANY
from dispatcher.errors import ModelNotFound
from dispatcher.needs import ANYBODY, Needs

Lists: TypeAlias = Sequence[frozenset[str]]


def is_allowed(model: str, lists: Lists, directory: Directory) -> bool:
    """Whether these lists allow the model of this own name."""
    return all(_has(names, model, directory) for names in lists)


async def require_allowed(
    directory: Directory, lists: Lists, name: str, needs: Needs = ANYBODY
) -> str:
    """The model that a tenant gets by this name, as `Directory.require` tells it.

    Without a name it is one of those that the tenant may use. Raises `ApiError` 403 for any other.
    Errors never tell whether a model exists that the tenant may not use.
    """
    if not lists:
        return await directory.require(name, needs)
    name = await allowed_name(directory, lists, name, needs)
    try:
        model = await directory.require(name, needs)
    except ModelNotFound as error:
        raise ModelNotFound(
            f"No worker has ever served the model '{name}'. {_may_be_used(lists)}"
        ) from error
    if not is_allowed(model, lists, directory):
        raise not_allowed(name, lists)
    return model


async def allowed_name(directory: Directory, lists: Lists, name: str, needs: Needs) -> str:
    """The same name. Without one, the name of the only model that the tenant can mean.

    It may be served now or not. Raises `ApiError` 403 where the tenant may not use it, and 400
    where none is meant.
    """
    name = name or await _unnamed(directory, lists, needs)
    if not _gets_allowed(name, lists, directory):
        await directory.refresh()  # it may have come within the last second
        if not _gets_allowed(name, lists, directory):
            raise not_allowed(name, lists)
    return name


def not_allowed(name: str, lists: Lists) -> ApiError:
    """The error for a model that a token is not for."""
    return ApiError(
        403,
        f"The token may not be used for the model '{name}'. {_may_be_used(lists)}",
        type="permission_error",
        code="model_not_allowed",
        param="model",
    )


def _has(names: frozenset[str], model: str, directory: Directory) -> bool:
    models, given = directory.models, directory.aliases
    return model in names or any(model_named(name, models, given) == model for name in names)


def _gets_allowed(name: str, lists: Lists, directory: Directory) -> bool:
    state = directory.state(name)
    return is_allowed(state.model if state else name, lists, directory)


async def _unnamed(directory: Directory, lists: Lists, needs: Needs) -> str:
    meant = _meant_without_name(directory, lists, needs)
    if len(meant) != 1:
        await directory.refresh()
        meant = _meant_without_name(directory, lists, needs)
    if len(meant) != 1:
        raise bad_request(
            "Name a model in `model`. " + _may_be_used(lists),
            param="model",
        )
    return meant[0]


def _meant_without_name(directory: Directory, lists: Lists, needs: Needs) -> list[str]:
    allowed = {
        model: state
        for model, state in directory.models.items()
        if is_allowed(model, lists, directory)
    }
    default = directory.aliases.get(ANY, "")
    given = {ANY: default} if model_named(default, allowed) else {}
    return models_meant("", allowed, given, lambda model: directory.is_able(model, needs))


def _may_be_used(lists: Lists) -> str:
    names = sorted(frozenset.intersection(*lists) if len(lists) > 1 else lists[0])
    return f"The token's models are: {', '.join(names) or 'none'}."

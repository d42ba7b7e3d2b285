"""The jobs that a chat request becomes, one per choice. Pure."""

from api.estimate import completion_tokens, prompt_tokens
from api.messages import modalities
from api.prefix import MOST, chain, head_of, key_name
from api.request import ChatRequest
from api.settings import ApiSettings
from api.tenant import Tenant
from api.terms import Terms
from dispatcher.job import Job, Want
from dispatcher.needs import Needs


def needs_of(chat: ChatRequest) -> Needs:
    """What a worker must be able to do for this request."""
    return Needs(modalities(chat.fields["messages"]))


def jobs_of(
    chat: ChatRequest,
    tenant: Tenant,
    terms: Terms,
    request_id: str,
    settings: ApiSettings,
    mean_completion: float,
) -> list[Job]:
    """The jobs, named after the request. `mean_completion` is in tokens, 0 if unknown."""
    deadline_s = settings.stream_timeout_s if chat.stream else settings.request_timeout_s
    head, messages = head_of(chat.fields), chat.fields["messages"]
    names = chain(head, messages)
    if chat.cache_key is not None:
        names = [*names[: MOST - 1], key_name(tenant.subject, chat.cache_key)]
    estimate = prompt_tokens(head, messages), completion_tokens(chat.max_tokens, mean_completion)
    return [
        Job(
            id=request_id if chat.choices == 1 else f"{request_id}-{choice}",
            model=chat.model,
            tenant=tenant.subject,
            body=chat.upstream_body(choice),
            wants=wants_of(chat),
            wait_s=min(settings.queue_wait_s, deadline_s),
            deadline_s=deadline_s,
            user=terms.user,
            tier=terms.tier,
            weight=tenant.weight,
            needs=needs_of(chat),
            prompt_tokens=estimate[0],
            completion_tokens=estimate[1],
            prefixes=tuple(names),
            supersedes=terms.key_of(choice),
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

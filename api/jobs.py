"""The jobs that a request becomes, one per choice. Pure."""

from typing import Any

from api.endpoint import Endpoint, Work
from api.isolation import TELLING
from api.settings import ApiSettings
from api.tenant import Tenant
from api.terms import Terms
from dispatcher.job import BODY, Job, Part, Want


def jobs_of(
    endpoint: Endpoint[Any],
    work: Work,
    tenant: Tenant,
    terms: Terms,
    request_id: str,
    settings: ApiSettings,
) -> list[Job]:
    """The jobs for an endpoint, named after the request.

    A request for one JSON value may come in pieces. The first one's admission counts for all.
    """
    in_pieces = endpoint.form == BODY
    wants = work.wants - TELLING if settings.isolate_cache else work.wants
    streamed = Want.STREAM in work.wants
    deadline_s = settings.stream_timeout_s if streamed else settings.request_timeout_s
    return [
        Job(
            id=request_id if len(work.bodies) == 1 else f"{request_id}-{choice}",
            model=work.model,
            tenant=tenant.subject,
            body=body,
            wants=wants,
            wait_s=min(settings.queue_wait_s, deadline_s),
            deadline_s=deadline_s,
            user=terms.user,
            tier=terms.tier,
            weight=tenant.weight,
            needs=work.needs,
            prompt_tokens=work.prompt_tokens,
            completion_tokens=work.completion_tokens,
            prefixes=work.prefixes,
            path=endpoint.upstream or endpoint.path,
            form=endpoint.form,
            is_admitted=in_pieces and choice > 0,
            part=_part(choice, work.choices),
            supersedes=terms.key_of(choice),
        )
        for choice, body in enumerate(work.bodies)
    ]


def _part(number: int, choices: int) -> Part:
    """What the job `number` is of a request with these choices for each prompt."""
    if number == 0:
        return Part.FIRST
    return Part.CHOICE if number % choices else Part.PROMPT

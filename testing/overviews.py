"""Overviews of the fleet, as `llamaq status` and `llamaq top` get them."""

from collections.abc import Mapping, Sequence

from dispatcher.gone import GoneWorker
from dispatcher.invitations import Invitation
from dispatcher.model_state import ModelState
from dispatcher.open_jobs import OpenJob, OpenJobs
from dispatcher.overview import ModelOverview, Overview, Waiting
from dispatcher.suspects import Suspect

NOW_S = 1_800_000_000.0


def overview(
    *states: ModelState,
    waiting: Mapping[str, Sequence[Waiting]] | None = None,
    suspects: Mapping[str, Sequence[Suspect]] | None = None,
    gone: Sequence[GoneWorker] = (),
    jobs: Sequence[OpenJob] = (),
    ended: Sequence[Invitation] = (),
) -> Overview:
    """`waiting` and `suspects` are by model; `gone` and `jobs` are of each."""
    models = [
        ModelOverview(
            state,
            waiting=(waiting or {}).get(state.model, ()),
            jobs=OpenJobs(jobs),
            suspects=(suspects or {}).get(state.model, ()),
            gone=gone,
        )
        for state in states
    ]
    return Overview(NOW_S, models, {}, ended)

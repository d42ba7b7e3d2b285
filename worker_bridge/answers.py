"""The forms in which llama-server answers."""

from dispatcher.job import BODY, CHUNKS, Claim
from dispatcher.outgoing import Outgoing
from worker_bridge.answer import Answer
from worker_bridge.body_answer import BodyAnswer
from worker_bridge.chunk_answer import ChunkAnswer
from worker_bridge.event_answer import EventAnswer


def answer_to(claim: Claim, outgoing: Outgoing, model_id: str, model: str) -> Answer:
    """The answer to a claimed job, which clients see as that of `model`."""
    if claim.form == CHUNKS:
        return ChunkAnswer(claim.wants, outgoing, model_id, model)
    if claim.form == BODY:
        return BodyAnswer(claim.wants, outgoing, model_id, model)
    return EventAnswer(claim.wants, outgoing, model_id, model, claim.form.encode())

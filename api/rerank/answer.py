"""Passes on the answer to a request to rerank. Pure."""

from api.bodies import BodyAssembly, with_model_name
from api.rerank.request import RerankRequest


class RerankAssembly(BodyAssembly):
    """The whole answer, under the client's name of the model."""

    def __init__(self, asked: RerankRequest) -> None:
        super().__init__(asked)
        self._model = asked.named

    def body(self) -> bytes:
        """See `Assembly`."""
        return with_model_name(super().body(), self._model)

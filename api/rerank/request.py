"""A request to rerank documents: what the dispatcher must know of it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from api.body import parse_object
from api.endpoint import Work
from api.errors import bad_request
from api.estimate import BYTES_PER_TOKEN, bytes_of
from api.json_text import compact
from api.request_fields import model_name
from api.rules import Flag, Rule, Whole
from api.sampling_fields import known_fields
from api.settings import ApiSettings
from api.unknown_fields import NONE, Unknown, unknown_fields
from dispatcher.needs import RERANK, Needs

MAX_DOCUMENTS = 4096
_FORWARDED: Mapping[str, Rule] = {"top_n": Whole(0, 2**31 - 1), "return_text": Flag()}
_ELSEWHERE = frozenset({"query", "documents", "texts", "user", "service_tier"})
FIELDS: Mapping[str, Rule | None] = {**_FORWARDED, **dict.fromkeys(_ELSEWHERE), "model": None}
_KNOWN = frozenset(FIELDS)


@dataclass(frozen=True, slots=True)
class RerankRequest:
    """A checked request (`api.endpoint.Asked`). `named` is the model as the client calls it.

    With `texts` for the documents it is TEI's, as for llama-server.
    """

    model: str
    named: str
    query: str = field(repr=False)
    documents_name: str
    documents: Sequence[str] = field(repr=False)
    fields: Mapping[str, Any] = field(repr=False)
    needs: Needs = field(default=Needs(frozenset({RERANK})), repr=False)
    stream: bool = False
    choices: int = 1
    unknown: Unknown = field(default=NONE, repr=False)

    def of_model(self, model: str, context: int) -> "RerankRequest":
        """See `api.endpoint.Asked`."""
        return replace(self, model=model, named=self.named or model)

    def work(self, subject: str, mean_completion: float, user: str = "") -> Work:
        """See `api.endpoint.Asked`."""
        options = {name: self.fields[name] for name in _FORWARDED if name in self.fields}
        options |= self.unknown.passed
        body = {"model": self.model, "query": self.query, self.documents_name: self.documents}
        with_query = sum(map(bytes_of, self.documents)) + len(self.documents) * bytes_of(self.query)
        return Work(
            model=self.model,
            bodies=[compact(body | options)],
            wants=frozenset(),
            needs=self.needs,
            prompt_tokens=with_query // BYTES_PER_TOKEN + len(self.documents),
        )


def parse_rerank(body: bytes, settings: ApiSettings) -> RerankRequest:
    """What `body` asks for, or an `ApiError` 400 that names the field and says what to do."""
    fields = parse_object(body, settings.max_json_depth)
    model, query = model_name(fields), fields.get("query")
    # llama.cpp b11549 aborts where neither the query nor a document has a token.
    if not isinstance(query, str) or not query.strip():
        raise bad_request("`query` must be a string, and not empty.", param="query")
    name = "texts" if "texts" in fields else "documents"
    return RerankRequest(
        model=model,
        named=model,
        query=query,
        documents_name=name,
        documents=_checked(fields.get(name), name),
        fields=known_fields(fields, _FORWARDED, _ELSEWHERE),
        unknown=unknown_fields(fields, _KNOWN, settings),
    )


def _checked(documents: Any, name: str) -> Sequence[str]:
    if (
        not isinstance(documents, list)
        or not documents
        or not all(isinstance(each, str) for each in documents)
    ):
        raise bad_request(f"`{name}` must be a list of strings, and not empty.", param=name)
    if len(documents) > MAX_DOCUMENTS:
        raise bad_request(f"`{name}` must have {MAX_DOCUMENTS} at most.", param=name)
    return documents

"""Counts requests as they end, for the metrics and for the history.

One call counts a request for both: prometheus_client alone would make 38.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping
from time import monotonic

from api.request_history import ModelCounts, RequestHistory
from api.request_log import Record
from dispatcher import metrics
from dispatcher.latencies import LONGEST_MS
from dispatcher.metric import OTHER, Distribution
from dispatcher.sheet import Sheet

_LONG_S = metrics.LONG_S
_MOST_ROWS = 2000
_MOST_CODES = 100

_Key = tuple[str, str | None, str | None, int]
"""Path, model, tier, and the hundreds of the status."""


class _Row:
    __slots__ = (
        *("requests", "durations", "waits", "first_tokens", "prompt", "cached", "completion"),
        *("retries", "continuations"),
    )

    def __init__(self) -> None:
        self.requests = self.retries = self.continuations = 0
        self.prompt = self.cached = self.completion = 0
        self.durations = Distribution(_LONG_S)
        self.waits = Distribution(_LONG_S)
        self.first_tokens = Distribution(_LONG_S)


class RequestMetrics:
    """All requests of this process since it began.

    `endpoints` has the endpoint of each path. Labels are bounded: any other path is "other", and so
    is a model that is not known. Of tenants the first `most_tenants` have a name. The `history`
    gets the requests for known models.
    """

    def __init__(self, endpoints: Mapping[str, str], most_tenants: int = 0) -> None:
        self.is_known: Callable[[str], bool] = lambda model: False
        self.history = RequestHistory()
        self._endpoints = {**endpoints, OTHER: OTHER}
        self._most_tenants = most_tenants
        self._rows: dict[_Key, _Row] = {}
        self._codes = Counter[str]()
        self._tenant_requests = Counter[str]()
        self._tenant_tokens = Counter[str]()

    def note(self, record: Record, path: str) -> None:
        """A request to this path is over."""
        status = record.status or 500
        key = path, record.model, record.tier, status // 100
        row = self._rows.get(key) or self._new_row(*key)
        past = self.history.counts.get(record.model or "") or self._new_past(record.model)
        row.requests += 1
        past.requests += 1
        if status >= 500 or status == 429:
            past.failed += 1
        if status < 300:
            took_s = monotonic() - record.began_at
            row.durations.counts[bisect_left(_LONG_S, took_s)] += 1
            row.durations.sum += took_s
        if record.queue_ms is not None:
            row.waits.counts[bisect_left(_LONG_S, record.queue_ms / 1000)] += 1
            row.waits.sum += record.queue_ms / 1000
            past.queued[bisect_left(LONGEST_MS, record.queue_ms)] += 1
            row.prompt += record.prompt_tokens or 0
            row.cached += record.cached_tokens or 0
            row.completion += record.completion_tokens or 0
            row.retries += record.retries
            row.continuations += record.continuations
        if record.ttft_ms is not None:
            row.first_tokens.counts[bisect_left(_LONG_S, record.ttft_ms / 1000)] += 1
            row.first_tokens.sum += record.ttft_ms / 1000
            past.first_token[bisect_left(LONGEST_MS, record.ttft_ms)] += 1
        if record.code is not None:
            self._count_code(record.code)
        if self._most_tenants and record.tenant is not None:
            self._count_tenant(record.tenant, record.completion_tokens or 0)

    def _new_row(self, path: str, model: str | None, tier: str | None, hundreds: int) -> _Row:
        """The row for requests that have none of their own: most often a new one."""
        if path not in self._endpoints:
            path = OTHER
        if model is not None and not (len(self._rows) < _MOST_ROWS and self.is_known(model)):
            model = OTHER
        return self._rows.setdefault((path, model, tier, hundreds), _Row())

    def _new_past(self, model: str | None) -> ModelCounts:
        """What counts requests for this model; for an unknown one nobody writes it."""
        if model is None or not self.is_known(model):
            return ModelCounts()
        return self.history.counts_of(model)

    def _count_code(self, code: str) -> None:
        is_new = code not in self._codes
        self._codes[OTHER if is_new and len(self._codes) >= _MOST_CODES else code] += 1

    def _count_tenant(self, tenant: str, tokens: int) -> None:
        is_new = tenant not in self._tenant_requests
        name = OTHER if is_new and len(self._tenant_requests) >= self._most_tenants else tenant
        self._tenant_requests[name] += 1
        self._tenant_tokens[name] += tokens

    def sheet(self) -> Sheet:
        """All that was counted."""
        sheet = Sheet()
        for (path, model, tier, hundreds), row in self._rows.items():
            at = self._endpoints[path], model or "", tier or ""
            sheet.add(metrics.REQUESTS, row.requests, *at, f"{hundreds}xx")
            if hundreds == 2:
                sheet.put(metrics.REQUEST_DURATION, row.durations, *at)
            if model is not None and tier is not None:
                _add_row(sheet, row, model, tier)
        for code, number in self._codes.items():
            sheet.add(metrics.REFUSALS, number, code)
        for tenant, number in self._tenant_requests.items():
            sheet.add(metrics.TENANT_REQUESTS, number, tenant)
            sheet.add(metrics.TENANT_TOKENS, self._tenant_tokens[tenant], tenant)
        return sheet


def _add_row(sheet: Sheet, row: _Row, *at: str) -> None:
    sheet.put(metrics.QUEUE_WAIT, row.waits, *at)
    sheet.put(metrics.FIRST_TOKEN, row.first_tokens, *at)
    sheet.add(metrics.PROMPT_TOKENS, row.prompt, *at)
    sheet.add(metrics.CACHED_TOKENS, row.cached, *at)
    sheet.add(metrics.COMPLETION_TOKENS, row.completion, *at)
    sheet.add(metrics.RETRIES, row.retries, *at)
    sheet.add(metrics.CONTINUATIONS, row.continuations, *at)

"""All metrics, by name. docs/metrics.md is the same table for people.

A test compares the two, and checks the names by promtool's rules.
"""

from dispatcher.metric import Kind, Metric, Source

_C, _G, _H = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM
_API, _BRIDGE, _BOTH, _REDIS = Source.API, Source.BRIDGE, Source.BOTH, Source.REDIS
_MODEL, _MODEL_TIER, _WORKER = ("model",), ("model", "tier"), ("model", "worker")

LONG_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
"""Bounds for what takes from milliseconds to minutes."""
SHORT_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bounds for what should take next to nothing."""

# Requests, as their clients see them.
REQUESTS = Metric(
    *("llamaq_requests_total", _C, _API),
    "Requests that are over. A client that left counts as 4xx.",
    ("endpoint", "model", "tier", "status"),
)
REQUEST_DURATION = Metric(
    *("llamaq_request_duration_seconds", _H, _API),
    "Time from a request to the end of its answer, of those answered with 2xx.",
    *(("endpoint", "model", "tier"), LONG_S),
)
QUEUE_WAIT = Metric(
    *("llamaq_queue_wait_seconds", _H, _API),
    "Time that a request waited in the queue for a worker.",
    *(_MODEL_TIER, LONG_S),
)
FIRST_TOKEN = Metric(
    *("llamaq_time_to_first_token_seconds", _H, _API),
    "Time from a request to the first piece of its answer.",
    *(_MODEL_TIER, LONG_S),
)
PROMPT_TOKENS = Metric(
    *("llamaq_prompt_tokens_total", _C, _API),
    "Tokens of the prompts of requests, cached ones included.",
    _MODEL_TIER,
)
CACHED_TOKENS = Metric(
    *("llamaq_cached_prompt_tokens_total", _C, _API),
    "Tokens of prompts that a worker had in its cache.",
    _MODEL_TIER,
)
COMPLETION_TOKENS = Metric(
    *("llamaq_completion_tokens_total", _C, _API),
    "Tokens of answers that clients got.",
    _MODEL_TIER,
)
RETRIES = Metric(
    *("llamaq_retries_total", _C, _API),
    "Attempts that failed before their client saw anything: another worker tried again.",
    _MODEL_TIER,
)
CONTINUATIONS = Metric(
    *("llamaq_continuations_total", _C, _API),
    "Streams that went on at another worker after theirs was lost.",
    _MODEL_TIER,
)
REFUSALS = Metric(
    *("llamaq_refusals_total", _C, _API),
    "Requests that got an error, by its code; `client_gone`: their client left.",
    ("code",),
)
TENANT_REQUESTS = Metric(
    *("llamaq_tenant_requests_total", _C, _API),
    "Requests of a tenant. Only with LLAMAQ_METRICS_TENANTS.",
    ("tenant",),
)
TENANT_TOKENS = Metric(
    *("llamaq_tenant_completion_tokens_total", _C, _API),
    "Tokens of answers that a tenant got. Only with LLAMAQ_METRICS_TENANTS.",
    ("tenant",),
)
OPEN_REQUESTS = Metric("llamaq_open_requests", _G, _API, "Requests that the API has not ended yet.")
REQUESTS_IN_LINE = Metric(
    "llamaq_requests_in_line", _G, _API, "Requests that wait for the API itself to read them."
)
BODY_BYTES = Metric(
    "llamaq_held_body_bytes", _G, _API, "Memory of the API for the bodies of open requests."
)
ANSWER_BYTES = Metric(
    "llamaq_held_answer_bytes", _G, _API, "Memory of the API for large answers in one piece."
)
API_PROCESSES = Metric("llamaq_api_processes", _G, _API, "Processes of the API that live.")
API_CONFIGURED = Metric(
    "llamaq_api_configured_processes", _G, _API, "How many processes it is to have."
)

# Queues and models, as Redis has them. Each API tells the same of them.
QUEUED_JOBS = Metric("llamaq_queued_jobs", _G, _REDIS, "Jobs that wait for a worker.", _MODEL_TIER)
OLDEST_AGE = Metric(
    *("llamaq_oldest_queued_job_age_seconds", _G, _REDIS),
    "Age of the job that waits longest; 0 where none waits.",
    _MODEL_TIER,
)
QUEUED_BYTES = Metric(
    *("llamaq_queued_body_bytes", _G, _REDIS),
    "Memory of Redis for the bodies of jobs that wait.",
    _MODEL,
)
MODEL_WORKERS = Metric(
    *("llamaq_model_workers", _G, _REDIS),
    "Workers of a model that are registered, by their health.",
    ("model", "health"),
)
ACCEPTING_WORKERS = Metric(
    *("llamaq_model_accepting_workers", _G, _REDIS),
    "Workers of a model that take jobs, or would load the model for one.",
    _MODEL,
)
OPEN_BREAKERS = Metric(
    *("llamaq_model_open_breakers", _G, _REDIS),
    "Workers of a model that get no jobs because they failed some.",
    _MODEL,
)
MODEL_SLOTS = Metric(
    "llamaq_model_slots", _G, _REDIS, "Slots of all workers that take jobs of a model.", _MODEL
)
MODEL_BUSY_SLOTS = Metric(
    "llamaq_model_busy_slots", _G, _REDIS, "Slots of a model that are at work for llamaq.", _MODEL
)
REDIS_UP = Metric("llamaq_redis_up", _G, _REDIS, "Whether Redis has answered this scrape.")
REDIS_MEMORY = Metric("llamaq_redis_memory_bytes", _G, _REDIS, "Memory that Redis uses.")
REDIS_LIMIT = Metric(
    "llamaq_redis_memory_limit_bytes", _G, _REDIS, "Its maxmemory; 0 where it has none."
)

# Workers, as their bridge sees them.
WORKER_ACCEPTING = Metric(
    "llamaq_worker_accepting", _G, _BRIDGE, "Whether a worker takes jobs.", _WORKER
)
WORKER_HEALTH = Metric(
    *("llamaq_worker_health", _G, _BRIDGE),
    "The health of a worker: 1 for the word that is true.",
    (*_WORKER, "health"),
)
WORKER_BREAKER = Metric(
    *("llamaq_worker_breaker_state", _G, _BRIDGE),
    "Its circuit breaker: 1 for the state that is true.",
    (*_WORKER, "state"),
)
BREAKER_OPENINGS = Metric(
    "llamaq_worker_breaker_openings_total", _C, _BRIDGE, "How often that has opened.", _WORKER
)
WORKER_SLOTS = Metric(
    "llamaq_worker_slots", _G, _BRIDGE, "Slots that a worker has for llamaq.", _WORKER
)
WORKER_BUSY_SLOTS = Metric(
    "llamaq_worker_busy_slots", _G, _BRIDGE, "Slots of a worker at work for llamaq.", _WORKER
)
WORKER_FOREIGN_SLOTS = Metric(
    "llamaq_worker_foreign_slots", _G, _BRIDGE, "Slots of its server that others use.", _WORKER
)
WORKER_PROMPT_SPEED = Metric(
    *("llamaq_worker_prompt_tokens_per_second", _G, _BRIDGE),
    "How fast one slot reads prompts; 0 while that is not known.",
    _WORKER,
)
WORKER_COMPLETION_SPEED = Metric(
    *("llamaq_worker_completion_tokens_per_second", _G, _BRIDGE),
    "How fast one slot generates; 0 while that is not known.",
    _WORKER,
)
LEASE_AGE = Metric(
    *("llamaq_worker_lease_age_seconds", _G, _BRIDGE),
    "Time since a worker has renewed its lease.",
    _WORKER,
)
LOST_LEASES = Metric(
    *("llamaq_worker_lost_leases_total", _C, _BRIDGE),
    "How often a worker was taken for dead though its bridge lives.",
    _WORKER,
)
ATTEMPTS = Metric(
    *("llamaq_worker_attempts_total", _C, _BRIDGE),
    "Attempts that are over, by how they ended.",
    (*_WORKER, "end"),
)
ATTEMPT_DURATION = Metric(
    *("llamaq_worker_attempt_duration_seconds", _H, _BRIDGE),
    "Time from the claim of a job to the end of its answer, of attempts that were done.",
    *(_WORKER, LONG_S),
)
WORKER_PROMPT_TOKENS = Metric(
    *("llamaq_worker_prompt_tokens_total", _C, _BRIDGE),
    "Tokens of the prompts of attempts, cached ones included.",
    _WORKER,
)
WORKER_CACHED_TOKENS = Metric(
    *("llamaq_worker_cached_prompt_tokens_total", _C, _BRIDGE),
    "Tokens of prompts that a worker had in its cache.",
    _WORKER,
)
WORKER_COMPLETION_TOKENS = Metric(
    "llamaq_worker_completion_tokens_total", _C, _BRIDGE, "Tokens that a worker made.", _WORKER
)

WAITING_SERVERS = Metric(
    *("llamaq_bridge_waiting_servers", _G, _BRIDGE),
    "Servers of a bridge whose worker does not serve: they are down, or not known yet.",
)

# Any process.
LOOP_LATENESS = Metric(
    *("llamaq_event_loop_lateness_seconds", _H, _BOTH),
    "How late the event loop was, looked at once a second.",
    *((), SHORT_S),
)
REDIS_ROUND_TRIP = Metric(
    *("llamaq_redis_round_trip_seconds", _H, _BOTH),
    "How long Redis took to answer over the link that requests use, looked at once a second.",
    *((), SHORT_S),
)
REDIS_FAILURES = Metric(
    "llamaq_redis_failures_total", _C, _BOTH, "Such looks that Redis did not answer."
)
REAPED_LEASES = Metric(
    *("llamaq_reaped_leases_total", _C, _BOTH),
    "Workers and APIs that this process found gone, by how they went.",
    ("kind", "end"),
)
REAPED_JOBS = Metric(
    "llamaq_reaped_jobs_total", _C, _BOTH, "Jobs that it gave back for workers that had died."
)
CPU = Metric("process_cpu_seconds_total", _C, _BOTH, "CPU time that it has used.")
MEMORY = Metric("process_resident_memory_bytes", _G, _BOTH, "Memory that it holds.")
BUILD = Metric(
    "llamaq_build_info", _G, _BOTH, "1, for this version of llamaq.", ("version", "python")
)

METRICS: tuple[Metric, ...] = tuple(
    found for found in tuple(globals().values()) if isinstance(found, Metric)
)

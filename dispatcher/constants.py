"""Numbers that the Lua scripts share with Python: the scripts get them by these names."""

# How long things are kept.
DONE_TTL_MS = 60_000
"""An ended job stays visible, and answers a repeated call, for this long."""
WORKER_TTL_MS = 600_000
"""Only for what a reaper never gets to see."""
REMEMBERED_MS = 1_800_000
"""A worker is taken to have a conversation in its cache for this long."""
LOST_MS = 10_000
"""The API may have a job go on that was lost for this long."""
MINUTE_MS = 60_000
"""The time over which the requests of a tenant are counted."""

MOST_SEARCHED = 100_000
"""Among so many places that of a damaged job is searched for. A claim finds it, if nothing else."""
MOST_ARGUMENTS = 20_000
"""Of one call: 64 jobs have fewer, and so have 6,000 attempts that a bridge holds."""

# What is told of what tenants have used.
USAGE_TTL_MS = 400 * 86_400_000
"""Kept for so long, unless an API says otherwise (LLAMAQ_USAGE_DAYS)."""
USERS_TTL_MS = 62 * 86_400_000
"""And what their end users have for so long."""
USERS_COUNTED = 10_000
"""Of a tenant's end users so many are counted by themselves on one day, and the others together."""
OTHER_USERS = "(others)"
"""No end user is called so in Redis: braces have another form there."""
MOST_USED_BYTES = 256
MOST_USER_BYTES = 8192
"""No text of usage is longer, and no field that has one."""

# Who goes next.
JUST_BEHIND = 2**-10
"""What puts who comes behind who waits with as much. A sum of whole costs and these is exact."""
FAN = 4
"""Of each level this many are looked at, where the first are left to others."""
WIDE = 32
"""And this many where there is nothing else to do."""
DEEP = 8
"""Of a user's jobs this many are looked at."""
HEADS = 100
"""Jobs that one claim looks at, at most."""
MOST_TURNS = 400
"""So often one claim looks for the next job, at most."""
FAVOURITES = 8
"""Jobs that prefer a worker, of those that it looks at."""
QUANTUM = 500_000
"""For its cache a worker passes over no more than this (cost per weight)."""
SPAN = 2
"""Nor over jobs of the same user that are older by this many times the slots of the fleet."""
MIN_WEIGHT = 0.001
MAX_WEIGHT = 1000

SIDE_PLACES = 4
"""So many jobs that need no slot run on a worker at most, beside those in its slots."""

# When a worker leaves a job to others.
LEAST_WORTH_MS = 200
"""A job waits at least this long for the worker that has its beginning in its cache."""
MOST_WORTH_MS = 10_000
"""And at most this long, if that worker has room."""
BACKLOG = 32
"""Where more jobs wait, no slot stays empty for the cache of a full worker."""
DEAR = 4
"""The time in which a prompt is evaluated anew counts this many times."""
SECOND_TRY_MS = 2000
"""A job that has failed here waits this long for another worker."""
NEWCOMER_MS = 2000
"""And a new conversation for a worker that has fewer of them."""
FEW_TOKENS = 64
"""A worker that has no more of a conversation in its cache is preferred by nobody for it."""
KEYED = "key-"
"""How a prefix begins that stands for a client's own name for what it repeats."""
NOTICEABLY = 1.25
"""Figures waver: a worker that is less than this many times as fast counts as equal."""
FASTER_ASKED = 8
"""Faster workers that a deferring one may wake."""

RENEWAL_MS = 1000
"""A bridge renews its lease this often; where it was later, an emit does it too."""

RELIED_ON_MS = 1500
"""A worker that was silent for longer is not called alone."""

# How a burst spreads.
SLACK_PARTS = 100
"""A worker may have more than its share, by this part of its slots: that saves claims."""
PEERS_COUNTED = 8
"""Of more workers the attempts are not counted one by one."""

# Who is blamed when servers crash.
SUSPECTED_MS = 600_000
"""Whose jobs crashed two servers within this time is under suspicion for as long."""
WELL_DONE_MS = 100_000
"""Each answer of theirs that goes well ends that so much sooner."""
CRASHES_OF_USERS = 4
"""So many crashes by end users put their tenant under suspicion; of each one two count."""
SAME_CRASH_MS = 5000
"""A server that crashes twice within this time has crashed once."""
CRASH_COST = 2_000_000
"""What a suspect pays at least for a job that crashed a server: 1000 tokens of an answer."""
HELD_BACK_MS = 90_000
"""So long no job of a suspect begins after a crash that is its own, where the model serves others.

Servers are back by then, and start after their first, short pause again.
"""
SPACED_MS = 5000
"""And then no more than one in so long, on all workers together: they don't crash at once."""
CRASHES_KEPT = 1000
"""Rows that tell who was there."""

# Bounds on the work of one call.
HELD_LOOKED_AT = 256
"""Attempts that a bridge holds and that one call looks at."""
PIECE = 1000
"""Values of one command: Lua's `unpack` takes no more than a few thousand."""
MOST_CLAIMED = 64
"""Jobs of one claim; the ring that it passes on calls for the others."""
MOST_DRAINED = 256
"""Places whose workers operators have drained; the oldest order is forgotten first."""
MOST_GONE = 50
"""Workers that went away in the last hour that people are told of."""
MOST_GONE_BYTES = 512
"""Of a text that such a worker has said of itself."""
GONE_MS = 3_600_000
"""For how long they are told of."""
MOST_RECOVERED = 64
"""Attempts that one call gives back, of all workers together."""
MOST_RECOUNTED = 10_000
"""A longer queue is counted when it is shorter."""
MOST_NAMED = 16
"""APIs of another protocol that are named."""
FLEET_LOOKED_AT = 64
CROWDS_COMPARED = 16
BEGINNINGS = 100
"""Beginnings of a conversation that are looked for."""
TENANTS_LOOKED_AT = 32
"""In a full queue, those with the most queued."""
USERS_LOOKED_AT = 1000
"""And a tenant's users."""
NEWEST_DROPPED = 64
"""And a user's jobs."""
WAITING_LOOKED_AT = 256
"""Of each class, for the oldest of the jobs that wait."""

# What jobs may be like.
LARGEST = 1e13
"""No time, size or cost of a job is larger."""
SMALL_BODY_BYTES = 32_768
"""A body that comes with its claim; larger ones are read apart."""
SETBACKS_PER_ATTEMPT = 2
"""A job may meet this many misconfigured servers for each attempt that it may cost."""

CHANGED = "changed"
"""The queue is not as it was, and must be looked at anew."""
REFUSALS = ("OOM ", "READONLY ", "MASTERDOWN ", "NOREPLICAS ", "MISCONF ", "NOPERM ")
"""How Redis begins to say that it refuses all work for now."""

UNREADABLE = (
    '{"code":"worker_failed","message":"Redis holds a damaged record of the request: %s. Please '
    'send it again."}'
)
"""What an API is told of a job that can't be read, for its client."""
UNFIT = "it can not be worked on"
"""The flaw of a job that looks sound, and can't be worked on."""

# Answers that are kept for whoever asks again.
KEPT_BESIDE_BYTES = 1024
"""What Redis takes for a kept answer, beside its bytes."""
MOST_FORGOTTEN = 256
"""Kept answers that one call removes."""

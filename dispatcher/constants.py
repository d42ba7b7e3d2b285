"""Numbers that the Lua scripts share with Python: the scripts get them by these names."""

# How long things are kept.
DONE_TTL_MS = 60_000
"""An ended job stays visible, and answers a repeated call, for this long."""
WORKER_TTL_MS = 600_000
"""For keys that a reaper never gets to see."""
REMEMBERED_MS = 1_800_000
"""A worker is taken to have a conversation in its cache for this long."""
LOST_MS = 10_000
"""The API may resume a lost job for this long."""
MINUTE_MS = 60_000
"""The time over which the requests of a tenant are counted."""

MOST_SEARCHED = 100_000
"""The place of a damaged job is looked for among this many. A later claim finds it otherwise."""
MOST_ARGUMENTS = 20_000
"""Of one call: 64 jobs have fewer, and so have 6,000 attempts that a bridge holds."""

# Usage of tenants.
USAGE_TTL_MS = 400 * 86_400_000
"""Kept for this long, unless an API says otherwise (LLAMAQ_USAGE_DAYS)."""
USERS_TTL_MS = 62 * 86_400_000
"""That of end users is kept for this long."""
USERS_COUNTED = 10_000
"""On one day this many end users of a tenant are counted by themselves, the others together."""
OTHER_USERS = "(others)"
"""No end user is called this in Redis, where a parenthesis is quoted."""
MOST_USED_BYTES = 256
MOST_USER_BYTES = 8192
"""The longest text of usage, and the longest name of a field that has one."""

# Who goes next.
JUST_BEHIND = 2**-10
"""Puts a newcomer after those with as much that wait. A sum of whole costs and these is exact."""
FEW_OF_LEVEL = 4
"""A claim looks at this many of each level where it leaves the first to others."""
MANY_OF_LEVEL = 32
"""And at this many where there is nothing else to do."""
JOBS_OF_USER = 8
"""It looks at this many jobs of a user."""
JOBS_LOOKED_AT = 100
"""One claim looks at no more jobs than this."""
MOST_TURNS = 400
"""One claim looks for the next job no more often than this."""
FAVOURITES = 8
"""A claim looks at this many of the jobs that prefer its worker."""
QUANTUM = 500_000
"""For its cache a worker overtakes no more than this (cost per weight)."""
FLEETS_OVERTAKEN = 2
"""Nor jobs of the same user that are older by this many times the slots of the fleet."""
MIN_WEIGHT = 0.001
MAX_WEIGHT = 1000

SIDE_PLACES = 4
"""A worker runs no more jobs that need no slot, beside those in its slots."""

# When a worker leaves a job to others.
LEAST_WORTH_MS = 200
"""A job waits at least this long for the worker that has its beginning in its cache."""
MOST_WORTH_MS = 10_000
"""And at most this long, if that worker has room."""
BACKLOG = 32
"""Where more jobs wait, no slot stays empty for the cache of a full worker."""
REPREFILL_FACTOR = 4
"""The time to evaluate a prompt again counts this many times."""
SECOND_TRY_MS = 2000
"""A job that has failed here waits this long for another worker."""
NEWCOMER_MS = 2000
"""A new conversation waits this long for a worker that has fewer of them."""
FEW_TOKENS = 64
"""No job prefers a worker that has no more of its conversation in its cache."""
KEYED = "key-"
"""Marks a prefix that comes from a client's own name for what it repeats."""
FASTER_RATIO = 1.25
"""Figures waver: a worker is faster only from this ratio on."""
FASTER_ASKED = 8
"""A deferring worker may wake this many faster ones."""

RENEWAL_MS = 1000
"""A bridge renews its lease this often. An emit renews it too, where that is late."""

RELIED_ON_MS = 1500
"""A worker that was silent for longer is not called alone."""

# How a burst spreads.
SLACK_PARTS = 100
"""A worker may have more than its share, by this part of its slots: that saves claims."""
PEERS_COUNTED = 8
"""If there are more, their attempts are not counted one by one."""

# Who is blamed when servers crash.
SUSPECTED_MS = 600_000
"""A tenant whose jobs crashed two servers within this time is under suspicion for as long."""
WELL_DONE_MS = 100_000
"""Each answer of theirs that goes well ends the suspicion sooner by this."""
CRASHES_OF_USERS = 4
"""This many crashes by end users put their tenant under suspicion; two count of each user."""
SAME_CRASH_MS = 5000
"""A server that crashes twice within this time has crashed once."""
CRASH_COST = 2_000_000
"""A suspect pays at least this for a job that crashed a server: 1000 tokens of an answer."""
HELD_BACK_MS = 90_000
"""After a crash of its own alone no job of a suspect begins for this long, if others are served.

By then servers are back, and their next restart comes after the first, short pause again.
"""
SPACED_MS = 5000
"""Then one begins in this time at most, on all workers together: they don't crash at once."""
CRASHES_KEPT = 1000
"""Rows that tell who was there at crashes."""

# Bounds on the work of one call.
HELD_LOOKED_AT = 256
"""One call looks at this many attempts that a bridge holds."""
VALUES_AT_ONCE = 1000
"""Values of one command: Lua's `unpack` takes no more than a few thousand."""
MOST_CLAIMED = 64
"""One claim takes this many jobs; the ring that it passes on calls for the others."""
MOST_DRAINED = 256
"""Places whose workers operators have drained; the oldest order is forgotten first."""
MOST_GONE = 50
"""People are told of this many workers that went away in the last hour."""
MOST_GONE_BYTES = 512
"""The longest text of such a worker that is kept."""
GONE_MS = 3_600_000
"""People are told of them for this long."""
MOST_RECOVERED = 64
"""Attempts that one call gives back, of all workers together."""
MOST_RECOUNTED = 10_000
"""A longer queue is not recounted until it is shorter."""
MOST_NAMED = 16
"""This many APIs of another protocol are named."""
FLEET_LOOKED_AT = 64
CROWDS_COMPARED = 16
BEGINNINGS = 100
"""This many beginnings of a conversation are looked for."""
TENANTS_LOOKED_AT = 32
"""In a full queue, this many tenants are looked at: those with the most queued."""
USERS_LOOKED_AT = 1000
"""And this many of a tenant's users."""
NEWEST_DROPPED = 64
"""And this many of a user's jobs: the newest."""
WAITING_LOOKED_AT = 256
"""Of each class this many jobs are looked at for the oldest that waits."""

# What jobs may be like.
LARGEST = 1e13
"""No time, size or cost of a job is larger."""
SMALL_BODY_BYTES = 32_768
"""A body that comes with its claim; larger ones are read apart."""
SETBACKS_PER_ATTEMPT = 2
"""A job may meet this many misconfigured servers for each attempt that it may cost."""

CHANGED = "changed"
"""The queue has changed: look at it again."""
REFUSALS = ("OOM ", "READONLY ", "MASTERDOWN ", "NOREPLICAS ", "MISCONF ", "NOPERM ")
"""Redis begins so to say that it refuses all work for now."""

UNREADABLE = (
    '{"code":"worker_failed","message":"Redis holds a damaged record of the request: %s. Please '
    'send it again."}'
)
"""What an API is told, for its client, of a job that can't be read."""
UNFIT = "it can not be worked on"
"""The flaw of a job that looks sound, but can't be worked on."""

# Kept answers.
KEPT_BESIDE_BYTES = 1024
"""A kept answer takes this in Redis, beside its bytes."""
MOST_FORGOTTEN = 256
"""One call removes no more kept answers."""

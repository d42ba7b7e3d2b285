"""The only place that spells a Redis key. ARCHITECTURE.md has the table of what each one holds."""

from dataclasses import dataclass

ALIASES = "llamaq:aliases"
INVITED = "llamaq:invited"
MODELS = "llamaq:models"
REVOKED = "llamaq:revoked"
TENANTS = "llamaq:tenants"
TOKENS = "llamaq:tokens"
WATCH = "llamaq:watch"
WOKEN = "llamaq:woken"
WRITABLE = "llamaq:writable"

# What the Lua scripts call a key → how it ends. A name that ends in ":" takes an id.
NAMES = {
    "queue": "queue",
    "classes": "classes",
    "turns": "turns:",
    "served": "served:",
    "idle": "idle:",
    "charged": "charged",
    "waiting": "waiting",
    "waiting_bytes": "waiting_bytes",
    "busy": "busy",
    "parked": "parked",
    "supersede": "supersede:",
    "prefix": "prefix:",
    "prefers": "prefers:",
    "speeds": "speeds",
    "job": "job:",
    "body": "body:",
    "deadlines": "deadlines",
    "workers": "workers",
    "worker": "worker:",
    "drained": "drained",
    "running": "running:",
    "gone": "gone",
    "gone_of": "gone:",
    "cancels": "cancels:",
    "bell": "bell",
    "side_bell": "side_bell",
    "bell_of": "bell:",
    "apis": "apis",
    "api": "api:",
    "replies": "replies:",
    "counters": "counters",
    "loading": "loading",
    "crashes": "crashes",
    "suspects": "suspects",
    "held_back": "held_back",
    "usage": "usage:",
    "usage_users": "usage_users:",
    "minutes": "minutes:",
    "hours": "hours:",
    # Of a tenant.
    "requests": "requests",
    "requests_of": "requests:",
    "open": "open",
    "open_of": "open:",
    # Of `KeptKeys`:
    "kept": "answer:",
    "kept_until": "until",
    "kept_of": "of:",
    "kept_bytes": "bytes",
    "kept_total": "total",
}


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one model. Its name is their hash tag, which a Cluster would need."""

    model: str

    @property
    def prefix(self) -> str:
        """How every key of the model begins."""
        return f"llamaq:{{{self.model}}}:"

    def named(self, name: str, id_: str = "") -> str:
        """The key of a name in `NAMES`; raises `KeyError` for any other."""
        return f"{self.prefix}{NAMES[name]}{id_}"

    @property
    def aliases(self) -> str:
        """More names of the model. An invited machine can write to no key that begins so."""
        return f"{ALIASES}:{{{self.model}}}"

    @property
    def woken(self) -> str:
        """Somebody woke machines for the model a moment ago. Invited ones can't write it."""
        return f"{WOKEN}:{{{self.model}}}"


@dataclass(frozen=True, slots=True)
class TenantKeys:
    """The keys of one tenant and its end users, whose name is as `tenant_key` spells it."""

    tenant: str

    @property
    def prefix(self) -> str:
        """How every key of the tenant begins."""
        return f"llamaq:{{tenant:{self.tenant}}}:"

    def named(self, name: str, id_: str = "") -> str:
        """As `Keys.named`."""
        return f"{self.prefix}{NAMES[name]}{id_}"


@dataclass(frozen=True, slots=True)
class KeptKeys:
    """The keys of answers that are kept for requests that come again. One bound holds for all
    tenants, so a Cluster would have them in one place. No model's keys begin like this.
    """

    prefix: str = "llamaq:kept:{all}:"

    def answer(self, name: str) -> str:
        """The key of one answer."""
        return f"{self.prefix}{NAMES['kept']}{name}"

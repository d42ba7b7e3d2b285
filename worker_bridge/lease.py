"""What a worker knows of its own lease."""

import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Lease:
    """It was renewed last at `renewed_at` (`time.monotonic`), and has been lost so often."""

    renewed_at: float = field(default_factory=time.monotonic)
    lost: int = 0

    def renew(self) -> None:
        """It is good again from now on."""
        self.renewed_at = time.monotonic()

    @property
    def age_s(self) -> float:
        """The seconds since it was renewed."""
        return time.monotonic() - self.renewed_at

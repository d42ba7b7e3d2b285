"""The folder in which `llamaq up` keeps what must outlive it: secrets, queue, demo model."""

import errno
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

DEFAULT_FOLDER = Path("~/.local/share/llamaq")
"""That of `up` and of what is used beside it, where nothing names another one."""


@dataclass(frozen=True, slots=True)
class Home:
    """The paths in such a folder."""

    folder: Path

    @property
    def jwt_secret(self) -> Path:
        """The secret that signs tokens."""
        return self.folder / "jwt_secret"

    @property
    def redis_password(self) -> Path:
        """The password of the embedded Redis where it listens on TCP."""
        return self.folder / "redis_password"

    @property
    def redis_url(self) -> Path:
        """The address of the embedded Redis while it runs."""
        return self.folder / "redis_url"

    @property
    def api_url(self) -> Path:
        """The address of the API on this machine, as the last `up` told."""
        return self.folder / "api_url"

    @property
    def redis_listen(self) -> Path:
        """Where Redis listens for other machines, as ADDR:PORT. No file: it doesn't."""
        return self.folder / "redis_listen"

    @property
    def redis_tls(self) -> Path:
        """The folder of the CA and the certificate with which Redis speaks TLS."""
        return self.folder / "tls"

    @property
    def redis_ca(self) -> Path:
        """The fingerprint of that CA. No file: Redis doesn't speak TLS."""
        return self.folder / "redis_ca"

    @property
    def demo_model(self) -> Path:
        """The generated model of `up --demo`."""
        return self.folder / "demo.gguf"

    def create(self) -> None:
        """Makes the folder, for this user only."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def keep_secret(path: Path) -> str:
    """The secret in the file at `path`, made on first use; only this user can read it."""
    with suppress(FileExistsError):
        write_private(path, f"{secrets.token_hex(32)}\n", exclusive=True)
    return path.read_text().strip()


def write_private(path: Path, text: str, *, exclusive: bool = False) -> None:
    """Writes a file that only this user can read; an `exclusive` one must not exist yet."""
    try:
        _write_private(path, text, exclusive=exclusive)
    except OSError as error:
        if exclusive and error.errno != errno.EEXIST:  # half a secret is no secret
            path.unlink(missing_ok=True)
        raise


def _write_private(path: Path, text: str, *, exclusive: bool) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | (os.O_EXCL if exclusive else 0)
    with os.fdopen(os.open(path, flags, 0o600), "w") as file:
        file.write(text)

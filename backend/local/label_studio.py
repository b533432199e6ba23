"""Run a real Label Studio on this machine, from a Python environment of its own."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from backend.local.processes import end, spawn

# The first start runs several hundred database migrations: 20 to 50 s on two idle cores.
_START_SECONDS = 600.0

_STOP_SECONDS = 5.0


@dataclass(frozen=True)
class LocalLabelStudio:
    """A running Label Studio, and its first user."""

    url: str
    user: str
    password: str
    token: str
    log: Path
    process: subprocess.Popen[bytes]

    def wait_until_ready(self) -> None:
        """Wait until it answers and knows its first user.

        Raises:
            RuntimeError: it ended, or another Label Studio answers; the message says where to look.
        """
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            self.expect_alive()
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"expected Label Studio to answer within {_START_SECONDS:.0f} s; see {self.log}"
                )
            time.sleep(0.2)
        response = requests.get(
            f"{self.url}/api/current-user/whoami", headers=self.headers, timeout=30
        )
        if response.status_code != 200:
            raise RuntimeError(
                f"expected {self.url} to be the Label Studio that was started, but it does not "
                f"know its user (status {response.status_code}): stop the one that runs there"
            )

    def expect_alive(self) -> None:
        """Raise RuntimeError, naming its log, if it has ended."""
        if self.process.poll() is not None:
            raise RuntimeError(f"expected Label Studio to run, but it has ended; see {self.log}")

    @property
    def headers(self) -> dict[str, str]:
        """Headers of a request to its API."""
        return {"Authorization": f"Token {self.token}"}

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/health", timeout=5).status_code == 200
        except requests.RequestException:
            return False


@contextmanager
def running(
    executable: Path,
    folder: Path,
    *,
    port: int,
    token: str,
    user: str = "demo@example.com",
    password: str = "keypoints",
    environment: Mapping[str, str] | None = None,
) -> Iterator[LocalLabelStudio]:
    """Run Label Studio on 127.0.0.1 inside the block; it is not ready at first.

    Args:
        executable: `label-studio` of its environment.
        folder: folder of its database and uploads; created if it is missing.
        port: a free port; if it is taken, Label Studio silently chooses another.
        token: token of the first user, at most 40 characters.
        user, password: credentials of the first user, who is created at the first start.
        environment: further settings of Label Studio.

    Raises:
        RuntimeError: there is no program at `executable`.
    """
    if not executable.exists():
        raise RuntimeError(f"expected Label Studio at {executable}: `make demo` installs it")
    folder.mkdir(parents=True, exist_ok=True)
    url = f"http://127.0.0.1:{port}"
    variables = {
        # Not the environment of this process: Label Studio reads HOST, PORT and DEBUG, too.
        "PATH": f"{executable.parent.absolute()}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "HOME": str(folder.absolute()),
        "LANG": "C.UTF-8",
        "HOST": url,
        "LABEL_STUDIO_BASE_DATA_DIR": str((folder / "data").absolute()),
        "LABEL_STUDIO_USERNAME": user,
        "LABEL_STUDIO_PASSWORD": password,
        "LABEL_STUDIO_USER_TOKEN": token,
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        # Otherwise it refuses backends on private addresses.
        "ML_BLOCK_LOCAL_IP": "false",
        "SSRF_PROTECTION_ENABLED": "false",
        # It connects to no other server.
        "COLLECT_ANALYTICS": "false",
        "LATEST_VERSION_CHECK": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        "FEATURE_FLAGS_OFFLINE": "true",
        **(environment or {}),
    }
    log = folder / "label-studio.log"
    address = ["--internal-host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as output:
        process = spawn(
            [str(executable), "start", "--no-browser", *address], env=variables, output=output
        )
    try:
        yield LocalLabelStudio(url, user, password, token, log, process)
    finally:
        end(process, grace=_STOP_SECONDS)


def free_port(preferred: int = 0) -> int:
    """Return the preferred port if it is free on 127.0.0.1, else any free port."""
    try:
        with socket.create_server(("127.0.0.1", preferred)) as server:
            return int(server.getsockname()[1])
    except OSError:
        if preferred == 0:
            raise
        return free_port()

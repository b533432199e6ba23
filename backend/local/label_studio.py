"""A real Label Studio on this machine, in a Python environment of its own."""

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

# The first start makes a database of several hundred migrations: 20 to 50 s on two quiet cores.
_START_SECONDS = 600.0

_STOP_SECONDS = 5.0


@dataclass(frozen=True)
class LocalLabelStudio:
    """A running Label Studio, and the one user that it knows from the start."""

    url: str
    user: str
    password: str
    token: str
    log: Path
    process: subprocess.Popen[bytes]

    def wait_until_ready(self) -> None:
        """Return once it answers and knows our user.

        Raises:
            RuntimeError: it ended, or another one answers; one line that says where to look.
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
                f"know its user (status {response.status_code}): does another one run there?"
            )

    def expect_alive(self) -> None:
        """Raise RuntimeError that says where to look if it has ended."""
        if self.process.poll() is not None:
            raise RuntimeError(f"expected Label Studio to run, but it has ended; see {self.log}")

    @property
    def headers(self) -> dict[str, str]:
        """Of a request to its API."""
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
    """Start Label Studio on 127.0.0.1 and end it with the block; it is not ready at first.

    Args:
        executable: `label-studio` of its environment.
        folder: where it keeps its database and uploads; made where missing.
        port: a free one; Label Studio would silently take another.
        token: the user's, at most 40 characters.
        user, password: made at the first start.
        environment: more of its settings.

    Raises:
        RuntimeError: there is no Label Studio at `executable`.
    """
    if not executable.exists():
        raise RuntimeError(f"expected Label Studio at {executable}: `make demo` installs it")
    folder.mkdir(parents=True, exist_ok=True)
    url = f"http://127.0.0.1:{port}"
    variables = {
        # Not our own environment: Label Studio reads names such as HOST, PORT and DEBUG as well.
        "PATH": f"{executable.parent.absolute()}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "HOME": str(folder.absolute()),
        "LANG": "C.UTF-8",
        "HOST": url,
        "LABEL_STUDIO_BASE_DATA_DIR": str((folder / "data").absolute()),
        "LABEL_STUDIO_USERNAME": user,
        "LABEL_STUDIO_PASSWORD": password,
        "LABEL_STUDIO_USER_TOKEN": token,
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        # It refuses backends on private addresses otherwise.
        "ML_BLOCK_LOCAL_IP": "false",
        "SSRF_PROTECTION_ENABLED": "false",
        # It calls nobody.
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
    """The preferred port of 127.0.0.1 where nobody listens on it, else any free one."""
    try:
        with socket.create_server(("127.0.0.1", preferred)) as server:
            return int(server.getsockname()[1])
    except OSError:
        if preferred == 0:
            raise
        return free_port()

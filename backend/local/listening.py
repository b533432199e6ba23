"""Open the socket that a server listens on, or say what to do."""

import os
import socket


class PortTaken(RuntimeError):
    """Another process listens on the port; the message says what to do."""


def listen(host: str, port: int, *, otherwise: str) -> socket.socket:
    """Return a socket that listens.

    Args:
        host: address of this machine.
        otherwise: what to do where something else keeps the port, such as "name another port".

    Raises:
        PortTaken: it cannot listen there.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise PortTaken(
            f"expected to listen on {host}, port {port}, but: {os.strerror(error.errno or 0)}. "
            f"Stop what listens there, or {otherwise}"
        ) from error

import socket

import pytest

from backend.local.listening import PortTaken, listen


def test_a_port_that_is_taken_is_named_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=f"port {port}.*or name another port"):
            listen("127.0.0.1", port, otherwise="name another port")


@pytest.mark.parametrize(
    ("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)]
)
def test_it_listens_on_addresses_of_both_kinds(host: str, family: int) -> None:
    try:
        socket.create_server((host, 0), family=family).close()
    except OSError:
        pytest.skip(f"this machine has no {host}")
    with listen(host, 0, otherwise="") as listener:
        place = (host, listener.getsockname()[1])
        with socket.create_connection(place, timeout=5) as caller:
            assert caller.getpeername()[:2] == place

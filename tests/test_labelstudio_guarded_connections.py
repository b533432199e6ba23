"""Connections to untrusted addresses; `fetch` is tested in test_labelstudio_images."""

import socket
import time
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address

import pytest
import requests
from loopback_server import Answer, Request, loopback_server

from backend.labelstudio.guarded_connections import (
    GuardedConnections,
    PrivateAddressError,
    is_public,
)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:4700::1111", True),
        ("::ffff:93.184.216.34", True),
        ("64:ff9b::5db8:d822", True),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("::ffff:10.1.2.3", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool):
    assert is_public(ip_address(address)) is public


def hello(request: Request, _: BaseHTTPRequestHandler) -> Answer:
    return Answer(body=b"hello")


def test_a_private_host_is_connected_to_only_while_that_is_allowed():
    with loopback_server(hello) as server, GuardedConnections(10) as connections:
        with pytest.raises(PrivateAddressError, match=r"127\.0\.0\.1 at 127\.0\.0\.1") as caught:
            connections.get(server.url, {})
        assert (caught.value.host, caught.value.found) == ("127.0.0.1", ["127.0.0.1"])
        assert server.requests == []
        connections.allow_private = True
        with connections.get(server.url, {"X-Word": "yes"}) as answer:
            assert answer.content == b"hello"
    assert server.requests[0].headers["x-word"] == "yes"
    assert "authorization" not in server.requests[0].headers


def test_of_several_addresses_only_the_public_ones_are_tried(monkeypatch: pytest.MonkeyPatch):
    """Here none of them answers: the private one, which would, is left out."""
    tried = []

    def name_server(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*kind, (ip, port)) for ip in ("127.0.0.1", "93.184.216.34", "93.184.216.35")]

    def refuse(address: tuple[str, int], *_: object, **more: object) -> socket.socket:
        tried.append(address[0])
        raise OSError("nobody there")

    monkeypatch.setattr(socket, "getaddrinfo", name_server)
    monkeypatch.setattr("backend.labelstudio.guarded_connections.create_connection", refuse)
    with GuardedConnections(10) as connections, pytest.raises(OSError, match="nobody there"):
        connections.get("http://images.example/a.png", {})
    assert tried == ["93.184.216.34", "93.184.216.35"]


def test_all_connections_are_cut_when_the_time_is_up():
    def drip(_: Request, handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n")
        while True:
            handler.wfile.write(b"x")
            time.sleep(0.01)

    began = time.monotonic()
    with loopback_server(drip) as server, GuardedConnections(0.2) as connections:
        connections.allow_private = True
        with connections.get(server.url, {}) as answer:
            try:
                for _ in answer.iter_content(1 << 16):
                    pass
            except requests.RequestException:
                pass
        assert connections.timed_out
    assert time.monotonic() - began < 10


def test_a_block_that_ends_in_time_is_not_timed_out():
    with GuardedConnections(0.05) as connections:
        pass
    time.sleep(0.1)
    assert not connections.timed_out

"""A port that cannot be had: the message names the cause and the setting to change."""

import os
import socket

import pytest

from app.commands.errors import SettingInvalid
from app.commands.ports import listen


def test_a_port_in_use_names_who_has_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(SettingInvalid, match=rf"Port {port} .* \(process {os.getpid()}\).*SIGNALBOX_PORT"):
            listen("127.0.0.1", port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_a_host_that_is_not_here_names_its_setting(host: str) -> None:
    with pytest.raises(SettingInvalid, match=f"SIGNALBOX_HOST '{host}'"):
        listen(host, 8080)


def test_a_free_port_is_listened_on() -> None:
    listener = listen("127.0.0.1", 0)
    socket.create_connection(listener.getsockname()).close()
    listener.close()


def test_what_is_accepted_sends_at_once() -> None:
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

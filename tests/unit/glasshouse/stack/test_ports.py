import errno
import os
import socket

import pytest

from glasshouse.errors import PortError
from glasshouse.stack.ports import Port, check


def test_free_ports_pass(unused: int) -> None:
    check((Port(unused, "127.0.0.1", "gateway", "GATEWAY_PORT"),))


@pytest.fixture
def unused() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_taken_port_is_named_with_who_has_it_and_a_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.getsockname()[1]
        with pytest.raises(PortError) as caught:
            check((Port(number, "127.0.0.1", "gateway", "GATEWAY_PORT"),))
    text = str(caught.value)
    assert f"Port {number} (gateway) is taken" in text
    assert f"process {os.getpid()} (" in text
    assert f"make up GATEWAY_PORT={number + 1}"[:-1] in text


def test_all_that_is_wrong_is_said_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        wanted = tuple(
            Port(listener.getsockname()[1], "127.0.0.1", "x", name) for listener, name in ((first, "A"), (second, "B"))
        )
        with pytest.raises(PortError) as caught:
            check(wanted)
    assert len(str(caught.value).splitlines()) == 2


def test_two_variables_with_one_port_are_both_named(unused: int) -> None:
    with pytest.raises(PortError, match=f"B_PORT and A_PORT are both {unused}"):
        check((Port(unused, "127.0.0.1", "a", "A_PORT"), Port(unused, "127.0.0.1", "b", "B_PORT")))


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(PortError, match=r"192\.0\.2\.1:18399 .*GATEWAY_PORT.* cannot be listened on"):
        check((Port(18399, "192.0.2.1", "gateway", "GATEWAY_PORT"),))


def test_the_suggestion_avoids_the_other_ports() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.getsockname()[1]
        wanted = (
            Port(number, "127.0.0.1", "gateway", "GATEWAY_PORT"),
            Port(number + 1, "192.0.2.1", "metrics", "METRICS_PORT"),
        )
        with pytest.raises(PortError) as caught:
            check(wanted)
    assert f"GATEWAY_PORT={number + 1}" not in str(caught.value)


def test_docker_listens_where_this_user_may_not(unused: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = listener.getsockname()[1]
        monkeypatch.setattr(socket.socket, "bind", forbidden)
        check((Port(unused, "0.0.0.0", "nginx", "HTTP_PORT", by_root=True),))
        with pytest.raises(PortError, match=rf"Port {taken} \(nginx\) is taken"):
            check((Port(taken, "0.0.0.0", "nginx", "HTTP_PORT", by_root=True),))
        with pytest.raises(PortError, match=r"Port 80 \(nginx\) is only for root.*HTTP_PORT=80"):
            check((Port(80, "0.0.0.0", "nginx", "HTTP_PORT"),))

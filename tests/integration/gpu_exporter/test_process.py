"""Starting, stopping, and what is refused."""

import signal
import socket

import pytest
from tests.integration.gpu_exporter.conftest import Start
from tests.integration.gpu_exporter.exporter import Machine, refused
from tests.support.program import HOST


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(number: signal.Signals, start: Start, machine: Machine) -> None:
    exporter = start(machine)
    exporter.scrape()
    exporter.send(number)
    assert exporter.wait(5) == 0
    assert machine.calls() == ["init", "shutdown"]
    assert "Traceback" not in exporter.text()


def test_a_hung_call_does_not_keep_it_from_ending(start: Start, machine: Machine) -> None:
    exporter = start(machine, TIMEOUT="0.3")
    machine.now("0.nvmlDeviceGetUtilizationRates hang")
    exporter.scrape()
    exporter.send(signal.SIGTERM)
    assert exporter.wait(5) == 0


def test_a_client_that_sends_nothing_or_leaves_blocks_nobody(start: Start, machine: Machine) -> None:
    exporter = start(machine)
    with socket.create_connection((HOST, exporter.port)):
        assert exporter.scrape().value("gpu_up") == 1
    with socket.create_connection((HOST, exporter.port)) as leaving:
        leaving.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
    assert exporter.scrape().value("gpu_up") == 1
    assert "Traceback" not in exporter.text()


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("PORT", "http", "an integer: unable to parse string as an integer"),
        ("PORT", "70000", "less than or equal to 65535"),
        ("TIMEOUT", "0", "greater than or equal to 0.1"),
        ("EXPECTED", "-1", "greater than or equal to 0"),
    ],
)
def test_a_bad_setting_is_one_sentence(name: str, value: str, allowed: str) -> None:
    variable = f"GPU_EXPORTER_{name}"
    assert refused({variable: value}) == (2, f"{variable}={value} cannot be used; it must be {allowed}.\n")


def test_an_unknown_argument_is_one_sentence() -> None:
    code, text = refused({}, ["--prot", "1"])
    assert (code, text) == (2, "The settings cannot be read: error parsing CLI: unrecognized arguments: --prot 1.\n")


def test_an_address_of_another_machine_is_one_sentence() -> None:
    code, text = refused({"GPU_EXPORTER_HOST": "192.0.2.1"})
    assert code == 2
    assert text.startswith("GPU_EXPORTER_HOST=192.0.2.1 with GPU_EXPORTER_PORT=9400 cannot be listened at")
    assert text.count("\n") == 1


def test_a_taken_port_is_one_sentence(taken_port: int) -> None:
    code, text = refused({"GPU_EXPORTER_PORT": str(taken_port)})
    assert (code, text.count("\n")) == (2, 1)
    assert f"GPU_EXPORTER_PORT={taken_port} cannot be listened at" in text

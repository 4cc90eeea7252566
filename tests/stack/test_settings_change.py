"""Settings that change under load: what is re-created, what a typo stops, and that no request fails."""

import os
import ssl
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import httpx
import pytest
from cryptography import x509
from tests.support.compose.load import Load
from tests.support.compose.stack import FILES, Stack, docker, until

from glasshouse.files import write_atomically

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1200)]

PAUSE_S = 0.003


@pytest.fixture(scope="module")
def with_grafana(stack: Stack) -> Iterator[Stack]:
    """The stack with a stand-in for Grafana, which ends with the tests of this file."""
    changed = replace(stack, files=(*FILES, "tests/stack/compose.grafana-standin.yaml"), settings={})
    try:
        changed.up()
        yield changed
    finally:
        (stack.secrets / "grafana" / "alert-url").unlink(missing_ok=True)
        changed.compose("rm", "--stop", "--force", "grafana", "grafana-init", check=False)
        stack.up()  # with the settings of before


def containers(stack: Stack) -> dict[str, str]:
    return {row["Service"]: row["ID"] for row in stack.containers()}


def shows(stack: Stack, name: str) -> bool:
    """Whether the certificate that the front door shows is for `name`; it need not be one that is trusted."""
    anything = ssl.create_default_context()
    anything.check_hostname, anything.verify_mode = False, ssl.CERT_NONE
    with stack.client(key=None, verify=anything) as client, client.stream("GET", "/livez") as answer:
        shown = answer.extensions["network_stream"].get_extra_info("ssl_object").getpeercert(True)
    names = x509.load_der_x509_certificate(shown).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return name in {str(member.value) for member in names.value}


def test_an_alert_and_a_certificate_setting_change_under_load_and_no_request_is_dropped(
    with_grafana: Stack, measured: Callable[[str], None]
) -> None:
    stack = with_grafana
    write_atomically(stack.secrets / "grafana" / "alert-url", "https://chat.example.org/hook\n")
    changes = (
        ({"ALERTS_TO": "slack", "ALERTS_QUIET": "nights"}, {"grafana-init", "grafana"}),
        ({"PUBLIC_ADDRESS": "198.51.100.7"}, {"certificate-init", "certificate", "blackbox"}),
    )
    for change, expected in changes:
        before = containers(stack)
        load = Load(stack, pause=PAUSE_S)
        load.trust_any()  # who has pinned the old certificate is to be told that there is another
        with load:
            stack.settings |= change
            stack.compose("up", "--detach")
            if address := change.get("PUBLIC_ADDRESS"):
                until(partial(shows, stack, address), 30, "nginx shows the new certificate")
        after = containers(stack)
        recreated = {name for name in before if before[name] != after[name]}
        measured(
            f"{change} under load: {len(load.answers)} requests, {len(load.failures())} dropped; re-created {recreated}"
        )
        assert not load.failures()
        assert recreated <= expected | {"grafana"}  # which may have the address in its links
        assert recreated >= expected
    given = stack.execute("grafana", "cat", "/etc/grafana/provisioning/alerting/contact-points.yaml")
    assert "type: slack" in given


@pytest.mark.parametrize(
    ("settings", "failed", "sentence"),
    [
        ({"ALERTS_TO": "slakc"}, "grafana-init", "ALERTS_TO='slakc' is not allowed"),
        ({"PUBLIC_ADDRESS": "https://gpu.example.org"}, "certificate-init", "PUBLIC_ADDRESS='https://gpu.example.org'"),
    ],
    ids=["alerts", "certificate"],
)
def test_an_invalid_setting_is_named_and_the_api_continues_to_serve(
    with_grafana: Stack, settings: dict[str, str], failed: str, sentence: str
) -> None:
    stack = replace(with_grafana, settings=with_grafana.settings | settings)
    before = containers(stack)
    with Load(stack, pause=PAUSE_S) as load:
        status, output = stack.attempt("up", "--detach")
    assert status != 0
    assert f'service "{failed}" didn\'t complete successfully' in output
    assert sentence in stack.logs(stack.container(failed))
    assert not load.failures()
    after = containers(stack)
    unharmed = {"init", "api", "llamacpp", "nginx", "prometheus", "nginx-exporter", "node-exporter"}
    assert {name: after[name] for name in unharmed} == {name: before[name] for name in unharmed}


def test_a_missing_image_of_the_project_is_built_and_never_pulled(stack: Stack) -> None:
    version = f"missing-{os.getpid()}"
    fresh = replace(stack, name=f"{stack.name}-fresh", settings={"GLASSHOUSE_VERSION": version}, docker_config=None)
    image = f"glasshouse/nginx-exporter:{version}"
    try:
        status, output = fresh.attempt("create", "nginx-exporter")
        assert status == 0, output
        assert "Pulling" not in output
        assert docker("image", "inspect", "--format", "{{.Id}}", image)
        fresh.compose("pull", "nginx-exporter", "api")  # there is nothing to fetch, and that is no failure
        # And as `make up` asks, for what is built by one service and used by others.
        assert fresh.attempt("build", "init")[0] == 0
        status, output = fresh.attempt("pull", "--policy", "missing", "--ignore-buildable", "init", "certificate-init")
        assert status == 0, output
    finally:
        fresh.compose("down", "--volumes", check=False)
        docker("rmi", image, f"glasshouse/init:{version}")


def test_the_first_key_is_still_made_by_init_alone(stack: Stack) -> None:
    """`docker compose run --rm init …` starts nothing else."""
    before = containers(stack)
    made = stack.compose("run", "--rm", "init", "key", "add", "carol")
    assert made.strip().startswith("sk-")
    assert containers(stack) == before
    with stack.client() as client:
        assert client.get("/v1/models").status_code == httpx.codes.OK

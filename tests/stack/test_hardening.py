"""The hardening of the composed stack: no root, nothing writable, only two ports, no visible secret."""

import json
import os
import re
import shutil
import socket
import tempfile
from pathlib import Path

import pytest
from tests.support.compose.stack import DEAD_PROXY, Stack, docker, until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1200)]

CANARY = "canary-7f3a-in-a-prompt"
_ENGINE_KEY = {
    "api": "/run/glasshouse/engine/engine-key",
    "llamacpp": "/run/glasshouse/engine-key",
    "prometheus": "/run/glasshouse/engine-key",
}


def _user(service: str) -> str:
    return "65534:65534" if service == "node-exporter" else "10001:10001"


def test_every_container_is_confined(stack: Stack) -> None:
    for row in stack.containers():
        host, config = row["Inspected"]["HostConfig"], row["Inspected"]["Config"]
        service = row["Service"]
        assert host["ReadonlyRootfs"], service
        assert host["CapDrop"] == ["ALL"], service
        assert "no-new-privileges:true" in host["SecurityOpt"], service
        assert host["PidsLimit"] > 0, service
        assert host["Memory"] > 0, service
        assert not host["Privileged"], service
        assert host["LogConfig"]["Config"]["max-size"], service
        assert not any("docker.sock" in mount["Source"] for mount in row["Inspected"]["Mounts"]), service
        if service != "init":
            assert not host["CapAdd"], service
            assert config["User"] == _user(service), service


def test_no_process_runs_as_root(stack: Stack) -> None:
    for row in stack.containers():
        if row["State"] == "running":
            users = docker("top", row["ID"], "-eo", "pid,uid,args").splitlines()[1:]
            assert users
            uid = _user(row["Service"]).partition(":")[0]
            assert all(line.split()[1] == uid for line in users), (row["Service"], users)


def test_only_nginx_is_published(stack: Stack) -> None:
    published = {
        (row["Service"], int(binding["HostPort"]))
        for row in stack.containers()
        for bindings in (row["Inspected"]["NetworkSettings"]["Ports"] or {}).values()
        for binding in bindings or []
    }
    assert published == {("nginx", stack.http_port), ("nginx", stack.https_port)}


def test_engines_and_exporters_are_on_networks_without_a_way_out(stack: Stack) -> None:
    ways_out = {"edge", "downloads", "notifications"}
    for row in stack.containers():
        networks = {name.removeprefix(f"{stack.name}_") for name in row["Inspected"]["NetworkSettings"]["Networks"]}
        if row["Service"] not in {"nginx", "vllm", "grafana", "acme"}:
            assert not networks & ways_out, row["Service"]
    for network in docker("network", "ls", "--filter", f"label=com.docker.compose.project={stack.name}", "-q").split():
        (found,) = json.loads(docker("network", "inspect", network))
        assert found["Internal"] or found["Name"].removeprefix(f"{stack.name}_") in ways_out


def test_nginx_cannot_reach_an_engine(stack: Stack) -> None:
    assert stack.execute("api", "python", "-c", "import socket; print(socket.create_connection(('llamacpp', 8002), 3))")
    with pytest.raises(AssertionError, match="curl"):
        stack.execute("nginx", "curl", "-sS", "--max-time", "3", "http://llamacpp:8002/health")


def test_no_secret_is_in_inspect_or_logs_and_no_prompt_either(stack: Stack) -> None:
    with stack.client() as client:
        body = {"model": "glasshouse-demo", "messages": [{"role": "user", "content": CANARY}], "max_tokens": 4}
        assert client.post("/v1/chat/completions", json=body).is_success
        client.post("/v1/chat/completions", json=body | {"temperature": "hot " + CANARY})
        client.get(f"/v1/models/{CANARY}?key={CANARY}")
    names = ("api-key", "engine/engine-key", "engine/engine-key.next", "grafana/grafana-password")
    secrets = [(stack.secrets / name).read_text().strip() for name in names] + [CANARY]
    for row in stack.containers():
        shown = json.dumps(row["Inspected"]) + stack.logs(row["ID"])
        assert not [secret for secret in secrets if secret in shown], row["Service"]
    assert not [secret for secret in secrets if secret in stack.gateway_metrics()]


def test_secrets_belong_to_the_services_user_alone(stack: Stack) -> None:
    assert stack.secrets.stat().st_mode & 0o777 == 0o700
    for path in stack.secrets.rglob("*"):
        assert path.stat().st_uid == 10001, path
        if path != stack.certificate:
            assert path.stat().st_mode & 0o077 == 0, path


def test_each_container_sees_only_the_secrets_it_needs(stack: Stack) -> None:
    keys = ["engine-key", "engine-key.next"]
    assert stack.execute("llamacpp", "ls", "/run/glasshouse").split() == keys
    assert stack.execute("prometheus", "ls", "/run/glasshouse").split() == keys
    assert set(stack.execute("nginx", "ls", "/run/glasshouse").split()) == {"tls", "acme-webroot"}
    assert set(stack.execute("nginx", "ls", "/run/glasshouse/tls").split()) == {"cert.pem", "key.pem"}
    assert set(stack.execute("api", "ls", "/run/glasshouse").split()) == {"engine", "gateway"}
    assert stack.execute("api", "ls", "/run/glasshouse/engine").split() == keys
    assert stack.execute("api", "ls", "/run/glasshouse/gateway").split() == ["keys.yaml"]


def test_no_container_but_init_mounts_what_holds_another_services_secrets(stack: Stack) -> None:
    for row in stack.containers():
        if row["Service"] != "init":
            for mount in row["Inspected"]["Mounts"]:
                source = Path(mount["Source"])
                assert source != stack.secrets, row["Service"]
                assert not stack.secrets.is_relative_to(source) or row["Service"] == "node-exporter", row["Service"]


def test_the_exporter_that_sees_the_whole_disk_can_read_no_secret(stack: Stack) -> None:
    with pytest.raises(AssertionError, match="Permission denied"):
        stack.execute("node-exporter", "cat", f"/host{stack.secrets}/api-key")


def test_init_migrates_an_older_layout(stack: Stack, tmp_path: Path) -> None:
    old = Stack(f"{stack.name}-old", tmp_path, stack.http_port, stack.https_port)
    shutil.copytree(stack.secrets, old.secrets)
    for name in ("gateway/keys.yaml", "engine/engine-key", "grafana/grafana-password"):
        (old.secrets / name).rename(old.secrets / Path(name).name)
    for name in ("gateway", "engine", "grafana"):
        shutil.rmtree(old.secrets / name)
    try:
        old.compose("run", "--rm", "init")
        for name in ("gateway/keys.yaml", "engine/engine-key", "grafana/grafana-password", "api-key"):
            assert (old.secrets / name).read_bytes() == (stack.secrets / name).read_bytes()
            assert (old.secrets / name).stat().st_uid == 10001
        assert not any((old.secrets / name).exists() for name in ("keys.yaml", "engine-key", "grafana-password"))
    finally:
        old.down()


def test_a_file_that_is_replaced_reaches_the_containers_that_mount_its_directory(stack: Stack) -> None:
    before = {name: stack.execute(name, "cat", _ENGINE_KEY[name]) for name in _ENGINE_KEY}
    assert len(set(before.values())) == 1
    stack.compose("run", "--rm", "init", "rotate-engine-key")
    after = {name: stack.execute(name, "cat", _ENGINE_KEY[name]) for name in _ENGINE_KEY}
    assert len(set(after.values())) == 1
    assert set(after.values()).isdisjoint(before.values())
    until(stack.is_ready, 60, "it serves with the new key")


@pytest.mark.parametrize(
    "service", ["nginx", "api", "llamacpp", "node-exporter", "nginx-exporter", "blackbox", "prometheus"]
)
def test_a_health_check_asks_no_proxy(stack: Stack, service: str) -> None:
    """Docker gives its containers the proxy that its configuration names."""
    container = stack.container(service)
    (check,) = [
        row["Inspected"]["Config"]["Healthcheck"]["Test"] for row in stack.containers() if row["ID"] == container
    ]
    proxies = [f"--env={name}=http://127.0.0.1:9" for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")]
    assert check[0] == "CMD"
    docker("exec", *proxies, container, *check[1:])


def test_no_request_within_the_stack_uses_the_proxy_that_docker_sets(stack: Stack) -> None:
    """That each target is up although the proxy is dead is what test_numbers shows; here, that they do have one."""
    for row in stack.containers():
        variables = {
            name: value for name, _, value in (text.partition("=") for text in row["Inspected"]["Config"]["Env"])
        }
        proxies = {name: variables.get(name) for name in ("http_proxy", "HTTP_PROXY", "all_proxy")}
        has_none = row["Service"] in {"prometheus", "nginx-exporter", "node-exporter", "blackbox"}
        assert set(proxies.values()) == {"" if has_none else DEAD_PROXY}, row["Service"]
    until(lambda: stack.value("nginx_up") == 1, 60, "the exporter reaches nginx")


def test_the_exporter_that_sees_the_whole_disk_reads_no_private_file_of_the_services_user(stack: Stack) -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:  # where everybody may pass
        Path(name).chmod(0o755)
        for file, mode in (("private", 0o600), ("public", 0o644)):
            Path(name, file).write_text(f"this is {file}")
            Path(name, file).chmod(mode)
            os.chown(Path(name, file), 10001, 10001)
        assert stack.execute("node-exporter", "cat", f"/host{name}/public") == "this is public"
        with pytest.raises(AssertionError, match="Permission denied"):
            stack.execute("node-exporter", "cat", f"/host{name}/private")


def test_the_host_reaches_two_ports_and_no_other(stack: Stack) -> None:
    listening = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    ports = {int(re.split(r"[ :]+", line.strip())[2], 16) for line in listening}
    assert {stack.http_port, stack.https_port} <= ports
    with socket.create_connection(("127.0.0.1", stack.https_port), timeout=5):
        pass

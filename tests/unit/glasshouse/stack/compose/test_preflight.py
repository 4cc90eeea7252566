"""What `make up` refuses before anything is fetched or started."""

import socket
from pathlib import Path

import pytest
from tests.unit.glasshouse.conftest import Read
from tests.unit.glasshouse.docker_plan import FakeDocker

from glasshouse import start
from glasshouse.errors import ImagesMissing, PortError, SettingsError, StackError
from glasshouse.stack.compose.stack import ComposeStack


def test_another_checkouts_stack_is_never_touched(docker: FakeDocker, read: Read, tmp_path: Path) -> None:
    docker.plan(containers=[docker.container("api", directory=tmp_path / "other")])
    settings = read()
    assert not ComposeStack(settings).exists
    with pytest.raises(
        StackError, match=r"has a stack named 'glasshouse' in Docker: .*/other\. .*COMPOSE_PROJECT_NAME="
    ):
        start.up(settings, attach=False)
    assert docker.asked_of_compose == []


def test_a_taken_port_is_one_sentence_before_anything_is_fetched(docker: FakeDocker, read: Read) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = str(listener.getsockname()[1])
        with pytest.raises(PortError, match=rf"Port {number} \(nginx\) is taken by .* make up HTTP_PORT=\d+"):
            start.up(read(HTTP_PORT=number), attach=False)
    assert docker.asked_of_compose == []


def test_a_model_that_the_container_cannot_see_is_named(read: Read) -> None:
    with pytest.raises(SettingsError, match=r"LLAMACPP_MODEL='/srv/x.gguf' .* sees only models/"):
        start.up(read(LLAMACPP_MODEL="/srv/x.gguf"), attach=False)


@pytest.mark.parametrize(
    ("variable", "value"), [("KEYS_FILE", "secrets/keys.yaml"), ("ENGINE_KEY_FILE", "/run/vault/engine-key")]
)
def test_a_place_for_secrets_that_no_container_sees_is_refused(
    docker: FakeDocker, read: Read, variable: str, value: str
) -> None:
    with pytest.raises(SettingsError, match=f"{variable}='.*{value}' is not allowed in Docker, where containers see"):
        start.up(read(**{variable: value}), attach=False)
    assert docker.asked_of_compose == []
    named = {"KEYS_FILE": "secrets/gateway/keys.yaml", "ENGINE_KEY_FILE": "secrets/engine/engine-key"}
    docker.plan(containers=[docker.container("api")], statuses={"pull": 1})
    with pytest.raises(ImagesMissing):  # these are the usual places: it is Docker that ends it
        start.up(read(**named), attach=False)

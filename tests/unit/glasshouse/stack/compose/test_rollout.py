"""The steps around an upgrade; their order, and the way back, are in maintenance/test_upgrade.py."""

from tests.unit.glasshouse.conftest import Repository

from glasshouse.stack.compose.stack import ComposeStack


def test_images_keep_a_second_tag_until_the_rollout_is_complete_or_cancelled(repository: Repository) -> None:
    rollout = ComposeStack(repository.settings).rollout()
    rollout.prepare()
    assert repository.state["tags"]["glasshouse/api:glasshouse-before"] == "sha256:api"
    rollout.cancel()
    assert "glasshouse/api:glasshouse-before" not in repository.state["tags"]

    rollout.prepare()
    assert rollout.complete().startswith("The previous images are kept, tagged glasshouse-previous")
    assert repository.state["tags"]["glasshouse/api:glasshouse-previous"] == "sha256:api"
    assert "glasshouse/api:glasshouse-before" not in repository.state["tags"]

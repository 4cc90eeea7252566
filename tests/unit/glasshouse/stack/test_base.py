from collections.abc import Sequence

from glasshouse.stack.base import changed_secrets


class FakeSaved:
    """A backup of which every other component has changed."""

    names = ("secrets", "secrets/engine", "keys", "volumes/grafana-data")

    def differs(self, name: str) -> bool:
        return name in {"secrets/engine", "volumes/grafana-data"}

    def restore(self, names: Sequence[str]) -> None:
        raise NotImplementedError


def test_volumes_are_no_secrets_whether_they_have_changed_or_not() -> None:
    assert changed_secrets(FakeSaved()) == ("secrets/engine",)

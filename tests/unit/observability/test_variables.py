from typing import Any

from observability.variables import NAMES, Variables, variables_json


def test_scopes_filter_by_the_dashboards_variables() -> None:
    variables = Variables("vm", "model")
    for scope in (variables.per_interval, variables.full_range, variables.now):
        assert scope.filters == {"vm": "$vm", "model": "$model"}
        assert scope.without_drill
    assert variables.per_interval.window == "$__rate_interval"
    assert variables.full_range.window == "$__range"


def test_the_data_source_comes_first_and_every_other_list_follows_the_vm() -> None:
    documents: list[Any] = variables_json(NAMES)
    assert [document["name"] for document in documents] == ["datasource", *NAMES]
    assert 'vm!="drill"' in documents[1]["definition"]
    for document in documents[2:]:
        assert 'vm=~"$vm"' in document["definition"]

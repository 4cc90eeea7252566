from observability import links


def test_a_dashboard_link_keeps_time_range_and_variables() -> None:
    assert links.dashboard_url(links.GPU) == "/d/glasshouse-gpu?${__url_time_range}&${__all_variables}"


def test_a_cell_link_sets_its_variable_and_keeps_the_others() -> None:
    url = links.filtered_url(links.GATEWAY, "model", ("vm", "model"))
    assert url == (
        "/d/glasshouse-gateway?${__url_time_range}&${datasource:queryparam}&${vm:queryparam}&var-model=${__value.raw}"
    )

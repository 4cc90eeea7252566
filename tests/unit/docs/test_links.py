"""Links between pages lead to files and headings that exist."""

import pytest
from tests.unit.docs.pages import ROOT, Page, pages


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_each_link_leads_to_a_file_and_a_heading_of_it(page: Page) -> None:
    for link in page.links:
        path, _, anchor = link.partition("#")
        target = (ROOT / page.name).parent / path if path else ROOT / page.name
        assert target.exists(), link
        if anchor:
            assert anchor in Page(target.resolve().relative_to(ROOT).as_posix()).anchors, link

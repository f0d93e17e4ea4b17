"""The page "Routing & quality" as people meet it: its figures are drawn, in both themes and on a phone."""

import pytest

from billing import fold_rollups
from tenants import Database
from tests.browser.conftest import Visits
from tests.browser.test_console import THEMES, busy
from tests.integration.dashboard.builders import Customer

__all__ = ["busy"]
FIGURES = ["route-share", "cost-quality", "exclusions", "confidence"]


@pytest.mark.parametrize("theme", THEMES)
async def test_its_figures_are_drawn_and_it_fits_a_phone(
    visit: Visits, database: Database, busy: Customer, theme: str
) -> None:
    await fold_rollups(database)
    person = await visit(theme=theme)
    await person.sign_in(busy.email)
    await person.page.goto("/console/quality?range=30d")
    assert await person.drawn() == FIGURES
    await person.picture(f"quality-{theme}")
    await person.page.set_viewport_size({"width": 360, "height": 800})
    await person.picture(f"quality-{theme}-phone")
    widths = await person.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert widths[0] <= widths[1]

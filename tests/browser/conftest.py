"""A real Chromium against a real server over a real database.

`SIGNALBOX_BROWSER` names the browser; otherwise it is looked for. Pictures of every page visited are
left in the test's temporary folder.
"""

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.async_api import Browser, Page, async_playwright

from tenants import Database
from tests.integration.dashboard.builders import PASSWORD, an_app
from tests.integration.dashboard.conftest import acme, database, globex, operator_email, prepared

__all__ = ["acme", "database", "globex", "operator_email", "prepared"]

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


@dataclass(slots=True)
class Visit:
    """One person at one window; what the browser complains of is kept."""

    page: Page
    pictures: Path
    complaints: list[str] = field(default_factory=list)

    async def sign_in(self, email: str, *, door: str = "/console") -> None:
        """Fill in the form and wait for the console."""
        await self.page.goto(f"{door}/sign-in")
        await self.page.fill("[name=email]", email)
        await self.page.fill("[name=password]", PASSWORD)
        await self.page.click("button.primary")
        await self.page.wait_for_url(f"**{door}")

    async def picture(self, name: str) -> None:
        """Leave a picture of the whole page."""
        await self.page.screenshot(path=self.pictures / f"{name}.png", full_page=True)

    async def drawn(self) -> list[str]:
        """Scroll to each figure and wait until it is drawn; the figures' ids."""
        figures = await self.page.locator("figure.figure").all()
        for figure in figures:
            await figure.scroll_into_view_if_needed()
            await figure.locator(".main-svg").first.wait_for()
        return [str(await figure.get_attribute("id")) for figure in figures]


Visits = Callable[..., Any]


@pytest.fixture
async def origin(database: Database) -> AsyncIterator[str]:
    """The console, served on a free port of the loopback."""
    config = uvicorn.Config(an_app(database), log_config=None, access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    running = asyncio.create_task(server._serve([listening]))
    while not server.started:
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    await running


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    """The browser that this machine has."""
    path = os.environ.get("SIGNALBOX_BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None and not os.environ.get("CI"):
        pytest.skip(f"no browser found; install one of {', '.join(NAMES)} or set SIGNALBOX_BROWSER")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest.fixture
async def visit(chromium: Browser, origin: str, tmp_path: Path) -> AsyncIterator[Visits]:
    """Open a window: `await visit(theme=…, width=…, has_script=…)`. At the end nothing was complained of."""
    visits: list[Visit] = []

    async def opened(*, theme: str = "light", width: int = 1440, has_script: bool = True) -> Visit:
        window = {"width": width, "height": 900}
        context = await chromium.new_context(
            base_url=origin, color_scheme=theme, viewport=window, java_script_enabled=has_script
        )
        one = Visit(await context.new_page(), tmp_path)
        one.page.on("pageerror", lambda error: one.complaints.append(str(error)))
        one.page.on(
            "console",
            lambda message: one.complaints.append(message.text) if message.type in ("error", "warning") else None,
        )
        visits.append(one)
        return one

    yield opened
    assert [one.complaints for one in visits] == [[] for _ in visits]

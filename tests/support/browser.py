"""The console in a real, headless Chromium: signing in, the keyboard, axe, and what the browser complained of."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

from mosaic_ops.bootstrap import azurite, browser
from tests.support.documents import ROOT

AXE: Final = azurite.folder(ROOT) / "node_modules" / "axe-core" / "axe.min.js"
DESKTOP: Final = (1280, 900)
PHONE: Final = (360, 740)

_LISTEN: Final = """
globalThis.violations = [];
document.addEventListener("securitypolicyviolation", (event) => violations.push(event.violatedDirective));
"""


_LOADING: Final = "document.querySelector('[aria-busy]') !== null || document.body.textContent.includes('Loading…')"


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Raises AssertionError that says what to install."""
    executable = browser.find()
    assert executable, "Chromium is not installed: ./mosaic test --slow installs it, where it can"
    assert AXE.is_file(), f"{AXE} is not there: ./mosaic test installs it"
    options = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses to sandbox itself for root
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=executable, args=options)
        try:
            yield launched
        finally:
            await launched.close()


@dataclass
class Console:
    """One tab with the console. ``complaints``: errors of the page, as they came."""

    page: Page
    base: str
    complaints: list[str] = field(default_factory=list)

    async def open(self, place: str = "") -> None:
        await self.page.goto(f"{self.base}/api/console{place}")

    async def sign_in(self, user: str = "alice", *, untick: tuple[str, ...] = ()) -> None:
        """By the keyboard alone: Enter, the arrows for who, Tab and Space for the roles, Enter."""
        press = self.page.keyboard.press
        await self.page.locator("#sign-in:focus").wait_for()
        await press("Enter")
        await self.page.get_by_role("heading", name="Sign in to the embedded stack").wait_for()
        await press("Tab")
        for _ in range(("alice", "bob", "operator").index(user)):
            await press("ArrowDown")
        for role in ("Mosaic.Operator.Read", "Mosaic.Operator.Replay"):
            await press("Tab")
            if role in untick:
                await press("Space")
        await press("Enter")
        await self.page.get_by_role("button", name="Sign out").wait_for()
        await self.settled()

    async def settled(self) -> None:
        """Until nothing is being loaded. Looks by itself: what playwright would wait by, the page's policy forbids."""
        async with asyncio.timeout(15):
            loading = True
            while loading:
                await asyncio.sleep(0.05)
                loading = await self.page.evaluate(_LOADING)

    async def go(self, place: str) -> None:
        """As a link does it: the token is in memory, so the page must not be loaded again."""
        await self.page.evaluate("(place) => { location.hash = place }", place)
        await self.settled()

    async def tab_to(self, name: str, *, role: Literal["button", "link", "textbox"] = "button") -> None:
        """Presses Tab until that control (of the dialog, where one is open) has the focus."""
        dialog = self.page.locator("dialog[open]")
        within = dialog if await dialog.count() else self.page.locator("body")
        wanted = within.get_by_role(role, name=name).first
        await wanted.wait_for()
        for _ in range(150):
            if await wanted.evaluate("(node) => node === document.activeElement"):
                return
            await self.page.keyboard.press("Tab")
        raise AssertionError(f"no Tab leads to {role} {name!r}")

    async def sound(self) -> None:
        """axe finds nothing, nothing is wider than the window, no policy was violated, nothing was complained of."""
        await self.page.evaluate(AXE.read_text("utf-8"))
        found: dict[str, Any] = await self.page.evaluate("axe.run({ resultTypes: ['violations'] })")
        where = self.page.url
        told = [(one["id"], [node["target"] for node in one["nodes"]]) for one in found["violations"]]
        assert told == [], f"{where}: {json.dumps(told)}"
        over = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await self.page.evaluate(over) <= 0, f"{where} scrolls sideways"
        assert await self.page.evaluate("violations") == [], where
        assert self.complaints == [], where


def _note(tab: Console, said: ConsoleMessage) -> None:
    # whether somebody is a member of a household only the API can tell, and the browser notes its 403
    asked_who = "/approvals?status=pending" in said.location["url"] and "403" in said.text
    if said.type == "error" and not asked_who:
        tab.complaints.append(said.text)


@asynccontextmanager
async def console(
    browser: Browser,
    base: str,
    *,
    size: tuple[int, int] = DESKTOP,
    scheme: Literal["light", "dark"] = "light",
) -> AsyncIterator[Console]:
    context = await browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, reduced_motion="reduce"
    )
    try:
        page = await context.new_page()
        page.set_default_timeout(15_000)
        await page.add_init_script(_LISTEN)
        tab = Console(page, base)
        page.on("console", lambda said: _note(tab, said))
        page.on("pageerror", lambda error: tab.complaints.append(str(error)))
        yield tab
    finally:
        await context.close()


async def picture(tab: Console, file: Path) -> None:
    await tab.page.evaluate("document.activeElement?.blur()")
    await tab.page.screenshot(path=file, type="jpeg" if file.suffix == ".jpg" else "png")

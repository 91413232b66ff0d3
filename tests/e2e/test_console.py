"""The console in a real headless Chromium, over the everyday stack: every flow by the keyboard alone, on a desktop and
at 360 px, light and dark; axe finds nothing, the policy is never violated, and nobody's words become markup.

``MOSAIC_PICTURES=docs/images`` writes the pictures of docs/console.md.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from mosaic_core.domain import ids
from tests.support.browser import DESKTOP, PHONE, chromium, console, picture
from tests.support.live import CONVERSATION, INGESTION, Live, batch, guid

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

HOSTILE = "Pay $120 to <img src=x onerror=document.title='owned'><script>document.title='owned'</script> today"
SIZES = pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
SECTIONS = ("lanes", "review", "approvals", "runs", "dead-letters", "trace")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as launched:
        yield launched


async def asked(running: Live, text: str) -> str:
    """A member's request that waits for a word: its approval's id."""
    status, sent = await running.doors.call("POST", f"/conversations/{guid()}/messages", body={"message": text})
    assert status == 202
    run_id = ids.run_id(CONVERSATION, sent["commandId"])

    async def pending() -> list[dict[str, Any]]:
        _, found = await running.doors.call("GET", "/approvals?status=pending")
        return [one for one in found["approvals"] if one["runId"] == run_id]

    return str((await running.until(pending, bool))[0]["approvalId"])


async def failed(running: Live) -> str:
    """A member's message that failed for good: its message id."""
    body = {"message": "hello", "clientMessageId": f"drill-fail-always-{guid()}"}
    status, sent = await running.doors.call("POST", f"/conversations/{guid()}/messages", body=body)
    assert status == 202
    assert await running.reason(sent["commandId"]) == "processing_failed"
    return str(sent["commandId"])


async def approval(running: Live, approval_id: str) -> dict[str, Any]:
    _, found = await running.doors.call("GET", "/approvals")
    return next(one for one in found["approvals"] if one["approvalId"] == approval_id)


@SIZES
async def test_sign_in_and_trace_by_keyboard(running: Live, browser: Browser, size: tuple[int, int]) -> None:
    message_id = await failed(running)
    async with console(browser, running.stack.api_base_url, size=size) as tab:
        await tab.open(f"#/trace/{message_id}")
        await tab.sound()
        await tab.sign_in()
        # where one wanted to be is where one is, and no code stays in the address
        assert tab.page.url.endswith(f"/api/console#/trace/{message_id}")
        await tab.page.get_by_text("AgentCommands").first.wait_for()
        await tab.sound()
        await tab.go("#/trace")
        await tab.tab_to("Id", role="textbox")
        await tab.page.keyboard.type(message_id)
        await tab.page.keyboard.press("Enter")
        await tab.page.locator(".timeline").get_by_text("signal raised, Error").wait_for()
        assert await tab.page.locator("h1").inner_text() == "Trace"
        stored = await tab.page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
        assert stored == '[{},{},""]'
        await tab.page.reload()
        await tab.page.locator("#sign-in").wait_for()  # nothing was kept


@SIZES
@pytest.mark.parametrize("word", ["Approve", "Reject"])
async def test_a_word_on_an_approval(
    running: Live, browser: Browser, size: tuple[int, int], word: Literal["Approve", "Reject"]
) -> None:
    approval_id = await asked(running, HOSTILE)
    async with console(browser, running.stack.api_base_url, size=size) as tab:
        await tab.open("#/approvals")
        await tab.sign_in(untick=("Mosaic.Operator.Read", "Mosaic.Operator.Replay"))
        names = await tab.page.locator("#nav a").all_inner_texts()
        assert [name.split("\n")[0].strip(" 0123456789") for name in names] == ["Approvals"]
        card = tab.page.locator(f"article[aria-labelledby='approval-{approval_id}']")
        assert HOSTILE in await card.locator(".exact").inner_text()
        assert await tab.page.locator("main img, main script").count() == 0
        button = card.get_by_role("button", name=word)
        for _ in range(40):
            await tab.page.keyboard.press("Tab")
            if await button.evaluate("(node) => node === document.activeElement"):
                break
        await tab.page.keyboard.press("Enter")
        dialog = tab.page.get_by_role("dialog")
        assert HOSTILE in await dialog.inner_text()
        await tab.sound()
        await tab.page.keyboard.press("Escape")  # haste does nothing
        assert (await approval(running, approval_id))["status"] == "pending"
        await tab.page.keyboard.press("Enter")  # the focus is back on the button
        await tab.page.keyboard.type("looked at it")
        await tab.tab_to(f"{word} this action")
        await tab.page.keyboard.press("Enter")
        ended = {"Approve": "approved", "Reject": "rejected"}[word]
        await tab.page.locator("#said").filter(has_text=f"The approval is now {ended}.").wait_for(state="attached")
        decided = await approval(running, approval_id)
        assert (decided["status"], decided["decisionRationale"]) == (ended, "looked at it")
        assert (await tab.page.title()).startswith("Approvals")
        await tab.sound()


@SIZES
async def test_a_signal_is_resolved(running: Live, browser: Browser, size: tuple[int, int]) -> None:
    signal_id = ids.failure_signal_id(ids.run_id(CONVERSATION, await failed(running)))
    async with console(browser, running.stack.api_base_url, size=size) as tab:
        await tab.open("#/review")
        await tab.sign_in("operator")
        card = tab.page.locator(f"article[aria-labelledby='signal-{signal_id}']")
        await card.get_by_text("Evidence").focus()
        await tab.page.keyboard.press("Enter")
        await card.locator(".timeline").get_by_text("drill_failure").first.wait_for()
        await tab.sound()
        resolve = card.get_by_role("button", name="Resolve")
        for _ in range(40):
            await tab.page.keyboard.press("Tab")
            if await resolve.evaluate("(node) => node === document.activeElement"):
                break
        await tab.page.keyboard.press("Enter")
        await tab.page.keyboard.type("a drill, <b>nothing</b> to do")
        await tab.tab_to("Resolve")
        await tab.page.keyboard.press("Enter")
        await card.get_by_text("a drill, <b>nothing</b> to do").wait_for()
        stored = await running.stores.signals.read(signal_id)
        assert stored is not None
        assert (stored.value.resolved_by, stored.value.resolution_note) == ("operator", "a drill, <b>nothing</b> to do")


@SIZES
async def test_a_group_is_replayed_after_a_dry_run(running: Live, browser: Browser, size: tuple[int, int]) -> None:
    await asyncio.gather(failed(running), failed(running))
    async with console(browser, running.stack.api_base_url, size=size) as tab:
        await tab.open("#/dead-letters")
        await tab.sign_in("operator")
        await tab.tab_to("Replay drill failure, conversation")
        await tab.page.keyboard.press("Enter")
        await tab.page.keyboard.type("the drill is over")
        await tab.tab_to("Dry run")
        await tab.page.keyboard.press("Enter")
        dialog = tab.page.get_by_role("dialog")
        await dialog.get_by_text("would be replayed").wait_for()
        await tab.sound()
        await tab.page.keyboard.type("it was a drill")
        await tab.page.keyboard.press("Tab")
        await tab.page.keyboard.type("conversation")
        await tab.page.keyboard.press("Enter")
        await tab.page.locator("h1").get_by_text("Replay", exact=True).wait_for()
        await tab.page.locator("main").get_by_text("Completed").wait_for(timeout=60_000)
        told = await tab.page.locator("main").inner_text()
        assert "it was a drill" in told
        assert " 0 failed" in told
        await tab.sound()
        replay_id = tab.page.url.rpartition("/")[2]
        [listed] = [
            one for one in (await operator(running, "/ops/replays?limit=50"))["replays"] if one["replayId"] == replay_id
        ]
        assert listed["state"] == "completed"
        assert listed["replayed"] >= 2


@SIZES
async def test_a_replay_is_aborted_and_gone_on_with(running: Live, browser: Browser, size: tuple[int, int]) -> None:
    """A slow one, so that there is something left to abort; by the keyboard, while the page itself drives it."""
    commands = await asyncio.gather(*(failed(running) for _ in range(12)))
    slow = {
        "lane": "conversation",
        "select": {"commandIds": list(commands)},
        "reason": "the drill is over",
        "rootCause": "it was a drill",
        "confirmLane": "conversation",
        "ratePerSecond": 1,
        "dryRun": False,
    }
    replay_id = (await operator(running, "/ops/replays", slow))["replayId"]
    async with console(browser, running.stack.api_base_url, size=size) as tab:
        await tab.open(f"#/replays/{replay_id}")
        await tab.sign_in("operator")
        await tab.tab_to("Abort")
        await tab.page.keyboard.press("Enter")
        await tab.page.locator("#said").filter(has_text="The replay is aborted.").wait_for(state="attached")
        stopped = await operator(running, f"/ops/replays/{replay_id}")
        assert (stopped["state"], stopped["remaining"] > 0) == ("aborted", True)
        await tab.settled()
        await tab.sound()
        # the focus is on what undoes it
        assert await tab.page.evaluate("document.activeElement.textContent") == "Resume"
        left = (await operator(running, f"/ops/replays/{replay_id}"))["remaining"]
        assert stopped["remaining"] - 1 <= left <= stopped["remaining"], "no more than the batch that had begun"
        await tab.page.keyboard.press("Enter")
        await tab.page.locator("#said").filter(has_text="The replay is running.").wait_for(state="attached")
        await tab.page.locator("main").get_by_text("Completed").wait_for(timeout=60_000)
        await tab.sound()
    ended = await operator(running, f"/ops/replays/{replay_id}")
    assert (ended["state"], ended["replayed"], ended["failed"]) == ("completed", 12, 0)


async def operator(running: Live, path: str, body: Any = None) -> Any:
    token = running.stack.token("operator", "Mosaic.Operator.Read", "Mosaic.Operator.Replay")
    status, found = await running.doors.call(
        "GET" if body is None else "POST", path, body=body, user=None, headers={"Authorization": f"Bearer {token}"}
    )
    assert status in (200, 202), found
    return found


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_in_any_section(
    running: Live, browser: Browser, size: tuple[int, int], scheme: Literal["light", "dark"]
) -> None:
    message_id = await failed(running)
    await asked(running, "Please wire 500 dollars to our landlord today.")
    await running.send(INGESTION, batch(guid()))
    pictures = os.environ.get("MOSAIC_PICTURES", "")
    async with console(browser, running.stack.api_base_url, size=size, scheme=scheme) as tab:
        await tab.open()
        await tab.sound()
        await tab.sign_in()
        for section in (*SECTIONS, f"trace/{message_id}", f"runs/{ids.run_id(CONVERSATION, message_id)}"):
            await tab.go(f"#/{section}")
            assert await tab.page.evaluate("document.activeElement.id") == "title"
            await tab.sound()
            name = f"console-{section.partition('/')[0]}-{scheme}-{'phone' if size == PHONE else 'desktop'}.png"
            if pictures and name in PICTURES and "/" not in section.removeprefix("trace/"):
                await picture(tab, Path(pictures) / name)


PICTURES = (
    "console-lanes-light-desktop.png",
    "console-approvals-dark-desktop.png",
    "console-trace-light-desktop.png",
    "console-review-light-phone.png",
    "console-lanes-dark-phone.png",
)


async def test_who_may_not_is_told_which_role_is_missing(running: Live, browser: Browser) -> None:
    async with console(browser, running.stack.api_base_url) as tab:
        await tab.open("#/runs")
        await tab.sign_in("operator", untick=("Mosaic.Operator.Read", "Mosaic.Operator.Replay"))
        await tab.page.get_by_role("alert").get_by_text("Mosaic.Operator.Read").wait_for()
        await tab.sound()


async def test_no_answer_is_told_and_retried(running: Live, browser: Browser) -> None:
    async with console(browser, running.stack.api_base_url) as tab:
        await tab.open("#/runs")
        await tab.sign_in("operator")
        busy = {
            "error": {"code": "store_unavailable", "message": "storage did not answer", "traceId": "t", "details": []}
        }
        await tab.page.route(
            "**/ops/signals*", lambda route: route.fulfill(status=503, json=busy, headers={"Retry-After": "1"})
        )
        await tab.go("#/review")
        await tab.page.get_by_role("alert").get_by_text("storage did not answer").wait_for()
        await tab.page.unroute("**/ops/signals*")
        await tab.page.get_by_role("button", name="Retry", exact=True).click()
        await tab.page.locator("article, .empty").first.wait_for()
        await tab.page.route(
            "**/ops/runs*", lambda route: route.fulfill(status=401, json={"error": {"code": "member_context_invalid"}})
        )
        await tab.go("#/runs")
        await tab.page.get_by_text("Your sign-in is over.").wait_for()
        assert await tab.page.locator("#nav").is_hidden()


async def test_an_answer_that_this_tab_did_not_ask_for_signs_nobody_in(running: Live, browser: Browser) -> None:
    async with console(browser, running.stack.api_base_url) as tab:
        for answer in ("#code=stolen&state=guessed", "?code=stolen&state=guessed", "#error=access_denied&state=x"):
            await tab.open(answer)
            await tab.page.get_by_role("alert").get_by_text("no sign-in that this tab began").wait_for()
            assert "stolen" not in tab.page.url
            await tab.open()

"""The page shows what is: while it looks, when nothing answers, when another member is chosen, when all begins anew."""

import re
from collections import Counter
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Route, expect

from tests.support.deployed import NewMember
from tests.support.page import Opener, card, expect_done, expect_events, page_alone, press, step
from tests.support.waiting import until
from tools.local.ports import free_port
from tools.local.stack import Stack
from tools.local.workspace import Workspace

PLACE = {"latitude": 52.52, "longitude": 13.405}
LIVE = {".facts": "late ramen", ".clock": "live", ".events": "ends the session", ".photo": "nothing yet"}
AWAY = {"[role=alert]": "The system does not answer", ".clock.away": "no answer", ".facts": "late ramen"}
STROKE = "getComputedStyle(document.querySelector('.clock .left') ?? document.body).stroke"


def offline(page: Page) -> None:
    page.context.set_offline(True)


def behind_away(page: Page) -> None:
    page.route(re.compile("/api/|/system"), lambda route: route.fulfill(status=502, headers={"x-system": "away"}))


def unanswered(path: str) -> Callable[[Page], None]:
    def happens(page: Page) -> None:
        page.route(re.compile(path), lambda route: None)  # noqa: ARG005 (Playwright's)
        page.reload()

    return happens


@pytest.mark.parametrize(
    ("happens", "shown", "done"),
    [
        (unanswered("/api/|/system/state"), {"main": "One moment"}, []),
        (unanswered("/api/"), LIVE | {".facts": "looking", ".photo": "Looking"}, []),
        (unanswered("/preferences$"), LIVE | {".facts": "looking"}, ["Join", "Live"]),
        (offline, AWAY, ["Join", "Live"]),
        (behind_away, AWAY, ["Join", "Live"]),
    ],
)
def test_what_is_not_known_is_not_shown_as_none_and_the_page_heals_by_itself(
    open_page: Opener, new_member: NewMember, happens: Callable[[Page], None], shown: dict[str, str], done: list[str]
) -> None:
    member = new_member()
    member.call("POST", "/profile", {"description": "late ramen"})
    assert member.call("POST", "/session/start", {"duration": 30, **PLACE}).status == 201
    page = open_page(member=member.id)
    for part, text in LIVE.items():
        expect(page.locator(part)).to_contain_text(text)
    alive = page.evaluate(STROKE)
    happens(page)
    for part, text in shown.items():
        expect(page.locator(part)).to_contain_text(text)
    expect_done(page, *done)
    if shown is AWAY:
        page.wait_for_function(f"alive => {STROKE} !== alive", arg=alive)
    else:
        expect(page.locator(".story [aria-current=step]")).to_have_count(0)
    page.context.set_offline(False)
    page.unroute_all()  # what is held goes on
    for part, text in (LIVE | {".facts": "nothing said yet"}).items():
        expect(page.locator(part)).to_contain_text(text)
    expect(page.get_by_role("alert")).to_have_count(0)
    until(lambda: page.evaluate(STROKE) == alive)


def test_switches_open_and_shut_the_door(page: Page) -> None:
    step(page, "Join").click()
    for name, code in (("Premium", "PREMIUM"), ("ID verified", "VERIFICATION"), ("Consent", "CONSENT")):
        for text, photo in ((f"403 {code}_REQUIRED", f"not shown: {code}_REQUIRED"), ("late ramen", "nothing yet")):
            page.get_by_role("switch", name=name).click()
            expect(card(page, "Member")).to_contain_text(text)
            expect(card(page, "Photo")).to_contain_text(photo)


def test_another_member_brings_no_answer_along(page: Page) -> None:
    held: list[Route] = []
    page.route(re.compile("/session/end$"), lambda route: held.append(route))  # noqa: PLW0108 (Playwright's)
    card(page, "API").get_by_label("Endpoint").select_option("end_session")
    press(page, "Send")
    until(lambda: page.evaluate("true") and held)  # Playwright hands over what it held only while it is called
    page.get_by_label("Who is playing").select_option("local-no-premium")
    held[0].continue_()
    expect(page.get_by_role("status")).to_contain_text("POST /session/end")
    expect(card(page, "API")).to_contain_text("The answer will stand here.")


def test_start_over_begins_anew_in_every_tab(page: Page, open_page: Opener) -> None:
    second = open_page()  # not of the same browser, even
    step(page, "Join").click()
    step(page, "Live").click()
    expect_events(page, "SessionStarted")
    page.once("dialog", lambda dialog: dialog.accept())
    press(page, "Start over")
    for tab in (page, second):
        playing = tab.get_by_label("Who is playing").locator("option")
        expect(playing.filter(has_text="Robin")).to_have_count(0)
        expect(tab.get_by_label("Who is playing").locator("option:checked")).to_have_text("Alex, 29, Male")
        expect(card(tab, "Domain events")).to_contain_text("Nothing has happened yet")
        expect_done(tab)
    step(page, "Join").click()
    step(page, "Live").click()
    expect_events(second, "SessionStarted")


def test_a_server_that_was_started_anew_is_shown_anew(
    open_page: Opener, workspace: Workspace, new_member: NewMember
) -> None:
    member = new_member()
    member.call("POST", "/profile", {"description": "late ramen"})
    port = free_port()
    with page_alone(workspace, port) as url:
        page = open_page(url=url, member=member.id)
        expect(card(page, "Member")).to_contain_text("late ramen")
    expect(page.get_by_role("alert")).to_contain_text("The system does not answer")
    member.call("DELETE", "/profile")
    with page_alone(workspace, port):
        expect(card(page, "Member")).to_contain_text("none yet")
        expect(page.get_by_role("alert")).to_have_count(0)


def test_opening_it_asks_once_and_not_once_more_for_each_event_before(
    stack: Stack, new_member: NewMember, open_page: Opener
) -> None:
    member = new_member()
    member.call("POST", "/profile", {})
    assert member.call("POST", "/session/start", {"duration": 15, **PLACE}).status == 201
    for _ in range(3):
        assert member.call("POST", "/session/extend", {"additionalMinutes": 15}).status == 200
    page = open_page("/openapi.json", member=member.id)
    asked: Counter[str] = Counter()
    page.on("request", lambda request: asked.update([urlsplit(request.url).path.removeprefix("/api/after-hours")]))
    page.goto(stack.page_url)
    expect(page.locator(".events details")).to_have_count(4)
    expect(card(page, "Member")).to_contain_text("nothing said yet")
    until(lambda: page.evaluate("true") and asked["/system/state"] > 2)
    assert [asked[path] for path in ("/profile", "/preferences", "/profile/photo")] == [1, 1, 1]

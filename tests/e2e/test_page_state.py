"""The page shows what is: while it looks, when nothing answers, when another member is chosen, when all begins anew."""

import re
from collections import Counter
from urllib.parse import urlsplit

import boto3
from playwright.sync_api import Page, Route, expect

from tests.support.deployed import NewMember
from tests.support.page import Opener, card, expect_done, expect_events, page_alone, press, step
from tests.support.waiting import until
from tools.local.ports import free_port
from tools.local.stack import Stack
from tools.local.workspace import Workspace

PLACE = {"latitude": 52.52, "longitude": 13.405}
KNOWN = {".facts": "late ramen", ".clock": "live", ".events": "expire", ".photo": "nothing yet"}
UNKNOWN = KNOWN | {".facts": "looking", ".photo": "Looking"}
AWAY = {"[role=alert]": "The system does not answer", ".clock.away": "no answer", ".facts": "late ramen"}
STROKE = "getComputedStyle(document.querySelector('.clock .left')).stroke"


def expect_shown(page: Page, parts: dict[str, str]) -> None:
    for part, text in parts.items():
        expect(page.locator(part)).to_contain_text(text)


def test_what_is_not_known_is_not_shown_as_none_and_the_page_heals_by_itself(
    open_page: Opener, new_member: NewMember
) -> None:
    member = new_member()
    member.call("POST", "/profile", {"description": "late ramen"})
    assert member.call("POST", "/session/start", {"duration": 30, **PLACE}).status == 201
    page = open_page(member=member.id)
    expect_shown(page, KNOWN)
    alive = page.evaluate(STROKE)
    held: list[Route] = []
    page.route(re.compile("/api/"), lambda route: held.append(route))  # noqa: PLW0108 (Playwright's)
    page.reload()
    expect_shown(page, UNKNOWN)
    expect_done(page)
    expect(page.locator(".story [aria-current=step]")).to_have_count(0)
    page.route(re.compile("/api/"), lambda route: route.continue_())
    for route in held:
        route.continue_()
    expect_shown(page, KNOWN)
    page.route(re.compile("/api/|/system"), lambda route: route.fulfill(status=502, headers={"x-system": "away"}))
    expect_shown(page, AWAY)
    expect_done(page, "Join", "Live")
    assert page.evaluate(STROKE) != alive
    page.unroute_all()
    expect(page.get_by_role("alert")).to_have_count(0)
    expect_shown(page, KNOWN)


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
    press(page, "End now")
    until(lambda: page.evaluate("true") and held)  # Playwright hands over what it held only while it is called
    page.get_by_label("Playing as").select_option("local-no-premium")
    held[0].continue_()
    expect(page.get_by_role("status")).to_contain_text("POST /session/end")
    expect(card(page, "API")).to_contain_text("The answer will stand here.")


def test_start_over_begins_anew_in_every_tab(page: Page, open_page: Opener) -> None:
    second = open_page(member="local-entitled")
    step(second, "Join").click()
    step(second, "Live").click()
    expect_events(second, "SessionStarted")
    page.once("dialog", lambda dialog: dialog.accept())
    press(page, "Start over")
    for tab in (page, second):
        expect(tab.get_by_label("Playing as").locator("option:checked")).to_have_text("Alex, 29, Male")
        expect(tab.locator(".facts")).to_contain_text("none yet")
        expect(card(tab, "Domain events")).to_contain_text("Nothing has happened yet")


def test_a_server_of_its_own_tidies_up_and_one_that_is_started_anew_is_shown_anew(
    open_page: Opener, workspace: Workspace, new_member: NewMember, stack: Stack
) -> None:
    events = boto3.client("events", **stack.aws)

    def rules() -> set[str]:
        return {rule["Name"] for rule in events.list_rules(EventBusName=stack.event_bus)["Rules"]}

    before = rules()
    member = new_member()
    member.call("POST", "/profile", {"description": "late ramen"})
    port = free_port()
    with page_alone(workspace, port) as url:
        assert len(rules() - before) == 1
        page = open_page(url, member.id)
        expect(card(page, "Member")).to_contain_text("late ramen")
    assert rules() == before
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
    assert member.call("POST", "/session/extend", {"additionalMinutes": 15}).status == 200
    page = open_page(f"{stack.page_url}/openapi.json", member.id)
    asked: Counter[str] = Counter()
    page.on("request", lambda request: asked.update([urlsplit(request.url).path.removeprefix("/api/after-hours")]))
    page.goto(stack.page_url)
    expect_events(page, "SessionExtended", "SessionStarted")
    until(lambda: page.evaluate("true") and asked["/system/state"] > 2)
    assert [asked[path] for path in ("/profile", "/preferences", "/profile/photo")] == [1, 1, 1]

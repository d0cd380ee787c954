"""The page shows what is: at first sight, after a reload, in a second tab, and when nothing answers."""

import io
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image
from playwright.sync_api import Page, Playwright, Route, expect

from tests.support.deployed import NewMember
from tests.support.page import (
    DESK,
    PHONE,
    Opener,
    card,
    expect_answer,
    expect_done,
    expect_events,
    launched,
    opener,
    page_alone,
    step,
    step_button,
)
from tests.support.waiting import until
from tools.local.ports import free_port
from tools.local.stack import Stack
from tools.local.workspace import Workspace

STARTED = re.compile(r"^(30:00|29:\d\d)$")
PLACE = {"latitude": 52.52, "longitude": 13.405}


def seen(page: Page) -> tuple[str, list[str], str, list[str]]:
    """What a tab shows of the member, time aside."""
    return (
        page.locator(".facts").inner_text(),
        page.locator(".story .done .name").all_inner_texts(),
        page.locator(".clock .mood").inner_text(),
        page.locator(".timeline summary b").all_inner_texts(),
    )


def test_a_reload_and_a_second_tab_show_the_same(page: Page, open_page: Opener) -> None:
    url, member = page.url, page.evaluate("sessionStorage.getItem('member')")
    page.context.add_init_script(f"sessionStorage.getItem('member') ?? sessionStorage.setItem('member', '{member}')")
    second = open_page.tab(page.context, url)
    expect(card(second, "Member")).to_contain_text("none yet")
    step(page, "Join")
    expect_done(second, "Join")
    expect(card(second, "Member")).to_contain_text("late ramen")
    step(page, "Live")
    expect(second.get_by_role("timer")).to_have_text(STARTED)
    expect_done(second, "Join", "Live")
    page.get_by_role("switch", name=re.compile("^Premium")).click()
    expect(card(second, "Member")).to_contain_text("403 PREMIUM_REQUIRED")
    expect(second.get_by_role("switch", name=re.compile("^Premium"))).not_to_be_checked()
    expect(second.get_by_role("timer")).to_have_text(
        re.compile(r"^\d+:\d\d$")
    )  # who is not let in is live all the same
    page.get_by_role("switch", name=re.compile("^Premium")).click()
    step(second, "Leave")
    for tab in (page, second):
        expect_done(tab, "Leave")
        expect_events(tab, "SessionEnded profile_deleted", "SessionStarted")
        expect(card(tab, "Member")).to_contain_text("none yet")
    page.reload()
    expect_done(page, "Leave")
    until(lambda: seen(page) == seen(second))
    step(page, "Join")
    for tab in (page, second):
        expect_done(tab, "Join")
        expect(tab.locator(".clock .mood")).not_to_have_text("live")


def test_start_over_begins_anew_in_every_tab(page: Page, open_page: Opener) -> None:
    second = open_page()  # not of the same browser, even
    step(page, "Join")
    step(page, "Live")
    expect_events(page, "SessionStarted")
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Start over").click()
    for tab in (page, second):
        chosen = tab.get_by_label("Who is playing").locator("option:checked")
        expect(chosen).to_have_text("Alex, 29, Male")
        expect(tab.get_by_label("Who is playing").locator("option", has_text="Robin")).to_have_count(0)
        expect(card(tab, "Domain events")).to_contain_text("Nothing has happened yet")
        expect_done(tab)


def test_opening_it_asks_once(stack: Stack, new_member: NewMember, open_page: Opener) -> None:
    """Not once more for each event that happened before."""
    member = new_member()
    member.call("POST", "/profile", {})
    assert member.call("POST", "/session/start", {"duration": 15, **PLACE}).status == 201
    for _ in range(15):
        assert member.call("POST", "/session/extend", {"additionalMinutes": 15}).status == 200
    first = open_page(member=member.id)
    expect(first.locator(".timeline li")).to_have_count(16)
    page = open_page("/openapi.json", member=member.id)
    asked: Counter[str] = Counter()
    page.on("request", lambda request: asked.update([f"{request.method} {urlsplit(request.url).path}"]))
    page.goto(stack.page_url)
    expect(page.locator(".timeline li")).to_have_count(16)
    expect(page.get_by_role("timer")).to_be_visible()
    expect(card(page, "Member")).to_contain_text("nothing said yet")
    page.wait_for_load_state("load")
    calls = {path: times for path, times in asked.items() if "/system" in path or "/api/" in path}
    assert set(calls.values()) == {1}
    assert len(calls) <= 8


def hold(page: Page, pattern: re.Pattern[str]) -> list[Route]:
    """Hold back the requests to these addresses."""
    held: list[Route] = []
    page.route(pattern, lambda route: held.append(route))  # noqa: PLW0108 (Playwright wants a function of Python's)
    return held


def test_what_is_not_known_yet_is_no_none(page: Page) -> None:
    hold(page, re.compile("/api/|/state$"))
    page.reload()
    expect(page.locator(".facts")).to_contain_text("looking")
    expect(page.locator(".clock")).to_contain_text("looking")
    expect(card(page, "Domain events")).to_contain_text("Looking")
    expect(card(page, "Photo")).to_contain_text("Looking")
    for text in ("none yet", "nothing said yet", "not live", "holds nothing", "nothing yet"):
        assert text not in page.locator(".cards").inner_text()
    expect_done(page)
    page.unroute_all()  # what is held goes on
    expect(card(page, "Member")).to_contain_text("none yet")
    expect(page.locator(".clock")).to_contain_text("not live")
    step(page, "Join")
    expect_done(page, "Join")
    hold(page, re.compile("/preferences$"))
    page.reload()
    expect_done(page, "Join")
    expect(page.locator(".story [aria-current=step]")).to_have_count(0)


def expect_away(page: Page) -> None:
    expect(page.get_by_role("alert")).to_have_count(1)
    expect(page.get_by_role("alert")).to_contain_text("The system does not answer")
    expect(page.locator(".clock.away")).to_contain_text("no answer")
    expect(page.locator(".facts")).to_contain_text("late ramen")  # what was known stays


def test_while_the_system_is_away_one_banner_says_so_and_it_heals(page: Page) -> None:
    step(page, "Join")
    step(page, "Live")
    expect(page.get_by_role("timer")).to_have_text(STARTED)
    color = "getComputedStyle(document.querySelector('.clock .left')).stroke"
    alive = page.evaluate(color)

    def away(route: Route) -> None:
        route.fulfill(status=502, headers={"x-system": "away"}, json={"error": "The system does not answer."})

    for is_page_away in (True, False):  # or what is behind it
        if is_page_away:
            page.context.set_offline(True)
        else:
            page.route(re.compile("/api/|/system"), away)
        step(page, "Extend")
        expect_away(page)
        assert page.evaluate(color) != alive
        step(page, "Join")
        expect_away(page)
        page.context.set_offline(False)
        page.unroute_all()
        expect(page.get_by_role("alert")).to_have_count(0)
        expect(page.locator(".clock")).to_contain_text("live")
        until(lambda: page.evaluate(color) == alive)


def test_a_system_that_was_started_anew_is_shown_anew(
    open_page: Opener, workspace: Workspace, new_member: NewMember
) -> None:
    member = new_member()
    member.call("POST", "/profile", {"description": "late ramen"})
    port = free_port()
    with page_alone(workspace, port) as url:
        page = open_page(url=url, member=member.id)
        expect(card(page, "Member")).to_contain_text("late ramen")
    expect_away(page)
    member.call("DELETE", "/profile")
    with page_alone(workspace, port):
        expect(card(page, "Member")).to_contain_text("none yet")
        expect(page.get_by_role("alert")).to_have_count(0)


def test_another_member_brings_no_answer_along(page: Page) -> None:
    step(page, "Join")
    expect_answer(page, 201, "POST /profile")
    page.get_by_label("Who is playing").select_option("local-other")
    expect(card(page, "API")).to_contain_text("The answer will stand here.")
    held = hold(page, re.compile("/session/end$"))
    card(page, "API").get_by_label("Endpoint").select_option("end_session")
    card(page, "API").get_by_role("button", name="Send").click()
    until(lambda: page.evaluate("true") and held)  # Playwright hands over what it held only while it is called
    page.get_by_label("Who is playing").select_option("local-no-premium")
    held[0].continue_()
    expect(page.get_by_role("status")).to_contain_text("POST /session/end")
    expect(card(page, "API")).to_contain_text("The answer will stand here.")


def test_a_file_beyond_max_bytes_is_not_sent_and_the_reason_of_s3_is_shown(page: Page, tmp_path: Path) -> None:
    posted: list[str] = []
    page.on("request", lambda request: posted.append(request.url) if "/storage/" in request.url else None)
    step(page, "Join")
    large, empty = tmp_path / "large.jpg", tmp_path / "empty.jpg"
    large.write_bytes(bytes(10 * 1024 * 1024 + 1))
    empty.write_bytes(b"")
    page.locator("input[type=file]").set_input_files(large)
    refused = card(page, "Photo").get_by_role("alert")
    expect(refused).to_have_text("It was not sent: it has 10,485,761 bytes, and maxBytes allows 10,485,760.")
    assert posted == []
    page.locator("input[type=file]").set_input_files(empty)
    expect(refused).to_contain_text("S3 answered 400 EntityTooSmall: ")
    assert len(posted) == 1


def test_description_and_preferences_are_said_and_changed_by_forms(page: Page) -> None:
    member = card(page, "Member")
    member.get_by_text("Edit the description").click()
    member.get_by_text("Edit the preferences").click()
    for call, text in (("201 POST", "Night owl"), ("200 PATCH", "Early bird")):
        member.get_by_label("Description").fill(text)
        member.get_by_role("button", name="Save the description").click()
        expect(page.locator(".answer p")).to_contain_text(f"{call} /profile")
        expect(member.locator(".facts")).to_contain_text(text)
    member.get_by_label("Seeks").select_option("Female")
    member.get_by_label("Age from").fill("30")
    member.get_by_role("button", name="Save the preferences").click()
    expect_answer(page, 201, "POST /preferences")
    expect(member.locator(".facts")).to_contain_text("Female, 30")
    member.get_by_label("Kilometres").fill("50")
    member.get_by_label("Own orientation").select_option("Queer")
    member.get_by_role("button", name="Save the preferences").click()
    expect_answer(page, 200, "PATCH /preferences")
    expect(member.locator(".facts")).to_contain_text("within 50 km")
    member.get_by_label("Age from").fill("old")
    member.get_by_role("button", name="Save the preferences").click()
    expect_answer(page, 400, "PATCH /preferences")


def test_ten_minutes_pass_and_bring_the_warning_when_they_skip_it(page: Page) -> None:
    step(page, "Join")
    step(page, "Live")
    expect(page.get_by_role("timer")).to_have_text(STARTED)
    page.get_by_role("button", name="End now").click()  # time that passes puts the next start before this one's
    expect(page.locator(".clock")).to_contain_text("over")
    step(page, "Live")
    expect(page.get_by_role("timer")).to_have_text(STARTED)
    for left in (r"^(20:0\d|19:\d\d)$", r"^(10:0\d|9:\d\d)$"):
        page.get_by_role("button", name="ten minutes").click()
        expect(page.get_by_role("timer")).to_have_text(re.compile(left))
    page.get_by_role("button", name="ten minutes").click()
    expect(page.locator(".timeline")).to_contain_text("SessionEnded")
    expect(page.locator(".clock")).to_contain_text("over")


def test_two_members_are_side_by_side_with_the_points_that_the_other_is_shown(
    page: Page, new_member: NewMember
) -> None:
    other = new_member(name="Toni")
    other.call("POST", "/profile", {})
    assert other.call("POST", "/session/start", {"duration": 60, **PLACE}).status == 201
    page.reload()
    beside = card(page, "Side by side")
    page.get_by_label("Who stands beside").select_option(other.id)
    expect(beside).to_contain_text("Robin is shown the point, somewhere within 500 m of Toni.")
    expect(beside).to_contain_text("Robin is not live: Toni is shown nothing.")
    step(page, "Join")
    step(page, "Live")
    expect(beside.locator(".map .shown")).to_have_count(2)
    expect(beside.locator("h3 .status")).to_have_count(2)
    expect(beside).to_contain_text(re.compile(r"Toni is shown the point, \d+ m from where Robin stands\."))
    expect(beside).to_contain_text(re.compile(r"For Robin that is \d+ m away\."))
    beside.get_by_role("button", name="Play as Toni").click()
    expect(page.get_by_label("Who is playing").locator("option:checked")).to_contain_text("Toni")
    expect(page.get_by_label("Who stands beside").locator("option:checked")).to_contain_text("Robin")
    other.call("POST", "/session/end")
    expect(beside).to_contain_text("Toni is not live: Robin is shown nothing.")


def test_a_report_says_what_happened_and_holds_no_token(page: Page, stack: Stack) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    step(page, "Join")
    step(page, "Live")
    expect_events(page, "SessionStarted")
    card(page, "API").get_by_role("textbox", name="Body").fill('{"duration": 31}')
    card(page, "API").get_by_role("button", name="Send").click()
    expect(page.locator(".answer .status")).to_have_text("400")
    expect(card(page, "Log")).to_contain_text("It took")
    page.get_by_role("button", name="Copy a report").click()
    expect(page.get_by_role("status")).to_have_text("The report is copied.")
    report = page.evaluate("navigator.clipboard.readText()")
    member = page.evaluate("sessionStorage.getItem('member')")
    assert f"{member} (Robin, 27, Female); premium: true, verified: true, consent: true" in report
    assert re.search(r"POST /api/after-hours/profile → 201 +\(\d+ ms, request (?!unknown)\S+, page-", report)
    assert re.search(r"POST /api/after-hours/session/start → 400 VALIDATION_ERROR", report)
    assert "SessionStarted" in report
    assert "## Log of start_session, its last call" in report
    assert re.search(r"^INFO request .*/session/start", report, re.MULTILINE)
    token = next(
        each["token"] for each in page.request.get(f"{stack.page_url}/system/members").json() if each["id"] == member
    )
    assert token not in report
    assert "eyJ" not in report
    assert "13.404954" not in report


def test_switches_are_seen_in_forced_colours(open_page: Opener) -> None:
    page = open_page(forced_colors="active")
    expect(page.locator(".facts")).not_to_contain_text("looking")
    page.mouse.move(0, 0)

    def drawn(name: str) -> Image.Image:
        switch = page.get_by_role("switch", name=re.compile(f"^{name}"))
        return Image.open(io.BytesIO(switch.screenshot(animations="disabled"))).convert("RGB")

    page.get_by_label("Who is playing").select_option("local-no-premium")
    expect(page.get_by_role("switch", name=re.compile("^Premium"))).not_to_be_checked()
    on, off = drawn("Consent"), drawn("Premium")
    assert len(on.getcolors(1000) or []) > 1
    assert len(off.getcolors(1000) or []) > 1
    assert on.tobytes() != off.tobytes()


def test_on_a_phone_the_clock_is_in_view_when_a_step_is_tapped(open_page: Opener) -> None:
    page = open_page(viewport=PHONE, has_touch=True, is_mobile=True)
    expect(page.locator(".facts")).not_to_contain_text("looking")
    for name in ("Join", "Seek", "Photo", "Live", "Extend", "Warned", "Ended", "Leave"):
        step_button(page, name).scroll_into_view_if_needed()
        expect(step_button(page, name)).to_be_in_viewport(ratio=1)
        expect(page.locator(".clock")).to_be_in_viewport(ratio=1)


@pytest.fixture
def open_in_large_text(stack: Stack, playwright: Playwright) -> Iterator[Opener]:
    browser = launched(playwright, "--blink-settings=defaultFontSize=32")
    with opener(browser, stack) as opening:
        yield opening
    browser.close()


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_text_of_twice_the_size_has_room(
    open_in_large_text: Opener, size: dict[str, int], new_member: NewMember
) -> None:
    member = new_member()
    member.call("POST", "/profile", {"description": "Night owl"})
    assert member.call("POST", "/session/start", {"duration": 60, **PLACE}).status == 201
    page = open_in_large_text(viewport=size, member=member.id)
    expect(page.get_by_role("timer")).to_be_visible()
    page.get_by_text("Edit the preferences").click()
    assert page.evaluate("parseFloat(getComputedStyle(document.body).fontSize)") == 30
    assert page.evaluate("document.documentElement.scrollWidth") == size["width"]
    cut = """() => [...document.querySelectorAll("button, label, h2, h3, summary, dd, p, figcaption, .clock .time")]
        .filter((each) => each.checkVisibility() && !each.closest(".unseen, .scroll, dialog"))
        .filter((each) => each.scrollWidth > each.clientWidth + 1 && getComputedStyle(each).display !== "inline")
        .map((each) => each.textContent.trim())"""
    assert page.evaluate(cut) == []
    circle, time = (page.locator(each).bounding_box() for each in (".clock svg", ".clock .time"))
    assert circle
    assert time
    assert time["width"] < circle["width"]

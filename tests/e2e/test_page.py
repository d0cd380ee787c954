"""The page in a real browser, played as people play it: by keyboard, by mouse, on a phone, in two tabs.

It leaves two pictures: in the workspace of the tests, and in docs/page where `make screenshots` runs this.
"""

import io
import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, Playwright, ViewportSize, expect

from infra.endpoints import ENDPOINTS, Endpoint
from tests.support.deployed import NewMember
from tests.support.page import (
    DESK,
    PHONE,
    Opener,
    card,
    expect_answer,
    expect_done,
    expect_events,
    expect_to_be_read_by_everyone,
    launched,
    opener,
    press,
    step,
)
from tests.support.waiting import until
from tools.local.page import catalogue
from tools.local.stack import Stack
from tools.local.workspace import REPOSITORY, Workspace

PLACE = {"latitude": 52.52, "longitude": 13.405}

# Each step of the story, what cards show after it, and the event that it brings.
STORY: list[tuple[str, list[tuple[str, str | re.Pattern[str]]], str | None]] = [
    ("Join", [("Member", "late ramen")], None),
    ("Seek", [("Member", "within 25 km")], None),
    ("Photo", [("Photo", "(52.0, 22.0, 12.0)"), ("Photo", "Says nothing else.")], "PhotoReady"),
    ("Live", [("Session", re.compile(r"30:00|29:\d\d")), ("Session", "Others are shown the point")], "SessionStarted"),
    ("Extend", [("Session", re.compile(r"4[45]:\d\d")), ("Domain events", "warns five minutes")], "SessionExtended"),
    ("Warned", [("Session", "ends soon"), ("Domain events", "ends the session")], "SessionExpiring"),
    ("Ended", [("Session", "The point is erased"), ("Domain events", "holds nothing")], "SessionEnded expired"),
    ("Leave", [("Member", "none yet"), ("Photo", "nothing yet"), ("API", "204")], None),
]


def test_the_whole_story_by_keyboard_with_the_clock_in_view_on_a_phone(open_page: Opener) -> None:
    page = open_page(viewport=PHONE, has_touch=True, is_mobile=True)
    expect(step(page, "Join")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the member")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#member")).to_be_focused()
    page.get_by_text("Make a new member").press("Enter")
    page.get_by_label("Name").fill("Robin")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Who is playing").locator("option:checked")).to_have_text("Robin, 27, Female")
    expect(card(page, "Member")).to_contain_text("none yet")
    done: list[str] = []
    events: list[str] = []
    for name, shown, event in STORY:
        step(page, name).scroll_into_view_if_needed()
        expect(step(page, name)).to_be_in_viewport(ratio=1)
        expect(page.locator(".clock")).to_be_in_viewport(ratio=1)
        step(page, name).press("Enter")
        for title, text in shown:
            expect(card(page, title)).to_contain_text(text)
        events[:0] = [event] if event else []
        expect_events(page, *events)
        done = [*done, name] if name != "Leave" else ["Leave"]
        expect_done(page, *done)
        expect(step(page, name)).to_be_focused()
    expect(card(page, "Log")).to_contain_text("It took")
    expect(page.get_by_role("status")).to_contain_text("DELETE /profile: 204")


def test_forms_and_buttons_beside_the_story_and_a_second_tab_that_follows(page: Page, open_page: Opener) -> None:
    second = open_page.tab(page.context, page.url)
    member, clock = card(page, "Member"), page.get_by_role("timer")
    member.get_by_text("Edit the description").click()
    member.get_by_text("Edit the preferences").click()
    for answer, text in (("201 POST", "Night owl"), ("200 PATCH", "Early bird")):
        member.get_by_label("Description").fill(text)
        press(page, "Save the description")
        expect_answer(page, f"{answer} /profile")
        for tab in (page, second):
            expect(tab.locator(".facts")).to_contain_text(text)
    for answer, kilometres, text in (("201 POST", "30", "30 km"), ("200 PATCH", "40", "40 km"), ("400 PATCH", "x", "")):
        member.get_by_label("Kilometres").fill(kilometres)
        member.get_by_label("Own orientation").select_option("Queer")
        press(page, "Save the preferences")
        expect_answer(page, f"{answer} /preferences")
        for tab in (page, second):
            expect(tab.locator(".facts")).to_contain_text(text)
    for button, time in (("60 min", "1:00:00|59:..$"), ("+15", "1:1[45]:"), ("End now", None), ("15 min", "1[45]:..$")):
        press(page, button)
        for tab in (page, second):
            expect(tab.locator(".clock")).to_contain_text("live" if time else "over")
        if time:
            expect(clock).to_have_text(re.compile(f"^({time})"))
    expect_done(second, "Join", "Seek", "Live")
    press(page, "ten minutes")
    expect(clock).to_have_text(re.compile(r"^(5:0\d|4:\d\d)$"))
    press(page, "to the end")
    expect(page.get_by_role("status")).to_contain_text("Time has passed")
    press(page, "to the warning")  # which lies behind: time does not run backwards
    expect(page.locator(".clock")).to_contain_text("over")
    step(second, "Leave").click()
    expect_done(page, "Leave")
    page.reload()
    expect_done(page, "Leave")
    for part in (".facts", ".clock", ".events"):
        expect(page.locator(part)).to_have_text(second.locator(part).inner_text(), use_inner_text=True)


def test_each_way_in_which_a_photo_is_refused_is_shown_and_one_that_is_dropped_is_taken(
    page: Page, tmp_path: Path
) -> None:
    posted: list[str] = []
    page.on("request", lambda request: posted.append(request.url) if "/storage/" in request.url else None)
    photo = card(page, "Photo")
    step(page, "Join").click()
    for size, reason in ((10 * 1024 * 1024 + 1, "has 10,485,761 bytes, and maxBytes allows 10,485,760"), (0, "S3 ans")):
        (tmp_path / "file.jpg").write_bytes(bytes(size))
        page.locator("input[type=file]").set_input_files(tmp_path / "file.jpg")
        expect(photo.get_by_role("alert")).to_contain_text(reason)
        assert len(posted) == (not size)
    press(page, "not a picture")
    expect_events(page, "PhotoRejected")
    expect(photo).to_contain_text("rejected UNSUPPORTED_TYPE")
    expect(photo).to_contain_text("This cannot be read as a picture.")
    dropped = page.evaluate_handle("""async () => {
        const transfer = new DataTransfer();
        const photo = await (await fetch("/system/pictures/phone.heic")).blob();
        transfer.items.add(new File([photo], "dropped.heic", { type: "image/heic" }));
        return transfer;
    }""")
    page.locator(".drop").dispatch_event("drop", {"dataTransfer": dropped})
    expect_events(page, "PhotoReady", "PhotoRejected")
    expect(photo).to_contain_text("HEIF")
    for name in ("as it is sent", "as it is shown"):
        until(lambda name=name: photo.get_by_role("img", name=name).evaluate("image => image.naturalWidth") > 100)  # type: ignore[misc]


def test_the_console_sends_anything_and_a_report_of_it_holds_no_token_and_no_place(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    console, body = card(page, "API"), page.get_by_role("textbox", name="Body")
    for endpoint in ENDPOINTS:
        console.get_by_label("Endpoint").select_option(endpoint.function)
        press(page, "Send")
        expect_answer(page, f"{endpoint.method} {endpoint.path}")
        assert int(page.locator(".answer .status").inner_text()) in {200, 201, 204, 400, 404}
    console.get_by_label("Endpoint").select_option("create_profile")
    body.fill("""{"description": "it's me"}""")
    press(page, "Copy as curl")
    expect(page.get_by_role("status")).to_have_text("Copied.")
    line = page.evaluate("navigator.clipboard.readText()")
    said = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True).stdout
    assert "201" in said.splitlines()[0]
    assert """"description": "it's me\"""" in said
    console.get_by_label("Endpoint").select_option("start_session")
    body.fill('{"duration": 31, "latitude": 52.5, "longitude": 13.4}')
    body.press("Control+Enter")
    expect_answer(page, "400 POST /session/start")
    expect(console).to_contain_text("Must be 15, 30 or 60")
    for function, sample, answer in (
        ("get_photo", "expired_token", "401 GET /profile/photo"),
        ("start_session", "valid", "201 POST /session/start"),
    ):
        console.get_by_label("Endpoint").select_option(function)
        console.get_by_role("combobox", name="Sample").select_option(sample)
        press(page, "Send")
        expect_answer(page, answer)
    expect_events(page, "SessionStarted")
    expect(card(page, "Log")).to_contain_text("It took")
    press(page, "Copy a report")
    expect(page.get_by_role("status")).to_have_text("The report is copied.")
    report = page.evaluate("navigator.clipboard.readText()")
    said = json.loads(report)
    assert said["member"].items() >= {"name": "Robin", "subscribed": True, "verified": True, "consenting": True}.items()
    calls = [(call["function"], call["status"], bool(call["requestId"])) for call in said["calls"][-3:]]
    assert calls == [("start_session", 400, True), ("get_photo", 401, True), ("start_session", 201, True)]
    assert said["session"]["isLive"]
    assert [event["detail-type"] for event in said["events"]] == ["SessionStarted"]
    assert "INFO request" in said["logs"]["start_session"][-1]
    assert not re.search(r"eyJ|52\.52|13\.40|X-Amz-Signature=[0-9a-f]", report)


def test_an_endpoint_that_is_not_described_yet_is_offered_with_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its code comes first, its samples and docs/openapi.json later."""
    monkeypatch.setattr(catalogue, "ENDPOINTS", (*ENDPOINTS, Endpoint("POST", "/access", "post_access")))
    new = catalogue.catalogue()["endpoints"][-1]
    assert (new["summary"], new["samples"]) == ("Not described yet: make openapi", [])


def test_two_members_are_side_by_side_with_the_points_that_the_other_is_shown(
    page: Page, new_member: NewMember
) -> None:
    toni = new_member(name="Toni")
    toni.call("POST", "/profile", {})
    assert toni.call("POST", "/session/start", {"duration": 60, **PLACE}).status == 201
    beside = card(page, "Side by side")
    page.get_by_label("Who stands beside").select_option(toni.id)
    expect(beside).to_contain_text("Robin is shown the point, somewhere within 500 m of Toni.")
    expect(beside).to_contain_text("Robin is not live: Toni is shown nothing.")
    step(page, "Join").click()
    step(page, "Live").click()
    expect(beside.locator(".map .shown")).to_have_count(2)
    expect(beside).to_contain_text(re.compile(r"Toni is shown the point, \d+ m from where Robin stands\."))
    expect(beside).to_contain_text(re.compile(r"For Robin that is \d+ m away\."))
    press(page, "Play as Toni")
    expect(page.get_by_label("Who is playing").locator("option:checked")).to_contain_text("Toni")
    expect(page.get_by_label("Who stands beside").locator("option:checked")).to_contain_text("Robin")
    toni.call("POST", "/session/end")
    expect(beside).to_contain_text("Toni is not live: Robin is shown nothing.")


@pytest.mark.parametrize(("name", "size", "scheme"), [("desk-dark", DESK, "dark"), ("phone-light", PHONE, "light")])
def test_the_page_and_the_reference_can_be_read_by_everyone(
    open_page: Opener, new_member: NewMember, workspace: Workspace, name: str, size: ViewportSize, scheme: str
) -> None:
    page = open_page(viewport=size, color_scheme=scheme, member=new_member(name="Robin", age=27, gender="Female").id)
    for each in ("Join", "Live"):
        step(page, each).click()
    expect_events(page, "SessionStarted")
    expect(card(page, "Log")).to_contain_text("It took")
    page.get_by_label("Who stands beside").select_option("local-other")
    expect(card(page, "Side by side")).to_contain_text("Billie is not live")
    page.mouse.move(0, 0)
    folder = REPOSITORY / os.environ.get("SCREENSHOTS", workspace.root / "page")
    page.screenshot(path=folder / f"{name}.png", full_page=True, animations="disabled")
    expect_to_be_read_by_everyone(page, size)
    page.get_by_role("link", name="API reference").click()
    expect(page.locator(".opblock")).to_have_count(len(ENDPOINTS))
    endpoint = page.locator("#operations-session-getSession")
    endpoint.locator(".opblock-summary-control").click()
    endpoint.get_by_role("button", name="Try it out").click()
    endpoint.get_by_role("button", name="Execute").click()
    expect(endpoint.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
    expect_to_be_read_by_everyone(page, size)


def test_text_of_twice_the_size_has_room(stack: Stack, playwright: Playwright, new_member: NewMember) -> None:
    member = new_member()
    member.call("POST", "/profile", {"description": "Night owl"})
    assert member.call("POST", "/session/start", {"duration": 60, **PLACE}).status == 201
    with opener(launched(playwright, "--blink-settings=defaultFontSize=32"), stack) as open_in_large_text:
        page = open_in_large_text(member=member.id)
        expect(page.get_by_role("timer")).to_be_visible()
        page.get_by_text("Edit the preferences").click()
        for size in (DESK, PHONE):
            page.set_viewport_size(size)
            assert page.evaluate("parseFloat(getComputedStyle(document.body).fontSize)") == 30
            assert page.evaluate("document.documentElement.scrollWidth") == size["width"]
            cut = """() => [...document.querySelectorAll("button, label, h2, h3, summary, dd, p, figcaption, .time")]
                .filter((each) => each.checkVisibility() && !each.closest(".unseen, .scroll"))
                .filter((each) => each.scrollWidth > each.clientWidth + 1)
                .filter((each) => getComputedStyle(each).display !== "inline")
                .map((each) => each.textContent.trim())"""
            assert page.evaluate(cut) == []
            narrower = "document.querySelector('.time').offsetWidth < document.querySelector('.clock').offsetWidth"
            assert page.evaluate(narrower)


def test_switches_are_seen_in_forced_colours(open_page: Opener) -> None:
    page = open_page(forced_colors="active", member="local-no-premium")
    expect(page.get_by_role("switch", name="Consent")).to_be_checked()
    page.mouse.move(0, 0)

    def drawn(name: str) -> bytes:
        switch = page.get_by_role("switch", name=name).screenshot(animations="disabled")
        picture = Image.open(io.BytesIO(switch)).convert("RGB")
        assert len(picture.getcolors(1000) or []) > 1
        return picture.tobytes()

    assert drawn("Consent") != drawn("Premium")

"""The page in a real browser, played as people play it: by keyboard, by mouse, on a phone, in two tabs.

It leaves two pictures: in the workspace of the tests, and in docs/page where `make screenshots` runs this.
"""

import json
import os
import re
import subprocess
from pathlib import Path

from playwright.sync_api import Page, expect

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
    press,
    step,
)
from tools.local.workspace import REPOSITORY, Workspace

# Each step of the story, what cards show after it, and the event that it brings.
STORY: list[tuple[str, list[tuple[str, str | re.Pattern[str]]], str | None]] = [
    ("Join", [("Member", "late ramen")], None),
    ("Seek", [("Member", "within 25 km")], None),
    ("Photo", [("Photo", re.compile("GPS.*4.*GPS.*0", re.DOTALL)), ("Photo", "ready")], "PhotoReady"),
    ("Live", [("Session", re.compile(r"30:00|29:\d\d")), ("Session", "Others are shown the point")], "SessionStarted"),
    ("Extend", [("Session", re.compile(r"4[45]:\d\d")), ("Domain events", "warn")], "SessionExtended"),
    ("Warned", [("Session", "ends soon"), ("Domain events", "expire")], "SessionExpiring"),
    ("Ended", [("Session", "The point is erased"), ("Domain events", "holds nothing")], "SessionEnded expired"),
    ("Leave", [("Member", "none yet"), ("Photo", "nothing yet"), ("API", "204")], None),
]


def test_the_whole_story_by_keyboard_with_the_clock_in_view_on_a_phone(
    open_page: Opener, workspace: Workspace, new_member: NewMember
) -> None:
    toni = new_member(name="Toni")
    toni.call("POST", "/profile", {})
    page = open_page(viewport=PHONE, has_touch=True, is_mobile=True, color_scheme="dark")
    page.get_by_text("Make a new member").press("Enter")
    page.get_by_label("Name").press("Enter")
    expect(page.get_by_label("Playing as").locator("option:checked")).to_have_text("Robin, 27, Female")
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
        if name == "Extend":
            assert (
                toni.call("POST", "/session/start", {"duration": 60, "latitude": 52.5, "longitude": 13.4}).status == 201
            )
            _look_at_it(page, toni.id, REPOSITORY / os.environ.get("SCREENSHOTS", workspace.root / "page"))
            step(page, name).focus()
    expect(card(page, "Log")).to_contain_text("It took")
    expect(page.get_by_role("status")).to_contain_text("DELETE /profile: 204")


def _look_at_it(page: Page, other: str, folder: Path) -> None:
    """Two members are side by side, and everyone can read it in both colour schemes."""
    beside = card(page, "Side by side")
    page.get_by_label("Other member").select_option(other)
    expect(beside).to_contain_text(re.compile(r"Toni is shown the point\..*Robin is shown the point, \d+ m", re.DOTALL))
    expect(beside.locator(".map .shown")).to_have_count(2)
    expect(beside.locator(".map .stood")).to_have_count(1)  # the page does not know where Toni stands
    expect_to_be_read_by_everyone(page, PHONE["width"])
    page.emulate_media(color_scheme="light")
    page.screenshot(path=folder / "phone-light.png", full_page=True, animations="disabled")
    assert page.evaluate("axe.run({runOnly: ['color-contrast']}).then(({ violations }) => violations)") == []
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size(DESK)
    page.screenshot(path=folder / "desk-dark.png", full_page=True, animations="disabled")
    page.set_viewport_size(PHONE)


def test_forms_and_buttons_beside_the_story_and_a_second_tab_that_follows(page: Page, open_page: Opener) -> None:
    second = open_page.tab(page.context, page.url)
    member = card(page, "Member")
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
    for button, clock in (
        ("60 min", "1:00:00|59:.."),
        ("+15", "1:1[45]:"),
        ("End now", "over"),
        ("15 min", "1[45]:.."),
    ):
        press(page, button)
        for tab in (page, second):
            expect(tab.locator(".clock")).to_contain_text(re.compile(clock))
    expect_done(second, "Join", "Seek", "Live")
    press(page, "ten minutes")
    expect(page.get_by_role("timer")).to_have_text(re.compile(r"^(5:00|4:\d\d)$"))
    press(page, "to the warning")  # which lies behind: time does not run backwards
    press(page, "+15")
    expect_answer(page, "200 POST /session/extend")  # 409 if the session's end had moved
    step(second, "Leave").click()
    expect_done(page, "Leave")


def test_each_way_in_which_a_photo_is_refused_is_shown(page: Page, tmp_path: Path) -> None:
    posted: list[str] = []
    page.on("request", lambda request: posted.append(request.url) if "/storage/" in request.url else None)
    photo = card(page, "Photo")
    step(page, "Join").click()
    for size, reason in (
        (10 * 1024 * 1024 + 1, "has 10485761 bytes, and maxBytes allows 10485760"),
        (0, "S3 answered"),
    ):
        (tmp_path / "file.jpg").write_bytes(bytes(size))
        page.locator("input[type=file]").set_input_files(tmp_path / "file.jpg")
        expect(photo.get_by_role("alert")).to_contain_text(reason)
        assert len(posted) == (not size)
    press(page, "not a picture")
    expect_events(page, "PhotoRejected")
    expect(photo).to_contain_text("rejected UNSUPPORTED_TYPE")
    expect(photo).to_contain_text("This cannot be read as a picture.")
    press(page, "HEIC")
    expect_events(page, "PhotoReady", "PhotoRejected")
    for name in ("as it is sent", "as it is shown"):
        expect(photo.get_by_role("img", name=name)).to_have_js_property("complete", value=True)
        assert photo.get_by_role("img", name=name).evaluate("image => image.naturalWidth") > 100


def test_the_console_sends_anything_and_a_report_of_it_holds_no_token_and_no_place(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    console = card(page, "API")
    console.get_by_label("Endpoint").select_option("create_profile")
    console.get_by_label("Body").fill("""{"description": "it's me"}""")
    press(page, "Copy as curl")
    expect(page.get_by_role("status")).to_have_text("Copied.")
    line = page.evaluate("navigator.clipboard.readText()")
    answer = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True).stdout
    assert "201" in answer.splitlines()[0]
    assert """"description": "it's me\"""" in answer
    press(page, "JPEG from a phone")
    expect_events(page, "PhotoReady")
    for function, sample, expected in (
        ("get_photo", "valid", "200 GET /profile/photo"),
        ("get_photo", "expired_token", "401 GET /profile/photo"),
        ("start_session", "null_island", "400 POST /session/start"),
        ("start_session", "valid", "201 POST /session/start"),
    ):
        console.get_by_label("Endpoint").select_option(function)
        console.get_by_label("Sample").select_option(sample)
        press(page, "Send")
        expect_answer(page, expected)
    expect_events(page, "SessionStarted", "PhotoReady")
    expect(card(page, "Log")).to_contain_text("It took")
    press(page, "Copy a report")
    expect(page.get_by_role("status")).to_have_text("Copied.")
    report = page.evaluate("navigator.clipboard.readText()")
    told = json.loads(report)
    assert (told["member"]["name"], told["session"]["isLive"]) == ("Robin", True)
    assert [(call["status"], bool(call["requestId"])) for call in told["calls"]] == [
        (status, True) for status in (201, 200, 401, 400, 201)
    ]
    assert [event["detail-type"] for event in told["events"]] == ["PhotoReady", "SessionStarted"]
    assert "INFO request" in told["log"]["lines"][-1]
    assert "X-Amz-Signature=…" in report
    assert not re.search('eyJ|"shownPlace|"latitude":|X-Amz-Signature=[0-9a-f]', report)


def test_the_reference_calls_the_api_as_the_chosen_member_and_can_be_read_by_everyone(page: Page) -> None:
    page.get_by_role("link", name="API reference").click()
    endpoint = page.locator("#operations-session-getSession")
    endpoint.locator(".opblock-summary-control").click()
    press(page, "Try it out")
    press(page, "Execute")
    expect(endpoint.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
    expect_to_be_read_by_everyone(page, DESK["width"])

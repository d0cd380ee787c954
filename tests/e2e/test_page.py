"""The page in a real browser, on the deployed stack: the whole story by clicks, as played without a terminal.

It leaves two pictures: in the workspace of the tests, and in docs/page where `make screenshots` runs this.
"""

import io
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect
from psycopg2.extensions import connection as Connection  # noqa: N812 (a class)

from infra.endpoints import ENDPOINTS, PREFIX, Endpoint
from tests.support.page import (
    DESK,
    PHONE,
    MakeRobin,
    Opener,
    card,
    expect_answer,
    expect_done,
    expect_events,
    expect_to_be_read_by_everyone,
    step,
)
from tests.support.waiting import until
from tools.local import members
from tools.local.page import catalogue, picture
from tools.local.workspace import REPOSITORY, Workspace

TIME = re.compile(r"^\d+:\d\d$")

type TakePicture = Callable[[str, Page], None]


@pytest.fixture(scope="module")
def take_picture(workspace: Workspace) -> TakePicture:
    folder = REPOSITORY / os.environ["SCREENSHOTS"] if "SCREENSHOTS" in os.environ else workspace.root / "page"
    folder.mkdir(parents=True, exist_ok=True)

    def take(name: str, page: Page) -> None:
        page.mouse.move(0, 0)
        screenshot = page.screenshot(full_page=True, animations="disabled")
        with Image.open(io.BytesIO(screenshot)) as taken:  # few colours: a quarter of the bytes
            few = taken.convert("RGB").quantize(method=Image.Quantize.MAXCOVERAGE, kmeans=4)
            few.save(folder / f"{name}.png", optimize=True)

    return take


def test_the_whole_story_by_clicks(page: Page) -> None:
    join_and_send_a_photo(page)
    go_live_and_extend(page)
    let_time_pass(page)
    step(page, "Leave")
    expect_answer(page, 204, "DELETE /profile")
    expect(card(page, "Member")).to_contain_text("none yet")
    expect(card(page, "Photo").get_by_role("img")).to_have_count(0)
    expect_done(page, "Leave")


def join_and_send_a_photo(page: Page) -> None:
    step(page, "Join")
    expect_answer(page, 201, "POST /profile")
    expect(card(page, "Member")).to_contain_text("late ramen")
    expect(card(page, "Log")).to_contain_text("It took")
    step(page, "Seek")
    expect_answer(page, 201, "POST /preferences")
    expect(card(page, "Member")).to_contain_text("within 25 km")
    step(page, "Photo")
    expect_events(page, "PhotoReady")
    photo = card(page, "Photo")
    expect(photo).to_contain_text("52.37000° N, 4.89528° E")
    expect(photo).to_contain_text("Says nothing else.")
    expect(photo.get_by_role("img", name="as it is shown")).to_be_visible()
    expect(card(page, "Log")).to_contain_text("It took")


def go_live_and_extend(page: Page) -> None:
    clock, map_ = page.get_by_role("timer"), page.locator(".map")
    step(page, "Live")
    expect_events(page, "SessionStarted", "PhotoReady")
    expect(clock).to_have_text(re.compile(r"^(30:00|29:\d\d)$"))
    expect(map_).to_contain_text("Others are shown the point")
    expect(map_.locator(".shown")).to_be_visible()
    expect(page.locator(".schedules b")).to_have_text(["warn", "expire"])
    expect(card(page, "Log")).to_contain_text("It took")
    step(page, "Extend")
    expect_events(page, "SessionExtended", "SessionStarted", "PhotoReady")
    expect(clock).to_have_text(re.compile(r"^4[45]:\d\d$"))
    expect(card(page, "Log")).to_contain_text("It took")


def let_time_pass(page: Page) -> None:
    before = ("SessionExtended", "SessionStarted", "PhotoReady")
    step(page, "Warned")
    expect_events(page, "SessionExpiring", *before)
    expect(page.get_by_role("timer")).to_have_text(re.compile(r"^[45]:\d\d$"))
    expect(page.locator(".clock")).to_contain_text("ends soon")
    expect(page.locator(".schedules b")).to_have_text(["expire"])
    step(page, "Ended")
    expect_events(page, "SessionEnded expired", "SessionExpiring", *before)
    expect(page.locator(".clock")).to_contain_text("over")
    expect(page.locator(".map")).to_contain_text("The point is erased")
    expect(page.locator(".map .shown")).to_have_count(0)
    expect(card(page, "Domain events")).to_contain_text("holds nothing")
    expect_done(page, "Join", "Seek", "Photo", "Live", "Extend", "Warned", "Ended")


def test_what_is_no_picture_is_rejected_and_says_why(page: Page) -> None:
    step(page, "Join")
    page.get_by_role("button", name="not a picture").click()
    expect_events(page, "PhotoRejected")
    expect(card(page, "Photo")).to_contain_text("rejected")
    expect(card(page, "Photo")).to_contain_text("This cannot be read as a picture.")


def test_a_chosen_heic_is_shown_before_and_after(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "from-a-phone.heic"
    file.write_bytes(picture.samples()["phone.heic"][1])
    step(page, "Join")
    page.locator("input[type=file]").set_input_files(file)
    expect_events(page, "PhotoReady")
    sent = card(page, "Photo").get_by_role("img", name="as it is sent")
    expect(sent).to_be_visible()
    assert sent.evaluate("image => image.naturalWidth") > 100
    expect(card(page, "Photo")).to_contain_text("HEIF")


def test_a_dropped_photo_is_sent(page: Page) -> None:
    step(page, "Join")
    data = page.evaluate_handle("""async () => {
        const transfer = new DataTransfer();
        const photo = await (await fetch("/system/pictures/phone.jpg")).blob();
        transfer.items.add(new File([photo], "dropped.jpg", { type: "image/jpeg" }));
        return transfer;
    }""")
    page.locator(".drop").dispatch_event("drop", {"dataTransfer": data})
    expect_events(page, "PhotoReady")


def test_switches_open_and_shut_the_door(page: Page) -> None:
    step(page, "Join")
    for name, code in (
        ("Premium", "PREMIUM_REQUIRED"),
        ("ID verified", "VERIFICATION_REQUIRED"),
        ("Consent", "CONSENT_REQUIRED"),
    ):
        switch = page.get_by_role("switch", name=re.compile(f"^{name}"))
        switch.click()
        expect(card(page, "Member")).to_contain_text(f"403 {code}")
        switch.click()
        expect(card(page, "Member")).to_contain_text("late ramen")


def test_time_does_not_run_backwards(page: Page, connection: Connection) -> None:
    step(page, "Join")
    page.get_by_role("button", name="15 min", exact=True).click()
    expect(page.get_by_role("timer")).to_have_text(TIME)
    page.get_by_role("button", name="to the end").click()
    expect(page.get_by_role("status")).to_contain_text("The end is seconds away")
    page.get_by_role("button", name="to the warning").click()
    expect(page.locator(".clock")).to_contain_text("over")
    expect(page.locator(".timeline")).to_contain_text("SessionEnded")


def test_a_session_is_extended_and_ended_by_the_buttons_beside_its_clock(page: Page) -> None:
    step(page, "Join")
    page.get_by_role("button", name="60 min").click()
    page.get_by_role("button", name="+15").click()
    expect(page.get_by_role("timer")).to_have_text(re.compile(r"^1:1[45]:\d\d$"))
    page.get_by_role("button", name="End now").click()
    expect_events(page, "SessionEnded user", "SessionExtended", "SessionStarted")
    expect(page.locator(".clock")).to_contain_text("over")
    expect(card(page, "Domain events")).to_contain_text("holds nothing")


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.function)
def test_every_endpoint_answers_from_the_console(page: Page, endpoint: Endpoint) -> None:
    console = card(page, "API")
    console.get_by_label("Endpoint").select_option(endpoint.function)
    console.get_by_role("button", name="Send").click()
    call = f"{endpoint.method} {endpoint.path}"
    expect(page.locator(".answer p")).to_contain_text(call)
    assert int(page.locator(".answer .status").inner_text()) in {200, 201, 400, 404}
    expect(card(page, "Log").locator("option:checked")).to_have_text(endpoint.function)
    expect(card(page, "Log")).to_contain_text("It took")


def test_the_log_says_what_the_function_wrote(page: Page) -> None:
    card(page, "API").get_by_label("Endpoint").select_option("get_session")

    def is_whole() -> bool:
        card(page, "API").get_by_role("button", name="Send").click()
        expect(card(page, "Log")).to_contain_text("It took")
        return f"GET {PREFIX}/session status 200" in card(page, "Log").inner_text()

    until(is_whole)  # the local AWS cuts a log short at times, when the machine is busy


def test_a_body_is_edited_and_a_sample_brings_its_own_token(page: Page) -> None:
    step(page, "Join")
    console = card(page, "API")
    console.get_by_label("Endpoint").select_option("start_session")
    console.get_by_role("textbox", name="Body").fill('{"duration": 31, "latitude": 52.5, "longitude": 13.4}')
    console.get_by_role("textbox", name="Body").press("Control+Enter")
    expect_answer(page, 400, "POST /session/start")
    expect(console).to_contain_text("Must be 15, 30 or 60")
    console.get_by_label("Endpoint").select_option("get_photo")
    console.get_by_role("combobox", name=re.compile("^Sample")).select_option("expired_token")
    console.get_by_role("button", name="Send").click()
    expect_answer(page, 401, "GET /profile/photo")
    console.get_by_role("combobox", name=re.compile("^Sample")).select_option("valid")
    console.get_by_role("button", name="Send").click()
    expect_answer(page, 200, "GET /profile/photo")


def test_an_endpoint_that_is_not_described_yet_is_offered_with_the_rest(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its code comes first, its samples and docs/openapi.json later."""
    monkeypatch.setattr(catalogue, "ENDPOINTS", (*ENDPOINTS, Endpoint("POST", "/access", "post_access")))
    offered = catalogue.endpoints()
    assert len(offered) == len(ENDPOINTS) + 1
    page.route(re.compile("/system$"), lambda route: route.fulfill(json=route.fetch().json() | {"endpoints": offered}))
    page.reload()
    console = card(page, "API")
    console.get_by_label("Endpoint").select_option("post_access")
    expect(console).to_contain_text("Not described yet: make openapi.")
    console.get_by_role("textbox", name="Body").fill("{}")
    console.get_by_role("button", name="Send").click()
    expect(page.locator(".answer p")).to_contain_text("POST /access")


def test_a_call_is_copied_as_a_line_that_works(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    console = card(page, "API")
    console.get_by_role("textbox", name="Body").fill("""{"description": "it's me"}""")
    console.get_by_role("button", name="Copy as curl").click()
    expect(page.get_by_role("status")).to_have_text("Copied.")
    line = page.evaluate("navigator.clipboard.readText()")
    answer = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True).stdout
    assert "201" in answer.splitlines()[0]
    assert """"description": "it's me\"""" in answer


def test_start_over_takes_everyone_back(page: Page) -> None:
    step(page, "Join")
    expect_answer(page, 201, "POST /profile")
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Start over").click()
    expect(page.get_by_label("Who is playing").locator("option")).to_have_count(
        len(members.SEEDED) + 1
    )  # and the one of the samples
    expect(page.get_by_label("Who is playing").locator("option:checked")).to_have_text("Alex, 29, Male")


def test_the_keyboard_is_enough_and_keeps_its_place(page: Page) -> None:
    page.reload()
    expect(page.get_by_role("button", name=re.compile("^Join"))).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the member")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#member")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    leave = page.get_by_role("button", name=re.compile("^Leave"))
    expect(leave).to_be_focused()
    page.keyboard.press("Enter")
    expect_answer(page, 404, "DELETE /profile")
    expect(leave).to_be_focused()
    expect(page.get_by_role("status")).to_contain_text("DELETE /profile: 404 PROFILE_NOT_FOUND")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_it_can_be_read_by_everyone(
    open_page: Opener, robin: MakeRobin, take_picture: TakePicture, size: dict[str, int], scheme: str
) -> None:
    page = open_page(viewport=size, color_scheme=scheme)
    robin(page)
    step(page, "Join")
    step(page, "Live")
    expect_events(page, "SessionStarted")
    expect(card(page, "Log")).to_contain_text("It took")
    page.get_by_label("Who stands beside").select_option("local-other")
    expect(card(page, "Side by side")).to_contain_text("Billie is not live")
    assert page.evaluate("document.documentElement.scrollWidth") == size["width"]
    page.emulate_media(reduced_motion="reduce")
    expect_to_be_read_by_everyone(page)
    if (size, scheme) in [(DESK, "dark"), (PHONE, "light")]:
        take_picture(f"{'desk' if size is DESK else 'phone'}-{scheme}", page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_the_reference_is_read_offline_and_calls_as_the_chosen_member(
    open_page: Opener, robin: MakeRobin, size: dict[str, int], scheme: str
) -> None:
    page = open_page(viewport=size, color_scheme=scheme)
    robin(page)
    page.get_by_role("link", name="API reference").click()
    expect(page.locator(".opblock")).to_have_count(len(ENDPOINTS))
    expect_to_be_read_by_everyone(page)
    for name in ("session-getSession", "profile-createProfile"):
        endpoint = page.locator(f"#operations-{name}")
        endpoint.locator(".opblock-summary-control").click()
        endpoint.get_by_role("button", name="Try it out").click()
        endpoint.get_by_role("button", name="Execute").click()
        answer = endpoint.locator(".live-responses-table .response-col_status").last
        expect(answer).to_contain_text("200" if name == "session-getSession" else "201")
    assert page.evaluate("document.documentElement.scrollWidth") == size["width"]
    expect_to_be_read_by_everyone(page)


def test_its_pictures_are_shown_in_docs() -> None:
    docs = REPOSITORY / "docs"
    shown = set(re.findall(r"\(page/([^)]+\.png)\)", (docs / "page.md").read_text()))
    assert shown == {file.name for file in (docs / "page").glob("*.png")}

"""The page in a browser, for tests: how to open it, and its parts by name."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Locator, Page, Playwright, expect

from tests.support import browsers
from tests.support.waiting import LIMIT_SECONDS
from tools.local.stack import Stack
from tools.local.workspace import REPOSITORY, Workspace

DESK, PHONE = {"width": 1280, "height": 800}, {"width": 360, "height": 780}
_AXE = REPOSITORY / "node_modules" / "axe-core" / "axe.min.js"


def launched(playwright: Playwright, *flags: str) -> Browser:
    """Skips the test where there is no browser."""
    executable = browsers.executable_or_skip()
    # Where the sweep ends a session before its schedule does, the schedule fires up to five minutes later.
    expect.set_options(timeout=(LIMIT_SECONDS + 120) * 1000)
    return playwright.chromium.launch(executable_path=executable, args=[*browsers.FLAGS, *flags])


@dataclass
class Opener:
    """Opens the page, or another file of it, and keeps the faults of its scripts and its calls to other hosts."""

    browser: Browser
    stack: Stack
    faults: list[str] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)

    def __call__(self, path: str = "/", url: str | None = None, member: str | None = None, **context: Any) -> Page:
        own = self.browser.new_context(**{"viewport": DESK} | context)
        self.contexts.append(own)
        own.set_default_timeout(LIMIT_SECONDS * 1000)
        if member:
            own.add_init_script(f"sessionStorage.getItem('member') ?? sessionStorage.setItem('member', '{member}')")
        return self.tab(own, (url or self.stack.page_url) + path)

    def tab(self, context: BrowserContext, url: str) -> Page:
        own = (f"http://{urlsplit(url).netloc}", "data:", "blob:")
        page = context.new_page()
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", lambda request: None if request.url.startswith(own) else self.faults.append(request.url))
        page.goto(url)
        return page


@contextmanager
def opener(browser: Browser, stack: Stack) -> Iterator[Opener]:
    opening = Opener(browser, stack)
    yield opening
    for context in opening.contexts:
        context.close()
    assert opening.faults == []


def card(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=re.compile(f"^{name}")).first


def step(page: Page, name: str) -> Locator:
    return page.get_by_role("navigation", name="The story").get_by_role("button", name=re.compile(f"^{name}"))


def expect_done(page: Page, *names: str) -> None:
    """Exactly these steps of the story are done."""
    expect(page.locator(".story .done .name")).to_have_text([*names])


def expect_events(page: Page, *names: str) -> None:
    """Exactly these came, the newest first."""
    expect(page.locator(".timeline summary")).to_contain_text(names)


def expect_answer(page: Page, answer: str) -> None:
    """The API's last answer on the page is this: `201 POST /profile`."""
    expect(page.locator(".answer p")).to_contain_text(answer)


def expect_to_be_read_by_everyone(page: Page) -> None:
    """axe-core, which reads a page as a screen reader does, finds nothing wrong."""
    page.evaluate(_AXE.read_text())
    found = page.evaluate("axe.run()")
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found["violations"]] == []
    assert len(found["passes"]) > 20


@contextmanager
def page_alone(workspace: Workspace, port: int = 0) -> Iterator[str]:
    """Serve the page once more, beside the running system. Yields its address."""
    command = [sys.executable, "-m", "tools.local.page", "--workspace", str(workspace.root), "--port", str(port)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process.stdout.readline().split()[-1]
        process.terminate()
        process.wait()

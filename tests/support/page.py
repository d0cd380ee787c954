"""The page in a browser, for tests: how to open it, and its parts by name."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Locator, Page, ViewportSize, expect

from tests.support.waiting import LIMIT_SECONDS
from tools.local.stack import Stack
from tools.local.workspace import REPOSITORY, Workspace

DESK, PHONE = ViewportSize(width=1280, height=800), ViewportSize(width=360, height=780)
_AXE = REPOSITORY / "node_modules" / "axe-core" / "axe.min.js"


class Opener:
    """Opens the page, and keeps the faults of its scripts and its calls to other hosts."""

    def __init__(self, browser: Browser, stack: Stack) -> None:
        self._browser = browser
        self._stack = stack
        self.faults: list[str] = []

    def __call__(self, url: str | None = None, member: str | None = None, **context: Any) -> Page:
        own = self._browser.new_context(**{"viewport": DESK} | context)
        own.set_default_timeout(LIMIT_SECONDS * 1000)
        if member:
            own.add_init_script(f"sessionStorage.getItem('member') ?? sessionStorage.setItem('member', '{member}')")
        return self.tab(own, url or self._stack.page_url)

    def tab(self, context: BrowserContext, url: str) -> Page:
        page = context.new_page()
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", lambda request: self.faults.append(request.url) if _is_elsewhere(request.url) else None)
        page.goto(url)
        return page


def _is_elsewhere(url: str) -> bool:
    return not url.startswith(("http://127.0.0.1:", "data:", "blob:"))


def card(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=re.compile(f"^{name}")).first


def step(page: Page, name: str) -> Locator:
    return page.get_by_role("navigation", name="The story").get_by_role("button", name=re.compile(name))


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def expect_done(page: Page, *names: str) -> None:
    """Exactly these steps of the story are done."""
    expect(page.locator(".story .done b")).to_have_text([re.compile(name) for name in names])


def expect_events(page: Page, *names: str) -> None:
    """Exactly these came, the newest first."""
    expect(page.locator(".events summary")).to_have_text([re.compile(name) for name in names])


def expect_answer(page: Page, answer: str) -> None:
    """The API's last answer on the page is this: `201 POST /profile`."""
    expect(page.locator(".answer p")).to_contain_text(answer)


def expect_to_be_read_by_everyone(page: Page, width: int) -> None:
    """Nothing stands beyond the window, and axe-core, which reads a page as a screen reader does, finds no fault."""
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.evaluate(_AXE.read_text())
    found = page.evaluate("axe.run()")
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found["violations"]] == []
    assert len(found["passes"]) > 20


@contextmanager
def page_alone(workspace: Workspace, port: int) -> Iterator[str]:
    """Serve the page once more, beside the running system. Yields its address."""
    command = [sys.executable, "-m", "tools.local", "page", "--workspace", str(workspace.root), "--port", str(port)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process.stdout.readline().split()[-1]
        process.terminate()

"""HTTP on this machine, each call over a connection of its own and by no proxy."""

from typing import Any

import urllib3

# Longer than any answer takes, even of a dozen cold starts at once on a slow machine.
_ANSWER_SECONDS = 300
_POOL = urllib3.PoolManager(retries=False, timeout=_ANSWER_SECONDS)


def request(
    method: str,
    url: str,
    *,
    headers: dict[str, str] | None = None,
    **content: Any,  # noqa: ANN401 (urllib3's)
) -> urllib3.BaseHTTPResponse:
    """Send a request with urllib3's `json` or `fields`. Return the answer, whatever its status.

    Raises OSError when there is none.
    """
    try:
        return _POOL.request(method, url, headers={**(headers or {}), "connection": "close"}, **content)
    except urllib3.exceptions.HTTPError as error:
        raise OSError(f"{method} {url}: {error}") from error

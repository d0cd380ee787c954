"""When a token ends is a number of seconds within a century; everything else is refused, as any bad token is."""

import time

import jwt
import pytest
from after_hours.entrypoints import auth
from after_hours.entrypoints.errors import Unauthorized

KEY = "a key of the main app, for tests alone"
NOW = int(time.time())
YEAR = 365 * 24 * 3600
LATER = NOW + YEAR  # far enough that no test run is still under way then


def known(**claims: object) -> str:
    """The member whom a token with these claims is for."""
    token = jwt.encode({"userId": "me", **claims}, KEY, algorithm="HS256")
    return auth.authenticate({"authorization": f"Bearer {token}"}, [KEY])


def test_a_token_may_end_within_a_century() -> None:
    for seconds in (60, 60.5, 99 * YEAR):
        assert known(exp=time.time() + seconds) == "me"


BAD_ENDS: list[object] = [
    "tomorrow", str(LATER), "", True, None, [LATER], {}, NOW - 1, NOW + 101 * YEAR, LATER * 1000, 10**400,
    float("inf"), float("-inf"), float("nan"),
]  # fmt: skip


@pytest.mark.parametrize(
    "claims", [{}, *({"exp": end} for end in BAD_ENDS), *({"exp": LATER, "nbf": nbf} for nbf in ("soon", LATER - 60))]
)
def test_a_token_without_such_an_end_or_before_its_beginning_is_refused(claims: dict[str, object]) -> None:
    with pytest.raises(Unauthorized):
        known(**claims)

"""Authentication by the main app's JSON Web Token (RFC 7519), signed with HS256 (RFC 7518) alone."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import jwt
from jwt.types import Options

from after_hours.entrypoints.errors import Unauthorized

MAX_USER_ID = 255  # users.id is VARCHAR(255)

_CENTURY_SECONDS = 100 * 365.25 * 24 * 3600  # a later end is a mistake: milliseconds, say

# Other claims are for the main app alone. `iat` is not checked, because the main app's clock may be a moment ahead of
# ours: if we refused its new tokens, the app would fetch new ones again and again.
_OPTIONS: Options = {
    "require": ["exp", "userId"],
    "verify_iat": False,
    "verify_aud": False,
    "verify_sub": False,
    "verify_jti": False,
}


def authenticate(headers: Mapping[str, str], keys: Sequence[str]) -> str:
    """Return the caller's user id from `Authorization: Bearer <token>`.

    The token must be signed with one of `keys` by HS256 and carry `exp` (seconds since 1970, within the next century)
    and `userId`. Raises `Unauthorized` for anything else: an expired token too, because the app refreshes its token on
    a 401.
    """
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthorized("no bearer token")
    try:
        claims = _claims(token.strip(), keys)
    except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise Unauthorized(type(error).__name__) from None
    user_id, ends_at = claims["userId"], claims["exp"]
    if not isinstance(ends_at, int | float) or ends_at > time.time() + _CENTURY_SECONDS:  # PyJWT accepts text
        raise Unauthorized("exp is not a time of this century")
    if not isinstance(user_id, str) or not 0 < len(user_id) <= MAX_USER_ID or not user_id.isprintable():
        raise Unauthorized("userId is not a user id")
    return user_id


def _claims(token: str, keys: Sequence[str]) -> dict[str, Any]:
    key, *others = keys
    try:
        return jwt.decode(token, key, algorithms=["HS256"], options=_OPTIONS)
    except jwt.InvalidSignatureError:
        if not others:
            raise
        return _claims(token, others)

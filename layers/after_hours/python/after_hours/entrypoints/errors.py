"""Every error that a client can get: its HTTP status, its code, and a message for people.

The domain raises these, and the foundation raises faults; `api` turns either into a response. No other module maps
errors to HTTP.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from after_hours.foundation import faults
from after_hours.foundation.faults import Fault


class ApiError(Exception):
    """An error that a client gets. `details` are further top-level members of the response body."""

    status: ClassVar[int]
    code: ClassVar[str]
    message: ClassVar[str]
    headers: Mapping[str, str] = {}

    def __init__(self, reason: str = "", **details: Any) -> None:  # noqa: ANN401 (any JSON value)
        """`reason` is for the log alone: it must never hold what a member sent, nor where a member is."""
        super().__init__(reason or self.message)
        self.details = details


class InvalidRequest(ApiError):
    """The body or a query parameter is not valid. Carries one `{"field", "message"}` for each bad field."""

    status, code, message = 400, "VALIDATION_ERROR", "Some of the data sent is not valid."

    def __init__(self, errors: Sequence[Mapping[str, str]]) -> None:
        super().__init__(errors=errors)


class Unauthorized(ApiError):
    status, code, message = 401, "UNAUTHORIZED", "Please sign in again."
    headers: Mapping[str, str] = {"www-authenticate": "Bearer"}


class AccessDenied(ApiError):
    status = 403


class PremiumRequired(AccessDenied):
    code, message = "PREMIUM_REQUIRED", "After Hours is part of Premium."

    def __init__(self) -> None:
        super().__init__(upgrade=True)


class VerificationRequired(AccessDenied):
    code, message = "VERIFICATION_REQUIRED", "Please verify your identity first."

    def __init__(self) -> None:
        super().__init__(requiresVerification=True)


class ConsentRequired(AccessDenied):
    code, message = "CONSENT_REQUIRED", "Please agree to the After Hours terms first."

    def __init__(self) -> None:
        super().__init__(requiresConsent=True)


class ProfileRequired(ApiError):
    status, code, message = 400, "PROFILE_REQUIRED", "Please create your After Hours profile first."


class ProfileExists(ApiError):
    status, code, message = 409, "PROFILE_EXISTS", "You already have an After Hours profile."


class ProfileNotFound(ApiError):
    status, code, message = 404, "PROFILE_NOT_FOUND", "You have no After Hours profile."


class PreferencesExist(ApiError):
    status, code, message = 409, "PREFERENCES_EXIST", "You already have After Hours preferences."


class PreferencesNotFound(ApiError):
    status, code, message = 404, "PREFERENCES_NOT_FOUND", "You have no After Hours preferences."


class PhotoNotFound(ApiError):
    status, code, message = 404, "PHOTO_NOT_FOUND", "You have no After Hours photo."


class TooManyRequests(ApiError):
    """An hourly limit is reached. After `retry_after_seconds` one more request is allowed."""

    status = 429

    def __init__(self, *, retry_after_seconds: int) -> None:
        super().__init__()
        self.headers = {"retry-after": str(retry_after_seconds)}


class TooManyUploads(TooManyRequests):
    code, message = "TOO_MANY_UPLOADS", "You have sent many photos lately. Please try again later."


class TooManyStarts(TooManyRequests):
    code, message = "TOO_MANY_STARTS", "You have gone live many times lately. Please try again later."


class SessionAlreadyActive(ApiError):
    status, code, message = 409, "SESSION_ALREADY_ACTIVE", "You are live already."


class SessionTooLong(ApiError):
    status, code, message = 409, "SESSION_TOO_LONG", "A session may not end more than six hours from now."


class SessionChanged(ApiError):
    status, code, message = 409, "SESSION_CHANGED", "Your session ends at another time than you saw."


class NoActiveSession(ApiError):
    status, code, message = 404, "NO_ACTIVE_SESSION", "You are not live."


class Failure(ApiError):
    """The fault is on our side. The log has the reason."""

    status = 503
    headers: Mapping[str, str] = {"retry-after": "5"}


class Unavailable(Failure):
    code, message = "SERVICE_UNAVAILABLE", "After Hours is not available right now. Please try again."


class AccessCheckFailed(Unavailable):
    code = "ACCESS_CHECK_FAILED"


class Unconfirmed(Failure):
    """The change may have been made. There is no Retry-After, since a blind retry could make it twice."""

    code, message = "OUTCOME_UNKNOWN", "This may or may not have been done. Please look before you try again."
    headers: Mapping[str, str] = {}


class Internal(Failure):
    status, code, message = 500, "INTERNAL_ERROR", "Something went wrong on our side."
    headers: Mapping[str, str] = {}


def failure_of(fault: Fault) -> Failure:
    """Return the error that a client gets for a fault."""
    match fault:
        case faults.OutcomeUnknown():
            failure: type[Failure] = Unconfirmed
        case faults.ServiceUnavailable():
            failure = Unavailable
        case _:
            failure = Internal
    return failure(str(fault)).with_traceback(fault.__traceback__)

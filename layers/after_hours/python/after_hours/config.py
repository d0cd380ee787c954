"""The settings of a function, read from its environment, and the two secrets they point to.

Nobody else reads the environment. Both are checked before use, and what is missing is named.
"""

import os
import time
from collections.abc import Callable
from functools import cache
from ipaddress import ip_address
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from after_hours import aws
from after_hours.errors import Misconfigured, SecretRefused, ServiceUnavailable
from after_hours.observability import count_fault

SECRET_MAX_AGE_SECONDS = 300
SECRET_RETRY_SECONDS = 60
SECRET_REFUSED_SECONDS = 3600
MIN_KEY_BYTES = 32  # RFC 7518, section 3.2: a key for HS256 has at least the size of the hash, 256 bits

_Name = Annotated[str, StringConstraints(min_length=1)]
_Key = Annotated[str, StringConstraints(min_length=MIN_KEY_BYTES)]


class Settings(BaseModel):
    """What the deployment tells a function. The names in the environment are these, in capitals."""

    model_config = ConfigDict(frozen=True, alias_generator=str.upper)

    aws_region: _Name
    database_secret_arn: _Name
    app_secret_arn: _Name
    schedule_group: _Name
    scheduler_role_arn: _Name
    expire_function_arn: _Name
    schedule_dead_letter_arn: _Name
    event_bus: _Name
    upload_bucket: _Name


class DatabaseSecret(BaseModel):
    """Where PostgreSQL is. The names are those Secrets Manager itself uses for a database secret."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    host: _Name
    port: int = 5432
    username: _Name
    password: Annotated[str, Field(repr=False)]
    dbname: _Name
    sslmode: Literal["disable", "require", "verify-ca", "verify-full"] = "require"

    @model_validator(mode="after")
    def _encrypted_off_this_machine(self) -> "DatabaseSecret":
        if self.sslmode == "disable" and not _is_loopback(self.host):
            raise ValueError("sslmode may be 'disable' for a loopback host only")
        return self


class R2Secret(BaseModel):
    """Where photos are kept, and the access key for it. The names are Cloudflare's."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, hide_input_in_errors=True)

    endpoint_url: _Name
    region: _Name = "auto"  # R2's only one
    bucket: _Name
    access_key_id: _Name
    secret_access_key: Annotated[_Name, Field(repr=False)]


class AppSecret(BaseModel):
    """The keys of the application."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, hide_input_in_errors=True)

    jwt_secret: Annotated[_Key, Field(repr=False)]
    location_key: Annotated[_Key, Field(repr=False)]
    r2: R2Secret


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@cache
def settings() -> Settings:
    """Return the settings of this function. Raises `Misconfigured`, naming what is missing or empty."""
    return _checked(Settings, os.environ, "environment")


class Secret[Model: BaseModel]:
    """A secret, read when first needed and again when older than five minutes, so that a rotation is noticed.

    One that cannot be read again is used as it was last read: Secrets Manager being down is no reason to be down. One
    that is refused, or has become something else, is used so for an hour at most: a key that was revoked must die.
    """

    def __init__(self, model: type[Model], arn: Callable[[], str]) -> None:
        self._model = model
        self._arn = arn
        self.forget()

    def forget(self) -> None:
        """Be as new."""
        self._value: Model | None = None
        self._read_again_at = 0.0
        self._refused_since: float | None = None

    def read(self, *, fresh: bool = False) -> Model:
        """Raises `SecretsUnavailable` when it cannot be read, `Misconfigured` when it lacks something."""
        now = time.monotonic()
        if self._value is not None and now < self._read_again_at and not fresh:
            return self._value
        try:
            text = aws.secret(self._arn(), region=settings().aws_region)
            self._value = _checked(self._model, text, f"{self._model.__name__} in Secrets Manager")
        except ServiceUnavailable as fault:
            return self._held(fault, now)
        self._read_again_at, self._refused_since = now + SECRET_MAX_AGE_SECONDS, None
        return self._value

    def _held(self, fault: ServiceUnavailable, now: float) -> Model:
        """Return the value that was read before, if it may still be used. Raises the fault otherwise."""
        if self._refused_since is None and isinstance(fault, SecretRefused | Misconfigured):
            self._refused_since = now
        if self._refused_since is not None and now - self._refused_since > SECRET_REFUSED_SECONDS:
            self._value = None
        if self._value is None:
            raise fault
        count_fault("SecretFaults", fault)
        self._read_again_at = now + SECRET_RETRY_SECONDS
        return self._value


database_secret = Secret(DatabaseSecret, lambda: settings().database_secret_arn)
app_secret = Secret(AppSecret, lambda: settings().app_secret_arn)


def _checked[Model: BaseModel](model: type[Model], values: object, source: str) -> Model:
    try:
        return model.model_validate_json(values) if isinstance(values, str) else model.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, detail['loc'])) or 'value'}: {detail['msg']}"
            for detail in error.errors(include_url=False, include_context=False, include_input=False)
        )
        raise Misconfigured(f"{source} is not as it must be: {problems}") from None

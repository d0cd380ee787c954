"""The settings of a function, read from its environment, and the two secrets they point to.

Nobody else reads the environment or Secrets Manager. Both are checked before use, and what is missing is named.
"""

import json
import os
import time
from collections.abc import Callable
from functools import cache
from ipaddress import ip_address
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from after_hours.errors import Misconfigured, SecretsUnavailable

SECRET_MAX_AGE_SECONDS = 300
SECRETS_TIMEOUT_SECONDS = 2
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
    """A secret, read when first needed and again when older than five minutes, so that a rotation is noticed."""

    def __init__(self, model: type[Model], arn: Callable[[], str]) -> None:
        self._model = model
        self._arn = arn
        self._value: Model | None = None
        self._read_at = 0.0

    def read(self, *, fresh: bool = False) -> Model:
        """Raises `SecretsUnavailable` when it cannot be read, `Misconfigured` when it lacks something."""
        stale = time.monotonic() - self._read_at > SECRET_MAX_AGE_SECONDS
        if self._value is None or stale or fresh:
            self._value = _checked(self._model, _read_secret(self._arn()), f"{self._model.__name__} in Secrets Manager")
            self._read_at = time.monotonic()
        return self._value


database_secret = Secret(DatabaseSecret, lambda: settings().database_secret_arn)
app_secret = Secret(AppSecret, lambda: settings().app_secret_arn)


def _checked[Model: BaseModel](model: type[Model], values: object, source: str) -> Model:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, detail['loc'])) or 'value'}: {detail['msg']}"
            for detail in error.errors(include_url=False, include_context=False, include_input=False)
        )
        raise Misconfigured(f"{source} is not as it must be: {problems}") from None


def _read_secret(arn: str) -> dict[str, Any]:
    """GetSecretValue, signed by botocore but without a botocore client.

    Every cold start of every function pays for this call, and a client would nearly double what all else costs
    (docs/decisions/cold-start.md; `make bench` measures it).
    """
    from botocore.auth import SigV4Auth  # noqa: PLC0415 (only a function that reads a secret pays for it)
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415
    from botocore.credentials import Credentials  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415
    from botocore.httpsession import URLLib3Session  # noqa: PLC0415

    region = settings().aws_region
    request = AWSRequest(
        method="POST",
        url=os.environ.get("AWS_ENDPOINT_URL") or f"https://secretsmanager.{region}.amazonaws.com",
        headers={"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "secretsmanager.GetSecretValue"},
        data=json.dumps({"SecretId": arn}),
    )
    credentials = Credentials(
        os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"], os.environ.get("AWS_SESSION_TOKEN")
    )
    SigV4Auth(credentials, "secretsmanager", region).add_auth(request)
    try:
        response = URLLib3Session(timeout=SECRETS_TIMEOUT_SECONDS).send(request.prepare())
    except BotoCoreError as error:
        raise SecretsUnavailable(f"Secrets Manager cannot be reached: {type(error).__name__}") from None
    if response.status_code != 200:  # noqa: PLR2004
        fault = response.headers.get("x-amzn-errortype", "")
        raise SecretsUnavailable(f"Secrets Manager answered {response.status_code} {fault}")
    try:
        return dict(json.loads(json.loads(response.content)["SecretString"]))
    except (ValueError, KeyError, TypeError):
        raise Misconfigured("a secret in Secrets Manager is not a JSON object") from None

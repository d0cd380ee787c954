"""The secrets that a function reads from Secrets Manager. A value is checked, and read again after five minutes.

A secret is read on first use, so a function needs only the secrets that it uses. An error names the missing part.
"""

import time
from functools import cached_property
from ipaddress import ip_address
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel

from after_hours.foundation import calls, clients, settings
from after_hours.foundation.faults import Misconfigured, SecretRefused, SecretsUnavailable, ServiceUnavailable
from after_hours.foundation.observability import count, count_fault

SECRET_MAX_AGE_SECONDS = 300
SECRET_RETRY_SECONDS = 60
SECRET_REFUSED_SECONDS = 3600
MIN_KEY_BYTES = 32  # RFC 7518, section 3.2: a key for HS256 has at least the size of the hash, 256 bits
_MIN_DISTINCT_CHARACTERS = 8  # random keys have more: 32 random digits nearly always have nine or ten

# While it is open, no read waits for Secrets Manager: it returns the last value, or fails at once.
breaker = calls.Breaker(seconds=10)

_Name = Annotated[str, StringConstraints(min_length=1)]


def _hard_to_guess(key: str) -> str:
    """Refuse placeholders: spaces, or a few characters repeated."""
    if len(key.strip()) < MIN_KEY_BYTES or len(set(key)) < _MIN_DISTINCT_CHARACTERS:
        raise ValueError(
            f"needs {MIN_KEY_BYTES} characters, {_MIN_DISTINCT_CHARACTERS} different ones, without spaces around them"
        )
    return key


_Key = Annotated[str, AfterValidator(_hard_to_guess)]


class DatabaseSecret(BaseModel):
    """Where PostgreSQL is, and the role to connect as. The names are Secrets Manager's own for a database secret.

    Host, port and database name in the environment take precedence over the secret's: a secret that RDS makes holds
    none of them, and a stack may put a proxy in front of the server that a secret names.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    host: _Name
    port: int = 5432
    username: _Name
    password: Annotated[str, Field(repr=False)]
    dbname: _Name
    sslmode: Literal["disable", "verify-ca", "verify-full"] = "verify-full"
    sslrootcert: _Name | None = None  # PEM: the certificate authorities to trust instead of those in the layer

    @model_validator(mode="before")
    @classmethod
    def _address_of_the_environment(cls, secret: Any) -> Any:  # noqa: ANN401 (any JSON value)
        if not isinstance(secret, dict):
            return secret
        address = {
            "host": settings.optional("DATABASE_HOST"),
            "port": settings.optional("DATABASE_PORT"),
            "dbname": settings.optional("DATABASE_NAME"),
        }
        return secret | {name: value for name, value in address.items() if value}

    @model_validator(mode="after")
    def _encrypted_off_this_machine(self) -> "DatabaseSecret":
        if self.sslmode == "disable" and not _is_loopback(self.host):
            raise ValueError("sslmode may be 'disable' for a loopback host only")
        return self


class JwtSecret(BaseModel):
    """The main app's signing key and, while phones still have tokens signed with it, the previous key."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, hide_input_in_errors=True)

    jwt_secret: Annotated[_Key, Field(repr=False)]
    previous_jwt_secret: Annotated[_Key | None, Field(repr=False)] = None

    @field_validator("previous_jwt_secret", mode="before")
    @classmethod
    def _empty_is_none(cls, key: object) -> object:
        return None if key == "" else key

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The keys that a token may be signed with, the newest first."""
        return (self.jwt_secret, *([self.previous_jwt_secret] if self.previous_jwt_secret else []))


class LocationSecret(BaseModel):
    """The key of `location.fuzz`."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, hide_input_in_errors=True)

    location_key: Annotated[_Key, Field(repr=False)]


class R2Secret(BaseModel):
    """Where photos are kept, and the access key for it. The names are Cloudflare's."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, hide_input_in_errors=True)

    endpoint_url: Annotated[str, StringConstraints(pattern=r"^https?://[^/\s]+")]
    region: _Name = "auto"  # R2's only one
    bucket: _Name
    access_key_id: _Name
    secret_access_key: Annotated[_Name, Field(repr=False)]


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Secret[Model: BaseModel]:
    """A secret that is read on first use, and again when the value is older than five minutes, to notice a rotation.

    While Secrets Manager does not answer, the last value stays in use without limit. When it refuses the secret, or the
    secret has become invalid, the last value stays in use for an hour at most: a revoked key must stop working.
    """

    def __init__(self, model: type[Model], arn: settings.Setting) -> None:
        self._model = model
        self._arn: settings.Setting = arn
        self.forget()

    def forget(self) -> None:
        """Forget the value and its age, so that the next read asks Secrets Manager."""
        self._value: Model | None = None
        self._read_again_at = 0.0
        self._refused_since: float | None = None

    def read(self, *, fresh: bool = False) -> Model:
        """Return the secret. `fresh` reads it again even if the value is young, unless the breaker is open.

        Raises `SecretsUnavailable` when the secret cannot be read, and `Misconfigured` when it is not valid.

        For example:
            jwt_secret.read().keys
        """
        now = time.monotonic()
        if self._value is not None and (breaker.is_open or (now < self._read_again_at and not fresh)):
            return self._value
        if breaker.is_open:
            raise SecretsUnavailable("no answer a moment ago")
        try:
            self._value = _checked(
                self._model, _text(settings.required(self._arn)), f"{self._model.__name__} in Secrets Manager"
            )
        except ServiceUnavailable as fault:
            if isinstance(fault, Misconfigured):
                count("SecretsIncomplete")
            return self._last_value(fault, now)
        self._read_again_at, self._refused_since = now + SECRET_MAX_AGE_SECONDS, None
        return self._value

    def _last_value(self, fault: ServiceUnavailable, now: float) -> Model:
        """Return the last value if it may still be used. Raises the fault otherwise."""
        if self._refused_since is None and isinstance(fault, SecretRefused | Misconfigured):
            self._refused_since = now
        if self._refused_since is not None and now - self._refused_since > SECRET_REFUSED_SECONDS:
            self._value = None
        if self._value is None:
            raise fault
        count_fault("SecretFaults", fault)
        self._read_again_at = now + SECRET_RETRY_SECONDS
        return self._value


database_secret = Secret(DatabaseSecret, "DATABASE_SECRET_ARN")
jwt_secret = Secret(JwtSecret, "JWT_SECRET_ARN")
location_secret = Secret(LocationSecret, "LOCATION_SECRET_ARN")
r2_secret = Secret(R2Secret, "R2_SECRET_ARN")


def database_login(*, fresh: bool = False) -> DatabaseSecret:
    """Return PostgreSQL's address, a role, and the secret's password or an IAM token that is signed now.

    An IAM token is valid for 15 minutes, so call this for each new connection. Raises what `Secret.read` raises.
    """
    user = settings.optional("DATABASE_IAM_USER")
    if user is None:
        return database_secret.read(fresh=fresh)
    unsigned = _checked(DatabaseSecret, {"username": user, "password": ""}, "environment")
    token = clients.database_token(unsigned.host, unsigned.port, user)
    return unsigned.model_copy(update={"password": token})


def _text(arn: str) -> str:
    """Read the text of a secret. Raises `SecretRefused`, `SecretsUnavailable`, or `Misconfigured` for bytes."""
    with breaker.watching(), clients.translated(SecretsUnavailable, refused=SecretRefused):
        response = clients.secrets_manager().get_secret_value(SecretId=arn)
    if "SecretString" not in response:
        raise Misconfigured("a secret in Secrets Manager is not text")
    return response["SecretString"]


def _checked[Model: BaseModel](model: type[Model], values: object, source: str) -> Model:
    try:
        return model.model_validate_json(values) if isinstance(values, str) else model.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, detail['loc'])) or 'value'}: {detail['msg']}"
            for detail in error.errors(include_url=False, include_context=False, include_input=False)
        )
        raise Misconfigured(f"{source} is not as it must be: {problems}") from None

"""The options of a deployment (`-c name=value`), checked before anything is built. It does not import the CDK."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo
from pydantic.alias_generators import to_camel

from infra.stages import STAGES, Cluster, Stage, connections_missing

_COMPLETE_ARN = re.compile(r"arn:[\w-]+:secretsmanager:(?P<region>[\w-]+):\d{12}:secret:.+-\w{6}")
_REPOSITORY = Path(__file__).parents[1]
_AUTHORITIES_OF_RDS = _REPOSITORY / "layers/after_hours/python/after_hours/foundation/root-certificates"

FUNCTIONS = tuple(path.parent.name for path in sorted(_REPOSITORY.glob("functions/*/handler.py")))


class Refused(Exception):
    """The options cannot be deployed; the message is one sentence for the person who deploys."""


@dataclass(frozen=True)
class PrivateDatabase:
    """The network of an existing PostgreSQL without a public address, in which functions run."""

    vpc_id: str
    subnet_ids: tuple[str, ...]  # of the functions: private, with a route to the internet
    security_group_id: str  # of the database; the stack opens it for the functions
    port: int


@dataclass(frozen=True)
class Domain:
    """The API's own domain name, and its certificate in the region of the deployment."""

    name: str
    certificate_arn: str


def _stage(name: object) -> Stage:
    if name is None:
        raise ValueError(f"Say which stage to deploy with -c stage=…: {_listed(STAGES)}.")
    if name not in STAGES:
        raise ValueError(f"There is no stage {name}; there are {_listed(STAGES)}.")
    return STAGES[str(name)]


def _secret(arn: str, info: ValidationInfo) -> str:
    found, name, region = _COMPLETE_ARN.fullmatch(arn), to_camel(str(info.field_name)), (info.context or {})["region"]
    if not found:
        raise ValueError(f"{name} is not the complete ARN of a secret, which ends in six random characters: {arn}")
    if region and found["region"] != region:
        raise ValueError(f"{name} is a secret in {found['region']}, and the deployment goes to {region}: {arn}")
    return arn


def _email(address: str, info: ValidationInfo) -> str:
    if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", address):
        raise ValueError(f"{to_camel(str(info.field_name))} is not one address: {address}")
    return address


def _matching(pattern: str, sentence: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"{sentence}: {text}")
        return text

    return read


def _split(text: object) -> object:
    return tuple(text.split(",")) if isinstance(text, str) else text


_Secret = Annotated[str, BeforeValidator(_secret)] | None
_Port = Annotated[int, BeforeValidator(_matching(r"\d+", "databasePort is not a number"))] | None
_Email = Annotated[str, BeforeValidator(_email)] | None
_NAME = r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}"
_DomainName = Annotated[str, BeforeValidator(_matching(_NAME, "domainName is not the name of a host"))] | None
_ORIGINS = "allowedOrigins are like https://app.example.com, without a path or an asterisk"
_Origin = Annotated[str, BeforeValidator(_matching(r"https?://[^/*\s]+", _ORIGINS))]


class Options(BaseModel):
    """The options of a deployment. A secret's ARN is None where the stack makes the secret itself."""

    model_config = ConfigDict(alias_generator=to_camel, frozen=True)

    stage: Annotated[Stage, BeforeValidator(_stage), Field(default=None, validate_default=True)]
    database_secret_arn: _Secret = None  # None: our own cluster
    app_database_secret_arn: _Secret = None  # None: the role that owns the tables serves as well
    database_host: str | None = None  # None, as for port and name: the secret has it
    database_port: _Port = None
    database_name: str | None = None
    database_vpc_id: str | None = None
    database_subnet_ids: Annotated[tuple[str, ...], BeforeValidator(_split)] = ()
    database_security_group_id: str | None = None
    jwt_secret_arn: _Secret = None
    location_secret_arn: _Secret = None
    r2_secret_arn: _Secret = None
    alarm_email: _Email = None
    ticket_email: _Email = None  # None: alarm_email
    domain_name: _DomainName = None  # None: phones use the API's own address
    certificate_arn: str | None = None
    allowed_origins: Annotated[
        tuple[_Origin, ...], BeforeValidator(_split)
    ] = ()  # of web pages; the mobile app needs none

    @property
    def domain(self) -> Domain | None:
        return Domain(self.domain_name, self.certificate_arn) if self.domain_name and self.certificate_arn else None

    @property
    def private_database(self) -> PrivateDatabase | None:
        if not (self.database_vpc_id and self.database_security_group_id and self.database_port):
            return None
        return PrivateDatabase(
            self.database_vpc_id, self.database_subnet_ids, self.database_security_group_id, self.database_port
        )


NAMES = frozenset(str(field.alias) for field in Options.model_fields.values())
_NETWORK = ("databaseVpcId", "databaseSubnetIds", "databaseSecurityGroupId")
_OF_AN_EXISTING_DATABASE = ("appDatabaseSecretArn", "databaseHost", "databasePort", "databaseName", *_NETWORK)


def read(context: Mapping[str, object], *, region: str | None = None) -> Options:
    """Return the options in `context`, which also has the CDK's own entries. Raises `Refused`.

    `region` is the region of the deployment, when it is known.
    """
    values = {name: str(value) for name, value in context.items() if value not in ("", None) and _is_ours(name)}
    if unknown := sorted(values.keys() - NAMES):
        raise Refused(f"There is no option {unknown[0]}; there are {_listed(sorted(NAMES))}.")
    try:
        options = Options.model_validate(values, context={"region": region})
    except ValidationError as invalid:
        raise Refused(str(invalid.errors()[0]["ctx"]["error"])) from None
    _check_database(options.stage, values)
    if region and not (_AUTHORITIES_OF_RDS / f"{region}.pem").exists():
        raise Refused(
            f"The layer has no certificate authorities of RDS in {region}: {_AUTHORITIES_OF_RDS.name} needs them."
        )
    _check_domain(options, region)
    if options.alarm_email is None and options.stage.name == "prod":
        raise Refused("Alarms of prod must reach a person: say whom with -c alarmEmail=….")
    return options


def _check_domain(options: Options, region: str | None) -> None:
    if (options.domain_name is None) != (options.certificate_arn is None):
        raise Refused("A domain needs its certificate: domainName and certificateArn go together.")
    arn = options.certificate_arn
    if arn and not re.match(rf"arn:[\w-]+:acm:{region or r'[\w-]+'}:\d+:certificate/", arn):
        raise Refused(f"certificateArn is not a certificate in the region of the deployment: {arn}")


def _is_ours(name: str) -> bool:
    """Whether an option is ours: the CDK's own have names like `@aws-cdk/aws-iam:minimizePolicies`."""
    return not any(character in name for character in ":/@")


def _check_database(stage: Stage, values: Mapping[str, str]) -> None:
    if "databaseSecretArn" not in values:
        if stray := [name for name in _OF_AN_EXISTING_DATABASE if name in values]:
            raise Refused(f"{stray[0]} is about an existing database: name its secret with -c databaseSecretArn=….")
        if not stage.cluster:
            raise Refused(f"The stage {stage.name} makes no database of its own: name one with -c databaseSecretArn=….")
    elif stage.cluster:
        raise Refused(
            f"The stage {stage.name} has a database of its own, which databaseSecretArn would take the place of:"
            " its row in infra/stages.py must say ExistingDatabase(…) first."
        )
    _check_connections(stage)
    if any(name in values for name in _NETWORK):
        needed = (*_NETWORK, "databasePort")
        if missing := [name for name in needed if name not in values]:
            raise Refused(f"A private database needs {_listed(needed)} together; {missing[0]} is missing.")


def _check_connections(stage: Stage) -> None:
    """Refuse a stage whose functions could open more connections than its database has for them."""
    reserved = stage.reserved(FUNCTIONS)
    if missing := connections_missing(stage.database, reserved):
        size = f"{stage.database.max_acu} ACU" if isinstance(stage.database, Cluster) else "the existing database's"
        raise Refused(
            f"The functions of the stage {stage.name} may run {reserved} times at once, and hold as many connections:"
            f" {missing} more than {size} leave them."
        )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)

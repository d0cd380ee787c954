"""The options of a deployment (`-c name=value`), checked before anything is built. Nothing here needs the CDK."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.stages import STAGES, Cluster, Stage, connections_missing

_COMPLETE_ARN = re.compile(r"arn:[\w-]+:secretsmanager:(?P<region>[\w-]+):\d{12}:secret:.+-\w{6}")
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_ORIGIN = re.compile(r"https?://[^/*\s]+")
_REPOSITORY = Path(__file__).parents[1]
_AUTHORITIES_OF_RDS = _REPOSITORY / "layers/after_hours/python/after_hours/root-certificates"


class Refused(Exception):
    """The options cannot be deployed; the message is one sentence for whoever gave them."""


@dataclass(frozen=True)
class PrivateDatabase:
    """Where a given PostgreSQL without a public address is: functions are attached to its network."""

    vpc_id: str
    subnet_ids: tuple[str, ...]  # of the functions: private ones, from which the internet can be reached
    security_group_id: str  # of the database, to be opened for the functions


@dataclass(frozen=True)
class Options:
    """The options in force. A secret's ARN is None where the stack makes the secret itself."""

    stage: Stage
    database_secret_arn: str | None = None  # None: our own cluster
    app_database_secret_arn: str | None = None  # None: the role that owns the tables serves as well
    database_host: str | None = None  # None, like port and name: the secret says it
    database_port: int | None = None
    database_name: str | None = None
    private_database: PrivateDatabase | None = None
    jwt_secret_arn: str | None = None
    location_secret_arn: str | None = None
    r2_secret_arn: str | None = None
    alarm_email: str | None = None
    allowed_origins: tuple[str, ...] = ()  # of web pages that may call the API; a phone needs none


FUNCTIONS = tuple(path.parent.name for path in sorted(_REPOSITORY.glob("functions/*/handler.py")))

_NETWORK = ("databaseVpcId", "databaseSubnetIds", "databaseSecurityGroupId")
_OF_A_GIVEN_DATABASE = ("appDatabaseSecretArn", "databaseHost", "databasePort", "databaseName", *_NETWORK)
_SECRETS = ("databaseSecretArn", "appDatabaseSecretArn", "jwtSecretArn", "locationSecretArn", "r2SecretArn")
NAMES = frozenset({"stage", "alarmEmail", "allowedOrigins", *_OF_A_GIVEN_DATABASE, *_SECRETS})


def read(context: Mapping[str, object], *, region: str | None = None) -> Options:
    """Return our options of `context`, which also holds the CDK's own. Raises `Refused`.

    `region` is where the deployment goes, when that is known.
    """
    given = {name: str(value) for name, value in context.items() if value not in ("", None) and _is_ours(name)}
    if unknown := sorted(given.keys() - NAMES):
        raise Refused(f"There is no option {unknown[0]}; there are {_listed(sorted(NAMES))}.")
    stage = _stage(given.get("stage"))
    _check_database(stage, given)
    if region and not (_AUTHORITIES_OF_RDS / f"{region}.pem").exists():
        raise Refused(
            f"The layer has no certificate authorities of RDS in {region}: {_AUTHORITIES_OF_RDS.name} needs them."
        )
    for name in _SECRETS:
        _check_secret(name, given.get(name), region)
    return Options(
        stage=stage,
        database_secret_arn=given.get("databaseSecretArn"),
        app_database_secret_arn=given.get("appDatabaseSecretArn"),
        database_host=given.get("databaseHost"),
        database_port=_port(given.get("databasePort")),
        database_name=given.get("databaseName"),
        private_database=_private_database(given),
        jwt_secret_arn=given.get("jwtSecretArn"),
        location_secret_arn=given.get("locationSecretArn"),
        r2_secret_arn=given.get("r2SecretArn"),
        alarm_email=_alarm_email(stage, given.get("alarmEmail")),
        allowed_origins=_origins(given.get("allowedOrigins", "")),
    )


def _is_ours(name: str) -> bool:
    """Tell our options from the CDK's own, whose names are such as `@aws-cdk/aws-iam:minimizePolicies`."""
    return not any(character in name for character in ":/@")


def _stage(name: str | None) -> Stage:
    if name is None:
        raise Refused(f"Say which stage to deploy with -c stage=…: {_listed(STAGES)}.")
    if name not in STAGES:
        raise Refused(f"There is no stage {name}; there are {_listed(STAGES)}.")
    return STAGES[name]


def _check_database(stage: Stage, given: Mapping[str, str]) -> None:
    if "databaseSecretArn" not in given:
        if stray := [name for name in _OF_A_GIVEN_DATABASE if name in given]:
            raise Refused(f"{stray[0]} is about a given database, which -c databaseSecretArn=… must name as well.")
        if stage.cluster is None:
            raise Refused(f"The stage {stage.name} makes no database of its own: name one with -c databaseSecretArn=….")
        _check_connections(stage, stage.cluster)
    if any(name in given for name in _NETWORK) and (missing := [name for name in _NETWORK if name not in given]):
        raise Refused(f"A private database needs {_listed(_NETWORK)} together; {missing[0]} is missing.")


def _check_connections(stage: Stage, cluster: Cluster) -> None:
    """Refuse a row of the table whose functions could ask for more connections than its cluster gives."""
    reserved = sum(map(stage.concurrency.of, FUNCTIONS)) if stage.concurrency else 0
    if missing := connections_missing(cluster, reserved):
        raise Refused(
            f"The functions of the stage {stage.name} may run {reserved} times at once, and hold as many connections:"
            f" {missing} more than {cluster.max_acu} ACU leave them."
        )


def _check_secret(name: str, arn: str | None, region: str | None) -> None:
    if arn is None:
        return
    found = _COMPLETE_ARN.fullmatch(arn)
    if not found:
        raise Refused(f"{name} is not the complete ARN of a secret, which ends in six random characters: {arn}")
    if region and found["region"] != region:
        raise Refused(f"{name} is a secret in {found['region']}, and the deployment goes to {region}: {arn}")


def _port(port: str | None) -> int | None:
    if port is not None and not port.isdecimal():
        raise Refused(f"databasePort is not a number: {port}")
    return None if port is None else int(port)


def _private_database(given: Mapping[str, str]) -> PrivateDatabase | None:
    if "databaseVpcId" not in given:
        return None
    return PrivateDatabase(
        given["databaseVpcId"], tuple(given["databaseSubnetIds"].split(",")), given["databaseSecurityGroupId"]
    )


def _alarm_email(stage: Stage, address: str | None) -> str | None:
    if address is None and stage.name == "prod":
        raise Refused("Alarms of prod must reach a person: say whom with -c alarmEmail=….")
    if address is not None and not _ADDRESS.fullmatch(address):
        raise Refused(f"alarmEmail is not one address: {address}")
    return address


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(text.split(",")) if text else ()
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise Refused(f"allowedOrigins are like https://app.example.com, without a path or an asterisk: {origin}")
    return origins


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)

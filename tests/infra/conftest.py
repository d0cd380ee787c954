"""The app, synthesized once a session for each of the ways in which it is deployed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from infra.stages import STAGES, ExistingDatabase
from tests.support.synthesized import APP_DATABASE_SECRET_ARN, DATABASE_SECRET_ARN, SNAPSHOT, Synthesized, synthesize

EMAILS = {"alarmEmail": "ops@example.com", "ticketEmail": "tickets@example.com"}
DOMAIN = {
    "domainName": "hours.example.com",
    "certificateArn": "arn:aws:acm:eu-west-1:123456789012:certificate/0a1b2c3d",
}


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    """Production, with all of its own."""
    return synthesize(tmp_path_factory.mktemp("aws"), stage="prod", **EMAILS)


@pytest.fixture(scope="session")
def staging(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    """A stage that is traced, with its own cluster and without a proxy."""
    return synthesize(tmp_path_factory.mktemp("staging"), stage="staging", alarmEmail="ops@example.com")


@pytest.fixture(scope="session")
def private(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    """Every option: an existing database without a public address, a domain, and secrets that exist."""
    with _row("staging", database=ExistingDatabase(max_connections=400)):
        return synthesize(
            tmp_path_factory.mktemp("private"),
            stage="staging",
            databaseSecretArn=DATABASE_SECRET_ARN,
            appDatabaseSecretArn=APP_DATABASE_SECRET_ARN,
            databaseHost="postgres.example.internal",
            databasePort="5432",
            databaseName="vlvt",
            databaseVpcId="vpc-0123456789abcdef0",
            databaseSubnetIds="subnet-0123456789abcdef0,subnet-0123456789abcdef1",
            databaseSecurityGroupId="sg-0123456789abcdef0",
            jwtSecretArn="arn:aws:secretsmanager:eu-west-1:123456789012:secret:jwt-a1B2c3",
            locationSecretArn="arn:aws:secretsmanager:eu-west-1:123456789012:secret:location-a1B2c3",
            r2SecretArn="arn:aws:secretsmanager:eu-west-1:123456789012:secret:r2-a1B2c3",
            allowedOrigins="https://app.example.com",
            **DOMAIN,
            **EMAILS,
        )


@pytest.fixture(scope="session")
def public(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    """Production on an existing database with a public address, where one role owns and serves."""
    with _row("prod", database=ExistingDatabase(max_connections=2000)):
        directory = tmp_path_factory.mktemp("public")
        return synthesize(directory, stage="prod", databaseSecretArn=DATABASE_SECRET_ARN, **EMAILS)


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    """The cheapest stage: its own cluster sleeps, and nothing is reserved."""
    return synthesize(tmp_path_factory.mktemp("dev"), stage="dev")


@pytest.fixture(scope="session")
def rare(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    """A cluster with all that its row can say: protected, restored, copied, in other zones, with NAT; and a domain."""
    cluster = STAGES["dev"].cluster
    assert cluster
    zones = ("us-east-1b", "us-east-1c")
    cluster = replace(cluster, protected=True, restored_from=SNAPSHOT, copied_to="210987654321", zones=zones)
    with _row("dev", database=cluster, egress="nat"):
        return synthesize(tmp_path_factory.mktemp("rare"), stage="dev", **DOMAIN)


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    """What is put on this machine: an existing database, with a role that owns and one that serves."""
    return synthesize(
        tmp_path_factory.mktemp("local"),
        stage="local",
        databaseSecretArn=DATABASE_SECRET_ARN,
        appDatabaseSecretArn=APP_DATABASE_SECRET_ARN,
    )


@contextmanager
def _row(stage: str, **changes: Any) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(STAGES, stage, replace(STAGES[stage], **changes))
        yield

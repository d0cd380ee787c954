"""The app, synthesized once a session for each of the ways in which it is deployed."""

from dataclasses import replace

import pytest

from infra.stages import STAGES, ExistingDatabase
from tests.support.synthesized import APP_DATABASE_SECRET_ARN, DATABASE_SECRET_ARN, SNAPSHOT, Synthesized, synthesize

EMAILS = {"alarmEmail": "ops@example.com", "ticketEmail": "tickets@example.com"}


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    """Production, with all of its own."""
    return synthesize(tmp_path_factory.mktemp("aws"), stage="prod", **EMAILS)


@pytest.fixture(scope="session")
def private(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    """A stage that is traced, for an existing database without a public address, called by web pages, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(STAGES, "staging", replace(STAGES["staging"], database=ExistingDatabase(max_connections=400)))
        return synthesize(
            tmp_path_factory.mktemp("private"),
            stage="staging",
            databaseSecretArn=DATABASE_SECRET_ARN,
            databaseHost="postgres.example.internal",
            databasePort="5432",
            databaseName="vlvt",
            databaseVpcId="vpc-0123456789abcdef0",
            databaseSubnetIds="subnet-0123456789abcdef0,subnet-0123456789abcdef1",
            databaseSecurityGroupId="sg-0123456789abcdef0",
            locationSecretArn="arn:aws:secretsmanager:eu-west-1:123456789012:secret:location-a1B2c3",
            allowedOrigins="https://app.example.com",
            domainName="hours.example.com",
            certificateArn="arn:aws:acm:eu-west-1:123456789012:certificate/0a1b2c3d",
        )


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    """The cheapest stage: its own cluster sleeps, and nothing is reserved."""
    return synthesize(tmp_path_factory.mktemp("dev"), stage="dev")


@pytest.fixture(scope="session")
def nat(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    """Should a service lack IPv6."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(STAGES, "dev", replace(STAGES["dev"], egress="nat"))
        return synthesize(tmp_path_factory.mktemp("nat"), stage="dev")


@pytest.fixture(scope="session")
def own_zones(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    """Where the region's first two zones will not do."""
    size = STAGES["dev"].cluster
    assert size
    with pytest.MonkeyPatch.context() as patch:
        database = replace(size, zones=("us-east-1b", "us-east-1c"))
        patch.setitem(STAGES, "dev", replace(STAGES["dev"], database=database))
        return synthesize(tmp_path_factory.mktemp("own_zones"), stage="dev")


@pytest.fixture(scope="session")
def restored(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    """Production, whose cluster was made from a snapshot."""
    size = STAGES["prod"].cluster
    assert size
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(STAGES, "prod", replace(STAGES["prod"], database=replace(size, restored_from=SNAPSHOT)))
        return synthesize(tmp_path_factory.mktemp("restored"), stage="prod", **EMAILS)


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    """What is put on this machine: an existing database, with a role that owns and one that serves."""
    return synthesize(
        tmp_path_factory.mktemp("local"),
        stage="local",
        databaseSecretArn=DATABASE_SECRET_ARN,
        appDatabaseSecretArn=APP_DATABASE_SECRET_ARN,
    )

"""The app, synthesized once a session for each stage."""

import json
from pathlib import Path

import pytest
from aws_cdk import App

from infra.stack import AfterHours
from tests.support.synthesized import Synthesized

DATABASE_SECRET_ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:vlvt/postgres-a1B2c3"
CDK_CONTEXT = json.loads(Path("cdk.json").read_text())["context"]


def _synthesize(directory: Path, **context: str) -> Synthesized:
    app = App(outdir=str(directory), context={**CDK_CONTEXT, "databaseSecretArn": DATABASE_SECRET_ARN, **context})
    stack = AfterHours(app, "AfterHours")
    app.synth()
    return Synthesized(stack, directory)


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    """What `cdk deploy` puts on AWS."""
    return _synthesize(tmp_path_factory.mktemp("aws"))


@pytest.fixture(scope="session")
def two_roles(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    """The same, for a database where another role serves than the one that owns the tables."""
    serving = DATABASE_SECRET_ARN.replace("postgres-a1B2c3", "serving-Z9y8X7")
    return _synthesize(tmp_path_factory.mktemp("two_roles"), appDatabaseSecretArn=serving)


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    """What `cdk deploy -c stage=local` puts on this machine."""
    return _synthesize(tmp_path_factory.mktemp("local"), stage="local")

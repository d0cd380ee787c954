"""The PostgreSQL that the deployment is given, and the migrations that every deployment brings to it."""

import re

from aws_cdk import Duration
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk.triggers import Trigger
from constructs import Construct

from infra.functions import Functions

CONTEXT_KEY = "databaseSecretArn"

_COMPLETE_ARN = re.compile(r"arn:[\w-]+:secretsmanager:[\w-]+:\d{12}:secret:.+-\w{6}")
_HOW_TO_NAME_IT = f"""\
Deploying needs a PostgreSQL: name its secret with the option {CONTEXT_KEY}, by its complete ARN, for example

  npx cdk deploy -c {CONTEXT_KEY}=arn:aws:secretsmanager:eu-west-1:123456789012:secret:vlvt/postgres-a1B2c3

The secret is JSON: {{"host", "port", "username", "password", "dbname"}}, and "sslmode" where "require" is not right."""

_MIGRATION_TIMEOUT = Duration.minutes(10)


class MissingDatabaseSecretError(Exception):
    """No usable `databaseSecretArn` was given; the message tells how to give one."""


def database_secret(scope: Construct) -> secretsmanager.ISecret:
    """Import the secret of an existing PostgreSQL, named by the context option `databaseSecretArn`."""
    arn = scope.node.try_get_context(CONTEXT_KEY)
    if not arn:
        raise MissingDatabaseSecretError(_HOW_TO_NAME_IT)
    if not _COMPLETE_ARN.fullmatch(arn):
        raise MissingDatabaseSecretError(
            f"{CONTEXT_KEY} is not the complete ARN of a secret: {arn}\n\n{_HOW_TO_NAME_IT}"
        )
    return secretsmanager.Secret.from_secret_complete_arn(scope, "DatabaseSecret", arn)


def migrate_before(*constructs: Construct, functions: Functions, secret: secretsmanager.ISecret) -> None:
    """Run the migrations in each deployment that changes them, before `constructs` are created or updated.

    When they fail, CloudFormation rolls the deployment back, and the old code still fits the old tables.
    """
    migrate = functions.make("migrate_database", timeout=_MIGRATION_TIMEOUT, secrets=[secret], folders=["migrations"])
    Trigger(functions, "Migration", handler=migrate, timeout=_MIGRATION_TIMEOUT, execute_before=list(constructs))

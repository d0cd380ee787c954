"""The PostgreSQL that the deployment is given, and the migrations that every deployment brings to it."""

import re

from aws_cdk import Annotations, Duration
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk.triggers import Trigger
from constructs import Construct

from infra.endpoints import DATABASE
from infra.functions import Functions

CONTEXT_KEY = "databaseSecretArn"
APP_CONTEXT_KEY = "appDatabaseSecretArn"
APP_ROLE = "after_hours_app"

_COMPLETE_ARN = re.compile(r"arn:[\w-]+:secretsmanager:[\w-]+:\d{12}:secret:.+-\w{6}")
_HOW_TO_NAME_IT = f"""\
Deploying needs a PostgreSQL: name its secret with the option {CONTEXT_KEY}, by its complete ARN, for example

  npx cdk deploy -c {CONTEXT_KEY}=arn:aws:secretsmanager:eu-west-1:123456789012:secret:vlvt/postgres-a1B2c3

The secret is JSON: {{"host", "port", "username", "password", "dbname"}}; "sslrootcert" (PEM) where the server's
certificate is of an authority that is not known. {APP_CONTEXT_KEY} names a second one, of the role {APP_ROLE}."""

_MIGRATION_TIMEOUT = Duration.minutes(10)


class MissingDatabaseSecretError(Exception):
    """No usable `databaseSecretArn` was given; the message tells how to give one."""


class Database:
    """An existing PostgreSQL: the secret of who owns the tables, and of who serves."""

    def __init__(self, scope: Construct) -> None:
        owner = _imported(scope, "DatabaseSecret", CONTEXT_KEY)
        if owner is None:
            raise MissingDatabaseSecretError(_HOW_TO_NAME_IT)
        app = _imported(scope, "AppDatabaseSecret", APP_CONTEXT_KEY)
        self._owner = owner
        self._app_role = APP_ROLE if app else None
        self.serving: dict[str, secretsmanager.ISecret] = {DATABASE: app or owner}
        if app is None:
            Annotations.of(scope).add_warning_v2(
                "after-hours:one-database-role",
                f"One role owns the tables and serves: a function could change them, and no statement is given up after"
                f" five seconds. Name a secret of {APP_ROLE} with -c {APP_CONTEXT_KEY}=…",
            )

    def migrate_before(self, *constructs: Construct, functions: Functions) -> None:
        """Run the migrations in each deployment that changes them, before `constructs` are created or updated.

        When they fail, CloudFormation rolls the deployment back, and the old code still fits the old tables.
        """
        migrate = functions.make(
            "migrate_database", timeout=_MIGRATION_TIMEOUT, secrets={DATABASE: self._owner}, folders=["migrations"]
        )
        if self._app_role:
            migrate.add_environment("DATABASE_APP_ROLE", self._app_role)
        Trigger(functions, "Migration", handler=migrate, timeout=_MIGRATION_TIMEOUT, execute_before=list(constructs))


def _imported(scope: Construct, construct: str, option: str) -> secretsmanager.ISecret | None:
    """Import the secret that a context option names."""
    arn = scope.node.try_get_context(option)
    if not arn:
        return None
    if not _COMPLETE_ARN.fullmatch(arn):
        raise MissingDatabaseSecretError(f"{option} is not the complete ARN of a secret: {arn}\n\n{_HOW_TO_NAME_IT}")
    return secretsmanager.Secret.from_secret_complete_arn(scope, construct, arn)

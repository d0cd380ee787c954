"""The PostgreSQL that the deployment is given, and the migrations that every deployment brings to it."""

from aws_cdk import Annotations, Duration
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk.triggers import Trigger
from constructs import Construct

from infra.endpoints import DATABASE
from infra.functions import Functions

APP_ROLE = "after_hours_app"

_MIGRATION_TIMEOUT = Duration.minutes(10)


class Database:
    """An existing PostgreSQL: the secret of who owns the tables, and of who serves."""

    def __init__(self, scope: Construct, *, owner_arn: str, app_arn: str | None) -> None:
        self._owner = _imported(scope, "DatabaseSecret", owner_arn)
        app = _imported(scope, "AppDatabaseSecret", app_arn) if app_arn else None
        self._app_role = APP_ROLE if app else None
        self.serving: dict[str, secretsmanager.ISecret] = {DATABASE: app or self._owner}
        if app is None:
            Annotations.of(scope).add_warning_v2(
                "after-hours:one-database-role",
                f"One role owns the tables and serves: a function could change them, and no statement is given up after"
                f" five seconds. Name a secret of {APP_ROLE} with -c appDatabaseSecretArn=…",
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


def _imported(scope: Construct, construct: str, arn: str) -> secretsmanager.ISecret:
    return secretsmanager.Secret.from_secret_complete_arn(scope, construct, arn)

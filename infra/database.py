"""The PostgreSQL that functions connect to, existing or our own, and the migrations in each deployment."""

from abc import ABC, abstractmethod

from aws_cdk import Annotations, Duration
from aws_cdk import aws_lambda as lambda_
from aws_cdk.triggers import Trigger
from constructs import Construct

from infra.functions import Functions
from infra.network import ExistingNetwork, Network
from infra.options import Options
from infra.secrets import ExistingSecret

APP_ROLE = "after_hours_app"

_MIGRATION_TIMEOUT = Duration.minutes(10)  # one for connecting, eight for migrations.upgrade, and one to spare


class Database(ABC):
    """A PostgreSQL, the roles of functions in it, and the network in which functions reach it."""

    network: Network | None = None

    @abstractmethod
    def allow_serving(self, function: lambda_.Function) -> None:
        """Let the function connect as the role that serves."""

    @abstractmethod
    def allow_owning(self, function: lambda_.Function) -> None:
        """Let the function connect as the role that owns the tables."""


class ExistingDatabase(Database):
    """An existing PostgreSQL: a secret for the role that owns the tables, perhaps another for the role that serves."""

    def __init__(self, scope: Construct, options: Options) -> None:
        if options.database_secret_arn is None:
            raise ValueError("the options for an existing database have its secret")
        self._owner = ExistingSecret(scope, "DatabaseSecret", options.database_secret_arn)
        self._app = None
        if options.app_database_secret_arn:
            self._app = ExistingSecret(scope, "AppDatabaseSecret", options.app_database_secret_arn)
        else:
            Annotations.of(scope).add_warning_v2(
                "after-hours:one-database-role",
                f"One role owns the tables and serves: a function could change them, and no statement is given up after"
                f" five seconds. Name a secret of {APP_ROLE} with -c appDatabaseSecretArn=…",
            )
        # A secret that RDS makes has a name and a password, and no address.
        self._address = {
            "DATABASE_HOST": options.database_host,
            "DATABASE_PORT": str(options.database_port) if options.database_port else None,
            "DATABASE_NAME": options.database_name,
        }
        if options.private_database:
            self.network = ExistingNetwork(scope, options.private_database)

    def allow_serving(self, function: lambda_.Function) -> None:
        self._allow(function, self._app or self._owner)

    def allow_owning(self, function: lambda_.Function) -> None:
        self._allow(function, self._owner)
        if self._app:
            function.add_environment("DATABASE_APP_ROLE", APP_ROLE)

    def _allow(self, function: lambda_.Function, secret: ExistingSecret) -> None:
        secret.allow_reading(function, "DATABASE_SECRET_ARN")
        for name, value in self._address.items():
            if value:
                function.add_environment(name, value)


def migrate_before(*constructs: Construct, functions: Functions, database: Database) -> None:
    """Run the migrations in each deployment that changes them, before `constructs` are created or updated.

    When they fail, CloudFormation rolls the deployment back, and the old code still works.
    """
    migrate = functions.make("migrate_database", timeout=_MIGRATION_TIMEOUT, folders=["migrations"])
    database.allow_owning(migrate)
    Trigger(functions, "Migration", handler=migrate, timeout=_MIGRATION_TIMEOUT, execute_before=list(constructs))

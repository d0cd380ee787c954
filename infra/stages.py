"""The stages as a table: all differences between deployments. It does not import the CDK."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

# The default of max_connections by a cluster's largest capacity, in ACU of 2 GiB ("Performance and scaling for Aurora
# Serverless v2", Aurora User Guide). It is capped where the smallest capacity is below 1 ACU.
_MAX_CONNECTIONS = {1: 189, 4: 823, 8: 1669, 16: 3360, 32: 5000}
_MAX_CONNECTIONS_BELOW_ONE_ACU = 2000

# How a database's connections are divided: the share for functions, and the number kept for people and for Aurora.
_SHARE_FOR_FUNCTIONS = 0.8
_CONNECTIONS_FOR_PEOPLE = 20


@dataclass(frozen=True)
class Cluster:
    """Our own Aurora PostgreSQL. Capacities are in ACU."""

    min_acu: float
    max_acu: int
    reader: bool
    proxy: bool
    protected: bool  # from deletion; and a snapshot stays when the stack is deleted
    backup_days: int
    pause_after_minutes: int | None = None  # without connections; needs a smallest capacity of 0
    # The ARN of the snapshot from which the cluster was restored. It stays: without it, the next deployment would
    # replace the cluster by an empty one.
    restored_from: str | None = None
    copied_to: str | None = None  # the account for copies of the backups: the cluster's key lets it read them
    # Names of two availability zones; None: the region's first two. They must have RDS Proxy.
    zones: tuple[str, str] | None = None

    @property
    def max_connections(self) -> int:
        limit = _MAX_CONNECTIONS[self.max_acu]
        return limit if self.min_acu >= 1 else min(limit, _MAX_CONNECTIONS_BELOW_ONE_ACU)


@dataclass(frozen=True)
class ExistingDatabase:
    """An existing PostgreSQL; `-c databaseSecretArn=…` names its secret."""

    max_connections: int  # those of `SHOW max_connections`, less those that others need


@dataclass(frozen=True)
class Concurrency:
    """The reserved concurrency of each function. An execution holds one connection, so this limits the connections.

    It reduces the account's limit, of which AWS keeps 100 for functions without a reservation.
    """

    polled: int  # get_session, which phones poll
    endpoint: int  # each other endpoint
    expire_session: int
    process_photo: int
    sweep: int
    migrate_database: int = 1

    def of(self, function: str) -> int:
        if function == "get_session":
            return self.polled
        return int(getattr(self, function, self.endpoint))


@dataclass(frozen=True)
class Throttle:
    """API Gateway's throttling of all members together: requests a second, and the size of a burst."""

    rate: int
    burst: int


@dataclass(frozen=True)
class Stage:
    """One row of the table."""

    name: str
    database: Cluster | ExistingDatabase
    concurrency: Concurrency | None  # None: nothing is reserved, since a new account refuses it
    reads: Throttle  # of GET routes, which phones poll
    changes: Throttle  # of each other route
    sweep_minutes: int
    log_days: Literal[7, 14, 30, 90]
    alarms: bool  # made even without an e-mail address
    tracing: bool  # with X-Ray, which charges for each trace
    canary: bool  # new code of the two busiest functions gets a tenth of the calls first
    monthly_dollars: int  # the budget; docs/cost.md says what to expect
    egress: Literal["ipv6", "nat"] = "ipv6"  # how functions in our own network reach AWS and R2
    account_concurrency: int = 1000  # AWS's limit for the account, which all its functions share
    emulated: bool = False  # on the local AWS, which lacks some services and runs on this machine's processor

    @property
    def stack_name(self) -> str:
        return f"AfterHours-{self.name}"

    @property
    def cluster(self) -> Cluster | None:
        """Our own database, where the stage has one."""
        return self.database if isinstance(self.database, Cluster) else None

    @property
    def protected(self) -> bool:
        """Whether the stack and its data are protected from accidental deletion or replacement."""
        return self.cluster.protected if self.cluster else not self.emulated

    def reserved(self, functions: Iterable[str]) -> int:
        """Return the concurrency that these functions reserve together."""
        return sum(map(self.concurrency.of, functions)) if self.concurrency else 0


STAGES = {
    stage.name: stage
    for stage in (
        Stage(
            "prod",
            database=Cluster(min_acu=2, max_acu=16, reader=True, proxy=True, protected=True, backup_days=14),
            concurrency=Concurrency(polled=200, endpoint=30, expire_session=40, process_photo=20, sweep=2),
            reads=Throttle(rate=1500, burst=1500),  # less than the database can serve (docs/cost.md)
            changes=Throttle(rate=300, burst=600),
            sweep_minutes=1,
            log_days=30,
            alarms=True,
            tracing=False,
            canary=True,
            monthly_dollars=1000,
        ),
        Stage(
            "staging",
            database=Cluster(min_acu=0.5, max_acu=4, reader=False, proxy=False, protected=True, backup_days=3),
            concurrency=Concurrency(polled=20, endpoint=5, expire_session=10, process_photo=5, sweep=2),
            reads=Throttle(rate=200, burst=200),
            changes=Throttle(rate=50, burst=100),
            sweep_minutes=1,
            log_days=14,
            alarms=True,
            tracing=True,
            canary=False,
            monthly_dollars=400,
        ),
        Stage(
            "dev",
            database=Cluster(
                min_acu=0,
                max_acu=1,
                reader=False,
                proxy=False,
                protected=False,
                backup_days=1,
                pause_after_minutes=5,
            ),
            concurrency=None,
            reads=Throttle(rate=50, burst=100),
            changes=Throttle(rate=20, burst=40),
            sweep_minutes=60,  # a sweep wakes the database, which costs money while it is awake
            log_days=7,
            alarms=False,
            tracing=True,
            canary=False,
            monthly_dollars=50,
        ),
        Stage(
            "local",
            database=ExistingDatabase(max_connections=100),
            concurrency=None,
            reads=Throttle(rate=2000, burst=2000),
            changes=Throttle(rate=300, burst=600),
            sweep_minutes=1,
            log_days=7,
            alarms=True,
            tracing=False,
            canary=False,
            monthly_dollars=0,
            emulated=True,
        ),
    )
}


def connections_missing(database: Cluster | ExistingDatabase, reserved: int) -> int:
    """Return the number of connections that a database lacks for this reserved concurrency; 0 when it has enough.

    A warm function keeps its connection, so each reserved execution counts as one.
    """
    return max(0, reserved + _CONNECTIONS_FOR_PEOPLE - int(_SHARE_FOR_FUNCTIONS * database.max_connections))

"""The stages as a table: all that one deployment has and another has not. Nothing here needs the CDK."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

# The default of max_connections by a cluster's largest capacity, in ACU of 2 GiB, as Aurora's documentation lists it.
# It is capped where the smallest capacity is below 1 ACU.
_MAX_CONNECTIONS = {1: 189, 4: 823, 8: 1669, 16: 3360, 32: 5000}
_MAX_CONNECTIONS_BELOW_ONE_ACU = 2000

# How a database's connections are divided: the share for functions, and the number kept for people and for Aurora.
_SHARE_FOR_FUNCTIONS = 0.8
_CONNECTIONS_FOR_PEOPLE = 20


@dataclass(frozen=True)
class Cluster:
    """Our own Aurora PostgreSQL, where a deployment is given no database. Capacities are in ACU."""

    min_acu: float
    max_acu: int
    reader: bool
    proxy: bool
    protected: bool  # from deletion; and a snapshot stays when the stack goes
    backup_days: int
    pause_after_minutes: int | None = None  # without connections; needs a smallest capacity of 0
    # The ARN of a snapshot that the cluster was made from. It stays here for good: without it, the next deployment
    # would make an empty cluster in its place.
    restored_from: str | None = None
    # Of two availability zones, by name; None: the region's first two, which must have RDS Proxy.
    zones: tuple[str, str] | None = None

    @property
    def max_connections(self) -> int:
        limit = _MAX_CONNECTIONS[self.max_acu]
        return limit if self.min_acu >= 1 else min(limit, _MAX_CONNECTIONS_BELOW_ONE_ACU)


@dataclass(frozen=True)
class Given:
    """A PostgreSQL that is there already: `-c databaseSecretArn=…` names it."""

    max_connections: int  # as `SHOW max_connections` has it, less what others need of them


@dataclass(frozen=True)
class Concurrency:
    """The reserved concurrency of each function. An execution holds one connection, so this bounds the connections.

    It is taken from the account's limit, of which AWS keeps 100 for functions that reserve none.
    """

    polled: int  # get_session, which phones ask for again and again
    endpoint: int  # each of the others
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
    database: Cluster | Given
    concurrency: Concurrency | None  # None: nothing is reserved, since a new account refuses it
    reads: Throttle  # of what only reads; phones poll
    changes: Throttle  # of each route that starts, signs or changes something
    sweep_minutes: int
    log_days: Literal[7, 14, 30, 90]
    alarms: bool  # whether they are made even without an address to send them to
    tracing: bool  # with X-Ray, which charges for each trace
    canary: bool  # new code of the two busiest functions gets a tenth of the calls first
    monthly_dollars: int  # the budget; docs/cost.md says what to expect
    egress: Literal["ipv6", "nat"] = "ipv6"  # how functions in our own network reach AWS and R2
    account_concurrency: int = 1000  # AWS's limit for the account, which all its functions share
    emulated: bool = False  # on the local AWS, which lacks some things and runs on this machine's processor

    @property
    def stack_name(self) -> str:
        return f"AfterHours-{self.name}"

    @property
    def cluster(self) -> Cluster | None:
        """Our own database, where the stage has one."""
        return self.database if isinstance(self.database, Cluster) else None

    @property
    def protected(self) -> bool:
        """Whether the stack, and what holds data in it, may not be deleted or replaced by accident."""
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
            sweep_minutes=60,  # a sweep wakes the database, which is paid for while it is awake
            log_days=7,
            alarms=False,
            tracing=True,
            canary=False,
            monthly_dollars=50,
        ),
        Stage(
            "local",
            database=Given(max_connections=100),
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


def connections_missing(database: Cluster | Given, reserved: int) -> int:
    """Return how many connections a database lacks for so much `reserved` concurrency; 0 when it has enough.

    A function keeps its connection for as long as it is warm, so each reserved execution counts as one.
    """
    return max(0, reserved + _CONNECTIONS_FOR_PEOPLE - int(_SHARE_FOR_FUNCTIONS * database.max_connections))

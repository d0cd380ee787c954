"""The role that the functions connect as, where that is not the owner of the tables: it is made and granted its rights.

It owns nothing, so no function can change a table, a trigger or a rule. Settings of its connections are set for the
role: RDS Proxy refuses or pins those of a connection, and the owner's role may be the main app's, too.
"""

import psycopg2
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from migrations.failure import MigrationFailed

STATEMENT_TIMEOUT = "5s"  # a member waits; a second less than the client's own timeout (after_hours.database.ENDPOINT)

# A revision that makes a table must add it here; a test compares.
OWN_TABLES = (
    "after_hours_profiles", "after_hours_preferences", "after_hours_sessions", "after_hours_photo_uploads",
    "after_hours_removals", "after_hours_domain_events", "after_hours_departures", "device_fingerprints",
)  # fmt: skip
OWN_VIEWS = ("after_hours_shown_photos",)
HOST_TABLES = ("users", "profiles", "user_subscriptions", "banned_photo_hashes")  # one that is missing is skipped

# Without a password the role can log in by IAM alone. A role that exists already keeps its way to log in.
_MAKE = """
SELECT format('CREATE ROLE %I LOGIN', :role)
    || CASE WHEN to_regrole('rds_iam') IS NULL THEN '' ELSE format('; GRANT rds_iam TO %I', :role) END
WHERE to_regrole(quote_ident(:role)) IS NULL
"""

# The query returns the commands that set and grant whatever is missing, and no row when nothing is.
_LACKING = """
WITH serving AS (SELECT * FROM pg_roles WHERE rolname = :role),
wanted (name, privilege) AS (
    SELECT name, privilege
    FROM unnest(CAST(:own_tables AS text[])) AS name, unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) AS privilege
    UNION ALL SELECT name, 'SELECT' FROM unnest(CAST(:read_tables AS text[])) AS name
)
SELECT format('ALTER ROLE %I SET %s = %L', rolname, setting.name, setting.value)
FROM serving, (VALUES ('statement_timeout', :statement_timeout), ('TimeZone', 'UTC')) AS setting (name, value)
WHERE (setting.name || '=' || setting.value = ANY (rolconfig)) IS NOT TRUE
UNION ALL
SELECT format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), rolname) FROM serving
WHERE NOT has_database_privilege(oid, current_database(), 'CONNECT')
UNION ALL
SELECT format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), rolname) FROM serving
WHERE NOT has_schema_privilege(oid, current_schema(), 'USAGE')
UNION ALL
SELECT format('GRANT %s ON %s TO %I', string_agg(privilege, ', '), to_regclass(wanted.name), rolname)
FROM serving, wanted
WHERE to_regclass(wanted.name) IS NOT NULL AND NOT has_table_privilege(serving.oid, to_regclass(wanted.name), privilege)
GROUP BY wanted.name, rolname
UNION ALL
SELECT format('GRANT EXECUTE ON FUNCTION %s TO %I', function.oid::regprocedure, rolname)
FROM serving, pg_proc AS function
WHERE starts_with(proname, 'after_hours_') AND pronamespace = to_regnamespace(quote_ident(current_schema()))
    AND NOT has_function_privilege(serving.oid, function.oid, 'EXECUTE')
"""
_PARAMETERS = {
    "own_tables": list(OWN_TABLES),
    "read_tables": [*OWN_VIEWS, *HOST_TABLES],
    "statement_timeout": STATEMENT_TIMEOUT,
}


def let_serve(connection: Connection, role: str) -> None:
    """Make the role if it is missing, and grant it what it lacks. Idempotent: a role that lacks nothing is left alone.

    Raises `MigrationFailed` with the commands that this connection may not run, for somebody who may.
    """
    if connection.scalar(text("SELECT current_user")) == role:
        return
    for query in (_MAKE, _LACKING):
        for command in _commands(connection, query, role):
            _try(connection, command)
    if refused := _commands(connection, _MAKE, role) or _commands(connection, _LACKING, role):
        raise MigrationFailed(f"the role {role} cannot serve before somebody who may runs: {'; '.join(refused)}")


def _commands(connection: Connection, query: str, role: str) -> list[str]:
    commands = list(connection.scalars(text(query), {"role": role, **_PARAMETERS}))
    connection.rollback()
    return commands


def _try(connection: Connection, command: str) -> None:
    try:
        connection.exec_driver_sql(command)
        connection.commit()
    except DBAPIError as error:
        connection.rollback()
        if not isinstance(error.orig, psycopg2.errors.InsufficientPrivilege):
            raise

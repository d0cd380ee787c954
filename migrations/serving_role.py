"""The role that the functions connect as, where that is not the owner of the tables: it is made and granted its rights.

It owns nothing, so no function can change a table, a trigger or a rule. Settings of its connections are set for the
role: RDS Proxy refuses or pins those of a connection, and the owner's role may be the main app's, too.
"""

from sqlalchemy import Connection, text

from migrations.commands import run_missing

STATEMENT_TIMEOUT = "5s"  # a member waits; a second less than the client's own timeout (after_hours.database.ENDPOINT)

# A revision that makes a table must add it here; a test compares.
OWN_TABLES = (
    "after_hours_profiles", "after_hours_preferences", "after_hours_sessions", "after_hours_photo_uploads",
    "after_hours_removals", "after_hours_domain_events", "after_hours_departures", "device_fingerprints",
)  # fmt: skip
OWN_VIEWS = ("after_hours_shown_photos",)
# A revision that makes a function must add it to one of the two; a test compares. PUBLIC may run neither.
OWN_FUNCTIONS = (
    "after_hours_banned_photo", "after_hours_entitlements", "after_hours_must_go", "after_hours_photo_objects",
    "after_hours_referenced_sessions", "after_hours_schedule_time", "after_hours_tell", "after_hours_tell_ended",
    "after_hours_tell_expiring", "after_hours_upload_key", "after_hours_utc",
)  # fmt: skip
TRIGGER_FUNCTIONS = ("after_hours_remove_photo", "after_hours_tell_deleted")  # PostgreSQL runs them, for every role
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
WHERE proname = ANY (CAST(:own_functions AS name[])) AND pronamespace = to_regnamespace(quote_ident(current_schema()))
    AND NOT EXISTS (SELECT FROM aclexplode(proacl) WHERE grantee = serving.oid AND privilege_type = 'EXECUTE')
"""
_PARAMETERS = {
    "own_tables": list(OWN_TABLES),
    "own_functions": list(OWN_FUNCTIONS),
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
        run_missing(connection, query, {"role": role, **_PARAMETERS}, failing=f"the role {role} cannot serve")

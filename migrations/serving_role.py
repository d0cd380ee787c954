"""Make the role that the functions connect as, if that is not the owner of the tables, and grant it its rights.

It owns nothing, so no function can change a table, a trigger or a rule. It carries the settings of its connections:
RDS Proxy refuses or pins those of a connection, and the owner's role may be the main app's, too.
"""

import json

from sqlalchemy import Connection, text

from migrations.commands import run_missing

STATEMENT_TIMEOUT = "5s"  # a member waits; a second less than the client's own timeout (connecting.ENDPOINT)

# Table or view → privilege → its columns, None for all of them. A revision that makes a table must add it here; a test
# compares. In the main app's tables the role may read only the columns that a statement needs; a missing table is
# skipped. A SECURITY DEFINER function reads the banned photos.
type Privileges = dict[str, tuple[str, ...] | None]

_ALL_ROWS: Privileges = {"SELECT": None, "INSERT": None, "UPDATE": None, "DELETE": None}
RIGHTS: dict[str, Privileges] = {
    "after_hours_profiles": _ALL_ROWS,
    "after_hours_preferences": _ALL_ROWS,
    "after_hours_sessions": _ALL_ROWS,
    "after_hours_photo_uploads": _ALL_ROWS,
    "after_hours_outbox": _ALL_ROWS,
    "after_hours_removals": _ALL_ROWS,  # this and the next are views, for the release before
    "after_hours_domain_events": _ALL_ROWS,
    "after_hours_departures": _ALL_ROWS,
    "after_hours_shown_photos": {"SELECT": None},
    "device_fingerprints": {
        "SELECT": ("id", "user_id", "session_id", "created_at"),
        "INSERT": ("id", "user_id", "session_id", "device_id", "device_model", "platform", "created_at"),
        "DELETE": None,
    },
    "users": {"SELECT": ("id", "id_verified", "after_hours_consent")},
    "profiles": {"SELECT": ("user_id", "name", "age", "gender", "sexual_preference")},
    "user_subscriptions": {"SELECT": ("user_id", "is_active", "expires_at")},
    "banned_photo_hashes": {},
}
# A revision that makes a function must add it to one of the two; a test compares. PUBLIC may run neither.
OWN_FUNCTIONS = (
    "after_hours_banned_photo", "after_hours_end_sessions", "after_hours_entitlements", "after_hours_lease",
    "after_hours_lock_member", "after_hours_must_go", "after_hours_photo_objects", "after_hours_put_deletions",
    "after_hours_put_event", "after_hours_put_events", "after_hours_put_sessions_ended",
    "after_hours_referenced_sessions", "after_hours_schedule_time", "after_hours_tell",
    "after_hours_tell_ended", "after_hours_tell_expiring",
    "after_hours_try_lock_members", "after_hours_upload_key", "after_hours_utc",
)  # fmt: skip
TRIGGER_FUNCTIONS = (  # PostgreSQL runs them, for every role
    "after_hours_follow_deleted_profile", "after_hours_follow_deleted_session", "after_hours_schedule_sessions",
)  # fmt: skip

# A role without a password can log in by IAM alone. A role that exists keeps its way to log in.
_MAKE = """
SELECT format('CREATE ROLE %I LOGIN', :role)
    || CASE WHEN to_regrole('rds_iam') IS NULL THEN '' ELSE format('; GRANT rds_iam TO %I', :role) END
WHERE to_regrole(quote_ident(:role)) IS NULL
"""

# The query returns the commands that set and grant what is missing, and no row if nothing is. Rights beyond those (an
# earlier release granted whole tables) are revoked in the same command, and so in the same transaction: the role always
# has the rights that it needs.
_LACKING = """
WITH serving AS (
    SELECT oid, rolname, rolconfig FROM pg_roles WHERE rolname = :role
), tables AS (
    SELECT to_regclass(listed)::oid AS oid, to_regclass(listed) AS name FROM unnest(CAST(:tables AS text[])) AS listed
    WHERE to_regclass(listed) IS NOT NULL
), wanted (oid, privilege, number) AS (
    SELECT tables.oid, privilege, coalesce(attnum, 0)
    FROM jsonb_to_recordset(CAST(:rights AS jsonb)) AS one (table_name text, privilege text, column_name text)
        JOIN tables ON tables.oid = to_regclass(table_name)
        LEFT JOIN pg_attribute ON attrelid = tables.oid AND attname = column_name
    WHERE column_name IS NULL OR attnum IS NOT NULL
), granted (oid, privilege, number) AS (
    SELECT tables.oid, privilege_type, 0
    FROM serving, tables JOIN pg_class USING (oid), aclexplode(relacl) WHERE grantee = serving.oid
    UNION SELECT tables.oid, privilege_type, attnum
    FROM serving, tables JOIN pg_attribute ON attrelid = tables.oid, aclexplode(attacl) WHERE grantee = serving.oid
), grants (oid, list) AS (
    SELECT oid, string_agg(privilege || columns, ', ' ORDER BY privilege DESC) FROM (
        SELECT oid, privilege, coalesce(' (' || string_agg(quote_ident(attname), ', ' ORDER BY number) || ')', '')
        FROM wanted LEFT JOIN pg_attribute ON attrelid = oid AND attnum = number AND number > 0
        GROUP BY oid, privilege
    ) AS privileges (oid, privilege, columns)
    GROUP BY oid
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
SELECT concat_ws(
    '; ',
    CASE WHEN EXISTS (SELECT FROM granted WHERE granted.oid = tables.oid)
        THEN format('REVOKE ALL ON %s FROM %I', name, rolname) END,
    format('GRANT ' || list || ' ON %s TO %I', name, rolname)
)
FROM serving, tables LEFT JOIN grants USING (oid)
WHERE EXISTS (SELECT FROM (TABLE wanted EXCEPT TABLE granted) AS missing WHERE missing.oid = tables.oid)
    OR EXISTS (SELECT FROM (TABLE granted EXCEPT TABLE wanted) AS surplus WHERE surplus.oid = tables.oid)
UNION ALL
SELECT format('GRANT EXECUTE ON FUNCTION %s TO %I', function.oid::regprocedure, rolname)
FROM serving, pg_proc AS function
WHERE proname = ANY (CAST(:own_functions AS name[])) AND pronamespace = to_regnamespace(quote_ident(current_schema()))
    AND NOT EXISTS (SELECT FROM aclexplode(proacl) WHERE grantee = serving.oid AND privilege_type = 'EXECUTE')
"""
_PARAMETERS = {
    "tables": list(RIGHTS),
    "rights": json.dumps(
        [
            {"table_name": table, "privilege": privilege, "column_name": column}
            for table, privileges in RIGHTS.items()
            for privilege, columns in privileges.items()
            for column in columns or (None,)
        ]
    ),
    "own_functions": list(OWN_FUNCTIONS),
    "statement_timeout": STATEMENT_TIMEOUT,
}


def let_serve(connection: Connection, role: str) -> None:
    """Make the role if it is missing, and grant it what it lacks. Idempotent: a role that lacks nothing is not touched.

    Raises `MigrationFailed` with the commands that this connection's role may not run.
    """
    if connection.scalar(text("SELECT current_user")) == role:
        return
    for query in (_MAKE, _LACKING):
        run_missing(connection, query, {"role": role, **_PARAMETERS}, failing=f"the role {role} cannot serve")

"""Protection against roles that could have their own functions called with the owner's rights.

Migrations and SQL functions call functions by name. PostgreSQL then takes the one that fits best in any schema of the
search path (manual, 10.3), so a role that may create in such a schema can have its own function called.
"""

from sqlalchemy import Connection, text

from migrations.commands import run_missing
from migrations.failure import MigrationFailed
from migrations.serving_role import OWN_FUNCTIONS, TRIGGER_FUNCTIONS

# The schemas that names are looked up in, as PostgreSQL resolves the search path.
_SCHEMAS = "SELECT pg_catalog.current_schemas(false)"

# The query of `refuse_open_schemas` must call PostgreSQL's own functions alone.
_CATALOG_ALONE = "SET LOCAL search_path = pg_catalog, pg_temp"

# These roles may create: superusers, the role that migrates, and roles that may act as the owner of the schema, of the
# database, of the main app's users (its migrations may have to create) or of our tables. For every other role the query
# returns the command that revokes the right, and the commands that drop the role's operators, and its functions with a
# name of PostgreSQL's or of ours, except those of extensions.
_MENDING = """
WITH schemas AS (
    SELECT oid, nspname, nspowner, nspacl FROM pg_namespace WHERE nspname = ANY (CAST(:schemas AS name[]))
), owners (oid) AS (
    SELECT datdba FROM pg_database WHERE datname = current_database()
    UNION SELECT oid FROM pg_roles WHERE rolname IN (current_user, 'pg_database_owner')
    UNION SELECT relowner FROM pg_class
    WHERE relname IN ('users', 'after_hours_sessions') AND relkind IN ('r', 'p') AND relnamespace IN (
        SELECT oid FROM schemas
    )
), may (schema, role) AS (
    SELECT schemas.oid, role.oid FROM schemas, pg_roles AS role
    WHERE role.rolsuper OR pg_has_role(role.oid, schemas.nspowner, 'MEMBER')
        OR EXISTS (SELECT FROM owners WHERE pg_has_role(role.oid, owners.oid, 'MEMBER'))
)
SELECT format(
    'REVOKE CREATE ON SCHEMA %I FROM %s', nspname,
    CASE granted.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(granted.grantee)) END
)
FROM schemas, aclexplode(coalesce(nspacl, acldefault('n', nspowner))) AS granted
WHERE granted.privilege_type = 'CREATE' AND (schemas.oid, granted.grantee) NOT IN (SELECT schema, role FROM may)
UNION ALL
SELECT format('DROP ROUTINE %s', routine.oid::regprocedure)
FROM pg_proc AS routine JOIN schemas ON schemas.oid = pronamespace
WHERE (pronamespace, proowner) NOT IN (SELECT schema, role FROM may)
    AND (
        proname = ANY (CAST(:own_functions AS name[]))
        OR proname IN (SELECT proname FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace)
    )
    AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = routine.oid AND deptype = 'e')
UNION ALL
SELECT format('DROP OPERATOR %s', operator.oid::regoperator)
FROM pg_operator AS operator JOIN schemas ON schemas.oid = oprnamespace
WHERE (oprnamespace, oprowner) NOT IN (SELECT schema, role FROM may)
    AND NOT EXISTS (
        SELECT FROM pg_depend WHERE classid = 'pg_operator'::regclass AND objid = operator.oid AND deptype = 'e'
    )
"""

# PostgreSQL grants EXECUTE on each new function to PUBLIC, which is every role.
_OPEN_FUNCTIONS = """
SELECT format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', function.oid::regprocedure)
FROM pg_proc AS function, aclexplode(coalesce(proacl, acldefault('f', proowner))) AS granted
WHERE proname = ANY (CAST(:own_functions AS name[])) AND pronamespace = to_regnamespace(quote_ident(current_schema()))
    AND granted.grantee = 0
"""
_PARAMETERS = {"own_functions": [*OWN_FUNCTIONS, *TRIGGER_FUNCTIONS]}


def refuse_open_schemas(connection: Connection) -> None:
    """Raise `MigrationFailed`, with the commands that help, if others may create in a schema of the search path."""
    schemas = connection.scalar(text(_SCHEMAS))
    connection.execute(text(_CATALOG_ALONE))
    mending = list(connection.scalars(text(_MENDING), {"schemas": schemas, **_PARAMETERS}))
    connection.rollback()
    if mending:
        raise MigrationFailed(
            "in a schema of the search path only its owner, the owners of the database, of users and of our tables, "
            "the role that migrates and superusers may create, since a function of others could be called instead of "
            f"PostgreSQL's own, with the owner's rights. A role with the rights for it must run: {'; '.join(mending)}"
        )


def shut_out(connection: Connection) -> None:
    """Revoke EXECUTE on our functions from PUBLIC. Raises `MigrationFailed` with the commands that were refused."""
    run_missing(connection, _OPEN_FUNCTIONS, _PARAMETERS, failing="every role may run functions of ours")

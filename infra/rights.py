"""The rights of each role, as tables for reviewers: `make rights` writes docs/rights.md.

The rights on AWS are read from the template, and those in PostgreSQL from the migrations, which grant them.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from migrations import serving_role

PAGE = Path(__file__).parents[1] / "docs" / "rights.md"

_HEAD = """\
# Who may do what

`make rights` writes this page, and a test compares it: a change of rights is a change here.

## On AWS

Each action that a role of the stage prod may take, and on what, as the template has it. `<…>` is what the deployment
makes.

| who | may | on | when |
|---|---|---|---|
"""
_POSTGRESQL = """
## In PostgreSQL

What the role that serves (`after_hours_app`, or that of `appDatabaseSecretArn`) is granted, by each deployment, and no
more: what else was granted of these tables is taken back. It owns nothing, and may create nothing in the schema.

| on | may | columns |
|---|---|---|
"""
_LIMITS = """
What PostgreSQL cannot be told, or not by us:

- **Timeouts.** The role has a `statement_timeout` of {timeout}, and every role may set its own to another value, for
  a connection (`SET`) or for all that follow (`ALTER ROLE`; the next deployment puts it right). No right forbids that.
- **Its password**, where it has one: every role may change its own.
- **Temporary tables** are every role's to make, for the right is PUBLIC's. Where we make the database it is taken from
  PUBLIC; a main app's database is its owner's, whose own roles may need them:
  `REVOKE TEMPORARY ON DATABASE … FROM PUBLIC; GRANT TEMPORARY ON DATABASE … TO <the main app's role>`.
- **Large objects** are every role's to make as well, and only a superuser can take the right from PUBLIC; a cluster at
  RDS lends none: `REVOKE EXECUTE ON FUNCTION lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea) FROM PUBLIC`.
- **Rows.** Rights are for all members' rows: which member's is a matter of each statement's WHERE. In
  `device_fingerprints`, which may be the main app's, it may delete rows that are not ours.
- **What others gave it**: what is granted to PUBLIC (reading `users`, say), or to a role that it is a member of, it has
  too. `SELECT * FROM information_schema.role_table_grants WHERE grantee = 'PUBLIC'` shows the first.
- **The catalogue**: every role reads the names of all tables and columns, and the text of all functions.
"""
_EVERY = "every function"


def page(template: Mapping[str, Any]) -> str:
    """Return docs/rights.md for a template."""
    who = defaultdict(set)
    for role in _of_type(template, "AWS::IAM::Role"):
        owner = _owner(template, role)
        for row in _rows(owner, statements(template, role)):
            who[row].add(owner)
    functions = {_short_name(each) for each in _of_type(template, "AWS::Lambda::Function").values()} - {None}
    rows = sorted((_EVERY if owners >= functions else ", ".join(sorted(owners)), *row) for row, owners in who.items())
    on_aws = "".join(f"| {' | '.join(row)} |\n" for row in sorted(rows, key=lambda row: row[0] != _EVERY))
    limits = _LIMITS.format(timeout=serving_role.STATEMENT_TIMEOUT)
    return f"{_HEAD}{on_aws}{_POSTGRESQL}{_in_postgresql()}{limits}"


def _in_postgresql() -> str:
    rows = []
    for table, privileges in serving_role.RIGHTS.items():
        alike = defaultdict(list)
        for privilege, columns in privileges.items():
            alike[columns].append(privilege)
        for columns, names in alike.items():
            listed = ", ".join(f"`{column}`" for column in columns) if columns else "all"
            rows.append(f"| `{table}` | {', '.join(names)} | {listed} |\n")
    return "".join([*rows, *(f"| `{function}` | EXECUTE | |\n" for function in serving_role.OWN_FUNCTIONS)])


def statements(template: Mapping[str, Any], role: str) -> Iterator[dict[str, Any]]:
    """Yield the statements of a role, by its logical id: with actions as a list and resources as readable strings."""
    properties = template["Resources"][role]["Properties"]
    documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
    documents += [
        policy["Properties"]["PolicyDocument"]
        for policy in _of_type(template, "AWS::IAM::Policy").values()
        if {"Ref": role} in policy["Properties"]["Roles"]
    ]
    for statement in (statement for document in documents for statement in document["Statement"]):
        yield statement | {
            "Action": _listed(statement["Action"]),
            "Resource": [readable(resource) for resource in _listed(statement["Resource"])],
        }


def readable(value: Any) -> str:  # noqa: ANN401 (any CloudFormation value of a string)
    """Write a CloudFormation value as one string: references become `<LogicalId>` or `<LogicalId.Attribute>`.

    Raises ValueError for a value that is not a string.
    """
    match value:
        case {"Ref": name}:
            return f"<{name}>"
        case {"Fn::GetAtt": path}:
            return f"<{'.'.join(path)}>"
        case {"Fn::Join": [str() as separator, parts]}:
            return separator.join(readable(part) for part in parts)
        case {"Fn::Select": [index, {"Fn::Split": [str(), whole]}]}:
            return f"{readable(whole)}[{index}]"
        case str():
            return value
    raise ValueError(f"Not a string of CloudFormation: {value}")


def _rows(owner: str, statements: Iterator[dict[str, Any]]) -> Iterator[tuple[str, str, str]]:
    for statement in statements:
        may = ", ".join(f"`{action}`" for action in sorted(statement["Action"]))
        denied = "**not** " if statement["Effect"] == "Deny" else ""
        conditions = [
            f"{key} is {_shortened(readable(value), owner)}"
            for tests in statement.get("Condition", {}).values()
            for key, value in tests.items()
        ]
        for resource in statement["Resource"]:
            yield denied + may, f"`{_shortened(resource, owner)}`", "; ".join(conditions)


def _shortened(text: str, owner: str) -> str:
    """Remove the hashes of logical ids, and name the owner's own log group and function as such."""
    text = re.sub(r"<AWS::(\w+)>", r"<\1>", re.sub(r"<(\w+?)[0-9A-F]{8}([.>])", r"<\1\2", text))
    own_log_group = f"<Functions{owner.replace('_', '')}Logs.Arn>"
    return re.sub(rf":function:[\w-]+-{owner}$", ":function:<itself>", text.replace(own_log_group, "<its log group>"))


def _owner(template: Mapping[str, Any], role: str) -> str:
    """Return the owner of the role: a function of ours, or the purpose of the role."""
    for function in _of_type(template, "AWS::Lambda::Function").values():
        if function["Properties"]["Role"] == {"Fn::GetAtt": [role, "Arn"]} and (name := _short_name(function)):
            return name
    return re.sub(r"(CustomResourceProvider)*Role[0-9A-F]{8}$", "", role)


def _short_name(function: Mapping[str, Any]) -> str | None:
    """Return the folder's name of a function of ours; None for a function that the CDK adds."""
    name = function["Properties"].get("FunctionName")
    return name and str(name).rpartition("-")[2]


def _of_type(template: Mapping[str, Any], resource_type: str) -> dict[str, Any]:
    return {name: each for name, each in template["Resources"].items() if each["Type"] == resource_type}


def _listed(value: Any) -> list[Any]:  # noqa: ANN401 (CloudFormation writes a list of one as its item)
    return value if isinstance(value, list) else [value]

"""Every statement of the package is whole: PostgreSQL can prepare it as it stands, against a migrated database."""

import re

import pytest

from tests.support.world import World
from tools.local.statements import STATEMENTS

PARAMETER = re.compile(r"%\((\w+)\)s")


def test_there_are_statements_in_every_module_that_speaks_to_the_database() -> None:
    assert len(STATEMENTS) > 35
    assert {name.partition(".")[0] for name in STATEMENTS} >= {
        "access", "backlog", "leaving", "photos", "preferences", "profiles", "relay", "retention",
        "safety_net", "schedules", "sessions", "uploads",
    }  # fmt: skip


def test_one_function_ends_sessions() -> None:
    assert [name for name, text in STATEMENTS.items() if re.search(r"SET\s[^;]*\bended_at\s*=", text)] == []


def test_no_statement_changes_its_session() -> None:
    """RDS Proxy would tie the function to one connection of the database for good."""
    assert [name for name, text in STATEMENTS.items() if re.search(r"\bset_config\b|^\s*SET\b", text)] == []


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_statement_can_be_prepared(world: World, name: str) -> None:
    for part in filter(str.strip, STATEMENTS[name].split(";")):
        known = list(dict.fromkeys(PARAMETER.findall(part)))
        text = part
        for number, parameter in enumerate(known, 1):
            text = text.replace(f"%({parameter})s", f"${number}")
        types = {"user_id": "text", "minutes": "int", "duration": "int"}
        declared = ", ".join(types.get(parameter, "unknown") for parameter in known)
        assert "{" not in text
        assert "%" not in text
        world.rows(f"PREPARE one {f'({declared})' if declared else ''} AS {text}".replace("%", "%%"))
        world.rows("DEALLOCATE one")

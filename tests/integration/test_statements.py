"""Every statement of the package is whole: PostgreSQL can prepare it as it stands, against a migrated database."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

import after_hours
import pytest

VERB = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b")
PARAMETER = re.compile(r"%\((\w+)\)s")


def statements() -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each statement in a module of the package."""
    for module in pkgutil.iter_modules(after_hours.__path__):
        for name, value in vars(importlib.import_module(f"after_hours.{module.name}")).items():
            if isinstance(value, str) and name.isupper() and VERB.match(value):
                yield f"{module.name}.{name}", value


STATEMENTS = dict(statements())


def test_there_are_statements_in_every_module_that_speaks_to_the_database() -> None:
    assert len(STATEMENTS) > 35
    assert {name.partition(".")[0] for name in STATEMENTS} >= {
        "access", "backlog", "deletions", "domain_events", "leaving", "photos", "preferences", "profiles", "retention",
        "safety_net", "schedules", "sessions", "uploads",
    }  # fmt: skip


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_statement_can_be_prepared(name: str, rows: Any) -> None:
    for part in filter(str.strip, STATEMENTS[name].split(";")):
        known = list(dict.fromkeys(PARAMETER.findall(part)))
        text = part
        for number, parameter in enumerate(known, 1):
            text = text.replace(f"%({parameter})s", f"${number}")
        types = {"user_id": "text", "minutes": "int", "duration": "int"}
        declared = ", ".join(types.get(parameter, "unknown") for parameter in known)
        assert "{" not in text
        assert "%" not in text
        rows(f"PREPARE one {f'({declared})' if declared else ''} AS {text}".replace("%", "%%"))
        rows("DEALLOCATE one")

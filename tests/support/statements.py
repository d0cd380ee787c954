"""The SQL statements of the package: every constant of its modules that is one."""

import importlib
import pkgutil
import re
from collections.abc import Iterator

import after_hours

VERB = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b")


def _statements() -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each statement in a module of the package."""
    for module in pkgutil.iter_modules(after_hours.__path__):
        for name, value in vars(importlib.import_module(f"after_hours.{module.name}")).items():
            if isinstance(value, str) and name.isupper() and VERB.match(value):
                yield f"{module.name}.{name}", value


STATEMENTS = dict(_statements())

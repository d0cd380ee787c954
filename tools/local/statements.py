"""The SQL statements of the package, each a constant of a module, and parameters to try them with."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import after_hours

_VERB = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b")


def _statements() -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each statement in a module of the package."""
    for module in pkgutil.walk_packages(after_hours.__path__, "after_hours."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, str) and name.isupper() and _VERB.match(value):
                yield f"{module.name.rpartition('.')[2]}.{name}", value


STATEMENTS = dict(_statements())

_ID, _OTHER_ID = UUID(int=7), UUID(int=8)
# Plausible ones, for all of them
PARAMETERS: dict[str, object] = {
    "user_id": "local-entitled", "id": _ID, "ids": [_ID, _OTHER_ID], "after": _ID, "until": UUID(int=2**128 - 1),
    "duration": 30, "minutes": 30, "seen": None, "fuzzed_latitude": 52.5, "fuzzed_longitude": 13.4,
    "device_id": "device", "device_model": None, "platform": None, "expires_at": "2026-01-01Z",
    "kind": "r2", "kinds": ["r2", "uploads"], "keys": ["key-2", "key-3"], "versions": [2, 3], "done": [True, False],
    "warning_before": timedelta(minutes=5),
    "seeking_gender": "Any", "max_distance_km": 10, "min_age": 18, "max_age": 99, "sexual_orientation": None,
    "orientation_sent": False, "changes": '{"min_age": 30}', "description": "new",
    "photo_id": _ID, "photo_key": "photo", "thumbnail_key": "thumbnail", "original_key": "original",
    "reason": "CORRUPT", "photo_hash": "0" * 16, "hashes": ["0" * 16], "from_page": 0,
}  # fmt: skip

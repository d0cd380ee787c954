"""Released migrations never change; new ones are read by squawk for what would lock or break the main app's tables."""

import hashlib
import subprocess
import sys
from pathlib import Path

VERSIONS = Path("migrations/versions")
# A database has run the revisions up to this one, and the module that two of them call, as they are. What must be
# different needs a new revision. Only imports follow the package, as those of earlier_backend.py and 0009 did.
RELEASED, DIGEST = 19, "8f6d56c25a9813640393f087ecebac984cb7a45d38d1dc2a08e046eca4646d97"


def test_what_has_been_released_does_not_change() -> None:
    released = sorted(VERSIONS.glob("*.py"))[:RELEASED]
    digest = hashlib.sha256()
    for file in (VERSIONS.parent / "earlier_backend.py", *released):
        digest.update(file.name.encode() + file.read_bytes())
    assert digest.hexdigest() == DIGEST


def test_a_new_revision_is_sql_that_squawk_can_read() -> None:
    for revision in sorted(VERSIONS.glob("*.py"))[RELEASED:]:
        assert revision.with_suffix(".sql").exists(), revision
        assert "op." not in revision.read_text(), revision


def test_squawk_refuses_what_breaks_the_release_before(tmp_path: Path) -> None:
    squawk = [str(Path(sys.executable).with_name("squawk")), "--config", ".squawk.toml"]
    for statement, rule in {
        "ALTER TABLE after_hours_profiles ADD COLUMN seen_at TIMESTAMPTZ;": None,
        "ALTER TABLE users DROP COLUMN email;": "ban-drop-column",
        "ALTER TABLE users RENAME COLUMN email TO address;": "renaming-column",
        "ALTER TABLE after_hours_profiles ADD COLUMN seen INT NOT NULL;": "adding-required-field",
        "ALTER TABLE after_hours_profiles ADD COLUMN seen INT;; SELEC": "syntax-error",
    }.items():
        (tmp_path / "new.sql").write_text(statement)
        checked = subprocess.run([*squawk, tmp_path / "new.sql"], capture_output=True, text=True, check=False)
        assert (checked.returncode == 0) == (rule is None), statement
        assert (rule or "0 issues") in checked.stdout

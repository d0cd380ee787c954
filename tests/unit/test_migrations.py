"""Released migrations never change; new ones are read by squawk for what would lock or break the main app's tables."""

import hashlib
import subprocess
import sys
from pathlib import Path

MIGRATIONS = Path("migrations")
# A database has run these as they are. What must be different needs a new revision. Only imports follow the package, as
# those of earlier_backend.py and 0009 did.
RELEASED = {
    "earlier_backend.py": "aae38c9c02694db29ec5eaa2755c9193eca7412b96bfdbbc7ded9bb28a4486b7",
    "versions/0001_earlier_backend.py": "9afd2596cf757a22496b256956e09db50268d2f22a60ad757148ca708b7a1847",
    "versions/0002_sessions_that_forget.py": "fccfd9eb5ab7b06a8ad4c3c4891c481214feaae119afe4f531c7d22cd9a642ef",
    "versions/0003_rules_in_the_database.py": "9f9795fb3bb569353d9fdca4f319765aa6fbacefc21b402fabc9a201077c3bc0",
    "versions/0004_photo_uploads.py": "8b10d043955e49ff3c692cd645cd24b6034f0fb6ec5880c24580e2bd3056c7bc",
    "versions/0005_domain_events.py": "ba430ef9faf72228bf4c20263b1c9d5dfa4ad4eebc063cc032549ba0a0e85b71",
    "versions/0006_earlier_backend_again.py": "b88ffa380ada7e3b3721d0ea1ba981ab72e3943df933c32560f9dd4ac6eecd5c",
    "versions/0007_photo_leases.py": "85610898580e4e9b175b3803dc8b11278fb219dc85bc7c91b50409180a81ce3c",
    "versions/0008_what_must_follow.py": "6d79edb10805ce122287b05a5b34e1c7566d141142db1f378b8077bb99a6cdbc",
    "versions/0009_indexes_of_large_tables.py": "4ff4409e2c7b13443debfb0b914abdd6e6927f31e3fcffa72c75b5ebaf657be8",
    "versions/0010_banned_photos.py": "9ef72e522f6daf6b5cf539c6a7ac0be7bb81ce25917f4726949044e187d0eae9",
    "versions/0011_banned_photos_cropped.py": "7dc1f3652d5f79bf50e32e4f9471cdc731fff91826eb20de4ebc0776c6e43cf8",
    "versions/0012_asking_for_references.py": "e454d61a48ff074d5a1a2804ce4b6182d708f25b329c8bf616585ab02411db18",
    "versions/0013_quick_look_at_banned_photos.py": "4232874d7f5eaf6c2909fa044b6f68281e4dab97d60207c3388670a688e306fc",
    "versions/0014_references_without_declines.py": "0072be579a45ece6a8c7b1f5729c43a3b93b5765d822e545c54962608fa707b5",
    "versions/0015_keys_of_uploads.py": "9b6dfe76d242b4869adadc098c0f92591d7fcc724c8f3740c82eb0e4239b5075",
    "versions/0016_functions_that_are_ours.py": "38ba28e74f8fb28af03f20146dfdfca9c484082c35f52e015a33eb1ca51e8bf3",
    "versions/0017_schedules_that_are_lost.py": "0a377a0d7c4e20c86c79f8743f28a5543bee542272bc20b9c5e6086366646edd",
    "versions/0018_banned_photos_however_turned.py": "7e10a7972898ae4178178c2d4a598533c9f9dadeabd793ca383bab3bb95b7283",
    "versions/0019_order_of_locks.py": "aa679e4d10e3be5fe5259905db18f387f33439dae0a0bb6e5bf499127869d168",
}


def test_what_has_been_released_does_not_change() -> None:
    assert {name: hashlib.sha256((MIGRATIONS / name).read_bytes()).hexdigest() for name in RELEASED} == RELEASED


def test_a_new_revision_is_sql_that_squawk_can_read() -> None:
    for revision in MIGRATIONS.glob("versions/*.py"):
        released = f"versions/{revision.name}" in RELEASED
        assert released or (revision.with_suffix(".sql").exists() and "op." not in revision.read_text()), revision


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

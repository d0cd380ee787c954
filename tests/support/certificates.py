"""Authorities and certificates of servers, made for one test run."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_ENCODING = serialization.Encoding.PEM


class Authority:
    """Certifies servers. `pem` is what those who trust it have of it."""

    def __init__(self, name: str) -> None:
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = self._sign(
            self._name, self._key, x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        self.pem = self._certificate.public_bytes(_ENCODING).decode()

    def certify(self, host: str, folder: Path) -> tuple[str, str]:
        """Write a certificate for a host, and its key; the paths of both."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        certificate = self._sign(subject, key, x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        paths = folder / f"{host}.pem", folder / f"{host}.key"
        paths[0].write_bytes(certificate.public_bytes(_ENCODING))
        paths[1].write_bytes(
            key.private_bytes(_ENCODING, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        return str(paths[0]), str(paths[1])

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType, *, critical: bool
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder(issuer_name=self._name, subject_name=subject, public_key=key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(extension, critical=critical)
            # Python verifies strictly, by RFC 5280: who is certified, by whom, and for what.
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .add_extension(_usage(certifies=key is self._key), critical=True)
            .sign(self._key, hashes.SHA256())
        )


def _usage(*, certifies: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certifies, key_cert_sign=certifies, crl_sign=certifies, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip

"""A Sigstore instance of one's own: certificate authority, certificate log and transparency log, for one signature.

Built from the specifications (Fulcio's certificate profile, RFC 6962, Rekor's ``hashedrekord`` entries and checkpoints),
so that what sigstore-python verifies was written by somebody else.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import time
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

ISSUER = ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
TIMESTAMPS = ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
SHA256 = ec.ECDSA(hashes.SHA256())


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def der(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A key's public half as SubjectPublicKeyInfo."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.DER, form)


def log_id(key: ec.EllipticCurvePrivateKey) -> bytes:
    return hashlib.sha256(der(key)).digest()


class Instance:
    """The keys of one instance, made at random."""

    def __init__(self) -> None:
        self.authority, self.certificates, self.log = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "private")])
        self.start = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)

    def trusted_root(self) -> str:
        """What a verifier pins."""
        valid = {"start": "2020-01-01T00:00:00Z"}
        chain = {"certificates": [{"rawBytes": b64(self._authority().public_bytes(serialization.Encoding.DER))}]}
        authority = {
            "subject": {"organization": "private", "commonName": "private"},
            "uri": "https://authority.invalid",
            "certChain": chain,
            "validFor": valid,
        }
        return json.dumps(
            {
                "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
                "tlogs": [self._instance("https://log.invalid", self.log, valid)],
                "certificateAuthorities": [authority],
                "ctlogs": [self._instance("https://certificates.invalid", self.certificates, valid)],
                "timestampAuthorities": [],
            }
        )

    @staticmethod
    def _instance(url: str, key: ec.EllipticCurvePrivateKey, valid: dict) -> dict:
        public = {"rawBytes": b64(der(key)), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": valid}
        return {
            "baseUrl": url,
            "hashAlgorithm": "SHA2_256",
            "publicKey": public,
            "logId": {"keyId": b64(log_id(key))},
        }

    def _builder(self, key: ec.EllipticCurvePrivateKey, subject: x509.Name, days: int) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(int.from_bytes(log_id(key)[:8]) >> 1)
            .not_valid_before(self.start - timedelta(days=days))
            .not_valid_after(self.start + timedelta(minutes=10) + timedelta(days=days))
        )

    def _authority(self) -> x509.Certificate:
        public = self.authority.public_key()
        usage = _usage(key_cert_sign=True, crl_sign=True)
        return (
            self._builder(self.authority, self.name, 30)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .sign(self.authority, hashes.SHA256())
        )

    def _certificate(self, key: ec.EllipticCurvePrivateKey, identity: str, issuer: str) -> x509.Certificate:
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.authority.public_key())
        builder = (
            self._builder(key, x509.Name([]), 0)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(authority, critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.RFC822Name(identity)]), critical=True)
            .add_extension(x509.UnrecognizedExtension(ISSUER, issuer.encode()), critical=False)
        )
        logged = self._timestamp(builder.sign(self.authority, hashes.SHA256()).tbs_certificate_bytes)
        return builder.add_extension(x509.UnrecognizedExtension(TIMESTAMPS, logged), critical=False).sign(
            self.authority, hashes.SHA256()
        )

    def _timestamp(self, certificate: bytes) -> bytes:
        """A signed certificate timestamp (RFC 6962, sections 3.2 and 3.3) in its extension's form."""
        now = int(self.start.timestamp() * 1000)
        entry = log_id(self.authority) + len(certificate).to_bytes(3) + certificate
        signed = struct.pack("!BBQH", 0, 0, now, 1) + entry + struct.pack("!H", 0)
        made = self.certificates.sign(signed, SHA256)
        one = struct.pack("!B32sQHBBH", 0, log_id(self.certificates), now, 0, 4, 3, len(made)) + made
        listed = struct.pack("!HH", len(one) + 2, len(one)) + one
        return b"\x04" + (bytes([len(listed)]) if len(listed) < 128 else bytes([0x81, len(listed)])) + listed

    def sign(self, data: bytes, identity: str, issuer: str) -> dict:
        """A bundle for ``data``, by a fresh key that the authority certifies for an identity."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._certificate(key, identity, issuer)
        made, digest = key.sign(data, SHA256), hashlib.sha256(data)
        pem = b64(certificate.public_bytes(serialization.Encoding.PEM))
        spec = {
            "data": {"hash": {"algorithm": "sha256", "value": digest.hexdigest()}},
            "signature": {"content": b64(made), "publicKey": {"content": pem}},
        }
        return {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "certificate": {"rawBytes": b64(certificate.public_bytes(serialization.Encoding.DER))},
                "tlogEntries": [self._entry(compact({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": spec}))],
            },
            "messageSignature": {
                "messageDigest": {"algorithm": "SHA2_256", "digest": b64(digest.digest())},
                "signature": b64(made),
            },
        }

    def _entry(self, body: bytes) -> dict:
        """The only entry of the log: its promise, and its proof in a tree of one leaf."""
        now, mine = int(time.time()), log_id(self.log)
        promise = {"body": b64(body), "integratedTime": now, "logID": mine.hex(), "logIndex": 0}
        root = hashlib.sha256(b"\0" + body).digest()
        note = f"log.invalid - 1\n1\n{b64(root)}\n"
        made = b64(mine[:4] + self.log.sign(note.encode(), SHA256))
        return {
            "logIndex": "0",
            "logId": {"keyId": b64(mine)},
            "kindVersion": {"kind": "hashedrekord", "version": "0.0.1"},
            "integratedTime": str(now),
            "inclusionPromise": {"signedEntryTimestamp": b64(self.log.sign(compact(promise), SHA256))},
            "inclusionProof": {
                "logIndex": "0",
                "rootHash": b64(root),
                "treeSize": "1",
                "hashes": [],
                "checkpoint": {"envelope": f"{note}\n\u2014 log.invalid {made}\n"},
            },
            "canonicalizedBody": b64(body),
        }


def compact(value: dict) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _usage(**used: bool) -> x509.KeyUsage:
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: used.get(name, False) for name in names})

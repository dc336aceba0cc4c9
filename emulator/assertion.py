"""Was this assertion signed with the key of a registered certificate, and does it say what it must?

A JSON Web Token signed PS256 (RFC 7515, RFC 7518 section 3.5) is checked against certificates in PEM or DER. RSA-PSS is
verified as RFC 8017 section 8.1.2 describes it, in integers and hashes; of X.509 only the way to the public key is known.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from dataclasses import dataclass

SKEW = 300                          # seconds that a client's clock may be off
LONGEST = 600                       # seconds between nbf and exp
ROUNDING = 1                        # seconds by which iat may be before nbf: MSAL rounds one and cuts the other
_RSA = bytes.fromhex("2a864886f70d010101")


class BadAssertion(ValueError):
    """The assertion proves nothing; `number` is the service's name for the reason."""

    def __init__(self, number: int, reason: str):
        super().__init__(reason)
        self.number = number


@dataclass(frozen=True)
class Certificate:
    modulus: int
    exponent: int
    thumbprint: str                 # x5t#S256

    @classmethod
    def read(cls, text: str) -> Certificate:
        """The first certificate of a PEM text."""
        try:
            body = text.split("-----BEGIN CERTIFICATE-----")[1].split("-----END CERTIFICATE-----")[0]
            der = base64.b64decode("".join(body.split()), validate=True)
            modulus, exponent = _public_key(der)
        except (IndexError, binascii.Error) as error:
            raise ValueError(f"not a certificate in PEM with an RSA key ({error})") from None
        return cls(modulus, exponent, encode(hashlib.sha256(der).digest()))


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    if "=" in text or "+" in text or "/" in text:
        raise BadAssertion(50027, "base64url without padding is expected")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


# ---------------------------------------------------------------------------------------------------------------------
# DER, as far as the public key of a certificate

def _element(data: bytes, at: int) -> tuple[int, bytes, int]:
    """Tag and content of the element at a place, and the place behind it."""
    tag, size, at = data[at], data[at + 1], at + 2
    if size & 0x80:
        count = size & 0x7F
        size, at = int.from_bytes(data[at:at + count], "big"), at + count
    return tag, data[at:at + size], at + size


def _elements(data: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 0
    while at < len(data):
        tag, content, at = _element(data, at)
        found.append((tag, content))
    return found


def _public_key(der: bytes) -> tuple[int, int]:
    body = _elements(_elements(_element(der, 0)[1])[0][1])
    if body[0][0] == 0xA0:          # the version is optional
        body = body[1:]
    algorithm, bits = _elements(body[5][1])
    if _elements(algorithm[1])[0][1] != _RSA:
        raise IndexError("another kind of key")
    modulus, exponent = _elements(_element(bits[1][1:], 0)[1])
    return int.from_bytes(modulus[1], "big"), int.from_bytes(exponent[1], "big")


# ---------------------------------------------------------------------------------------------------------------------
# RSA-PSS with SHA-256, MGF1 and a salt of 32 bytes

def _mask(seed: bytes, size: int) -> bytes:
    blocks = (hashlib.sha256(seed + n.to_bytes(4, "big")).digest() for n in range(-(-size // 32)))
    return b"".join(blocks)[:size]


def is_signed(message: bytes, signature: bytes, certificate: Certificate) -> bool:
    bits = certificate.modulus.bit_length() - 1
    size = -(-bits // 8)
    if len(signature) != -(-certificate.modulus.bit_length() // 8):
        return False
    value = pow(int.from_bytes(signature, "big"), certificate.exponent, certificate.modulus)
    if value >> (8 * size):
        return False
    encoded = value.to_bytes(size, "big")
    masked, digest, trailer = encoded[:size - 33], encoded[size - 33:size - 1], encoded[size - 1]
    unused = 8 * size - bits
    if trailer != 0xBC or masked[0] >> (8 - unused):
        return False
    block = bytearray(a ^ b for a, b in zip(masked, _mask(digest, size - 33)))
    block[0] &= 0xFF >> unused
    padding, salt = bytes(block[:-32]), bytes(block[-32:])
    if padding != b"\0" * (len(padding) - 1) + b"\1":
        return False
    inner = hashlib.sha256(b"\0" * 8 + hashlib.sha256(message).digest() + salt).digest()
    return hmac.compare_digest(inner, digest)


# ---------------------------------------------------------------------------------------------------------------------
# The token

def check(assertion: str, certificates: list[Certificate], client_id: str, audience: str, used: set[str],
          now: float | None = None) -> None:
    """BadAssertion unless it is signed by one of the certificates, for this audience, now and for the first time."""
    now = time.time() if now is None else now
    try:
        head, body, signature = assertion.split(".")
        header, claims = json.loads(decode(head)), json.loads(decode(body))
        signature = decode(signature)
    except (ValueError, binascii.Error):
        raise BadAssertion(50027, "JWT token is invalid or malformed.") from None
    if header.get("alg") != "PS256" or header.get("typ") != "JWT":
        raise BadAssertion(5002738, "Invalid JWT token. The algorithm is not PS256.")
    owner = next((c for c in certificates if c.thumbprint == header.get("x5t#S256")), None)
    if owner is None:
        raise BadAssertion(700027, "The certificate with identifier used to sign the client assertion is not registered "
                                   "on application.")
    if not is_signed(f"{head}.{body}".encode(), signature, owner):
        raise BadAssertion(700027, "Client assertion contains an invalid signature.")
    if claims.get("aud") != audience:
        raise BadAssertion(700023, f"Client assertion audience claim does not match Realm issuer. Expected {audience}.")
    if claims.get("iss") != client_id or claims.get("sub") != client_id:
        raise BadAssertion(700021, "Client assertion application identifier doesn't match 'client_id' parameter.")
    _check_times(claims, now)
    if not claims.get("jti") or claims["jti"] in used:
        raise BadAssertion(700028, "The jti of the client assertion is missing or was used before.")
    used.add(claims["jti"])


def _check_times(claims: dict, now: float) -> None:
    times = [claims.get(name) for name in ("nbf", "iat", "exp")]
    if not all(isinstance(value, int) for value in times):
        raise BadAssertion(700024, "Client assertion lacks nbf, iat or exp.")
    not_before, issued, expires = times
    if not not_before - ROUNDING <= issued < expires <= not_before + LONGEST:
        raise BadAssertion(700024, "Client assertion is good for too long.")
    if now + SKEW < not_before or now - SKEW > expires:
        raise BadAssertion(700024, "Client assertion is not within its valid time range.")

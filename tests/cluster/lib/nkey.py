#!/usr/bin/env python3
"""nkey.py: makes a NATS user's nkey and prints its seed (SU...) and its public key (U...), one in each line."""
import base64
import subprocess

SEED, USER = 18 << 3, 20 << 3
KEY_BYTES = 32  # an Ed25519 key is the end of its DER form, private or public
TIME_LIMIT_S = 20


def openssl(*arguments, given=None):
    return subprocess.run(["openssl", *arguments], input=given, check=True, capture_output=True, timeout=TIME_LIMIT_S).stdout


def crc16(data):
    """CRC-16/XMODEM, as nkeys have it."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (0x1021 if crc & 0x8000 else 0)) & 0xFFFF
    return crc


def encoded(data):
    return base64.b32encode(data + crc16(data).to_bytes(2, "little")).decode().rstrip("=")


private = openssl("genpkey", "-algorithm", "ed25519", "-outform", "DER")
public = openssl("pkey", "-inform", "DER", "-pubout", "-outform", "DER", given=private)
print(encoded(bytes([SEED | USER >> 5, (USER & 31) << 3]) + private[-KEY_BYTES:]))
print(encoded(bytes([USER]) + public[-KEY_BYTES:]))

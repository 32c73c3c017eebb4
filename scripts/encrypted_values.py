#!/usr/bin/env python3
"""Creates fixtures/encrypted_values.json: a key file and values encrypted by other implementations.

PyNaCl and `cryptography` encrypt, so that the tests do not compare our code with itself:

    python3 -m venv venv && venv/bin/pip install pynacl cryptography
    venv/bin/python scripts/encrypted_values.py > fixtures/encrypted_values.json
"""

import base64
import hashlib
import json
import os

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from nacl.secret import SecretBox

CYCLE = bytes([223, 99, 111, 160, 122, 212, 223, 105, 37, 190])
TEXTS = ["", "hunter2", "pässwörd # \"表\"", "long " * 40]


def main():
    stored = os.urandom(512)
    key = bytes(byte ^ CYCLE[at % len(CYCLE)] for at, byte in enumerate(stored))

    def plain(text):
        return bytes(SecretBox(key[:32]).encrypt(text.encode()))

    def versioned(text):
        return b"\x01" + plain(text)

    def fips(text):
        nonce = os.urandom(12)
        return b"\x02" + nonce + AESGCM(key[:32]).encrypt(nonce, text.encode(), None)

    values = [
        {"form": form.__name__, "text": text, "encrypted": base64.b64encode(form(text)).decode()}
        for form in (plain, versioned, fips)
        for text in TEXTS
    ]
    vectors = {
        "key_hex": stored.hex() + "\n",
        "key_base64": base64.encodebytes(stored).decode(),
        "fingerprint": hashlib.sha256(key).hexdigest(),
        "values": values,
    }
    print(json.dumps(vectors, indent=1, ensure_ascii=False))


main()

"""Verifies an evidence pack of Surety. Shares no code with Surety: written from docs/report.md.

Usage: verify_pack.py PACK.zip PUBLIC-KEY

Needs `cryptography` (Ed25519), nothing else but Python. Prints each flaw and a verdict; exit 0 if every row
leads to the signed root of its seal, 1 if not. `surety verify PACK.zip` checks more: the page, the
figures, and every byte of the zip.
"""

import base64
import hashlib
import json
import struct
import sys
import zipfile
from datetime import datetime, timezone
from decimal import Decimal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# The columns of `events` that are no texts, in docs/tables.md; `month` is in no leaf.
LATER = ("dup_of", "record_part")  # columns that the table did not always have: null is not written, the name comes first
TIMES, FLOATS, MONEY, INT32, INT64 = ("time", "ingested_at"), ("trace_confidence",), ("amount",), ("kafka_partition", "record_part"), ("kafka_offset",)


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def opened(note, key_text):
    """The lines of a note, if the key signed it: https://c2sp.org/signed-note."""
    name, key_id, encoded = key_text.strip().split("+", 2)
    key = base64.b64decode(encoded, validate=True)
    assert key[0] == 1 and sha256(name.encode(), b"\n", key)[:4].hex() == key_id, "no Ed25519 key"
    text, _, signatures = note.rpartition("\n\n")
    for line in signatures.splitlines():
        signature = base64.b64decode(line.rpartition(" ")[2], validate=True)
        if line.startswith(f"\u2014 {name} ") and signature[:4].hex() == key_id:
            Ed25519PublicKey.from_public_bytes(key[1:]).verify(signature[4:], (text + "\n").encode())
            return text.split("\n")
    raise ValueError("it is not signed by this key")


def sized(text):
    return struct.pack("<I", len(text.encode())) + text.encode()


def form(column, value):
    """The canonical form of one value of a row."""
    if value is None:
        return b"\x00"
    if column in TIMES:
        since = datetime.fromisoformat(value.replace("Z", "+00:00")) - EPOCH
        content = struct.pack("<q", (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)
    elif column in FLOATS:
        content = struct.pack("<f", value)
    elif column in MONEY:
        content = int(Decimal(value).scaleb(2)).to_bytes(16, "little", signed=True)
    elif column in INT32 + INT64:
        content = struct.pack("<i" if column in INT32 else "<q", value)
    elif isinstance(value, list):
        content = struct.pack("<I", len(value)) + b"".join(map(sized, value))
    elif isinstance(value, dict):
        content = struct.pack("<I", len(value)) + b"".join(sized(k) + sized(v) for k, v in value.items())
    else:
        content = sized(value)
    return b"\x01" + content


def leaf(row):
    columns = [(name, value) for name, value in row.items() if name != "month" and not (name in LATER and value is None)]
    forms = ((sized(name) if name in LATER else b"") + form(name, value) for name, value in columns)
    return sha256(b"\x00", b"events\x00", *forms)


def root(rows, base, size, nodes):
    """The root of the subtree of `size` leaves at the place `base`."""
    if not rows:
        return nodes.pop(0)
    if size == 1:
        return rows[0][1]
    half = 1 << (size - 1).bit_length() - 1
    left = [row for row in rows if row[0] < base + half]
    right = rows[len(left) :]
    return sha256(b"\x01", root(left, base, half, nodes), root(right, base + half, size - half, nodes))


def verify(pack, key):
    """What is wrong, and how many rows were proven."""
    flaws, proven = [], 0
    manifest = json.loads(pack.read("manifest.json"))
    for file in manifest["files"]:
        if hashlib.sha256(pack.read(file["path"])).hexdigest() != file["sha256"]:
            flaws.append(f"{file['path']}: its hash is another")
    seals, before = {}, None
    for line in map(json.loads, pack.read("seals.jsonl").splitlines()):
        lines = opened(line["note"], key)
        said = dict(pair.split(" ", 1) for pair in lines[3:7])
        if before is not None and base64.b64decode(said["previous"]) != before:
            flaws.append(f"seal {said['seal']}: it does not follow the seal before it")
        before = sha256(line["note"].encode())
        seals[int(said["seal"])] = int(lines[1]), base64.b64decode(lines[2])
    if before is None or before.hex() != manifest["head"]["sha256"]:
        flaws.append("manifest.json: its newest seal is another")
    rows = iter(pack.read("rows/events.jsonl").splitlines()) if "proofs.jsonl" in pack.namelist() else iter(())
    proofs = pack.read("proofs.jsonl").splitlines() if "proofs.jsonl" in pack.namelist() else []
    for proof in map(json.loads, proofs):
        records, wanted = seals[proof["seal"]]
        leaves, nodes = [], [bytes.fromhex(node) for node in proof["nodes"]]
        for place, named in proof["rows"]:
            found = leaf(json.loads(next(rows)))
            if found.hex() != named:
                flaws.append(f"seal {proof['seal']}: the row at place {place} is not the one that was sealed")
            leaves.append((place, found))
        if root(leaves, 0, records, nodes) != wanted or nodes:
            flaws.append(f"seal {proof['seal']}: its rows do not lead to its root")
        else:
            proven += len(leaves)
    flaws += [f"a row is in no proof: {json.loads(row)['event_id']}" for row in rows]
    return flaws, proven


def main(path, key):
    try:
        flaws, proven = verify(zipfile.ZipFile(path), key)
    except Exception as error:  # whatever cannot be read is no evidence
        flaws, proven = [f"it cannot be read: {error!r}"], 0
    print(*flaws, f"{proven} rows proven: {'NOT INTACT' if flaws else 'intact'}", sep="\n")
    return 1 if flaws else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))

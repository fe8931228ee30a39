"""Verifies the seals of a Surety lake in a folder. Shares no code with Surety: written from docs/evidence.md.

Usage: verify.py LAKE PUBLIC-KEY [--head FILE]

Needs `cryptography` (Ed25519) and `pyarrow` (Parquet). Prints each flaw and a verdict; exit 0 if the lake
is intact, 1 if not. What it checks: signatures, chain, the roots made again from the stored rows, every
sealed entry and checkpoint of the logs, every data file that the logs name. `surety verify` checks more
of what is not sealed yet; docs/evidence.md says what.
"""

import base64
import hashlib
import io
import json
import struct
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

COVERED = ["events", "rejects", "findings", "registry_changes", "seals"]
# Columns that tables did not always have.
LATER = ["dup_of", "record_part"]


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


# Notes: https://c2sp.org/signed-note, Ed25519.


def public_key(text):
    """The name, id and key of `name+id+base64`."""
    name, key_id, encoded = text.strip().split("+", 2)
    key = base64.b64decode(encoded, validate=True)
    assert key[0] == 1 and sha256(name.encode(), b"\n", key)[:4].hex() == key_id, "no Ed25519 key"
    return name, bytes.fromhex(key_id), Ed25519PublicKey.from_public_bytes(key[1:])


def opened(note, key):
    """The text of a note, if `key` signed it."""
    name, key_id, ed25519 = key
    text, _, signatures = note.rpartition("\n\n")
    text += "\n"
    for line in signatures.splitlines():
        if line.startswith(f"\u2014 {name} "):
            signature = base64.b64decode(line.rpartition(" ")[2], validate=True)
            if signature[:4] == key_id:
                ed25519.verify(signature[4:], text.encode())
                return text
    raise ValueError("it is not signed by this key")


def parsed(text):
    """What a seal says."""
    lines = text.splitlines()
    seal = {"lake": lines[0].removeprefix("surety/"), "records": int(lines[1]), "root": base64.b64decode(lines[2])}
    seal.update({"range": [], "file": [], "log": [], "checkpoint": []})
    for line in lines[3:]:
        name, *words = line.split(" ")
        if name in ("range", "file", "log", "checkpoint"):
            seal[name].append(words)
        else:
            seal[name] = base64.b64decode(words[0]) if name == "previous" else int(words[0])
    return seal


# The tree: RFC 6962, section 2.1.


def root_of(leaves):
    """The root over leaves in this order."""
    if not leaves:
        return sha256()
    while 1 < len(leaves):
        pairs = [leaves[at : at + 2] for at in range(0, len(leaves), 2)]
        leaves = [sha256(b"\x01", *pair) if len(pair) == 2 else pair[0] for pair in pairs]
    return leaves[0]


def is_included(leaf, index, records, path, root):
    """Whether the hashes of `path`, from the bottom up, lead from a leaf to the root (for evidence packs)."""
    path = list(path)
    while 1 < records:
        if index % 2 or index + 1 < records:
            if not path:
                return False
            sibling = path.pop(0)
            leaf = sha256(b"\x01", sibling, leaf) if index % 2 else sha256(b"\x01", leaf, sibling)
        index, records = index // 2, (records + 1) // 2
    return not path and leaf == root


def form(value, kind):
    """The canonical form of one value."""
    if value is None:
        return b"\x00"
    if pa.types.is_list(kind):
        content = len(value).to_bytes(4, "little") + b"".join(sized(text) for text in value)
    elif pa.types.is_map(kind):
        content = len(value).to_bytes(4, "little") + b"".join(sized(k) + sized(v) for k, v in value)
    elif pa.types.is_string(kind) or pa.types.is_binary(kind):
        content = sized(value)
    elif pa.types.is_decimal(kind):
        content = int(value.scaleb(2)).to_bytes(16, "little", signed=True)
    else:  # numbers, as they are
        content = value
    return b"\x01" + content


def form_of(name, value, kind):
    """The same for a column of this name. Of one that came later null is not written, and its name comes first."""
    if name not in LATER:
        return form(value, kind)
    return b"" if value is None else sized(name) + form(value, kind)


def sized(value):
    value = value.encode() if isinstance(value, str) else value
    return len(value).to_bytes(4, "little") + value


def values(column):
    """Python values; numbers and times as their little-endian bytes."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        assert kind.unit == "us", "times are microseconds"
        column = column.cast(pa.int64())
    packed = {pa.int32(): "<i", pa.int64(): "<q", pa.float32(): "<f", pa.float64(): "<d"}.get(column.type)
    if packed is None:
        return column.to_pylist()
    return [None if value is None else struct.pack(packed, value) for value in column.to_pylist()]


def leaves(table, content):
    """Each row's place with its leaf. The columns stand in the file as docs/tables.md has them."""
    rows = read(content)
    columns = [[form_of(name, value, column.type) for value in values(column)] for name, column in zip(rows.column_names, rows.columns)]
    has_parts = "record_part" in rows.column_names
    parts = [part or 0 for part in rows["record_part"].to_pylist()] if has_parts else [0] * len(rows)
    places = zip(*(rows[name].to_pylist() for name in ("topic", "kafka_partition", "kafka_offset")), parts)
    rows = zip(*columns)
    return [(place, sha256(b"\x00", table.encode(), b"\x00", *row)) for place, row in zip(places, rows)]


# The lake.


class Flaws(list):
    def check(self, is_right, *what):
        if not is_right:
            self.append(": ".join(map(str, what)))
        return is_right


class Log:
    """The Delta log of a table: its entries, and the files that they leave."""

    def __init__(self, lake, table, flaws):
        self.folder, self.table, self.id = lake / table, table, None
        self.entries, self.files, self.commits = {}, {}, set()
        self.removed, self.changes = {}, []
        for path in sorted((self.folder / "_delta_log").glob("*.json")):
            content = path.read_bytes()
            self.entries[int(path.stem)] = sha256(content)
            try:
                self.note(int(path.stem), [json.loads(line) for line in content.splitlines() if line])
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                flaws.check(False, table, path.name, "cannot be read", repr(error))
        for version in range(max(self.entries, default=-1) + 1):
            flaws.check(version in self.entries, table, f"entry {version} of the log", "is missing")

    def note(self, version, actions):
        told = {name: action for line in actions for name, action in line.items()}
        self.id = told.get("metaData", {}).get("id") or self.id
        about = told.get("commitInfo", {})
        identity, note = about.get("suretyAdvance", ""), about.get("suretyNote", "")
        if identity:
            self.commits.add(version)
        removed = [line["remove"]["path"] for line in actions if "remove" in line]
        if removed and not note:
            raise ValueError("it removes a file")
        for path in removed:
            self.removed[path] = self.files.pop(path)
        adds = [line["add"] for line in actions if "add" in line]
        if note:
            identity = identity or note.partition("added ")[0]
            is_alone = not (version in self.commits or told.keys() & {"txn", "metaData", "protocol"})
            self.changes.append((version, note, removed, [add["path"] for add in adds], is_alone))
        for add in adds:
            rows = json.loads(add["stats"])["numRecords"]
            self.files[add["path"]] = int(add["size"]), identity, rows

    def check_changes(self, key, flaws):
        """Entries that replace files or remove days: each with a note of its own that the key signed."""
        files = {**self.removed, **self.files}
        for version, note, removed, added, is_alone in self.changes:
            about = f"entry {version} of the log"
            try:
                text = opened(note, key)
            except (ValueError, InvalidSignature) as error:
                flaws.check(False, self.table, about, "no note of this key", repr(error))
                continue
            kind, before, after = text.splitlines()[1].split(" ")[0], rows_of(files, removed), rows_of(files, added)
            wanted = f"surety/{self.id}\n{kind} {self.table}\n{text.splitlines()[2]}\nrows {before}\n"
            wanted += f"removed {paths_of(removed)}\nadded {paths_of(added)}\n"
            is_right = before == after if kind == "rewrite" else kind == "retention" and not added
            flaws.check(text == wanted and is_right and is_alone, self.table, about, "its note is of another change")

    def read(self, name):
        try:
            return (self.folder / name).read_bytes()
        except OSError:
            return None

    def data(self, flaws):
        """Each file's content, if it is what its name says: a hash of it and of the commit's identity."""
        for path, (size, identity, _) in sorted(self.files.items()):
            content = self.read(path)
            name = "" if content is None else f"part-{sha256(identity.encode(), content).hex()[:32]}.zstd.parquet"
            if flaws.check(name and path.endswith(name), self.table, path, "is missing or not what its name says"):
                flaws.check(len(content) == size, self.table, path, "its size is not what the log says")
                yield path, content


def rows_of(files, paths):
    return sum(files[path][2] for path in paths)


def paths_of(paths):
    """A set of files in the words of a note: how many, and a hash of their sorted paths."""
    paths = sorted(paths, key=str.encode)
    return f"{len(paths)} {base64.b64encode(sha256(*(path.encode() + bytes([10]) for path in paths))).decode()}"


def chain(notes, key, lake, flaws):
    """The seals of notes in their order, each of which names the one before."""
    seals, previous = [], bytes(32)
    for number, note in enumerate(notes):
        try:
            seal = parsed(opened(note, key))
        except (ValueError, IndexError, InvalidSignature) as error:
            flaws.check(False, f"seal {number}", "no note of this key", repr(error))
        else:
            flaws.check(seal["seal"] == number, f"seal {number}", f"its note is that of seal {seal['seal']}")
            flaws.check(seal["previous"] == previous, f"seal {number}", "it does not follow the seal before it")
            flaws.check(lake in (None, seal["lake"]), f"seal {number}", "it is of another lake")
            seals.append(seal)
        previous = sha256(note.encode())
    return seals


def check_logs(seals, logs, flaws):
    """Every entry and checkpoint is as it was sealed, and no entry is left out."""
    ends, checkpoints = dict.fromkeys(COVERED, 0), {}
    for seal in seals:
        about = f"seal {seal['seal']}"
        flaws.check([words[0] for words in seal["log"]] == COVERED, about, "it names other tables")
        for table, start, end, wanted in seal["log"]:
            hashes = [logs[table].entries.get(version, b"") for version in range(int(start), int(end))]
            flaws.check(int(start) == ends[table], about, table, "entries are left out or sealed twice")
            is_same = base64.b64encode(sha256(*hashes)).decode() == wanted
            flaws.check(is_same, about, table, f"entries {start} to {int(end) - 1} of the log are not as sealed")
            ends[table] = int(end)
        checkpoints.update({(table, name): (about, wanted) for table, name, _, wanted in seal["checkpoint"]})
    there = {}  # A vacuum deletes checkpoints that have a newer one, by which readers go.
    for (table, name), (about, wanted) in sorted(checkpoints.items(), reverse=True):
        content = logs[table].read(f"_delta_log/{name}") or b""
        if not content and name[:20].isdigit() and name[:20] < there.get(table, ""):
            continue
        if content and name[:20].isdigit():
            there.setdefault(table, name[:20])
        flaws.check(base64.b64encode(sha256(content)).decode() == wanted, about, table, name, "is not as sealed")


def lineage(log, seals):
    """The seals of which each merged file holds records, and those whose records are not all kept."""
    made_of, retained = {path: {at} for at, seal in enumerate(seals) for path, *_ in seal["file"]}, set()
    for _, note, removed, added, _ in log.changes:
        of = set().union(*(made_of.pop(path, set()) for path in removed))
        if note.splitlines()[1].startswith("retention "):
            retained |= of
        made_of.update({path: of for path in added})
    return made_of, retained


def check_records(seals, logs, flaws):
    """Each root is that of the stored rows, and no offset is left out or sealed twice."""
    rejects = [leaf for _, content in logs["rejects"].data(flaws) for leaf in leaves("rejects", content)]
    are_limited = any("\nretention " in note for _, note, *_ in logs["rejects"].changes)
    events, ends, named = dict(logs["events"].data(flaws)), {}, set()
    made_of, retained = lineage(logs["events"], seals)
    own = {path for seal in seals for path, *_ in seal["file"]}
    merged = {path: leaves("events", events[path]) for path in made_of.keys() - own if path in events}
    claimed = dict.fromkeys(merged, 0)
    for at, seal in enumerate(seals):
        about, ranges = f"seal {seal['seal']}", {}
        for topic, partition, start, end in seal["range"]:
            place = topic, int(partition)
            flaws.check(ends.get(place, start) == start, about, topic, "offsets are left out or sealed twice")
            ends[place] = end
            ranges[place] = range(int(start), int(end))
        found = [leaf for leaf in rejects if leaf[0][2] in ranges.get(leaf[0][:2], ())]
        is_retained = at in retained or (are_limited and len(found) < seal["rejects"])
        is_right = len(found) == seal["rejects"] or (is_retained and len(found) < seal["rejects"])
        flaws.check(is_right, about, "rejects", f"wanted {seal['rejects']}, found {len(found)}")
        for path, size, wanted in seal["file"]:
            named.add(path)
            if path in logs["events"].removed:
                continue
            content = events.get(path)
            is_same = content is not None and base64.b64encode(sha256(content)).decode() == wanted
            if flaws.check(is_same, about, "events", path, "its bytes are not those that were sealed"):
                found += leaves("events", content)
        for path in [path for path in merged if at in made_of[path]]:
            moved = [leaf for leaf in merged[path] if leaf[0][2] in ranges.get(leaf[0][:2], ())]
            claimed[path] += len(moved)
            found += moved
        hashes = [leaf for _, leaf in sorted(found)]
        is_same = len(hashes) == seal["records"] and root_of(hashes) == seal["root"]
        is_short = is_retained and len(hashes) < seal["records"]
        flaws.check(is_same or is_short, about, "its records are not those that were sealed")
    for version in logs["events"].commits - {seal["version"] for seal in seals}:
        flaws.check(False, "events", f"version {version} has no seal")
    for path in logs["events"].files:
        is_known = path in named or path in merged
        flaws.check(is_known, "events", path, "is part of the table and in no seal")
    for path, count in claimed.items():
        flaws.check(count == len(merged[path]), "events", path, "it holds records of no seal that it was made of")


def read(content):
    """The rows of a Parquet file. No threads: Python would end before them and abort."""
    return parquet.ParquetFile(io.BytesIO(content), pre_buffer=False).read(use_threads=False)


def check_lake(folder, key, head=None):
    """All flaws of a lake, the number of its seals, and the newest note."""
    flaws, lake = Flaws(), Path(folder)
    logs = {table: Log(lake, table, flaws) for table in COVERED}
    rows = []
    for _, content in logs["seals"].data(flaws):
        rows += read(content).to_pylist()
    rows.sort(key=lambda row: row["sequence"])
    notes = [row["note"] for row in rows]
    seals = chain(notes, key, logs["events"].id, flaws)
    for log in logs.values():
        log.check_changes(key, flaws)
    check_logs(seals, logs, flaws)
    check_records(seals, logs, flaws)
    for table in ("findings", "registry_changes"):
        list(logs[table].data(flaws))
    flaws.check(head is None or head in notes, "seals", "the chain does not hold the head that was kept")
    return flaws, len(notes), notes[-1] if notes else None


def main(lake, key, *options):
    head = Path(options[1]).read_text() if options[:1] == ("--head",) else None
    flaws, seals, _ = check_lake(lake, public_key(key), head)
    print(*flaws, f"{seals} seals: " + (f"NOT INTACT: {len(flaws)} flaws" if flaws else "intact"), sep="\n")
    return 1 if flaws else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

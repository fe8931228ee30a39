"""Reads a lake with two engines that are not ours and prints what each found, as JSON.

Usage: foreign_reader.py LAKE

`deltalake` (delta-rs for Python, another release than ours) reads the log and the files. DuckDB reads
the files that the log names, by itself. Both must agree with each other and with our own SQL.
"""

import json
import sys
from pathlib import Path

import duckdb
import pyarrow.compute as compute
from deltalake import DeltaTable


def tables(lake):
    """The tables of the lake by name."""
    return {log.parent.name: DeltaTable(str(log.parent)) for log in sorted(lake.glob("*/_delta_log"))}


def time(value):
    """A time as RFC 3339 in UTC with microseconds."""
    if value is None:
        return None
    return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def by_deltalake(found):
    """What the library for Python reads: every column of every row is decoded."""
    contents = {name: table.to_pyarrow_table() for name, table in found.items()}
    answer = {"rows": {name: rows.num_rows for name, rows in contents.items()}}
    events = contents.get("events")
    if events is not None:
        amount = compute.sum(events["amount"]).as_py()
        answer["sum_amount"] = None if amount is None else str(amount)
        answer["min_time"] = time(compute.min(events["time"]).as_py())
        answer["max_time"] = time(compute.max(events["time"]).as_py())
        answer["distinct_event_ids"] = compute.count_distinct(events["event_id"]).as_py()
        answer["labels"] = sum(len(labels) for labels in events["labels"].to_pylist())
        answer["attributes"] = sum(len(entries) for entries in events["attributes"].to_pylist())
        answer["months"] = sorted(compute.unique(events["month"]).to_pylist())
    return answer


def by_duckdb(found):
    """What DuckDB reads of the files that the log names."""
    engine = duckdb.connect()
    engine.execute("SET TimeZone = 'UTC'")
    answer = {"rows": {}}
    for name, table in found.items():
        files = table.file_uris()
        if not files:
            answer["rows"][name] = 0
            continue
        month = ", hive_partitioning = true, hive_types = {'month': VARCHAR}"
        options = month if table.metadata().partition_columns else ""
        engine.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet({files!r}{options})")
        answer["rows"][name] = engine.sql(f"SELECT count(*) FROM {name}").fetchall()[0][0]
    if answer["rows"].get("events"):
        row = engine.sql(
            "SELECT sum(amount), strftime(min(time), '%Y-%m-%dT%H:%M:%S.%fZ'),"
            " strftime(max(time), '%Y-%m-%dT%H:%M:%S.%fZ'), count(DISTINCT event_id),"
            " sum(len(labels)), sum(cardinality(attributes)), list_sort(list(DISTINCT month)) FROM events"
        ).fetchall()[0]
        names = ["sum_amount", "min_time", "max_time", "distinct_event_ids", "labels", "attributes", "months"]
        answer.update(zip(names, row))
        answer["sum_amount"] = None if row[0] is None else str(row[0])
        answer["labels"], answer["attributes"] = int(row[4]), int(row[5])
    return answer


def main():
    found = tables(Path(sys.argv[1]))
    json.dump({"deltalake": by_deltalake(found), "duckdb": by_duckdb(found)}, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()

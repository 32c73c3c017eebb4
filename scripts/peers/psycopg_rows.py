"""psycopg 3: Python's own SQLite module reads rows, a binary COPY writes them.

The tables already exist; their types determine the conversion of each value.
"""

import sqlite3
import uuid
from datetime import date, datetime, time
from multiprocessing import Pool

import psycopg
from psycopg import sql

from two_at_a_time import main

# A number in a JSON column is sent as its text.
CONVERSIONS = {
    "bool": bool,
    "date": date.fromisoformat,
    "json": str,
    "time": time.fromisoformat,
    "timestamp": datetime.fromisoformat,
    "timestamptz": datetime.fromisoformat,
    "uuid": uuid.UUID,
}
# Types whose binary form is that of another type.
SENT_AS = {"json": "text"}


def copy_table(url, source, table):
    with psycopg.connect(url) as postgres:
        columns = postgres.execute(
            "SELECT attname, typname FROM pg_attribute a JOIN pg_type t ON t.oid = atttypid"
            " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            [f'"{table}"'],
        ).fetchall()
        names = [name for name, _ in columns]
        sqlite = sqlite3.connect(f"file:{source}?mode=ro", uri=True)
        listed = ", ".join(f'"{name}"' for name in names)
        rows = sqlite.execute(f'SELECT {listed} FROM "{table}"')
        into = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(
            sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, names))
        )
        converted = [
            (at, CONVERSIONS[kind]) for at, (_, kind) in enumerate(columns) if kind in CONVERSIONS
        ]
        with postgres.cursor() as cursor, cursor.copy(into) as copy:
            copy.set_types([SENT_AS.get(kind, kind) for _, kind in columns])
            for row in rows:
                row = list(row)
                for at, conversion in converted:
                    if row[at] is not None:
                        row[at] = conversion(row[at])
                copy.write_row(row)
        sqlite.close()


if __name__ == "__main__":
    main(copy_table, Pool)

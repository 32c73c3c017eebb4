"""Measures whether the shape or the size of the data changes the speed; scripts/bench-shapes runs this.

Four databases have one table each:

- `even`: keys without gaps;
- `giant`: the same rows with one key at either end of the key space and all others far from both;
- `gap`: the same rows in two halves that are 2^60 apart;
- `huge`: ten rows of 100 MB that cannot be compressed.

The copy's MB/s of each is divided by that of `even` in the same round. Two more are a usage database and
one with ten times its rows; the figures are the seconds of the whole run and the largest resident set.
All runs use the same server, each a new database after a checkpoint. Every second round runs in reverse
order.
"""

import argparse
import multiprocessing
import os
import random
import sqlite3
import sys

from measuring import main, migrate_into_new, phases, psql, run, say, show

SEED = 7


def fill(path, ranges):
    """Creates a table with one row for each id of `ranges`; the values do not depend on the ids."""
    chance = random.Random(SEED)
    names = [f"package-{n}-{'x' * chance.randrange(3, 30)}" for n in range(5000)]
    agents = [f"Mozilla/5.0 (X11; Linux x86_64) {'y' * chance.randrange(10, 120)}" for _ in range(500)]
    rows = (
        (
            id,
            chance.choice(names),
            f"2024-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02} 12:00:00",
            chance.randrange(1 << 40),
            chance.choice(agents),
        )
        for ids in ranges
        for id in ids
    )
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode = OFF")
    database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, at TIMESTAMP, size INTEGER, agent TEXT)")
    database.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?)", rows)
    database.commit()
    database.close()


def fill_huge(path, row_bytes):
    """Creates a table of ten huge rows. SQLite allows a thousand million bytes per row."""
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode = OFF")
    database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, data BLOB)")
    for id in range(10):
        database.execute("INSERT INTO t VALUES (?, randomblob(?))", (id, row_bytes))
        database.commit()
    database.close()


def apart(work, *arguments):
    """Runs `work` in a process of its own, because the memory of this one counts in its children's peak."""
    child = multiprocessing.Process(target=work, args=arguments)
    child.start()
    child.join()
    if child.exitcode != 0:
        sys.exit("error: cannot create a database")


def make(arguments, folder):
    rows = int(arguments.rows)
    half, far = rows // 2, 1 << 60
    shapes = {
        "even": (range(rows),),
        "giant": ((1,), range(far, far + rows - 2), ((1 << 63) - 1,)),
        "gap": (range(half), range(far, far + rows - half)),
    }
    files = {name: os.path.join(folder, f"{name}.db") for name in [*shapes, "huge", "usage", "tenfold"]}
    for name, ids in shapes.items():
        say(f"creating {name}: {rows} rows")
        apart(fill, files[name], ids)
    say(f"creating huge: ten rows of {arguments.huge} bytes")
    apart(fill_huge, files["huge"], arguments.huge)
    for name, rows in (("usage", rows), ("tenfold", 10 * rows)):
        say(f"creating {name}: {rows} rows")
        run([arguments.binary, "generate", files[name], "--rows", str(rows)], stdout=sys.stderr)
    os.sync()
    return files


def once(arguments, source, folder):
    """Runs the program; returns MB/s of the copy, seconds of the run, and the largest resident set in bytes."""
    report_file, log = os.path.join(folder, "report.json"), os.path.join(folder, "log")
    report, seconds, rss = migrate_into_new(arguments.binary, source, "arrived", report_file, log)
    psql("postgres", "DROP DATABASE arrived")
    size = sum(table["bytes"] for table in report["data_sets"][0]["tables"])
    return size / 1e6 / phases(report)["copy"], seconds, rss


def measure(arguments, folder):
    if arguments.smoke:
        arguments.huge = 1_000_000
    files = make(arguments, folder)
    rounds = []
    for round in range(arguments.pairs):
        names = list(files) if round % 2 == 0 else list(reversed(files))
        took = {name: once(arguments, files[name], folder) for name in names}
        speed = {name: took[name][0] for name in files}
        rounds.append(
            {
                **{f"{name} MB/s": speed[name] for name in ("even", "giant", "gap", "huge")},
                **{f"{name}/even": speed[name] / speed["even"] for name in ("giant", "gap", "huge")},
                "usage s": took["usage"][1],
                "tenfold s": took["tenfold"][1],
                "tenfold/usage": took["tenfold"][1] / took["usage"][1],
                "usage MiB": took["usage"][2] / (1 << 20),
                "tenfold MiB": took["tenfold"][2] / (1 << 20),
            }
        )
        say(f"round {round + 1} of {arguments.pairs}")
    show(rounds)


if __name__ == "__main__":
    huge = {"type": int, "default": 100_000_000, "help": "bytes of a huge row (default 100000000)"}
    main(measure, "scripts/bench-shapes", __doc__, rows="2000000", options=[("--huge", huge)])

"""Measures whether the shape or the size of the data changes the speed; scripts/bench-shapes runs this.

Four databases of one table: keys without a gap (`even`); the same rows with a key at either end of
the key space and all others far away from both (`giant`: one range holds nearly everything); the
same in two halves 2^60 apart (`gap`); and ten rows of 100 MB of bytes that cannot be compressed
(`huge`). The copy's MB/s of each is set against that of `even` in the same round. Then a usage
database, and one with ten times its rows: the seconds of the whole run and the largest resident
set. All by the same server, each into a new database after a checkpoint; every second round goes
the other way round.
"""

import argparse
import multiprocessing
import os
import random
import sqlite3
import sys

from measuring import main, migrate_there, phases, psql, run, say, show

SEED = 7


def fill(path, ranges):
    """A table with one row for each id of `ranges`: the same values whatever the ids."""
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


def fill_huge(path, bytes_of_a_row):
    """Ten rows: SQLite's own bound is a thousand million bytes a row."""
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode = OFF")
    database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, data BLOB)")
    for id in range(10):
        database.execute("INSERT INTO t VALUES (?, randomblob(?))", (id, bytes_of_a_row))
        database.commit()
    database.close()


def apart(work, *arguments):
    """Does it in a process of its own: what this one ever had counts as a child's resident set, too."""
    child = multiprocessing.Process(target=work, args=arguments)
    child.start()
    child.join()
    if child.exitcode != 0:
        sys.exit("error: a database could not be made")


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
        say(f"making {name}: {rows} rows")
        apart(fill, files[name], ids)
    say(f"making huge: ten rows of {arguments.huge} bytes")
    apart(fill_huge, files["huge"], arguments.huge)
    for name, rows in (("usage", rows), ("tenfold", 10 * rows)):
        say(f"making {name}: {rows} rows")
        run([arguments.binary, "generate", files[name], "--rows", str(rows)], stdout=sys.stderr)
    os.sync()
    return files


def once(arguments, source, folder):
    """One run: MB/s of the copy, seconds of the whole, largest resident set in bytes."""
    report_file, log = os.path.join(folder, "report.json"), os.path.join(folder, "log")
    report, seconds, rss = migrate_there(arguments.binary, source, "arrived", report_file, log)
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
    huge = {"type": int, "default": 100_000_000, "help": "bytes of a huge row (100000000)"}
    main(measure, "scripts/bench-shapes", __doc__, rows="2000000", options=[("--huge", huge)])

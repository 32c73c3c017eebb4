"""Shared by the measurements: SQL on the private server, timed commands, the command line.

The measurements run under `migrate private-server`, which sets libpq's variables and DATABASE_URL.
"""

import argparse
import hashlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time


def say(text):
    print(f"== {text}", file=sys.stderr, flush=True)


def run(command, **options):
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, **options)


def psql(database, sql, stderr=None):
    command = ["psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", sql]
    quiet = {**os.environ, "PGOPTIONS": "-c client_min_messages=warning"}
    output = subprocess.run(
        command,
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env=quiet,
    )
    return output.stdout.decode().strip("\n")


def url(database):
    return os.environ["DATABASE_URL"].replace("/postgres?", f"/{database}?")


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def timed(command, log, output=None, timeout=None, watch=None):
    """Runs a command; returns its exit code, wall seconds, and resource usage.

    Its output goes to the file `log`, or its standard output to the file `output`. After `timeout`
    seconds it is killed with all its children. `watch` is called when it begins and when it ends.
    """
    started = time.monotonic()
    with open(log, "wb") as said:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output or said,
            stderr=said,
            start_new_session=True,
        )
    kill = threading.Timer(timeout or threading.TIMEOUT_MAX, os.killpg, [child.pid, signal.SIGKILL])
    kill.start()
    try:
        if watch:
            watch.begin(child.pid, started)
        _, status, usage = os.wait4(child.pid, 0)
    except BaseException:
        os.killpg(child.pid, signal.SIGKILL)
        raise
    finally:
        kill.cancel()
    seconds = time.monotonic() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    if watch:
        watch.end(seconds, usage)
    return child.returncode, seconds, usage


def migrate(binary, source, target, report, log, options=(), watch=None):
    """Runs the program; returns the report, the wall seconds, and the largest RSS in bytes."""
    command = [binary, "database", "--from", source, "--to", target, "--json", report, *options]
    exit_code, seconds, usage = timed(command, log, watch=watch)
    if exit_code != 0:
        with open(log, "rb") as output:
            sys.stderr.write(output.read().decode(errors="replace"))
        sys.exit(f"error: migrate failed with exit code {exit_code}")
    with open(report, "rb") as file:
        return json.load(file), seconds, usage.ru_maxrss * 1024


def migrate_into_new(binary, source, database, report, log):
    """Runs the program into a new database."""
    psql("postgres", f"CREATE DATABASE {database}")
    psql("postgres", "CHECKPOINT")
    return migrate(binary, source, url(database), report, log)


def phases(report):
    return {phase["phase"]: phase["seconds"] for phase in report["phases"]}


def show(rows):
    """Prints a line for each figure, with a column for each pair and the median."""
    heads = [f"pair {n + 1}" for n in range(len(rows))] + ["median"]
    print(f"{'':<14}" + "".join(f"{head:>10}" for head in heads))
    for name in rows[0]:
        values = [row[name] for row in rows]
        values.append(statistics.median(values))
        print(f"{name:<14}" + "".join(f"{value:>10.2f}" for value in values))


def main(measure, program, doc, rows="12572000", rounds=("pairs", 3), options=()):
    """Parses the command line and calls `measure` with it and a temporary folder.

    `options` holds the arguments of `add_argument` that only this measurement has, as pairs.
    """
    parser = argparse.ArgumentParser(prog=program, description=doc)
    parser.add_argument("--binary", required=True, help=argparse.SUPPRESS)
    for name, settings in options:
        parser.add_argument(name, **settings)
    parser.add_argument("--rows", default=rows, help=f"rows of the source (default {rows})")
    name, count = rounds
    parser.add_argument(
        f"--{name}", type=int, default=count, help=f"number of {name} (default {count})"
    )
    parser.add_argument("--smoke", action="store_true", help="one small run, to check that it works")
    arguments = parser.parse_args()
    if arguments.smoke:
        vars(arguments).update({"rows": "20000", name: 1})
    folder = tempfile.mkdtemp(prefix="migrate-bench-")
    try:
        measure(arguments, folder)
    finally:
        shutil.rmtree(folder)

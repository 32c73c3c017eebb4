"""ADBC: SQLite's driver reads a table as Arrow batches, PostgreSQL's driver creates the table.

The driver takes the columns' types from the values of the first batch.
"""

from multiprocessing import Pool

import adbc_driver_postgresql.dbapi
import adbc_driver_sqlite.dbapi

from two_at_a_time import main

# The driver's default of 1,024 is slower; more than this is not faster.
BATCH_ROWS = 65536


def copy_table(url, source, table):
    with (
        adbc_driver_sqlite.dbapi.connect(f"file:{source}?mode=ro") as sqlite,
        adbc_driver_postgresql.dbapi.connect(url) as postgres,
        sqlite.cursor() as rows,
        postgres.cursor() as target,
    ):
        rows.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(BATCH_ROWS)})
        rows.execute(f'SELECT * FROM "{table}"')
        target.adbc_ingest(table, rows.fetch_record_batch(), mode="create")
        postgres.commit()


if __name__ == "__main__":
    main(copy_table, Pool)

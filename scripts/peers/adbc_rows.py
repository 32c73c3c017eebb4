"""ADBC: SQLite's driver reads a table as Arrow batches, PostgreSQL's makes the table of them.

The driver takes the columns' types from the values of the first batch.
"""

from multiprocessing import Pool

import adbc_driver_postgresql.dbapi
import adbc_driver_sqlite.dbapi

from two_at_a_time import main

# The driver's own 1,024 were slower, more than these no quicker.
ROWS_OF_A_BATCH = 65536


def copy_table(url, source, table):
    with (
        adbc_driver_sqlite.dbapi.connect(f"file:{source}?mode=ro") as here,
        adbc_driver_postgresql.dbapi.connect(url) as there,
        here.cursor() as rows,
        there.cursor() as target,
    ):
        rows.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(ROWS_OF_A_BATCH)})
        rows.execute(f'SELECT * FROM "{table}"')
        target.adbc_ingest(table, rows.fetch_record_batch(), mode="create")
        there.commit()


if __name__ == "__main__":
    main(copy_table, Pool)

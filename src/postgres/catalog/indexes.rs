//! Indexes that do not belong to a constraint.

use crate::error::Result;
use crate::postgres::catalog::model::Catalog;
use crate::postgres::catalog::query::CatalogReader;
use crate::postgres::sql::parse;
use crate::schema::expression::Collation;
use crate::schema::{Index, IndexOver, IndexTerm, LeftOut, ObjectKind};

const SQL: &str = "\
    SELECT c.oid::bigint, ic.relname::text AS name, i.indisunique, i.indisvalid AND i.indisready AS valid, \
      coalesce((pg_catalog.to_jsonb(i)->>'indnullsnotdistinct')::boolean, false) AS nulls_equal, \
      EXISTS (SELECT FROM pg_catalog.pg_collation l WHERE l.oid = ANY (i.indcollation::oid[]) \
        AND NOT l.collisdeterministic) AS ignores_case, \
      m.amname::text AS method, pg_catalog.pg_get_indexdef(i.indexrelid) AS definition, \
      pg_catalog.pg_get_expr(i.indpred, i.indrelid) AS filter, \
      ARRAY(SELECT pg_catalog.pg_get_indexdef(i.indexrelid, t.n, false) \
        FROM pg_catalog.generate_series(1, i.indnkeyatts::int) t (n) ORDER BY t.n) AS terms, \
      ARRAY(SELECT coalesce(a.attname::text, '') \
        FROM pg_catalog.generate_series(1, i.indnkeyatts::int) t (n) \
        LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid \
          AND a.attnum = i.indkey[t.n - 1] AND a.attnum > 0 ORDER BY t.n) AS columns, \
      ARRAY(SELECT (i.indoption[t.n - 1] & 1) = 1 \
        FROM pg_catalog.generate_series(1, i.indnkeyatts::int) t (n) ORDER BY t.n) AS descending \
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indrelid \
    JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid \
    JOIN pg_catalog.pg_am m ON m.oid = ic.relam \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE n.nspname = $1 AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k \
      WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')) \
    ORDER BY c.oid, ic.oid";

/// Reads the indexes of all tables. Valid indexes that SQLite cannot have are also listed as not
/// migrated.
pub(crate) fn read(reader: &mut CatalogReader<'_>) -> Result<()> {
    for (index, row) in reader.table_rows(SQL)? {
        // The server has no definition of an index that was dropped since the query began.
        let Some(definition) = row.get::<_, Option<String>>("definition") else { continue };
        let Catalog { schema, lost, .. } = &mut reader.catalog;
        let table = &mut schema.tables[index];
        let name: String = row.get("name");
        let method: &str = row.get("method");
        let valid: bool = row.get("valid");
        let unique: bool = row.get("indisunique");
        let listed = LeftOut::part(ObjectKind::Index, &table.name, &name, Some(&definition));
        if !valid {
            schema.left_out.push(listed.because("it is not valid in PostgreSQL"));
        } else if !matches!(method, "btree" | "hash") {
            schema.left_out.push(listed.because(format!("SQLite has no {method} indexes")));
        } else if unique && row.get("nulls_equal") {
            lost.push(listed.because("SQLite's unique indexes allow any number of NULLs"));
        } else if unique && row.get("ignores_case") {
            let reason = "SQLite compares its texts by bytes, so that it allows texts which its \
                          collation calls equal";
            lost.push(listed.because(reason));
        }
        if !valid {
            continue;
        }
        let sql = |text: String| parse::sql(text, None);
        let (terms, columns): (Vec<String>, Vec<String>) = (row.get("terms"), row.get("columns"));
        let descending: Vec<bool> = row.get("descending");
        let terms = terms.into_iter().zip(columns).zip(descending);
        let terms = terms.map(|((text, column), descending)| IndexTerm {
            over: match column.as_str() {
                "" => IndexOver::Expression(sql(text)),
                _ => IndexOver::Column(column),
            },
            collation: Collation::Binary,
            descending,
        });
        table.indexes.push(Index {
            name,
            unique,
            terms: terms.collect(),
            filter: row.get::<_, Option<String>>("filter").map(sql),
            definition,
        });
    }
    Ok(())
}

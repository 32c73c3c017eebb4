//! The relations that store the rows of tables, and which of them are read through which table.
//!
//! The server counts the rows of inheritance children as rows of their parent. A child that the run
//! migrates as a table of its own is read there. The rows of all others (TimescaleDB's chunks, tables
//! of another schema, tables that are not selected) are read through the parent, each row once.

use crate::error::{Error, Result, plural};
use crate::postgres::errors::db_error;
use crate::schema::names::qualify;
use postgres::{Client, Row};
use std::collections::{BTreeSet, HashMap};
use std::fmt;

/// The rows that are read with one FROM item, in ranges of its blocks.
#[derive(Debug, Clone)]
pub(crate) struct Relation {
    /// The FROM item, with the alias `t`.
    pub(crate) from: String,
    /// The size in blocks, read under the locks. There can be rows beyond it. It is 0 where ranges
    /// of blocks do not apply.
    pub(crate) blocks: u64,
    /// Row-level security hides rows from this role.
    pub(crate) hidden: bool,
}

/// Where the rows of one table are stored.
#[derive(Debug, Clone)]
pub(crate) struct StoredTable {
    pub(crate) oid: u32,
    /// The FROM item of all its rows, with the alias `t`.
    pub(crate) from: String,
    /// The relations that together hold the same rows: the table itself, or its leaf partitions.
    pub(crate) relations: Vec<Relation>,
    /// The child tables whose rows are read through it.
    pub(crate) children: Vec<Child>,
    /// The numbers of the tables whose rows the server counts here, but which are read there.
    pub(crate) separate: Vec<usize>,
    /// The bytes of its rows on disk, without indexes and TOAST.
    pub(crate) bytes: u64,
    /// The bytes of its TOAST tables: values stored apart from their rows, compressed.
    pub(crate) bytes_apart: u64,
}

/// An inheritance child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Child {
    pub(crate) oid: u32,
    pub(crate) schema: String,
    pub(crate) name: String,
}

impl fmt::Display for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// A table, or one of its partitions or inheritance children.
struct Member {
    oid: u32,
    schema: String,
    name: String,
    is_root: bool,
    is_partitioned: bool,
    bytes: u64,
    bytes_apart: u64,
    blocks: u64,
    hidden: bool,
}

const SQL: &str = "\
    WITH RECURSIVE down (number, root, oid) AS ( \
      SELECT u.number, u.name::pg_catalog.regclass::oid, u.name::pg_catalog.regclass::oid \
      FROM unnest($1::text[]) WITH ORDINALITY u (name, number) \
      UNION SELECT down.number, down.root, i.inhrelid \
      FROM down JOIN pg_catalog.pg_inherits i ON i.inhparent = down.oid) \
    SELECT down.number, c.oid, n.nspname::text, c.relname::text, down.root = c.oid, \
      c.relkind = 'p', coalesce(pg_catalog.pg_relation_size(c.oid), 0)::bigint, \
      coalesce(pg_catalog.pg_relation_size(nullif(c.reltoastrelid, 0)), 0)::bigint, \
      pg_catalog.current_setting('block_size')::bigint, pg_catalog.row_security_active(c.oid) \
    FROM down JOIN pg_catalog.pg_class c ON c.oid = down.oid \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace ORDER BY down.number, c.oid";

/// Reads where the rows of `tables` (qualified names) are stored. These are all tables that the run
/// reads. Refused if the rows of a child table belong to two of them.
pub(crate) fn read(client: &mut Client, tables: &[String]) -> Result<Vec<StoredTable>> {
    let what = "cannot read PostgreSQL's catalog";
    let mut members: Vec<Vec<Member>> = tables.iter().map(|_| Vec::new()).collect();
    for row in client.query(SQL, &[&tables]).map_err(db_error(what))? {
        let number = usize::try_from(row.get::<_, i64>(0) - 1).unwrap_or_default();
        members[number].push(member(&row));
    }
    let roots = members.iter().enumerate().filter_map(|(number, members)| {
        Some((members.iter().find(|member| member.is_root)?.oid, number))
    });
    let roots: HashMap<u32, usize> = roots.collect();
    let stored: Vec<StoredTable> =
        (0..tables.len()).filter_map(|number| stored_table(&members, number, &roots)).collect();
    if stored.len() < tables.len() {
        return Err(Error::failed(what).caused_by("a table does not exist any more"));
    }
    refuse_shared(&members, &stored)?;
    Ok(stored)
}

fn member(row: &Row) -> Member {
    let bytes = |column: usize| u64::try_from(row.get::<_, i64>(column)).unwrap_or(0);
    Member {
        oid: row.get(1),
        schema: row.get(2),
        name: row.get(3),
        is_root: row.get(4),
        is_partitioned: row.get(5),
        bytes: bytes(6),
        bytes_apart: bytes(7),
        blocks: bytes(6) / bytes(8).max(1),
        hidden: row.get(9),
    }
}

impl Member {
    fn qualified(&self) -> String {
        qualify(&self.schema, &self.name)
    }

    fn child(&self) -> Child {
        Child { oid: self.oid, schema: self.schema.clone(), name: self.name.clone() }
    }
}

fn stored_table(
    members: &[Vec<Member>],
    number: usize,
    roots: &HashMap<u32, usize>,
) -> Option<StoredTable> {
    let all = &members[number];
    let root = all.iter().find(|member| member.is_root)?;
    let others = || all.iter().filter(|member| !member.is_root);
    let separate: Vec<usize> =
        others().filter_map(|member| roots.get(&member.oid).copied()).collect();
    let excluded: BTreeSet<u32> =
        separate.iter().flat_map(|&number| &members[number]).map(|member| member.oid).collect();
    let is_read = |member: &&Member| !excluded.contains(&member.oid);
    let name = root.qualified();
    let whole = plain(&name);
    let mut children = Vec::new();
    let (from, relations) = if root.is_partitioned {
        let leaf = |leaf: &Member| Relation {
            from: plain(&leaf.qualified()),
            blocks: leaf.blocks,
            hidden: leaf.hidden || root.hidden,
        };
        let leaves = all.iter().filter(|member| !member.is_partitioned);
        let mut relations: Vec<Relation> = leaves.map(leaf).collect();
        // A table without partitions is read, too: the other side may have rows.
        if relations.is_empty() {
            relations.push(leaf(root));
        }
        (whole, relations)
    } else {
        children.extend(others().filter(is_read).map(Member::child));
        let from = match (excluded.is_empty(), children.is_empty()) {
            (true, _) => whole,
            (false, true) => format!("ONLY {whole}"),
            (false, false) => {
                let oids: Vec<String> = excluded.iter().map(u32::to_string).collect();
                format!(
                    "(SELECT tableoid, ctid, xmin, * FROM {name} \
                     WHERE tableoid <> ALL ('{{{}}}'::pg_catalog.oid[])) AS t",
                    oids.join(",")
                )
            }
        };
        let blocks = if children.is_empty() { root.blocks } else { 0 };
        let relation = Relation { from: from.clone(), blocks, hidden: root.hidden };
        (from, vec![relation])
    };
    let read = || all.iter().filter(is_read);
    // The rows of a chunk that TimescaleDB compresses are in tables that nothing here names.
    let may_be_elsewhere = u64::from(!children.is_empty());
    Some(StoredTable {
        oid: root.oid,
        from,
        relations,
        children,
        separate,
        bytes: read().map(|member| member.bytes).sum(),
        bytes_apart: read().map(|member| member.bytes_apart).sum::<u64>().max(may_be_elsewhere),
    })
}

/// The FROM item of all rows that the server counts as those of a table or partition.
fn plain(qualified: &str) -> String {
    format!("{qualified} AS t")
}

/// Refuses a child table whose rows would be read through two tables.
fn refuse_shared(members: &[Vec<Member>], stored: &[StoredTable]) -> Result<()> {
    let name = |number: usize| members[number].iter().find(|member| member.is_root);
    let mut owners = HashMap::new();
    for (number, table) in stored.iter().enumerate() {
        for child in &table.children {
            let Some(first) = owners.insert(child.oid, number) else { continue };
            let (Some(first), Some(second)) = (name(first), name(number)) else { continue };
            return Err(Error::refused(format!(
                "the rows of table {} belong to tables {} and {}",
                qualify(&child.schema, &child.name),
                first.qualified(),
                second.qualified()
            ))
            .caused_by("it is an inheritance child of both, and the run would read each row twice")
            .remedy_exclude(&[&second.name]));
        }
    }
    Ok(())
}

/// Checks that the server counts as many rows of each table as are read from it and from the tables
/// of its children. `read` has the rows of each table, where it was read; `kind` makes the error.
///
/// A table that is read as what the server counts, by one FROM item, needs no count.
pub(crate) fn check_counts(
    client: &mut Client,
    (tables, stored): (&[String], &[StoredTable]),
    read: &[Option<u64>],
    kind: fn(String) -> Error,
) -> Result<()> {
    for (number, table) in stored.iter().enumerate() {
        let name = &tables[number];
        if table.relations.iter().map(|relation| &relation.from).eq([&plain(name)]) {
            continue;
        }
        let of = |number: usize| read.get(number).copied().flatten();
        let apart = table.separate.iter().map(|&child| of(child)).sum::<Option<u64>>();
        // The rows of a table that was not read cannot be compared.
        let (Some(own), Some(apart)) = (of(number), apart) else { continue };
        let what = format!("cannot count the rows of table {name}");
        let sql = format!("SELECT count(*) FROM {name}");
        let counted: i64 = client.query_one(&sql, &[]).map_err(db_error(&what))?.get(0);
        if counted.unsigned_abs() != own + apart {
            let all = own + apart;
            let own = plural(own, "row is", "rows are");
            let others = plural(apart, "row is", "rows are");
            return Err(miscounted(kind, name, all, counted.unsigned_abs())
                .caused_by(format!("{own} its own, and {others} in its child tables")));
        }
    }
    Ok(())
}

/// The error of a table from which another number of rows was read than the server counts.
pub(crate) fn miscounted(kind: fn(String) -> Error, table: &str, read: u64, counted: u64) -> Error {
    let (read, counted) = (plural(read, "row", "rows"), plural(counted, "row", "rows"));
    kind(format!("table {table} returned {read}, but the server counts {counted}"))
        .hint("run again; if that does not help, check the server's indexes (amcheck)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(oid: u32, name: &str, is_root: bool) -> Member {
        let (schema, name) = ("s".to_owned(), name.to_owned());
        let (bytes, bytes_apart, blocks) = (8192, 0, 1);
        let (is_partitioned, hidden) = (false, false);
        Member { oid, schema, name, is_root, is_partitioned, bytes, bytes_apart, blocks, hidden }
    }

    #[test]
    fn children_are_read_through_their_nearest_table() {
        // a <- b <- c, and a <- d; the run reads a and b.
        let a = ["a", "b", "c", "d"].into_iter().zip(1..);
        let a = a.map(|(name, oid)| member(oid, name, oid == 1)).collect();
        let b = vec![member(2, "b", true), member(3, "c", false)];
        let (members, roots) = (vec![a, b], HashMap::from([(1, 0), (2, 1)]));
        let table = |number| stored_table(&members, number, &roots).unwrap();
        let names = |table: &StoredTable| -> Vec<String> {
            table.children.iter().map(|child| child.name.clone()).collect()
        };
        assert_eq!((names(&table(0)), table(0).separate), (vec!["d".to_owned()], vec![1]));
        assert!(table(0).from.contains("tableoid <> ALL ('{2,3}'"), "{}", table(0).from);
        assert_eq!((names(&table(1)), table(1).separate), (vec!["c".to_owned()], vec![]));
        assert_eq!(table(1).from, format!("{} AS t", qualify("s", "b")));
        assert_eq!((table(0).relations[0].blocks, table(0).bytes), (0, 2 * 8192));
        // The server counts each row once, and so does the run: nothing is shared.
        let stored = [table(0), table(1)];
        assert!(refuse_shared(&members, &stored).is_ok());
    }

    #[test]
    fn a_child_of_two_tables_is_refused() {
        let members = vec![
            vec![member(1, "a", true), member(3, "c", false)],
            vec![member(2, "b", true), member(3, "c", false)],
        ];
        let roots = HashMap::from([(1, 0), (2, 1)]);
        let stored = [0, 1].map(|number| stored_table(&members, number, &roots).unwrap());
        let error = refuse_shared(&members, &stored).unwrap_err();
        assert!(error.message().contains("\"s\".\"c\""), "{error}");
    }
}

//! Tests of the catalog on small databases.

use crate::error::{Kind, Result};
use crate::schema::expression::{Collation, Expression};
use crate::schema::{Action, Deferrable, IndexOver, ObjectKind, RowAddress, Table, names};
use crate::sqlite::catalog::model::Catalog;
use crate::sqlite::catalog::read;
use rusqlite::Connection;

fn try_catalog(sql: &str) -> Result<Catalog> {
    let connection = Connection::open_in_memory().expect("SQLite opens");
    connection.execute_batch(sql).expect("the statements run");
    read(&connection)
}

fn catalog(sql: &str) -> Catalog {
    try_catalog(sql).expect("the catalog is read")
}

fn table<'a>(catalog: &'a Catalog, name: &str) -> &'a Table {
    catalog.schema.tables.iter().find(|table| table.name == name).expect("the table exists")
}

fn integer(column: &str) -> RowAddress {
    RowAddress::Integer { column: column.to_owned() }
}

#[test]
fn only_what_sqlite_treats_as_the_rowid_is_an_identity() {
    let catalog = catalog(
        "CREATE TABLE a(id INTEGER PRIMARY KEY, b);
         CREATE TABLE b(id INT PRIMARY KEY);
         CREATE TABLE c(id INTEGER PRIMARY KEY DESC);
         CREATE TABLE d(id INTEGER, PRIMARY KEY(\"id\" DESC));
         CREATE TABLE e(id INTEGER PRIMARY KEY) WITHOUT ROWID;
         CREATE TABLE f(id INTEGER PRIMARY KEY AUTOINCREMENT);",
    );
    let identity = |name| table(&catalog, name).columns[0].identity;
    assert_eq!(["a", "d", "f"].map(identity), [true; 3]);
    assert_eq!(["b", "c", "e"].map(identity), [false; 3]);
    assert_eq!(table(&catalog, "a").address, integer("id"));
    assert_eq!(table(&catalog, "b").address, integer("rowid"));
    let key = RowAddress::Key { columns: vec!["id".to_owned()] };
    assert_eq!(table(&catalog, "e").address, key);
    assert!(table(&catalog, "a").columns[0].not_null);
    assert!(!table(&catalog, "b").columns[0].not_null);
    assert!(table(&catalog, "e").columns[0].not_null);
    let key = table(&catalog, "c").primary_key.as_ref().expect("a key");
    assert!(key.columns[0].descending);
    assert!(catalog.facts["f"].autoincrement && !catalog.facts["a"].autoincrement);
    assert!(catalog.facts["e"].without_rowid && !catalog.facts["c"].without_rowid);
}

#[test]
fn the_rowid_is_named_by_the_first_name_that_no_column_has() {
    let catalog = catalog(
        "CREATE TABLE a(ROWID);
         CREATE TABLE b(rowid, _ROWID_);
         CREATE TABLE c(rowid, oid, _rowid_);
         CREATE TABLE d(rowid, oid, _rowid_ INTEGER PRIMARY KEY);
         CREATE TABLE e(oid, rowid AS (oid), _rowid_);",
    );
    assert_eq!(table(&catalog, "a").address, integer("_rowid_"));
    assert_eq!(table(&catalog, "b").address, integer("oid"));
    assert_eq!(table(&catalog, "c").address, RowAddress::Ordinal);
    assert_eq!(table(&catalog, "d").address, integer("_rowid_"));
    assert_eq!(table(&catalog, "e").address, RowAddress::Ordinal);
}

#[test]
fn a_key_that_cannot_be_sought_by_its_columns_is_not_an_address() {
    let catalog = catalog(
        "CREATE TABLE a(x, y TEXT COLLATE nocase, PRIMARY KEY(y, x)) WITHOUT ROWID;
         CREATE TABLE b(x, y, PRIMARY KEY(x DESC, y)) WITHOUT ROWID;
         CREATE TABLE c(x TEXT, PRIMARY KEY(x COLLATE NOCASE)) WITHOUT ROWID;
         CREATE TABLE d(x TEXT COLLATE nocase PRIMARY KEY) WITHOUT ROWID;
         PRAGMA writable_schema = ON;
         UPDATE sqlite_schema SET sql = replace(sql, 'nocase', 'de_DE') WHERE name = 'd';
         PRAGMA writable_schema = RESET;",
    );
    let key = RowAddress::Key { columns: vec!["y".to_owned(), "x".to_owned()] };
    assert_eq!(table(&catalog, "a").address, key);
    for name in ["b", "c", "d"] {
        assert_eq!(table(&catalog, name).address, RowAddress::Ordinal, "{name}");
    }
    let collation = &table(&catalog, "d").columns[0].collation;
    assert_eq!(*collation, Collation::Other("de_DE".to_owned()));
}

#[test]
fn names_are_kept_exactly() {
    let odd = "a\"b%c\nd é 'x' [y]";
    let sql = format!(
        "CREATE TABLE {0}({0} INTEGER PRIMARY KEY, \"\" TEXT UNIQUE, [sel`ect] CHECK([sel`ect] > ''));
         CREATE TABLE \"\"(a REFERENCES {0});
         CREATE TABLE É(a); CREATE TABLE é(a);
         CREATE INDEX \"i\n%\" ON {0}(\"\");",
        names::quote(odd)
    );
    let catalog = catalog(&sql);
    let odd_table = table(&catalog, odd);
    assert_eq!(odd_table.columns[0].name, odd);
    assert_eq!(odd_table.address, integer(odd));
    assert_eq!(odd_table.uniques[0].columns[0].name, "");
    assert_eq!(odd_table.indexes[0].name, "i\n%");
    assert!(odd_table.checks[0].condition.tree.is_some());
    assert_eq!(table(&catalog, "").foreign_keys[0].parent_columns, [odd]);
    assert!(table(&catalog, "É").columns.len() == 1 && table(&catalog, "é").columns.len() == 1);
}

#[test]
fn foreign_keys_are_grouped_and_their_parents_spelled_as_stored() {
    let catalog = catalog(
        "CREATE TABLE Parent(A, b, PRIMARY KEY(b, A));
         CREATE TABLE child(
           x CONSTRAINT one REFERENCES gone DEFERRABLE INITIALLY DEFERRED,
           y REFERENCES CHILD(Z) ON DELETE SET NULL ON UPDATE CASCADE,
           z UNIQUE,
           CONSTRAINT two FOREIGN KEY(x, y) REFERENCES parent ON DELETE RESTRICT DEFERRABLE,
           FOREIGN KEY(z) REFERENCES gone(q) ON DELETE SET DEFAULT);",
    );
    let keys = &table(&catalog, "child").foreign_keys;
    let names: Vec<_> = keys.iter().map(|key| key.name.as_deref()).collect();
    assert_eq!(names, [Some("one"), None, Some("two"), None]);
    assert_eq!((keys[0].parent.as_str(), keys[0].parent_columns.len()), ("gone", 0));
    assert_eq!(keys[0].deferrable, Deferrable::InitiallyDeferred);
    assert_eq!((keys[1].parent.as_str(), keys[1].parent_columns[0].as_str()), ("child", "z"));
    assert_eq!((keys[1].on_delete, keys[1].on_update), (Action::SetNull, Action::Cascade));
    assert_eq!((keys[2].columns.join(" "), keys[2].parent.as_str()), ("x y".into(), "Parent"));
    assert_eq!(keys[2].parent_columns, ["b", "A"]);
    assert_eq!(keys[2].deferrable, Deferrable::InitiallyImmediate);
    assert_eq!(keys[3].parent_columns, ["q"]);
    assert_eq!(keys[3].on_delete, Action::SetDefault);
}

#[test]
fn constraints_and_generated_columns_have_their_expressions() {
    let catalog = catalog(
        "CREATE TABLE t(
           id INTEGER PRIMARY KEY, a TEXT NOT NULL DEFAULT \"dq\" COLLATE NOCASE CHECK(a <> \"zz\"),
           v INT GENERATED ALWAYS AS (id * 2), s TEXT AS (lower(a)) STORED,
           CONSTRAINT u UNIQUE(a COLLATE BINARY, id), CONSTRAINT c CHECK(rowid > 0 AND T.v IN (1,2)));
         CREATE TABLE st(a ANY, b TEXT PRIMARY KEY) STRICT;",
    );
    let t = table(&catalog, "t");
    assert_eq!(t.columns[1].collation, Collation::NoCase);
    let default = t.columns[1].default.as_ref().expect("a default");
    assert_eq!(default.tree, Some(Expression::String("dq".to_owned())));
    let virtual_column = t.columns[2].generated.as_ref().expect("generated");
    assert!(!virtual_column.stored && virtual_column.expression.tree.is_some());
    assert_eq!(t.columns[2].declared, "INT");
    assert!(t.columns[3].generated.as_ref().is_some_and(|generated| generated.stored));
    assert_eq!(t.uniques[0].name.as_deref(), Some("u"));
    assert_eq!(t.uniques[0].columns[0].collation, Collation::Binary);
    let checks: Vec<_> = t.checks.iter().map(|check| check.name.as_deref()).collect();
    assert_eq!(checks, [None, Some("c")]);
    let text = format!("{:?}", t.checks);
    assert!(text.contains("DoubleQuoted(\"zz\")") && text.contains("Column(\"id\")"), "{text}");
    assert!(catalog.facts["st"].strict && !catalog.facts["t"].strict);
    assert!(table(&catalog, "st").columns[1].not_null);
}

#[test]
fn indexes_keep_terms_order_collation_and_filter() {
    let catalog = catalog(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b);
         CREATE UNIQUE INDEX i ON t(b DESC, a COLLATE NOCASE, substr(a, 1, 2) COLLATE RTRIM, id)
           WHERE b > 0;",
    );
    let index = &table(&catalog, "t").indexes[0];
    assert!(index.unique && index.terms[0].descending && !index.terms[1].descending);
    assert_eq!(index.terms[1].collation, Collation::NoCase);
    let IndexOver::Expression(sql) = &index.terms[2].over else { panic!("an expression") };
    assert_eq!(sql.text, "substr (a, 1, 2)");
    assert_eq!(index.terms[2].collation, Collation::RTrim);
    assert!(matches!(&index.terms[3].over, IndexOver::Column(name) if name == "id"));
    assert_eq!(index.filter.as_ref().map(|sql| sql.text.as_str()), Some("b > 0"));
}

#[test]
fn virtual_tables_and_their_storage_are_left_out_with_their_rows() {
    let catalog = catalog(
        "CREATE VIRTUAL TABLE f USING fts5(a);
         INSERT INTO f VALUES ('x'), ('y');
         CREATE TABLE e_content(id INTEGER PRIMARY KEY, a);
         CREATE VIRTUAL TABLE e USING fts5(a, content='e_content', content_rowid='id');
         CREATE VIRTUAL TABLE r USING rtree(id, x0, x1);
         INSERT INTO r VALUES (1, 0, 1);
         CREATE VIRTUAL TABLE old USING fts4(a);
         CREATE TABLE kept(id INTEGER PRIMARY KEY AUTOINCREMENT);
         CREATE VIEW v AS SELECT * FROM missing;
         CREATE TRIGGER g AFTER INSERT ON kept BEGIN SELECT 1; END;",
    );
    let tables: Vec<_> = catalog.schema.tables.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(tables, ["e_content", "kept"]);
    let rows = |name: &str| {
        let left_out = catalog.schema.left_out.iter().find(|left_out| left_out.name == name);
        left_out.expect("listed").rows
    };
    assert_eq!([rows("f"), rows("e"), rows("r"), rows("old")], [Some(2), None, Some(1), Some(0)]);
    let count = |kind| catalog.schema.left_out.iter().filter(|l| l.kind == kind).count();
    assert_eq!(count(ObjectKind::ShadowTable), 5 + 4 + 3 + 5);
    assert_eq!(count(ObjectKind::Trigger), 1);
    assert_eq!(count(ObjectKind::InternalTable), 1);
    assert_eq!(catalog.schema.views[0].definition, "CREATE VIEW v AS SELECT * FROM missing");
}

#[test]
fn a_virtual_table_of_an_unknown_module_is_only_listed() {
    let catalog = catalog(
        "CREATE TABLE x_rows(a);
         PRAGMA writable_schema = ON;
         INSERT INTO sqlite_schema VALUES
           ('table', 'x', 'x', 0, 'CREATE VIRTUAL TABLE x USING nobodys(a, b)');
         PRAGMA writable_schema = RESET;",
    );
    assert_eq!(catalog.schema.tables.len(), 1);
    assert_eq!(catalog.schema.left_out[0].kind, ObjectKind::VirtualTable);
    assert!(catalog.schema.left_out[0].reason.contains("nobodys"));
}

#[test]
fn sequences_of_empty_tables_are_read() {
    let catalog = catalog(
        "CREATE TABLE a(id INTEGER PRIMARY KEY AUTOINCREMENT);
         CREATE TABLE b(id INTEGER PRIMARY KEY AUTOINCREMENT);
         INSERT INTO a VALUES (41); DELETE FROM a;
         INSERT INTO sqlite_sequence VALUES ('b', 'garbage');",
    );
    assert_eq!(table(&catalog, "a").sequence, Some(41));
    assert_eq!(table(&catalog, "b").sequence, None);
}

#[test]
fn a_name_that_is_not_utf8_is_refused() {
    let error = try_catalog(
        "CREATE TABLE t(aXb);
         PRAGMA writable_schema = ON;
         UPDATE sqlite_schema SET
           sql = CAST(replace(CAST(sql AS BLOB), x'58', x'FF') AS TEXT);
         PRAGMA writable_schema = RESET;",
    )
    .expect_err("refused");
    assert_eq!(error.kind(), Kind::Refused);
    assert!(error.message().contains("UTF-8"), "{error}");
}

#[test]
fn utf16_databases_are_read() {
    let catalog = catalog(
        "PRAGMA encoding = 'UTF-16le';
         CREATE TABLE \"tä\"(\"ö\" TEXT DEFAULT 'ü' CHECK(\"ö\" <> 'ß'));",
    );
    let table = table(&catalog, "tä");
    let default = table.columns[0].default.as_ref().expect("a default");
    assert_eq!(default.tree, Some(Expression::String("ü".to_owned())));
}

#[test]
fn an_empty_database_has_an_empty_catalog() {
    let catalog = catalog("");
    assert!(catalog.schema.tables.is_empty() && catalog.schema.left_out.is_empty());
}

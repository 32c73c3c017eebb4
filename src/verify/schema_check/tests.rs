//! Tests of the schema comparison.

use crate::postgres::ledger::detail::Omission;
use crate::schema::expression::{Collation, Sql};
use crate::schema::{
    Check, ForeignKey, Index, IndexOver, IndexTerm, LeftOut, ObjectKind, Schema, Table,
};
use crate::verify::schema_check::diff::compare;
use crate::verify::schema_check::existing::Existing;
use crate::verify::schema_check::expected::{Expected, ExpectedTable, column, key};
use crate::verify::schema_check::table_diff::SchemaDiff;
use std::collections::HashSet;

fn index(name: &str, unique: bool, terms: &[&str]) -> Index {
    let over = |term: &str| match term {
        "" => IndexOver::Expression(Sql::default()),
        name => IndexOver::Column(name.to_owned()),
    };
    let term = |name: &&str| IndexTerm {
        over: over(name),
        collation: Collation::Binary,
        descending: false,
    };
    let terms = terms.iter().map(term).collect();
    Index { name: name.to_owned(), unique, terms, ..Index::default() }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn foreign_key(columns: &[&str], parent: &str, parent_columns: &[&str]) -> ForeignKey {
    ForeignKey {
        name: Some("f".to_owned()),
        columns: names(columns),
        parent: parent.to_owned(),
        parent_columns: names(parent_columns),
        ..ForeignKey::default()
    }
}

fn check(name: &str) -> Check {
    Check { name: Some(name.to_owned()), ..Check::default() }
}

/// A table with everything that is compared.
fn full() -> Table {
    Table {
        columns: vec![
            column("id", true, true),
            column("a", true, false),
            column("b", false, false),
        ],
        primary_key: Some(key(None, names(&["id"]))),
        uniques: vec![key(None, names(&["a", "b"]))],
        foreign_keys: vec![foreign_key(&["a", "b"], "t", &["b", "a"])],
        checks: vec![check("c")],
        indexes: vec![index("i", false, &["b"])],
        sequence: Some(7),
        name: "t".to_owned(),
        ..Table::default()
    }
}

fn expected(planned: bool, target: Table) -> Expected {
    let columns = target.columns.iter().map(|column| column.name.clone()).collect();
    let table = ExpectedTable { name: target.name.clone(), columns, target: Some(target) };
    Expected { tables: vec![table], planned, ..Expected::default() }
}

fn existing(table: Table) -> Existing {
    let schema = Schema { tables: vec![table], ..Schema::default() };
    Existing { schema, not_valid: HashSet::new(), folds_case: false }
}

fn assert_no_difference(diff: &SchemaDiff) {
    assert!(diff.differences.is_empty() && diff.notes.is_empty(), "{diff:?}");
}

#[test]
fn equal_schemas_have_no_differences() {
    for planned in [true, false] {
        assert_no_difference(&compare(&expected(planned, full()), &existing(full())));
    }
}

#[test]
fn every_missing_part_is_a_difference() {
    let mut expected = expected(true, full());
    expected.views.push("v".to_owned());
    let bare = Table {
        columns: vec![column("id", true, false), column("a", false, false)],
        name: "t".to_owned(),
        ..Table::default()
    };
    let diff = compare(&expected, &existing(bare));
    assert_eq!(
        diff.differences,
        [
            r#"the primary key of "t" on "id" is missing"#,
            r#"the unique key of "t" on "a", "b" is missing"#,
            r#"the index "i" on "t" is missing"#,
            r#"the foreign key of "t" on "a", "b" is missing"#,
            r#"the check "c" on "t" is missing"#,
            r#"column "a" of "t" may be NULL in the target"#,
            r#"column "b" of "t" is missing"#,
            r#"the key of "t" has no sequence and no AUTOINCREMENT"#,
            r#"view "v" is missing"#,
        ]
    );
    let other = Table { name: "other".to_owned(), ..Table::default() };
    let diff = compare(&expected, &existing(other));
    assert_eq!(diff.differences, [r#"table "t" is missing"#, r#"view "v" is missing"#]);
    assert_eq!(diff.notes, [r#"table "other" is in the target only"#]);
}

#[test]
fn a_plan_accepts_only_the_planned_form() {
    let mut planned = full();
    planned.indexes = vec![index("i", false, &[])];
    planned.uniques = vec![key(Some("u"), names(&["a", "b"]))];
    let mut found = full();
    found.primary_key = None;
    found.uniques.clear();
    found.indexes = vec![
        index("i", false, &["a"]),
        index("u", true, &["a", "b"]),
        index("t_pkey", true, &["id"]),
    ];
    let mut existing = existing(found);
    existing.not_valid.insert(("t".to_owned(), "f".to_owned()));
    let diff = compare(&expected(true, planned), &existing);
    assert_eq!(
        diff.differences,
        [
            r#"the primary key of "t" on "id" is missing"#,
            r#"the unique key of "t" on "a", "b" is missing"#,
            r#"the foreign key of "t" on "a", "b" holds for new rows only (NOT VALID)"#,
        ]
    );
}

#[test]
fn objects_that_are_not_in_force_are_named_with_the_reason() {
    let mut planned = full();
    planned.indexes = vec![index("i", false, &[])];
    let mut existing = existing(Table { indexes: Vec::new(), checks: Vec::new(), ..full() });
    let left_out = |kind, name, reason: &str| LeftOut::part(kind, "t", name, None).because(reason);
    existing.schema.left_out = vec![
        left_out(ObjectKind::Index, "i", "it is not valid in PostgreSQL"),
        left_out(ObjectKind::Check, "c", "it holds for new rows only (NOT VALID)"),
    ];
    let diff = compare(&expected(true, planned), &existing);
    assert_eq!(
        diff.differences,
        [
            r#"the index "i" on "t" exists, but it is not valid in PostgreSQL"#,
            r#"the check "c" on "t" exists, but it holds for new rows only (NOT VALID)"#,
        ]
    );
}

#[test]
fn without_a_plan_an_equivalent_object_is_accepted() {
    let mut found = full();
    found.primary_key = None;
    found.uniques = vec![key(Some("u"), names(&["b"]))];
    found.indexes = vec![index("p", true, &["id"]), index("folded", true, &["", "b"])];
    found.sequence = None;
    let mut target = existing(found);
    target.not_valid.insert(("t".to_owned(), "f".to_owned()));
    let diff = compare(&expected(false, full()), &target);
    assert_eq!(diff.differences, [] as [&str; 0]);
    assert_eq!(
        diff.notes,
        [
            r#"the foreign key of "t" on "a", "b" holds for new rows only (NOT VALID)"#,
            r#"the key of "t" has no sequence and no AUTOINCREMENT"#,
        ]
    );
    let partial = Index { filter: Some(Sql::default()), ..index("p", true, &["id"]) };
    let found = Table { primary_key: None, indexes: vec![partial], ..full() };
    let diff = compare(&expected(false, full()), &existing(found));
    assert_eq!(
        diff.differences,
        [r#"the primary key of "t" on "id" is missing"#, r#"the index "i" on "t" is missing"#,]
    );
}

#[test]
fn objects_that_the_run_did_not_migrate_are_notes() {
    let mut expected = expected(false, full());
    for (kind, name) in [(ObjectKind::Index, "i"), (ObjectKind::ForeignKey, "made_up")] {
        let table = Some("t".to_owned());
        expected.omissions.push(Omission { kind, table, name: name.to_owned() });
    }
    let found = Table { indexes: Vec::new(), foreign_keys: Vec::new(), ..full() };
    let diff = compare(&expected, &existing(found));
    assert_eq!(diff.differences, [] as [&str; 0]);
    assert_eq!(
        diff.notes,
        [
            r#"the index "i" on "t" was not migrated"#,
            r#"the foreign key of "t" on "a", "b" was not migrated"#,
        ]
    );
}

#[test]
fn keys_that_would_be_generated_twice_are_a_difference() {
    for (last, differs) in [(6, true), (7, false), (8, false), (i64::MAX, false)] {
        let found = Table { sequence: Some(last), ..full() };
        let diff = compare(&expected(true, full()), &existing(found));
        assert_eq!(!diff.differences.is_empty(), differs, "{last}: {diff:?}");
    }
}

#[test]
fn names_in_sqlite_are_compared_without_case() {
    let upper = |name: &str| name.to_ascii_uppercase();
    let mut found = full();
    found.name = upper(&found.name);
    found.columns.iter_mut().for_each(|column| column.name = upper(&column.name));
    let mut target = existing(found);
    let lower = Table { columns: full().columns, name: "t".to_owned(), ..Table::default() };
    let diff = compare(&expected(true, lower.clone()), &target);
    assert_eq!(diff.differences, [r#"table "t" is missing"#]);
    target.folds_case = true;
    assert_no_difference(&compare(&expected(true, lower), &target));
}

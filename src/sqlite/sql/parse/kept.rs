//! Texts that a comment in PostgreSQL has kept. Any user can write comments: only one statement or
//! expression of the expected kind is accepted.

use crate::schema::ObjectKind;
use crate::sqlite::sql::parse::expression::unquote;
use crate::sqlite::sql::parse::statement;
use sqlite3_parser::ast::{ColumnConstraint, CreateTableBody, QualifiedName, Stmt, TriggerEvent};

/// What a CREATE statement creates.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Created {
    pub(crate) kind: ObjectKind,
    pub(crate) name: String,
    /// The table of an index or a trigger; empty for others.
    pub(crate) table: String,
    /// The event of a trigger: INSERT, UPDATE or DELETE; empty for others.
    pub(crate) event: &'static str,
}

/// Reads a CREATE TABLE, INDEX, VIEW or TRIGGER of the main database.
pub(crate) fn created(text: &str) -> Option<Created> {
    let own = |name: &QualifiedName<'_>| name.db_name.is_none().then(|| unquote(name.name.0));
    let created = |kind, name, table, event| Some(Created { kind, name, table, event });
    statement::statement(text, |stmt| match stmt {
        Stmt::CreateTable { temporary: false, tbl_name, body, .. } => {
            matches!(body, CreateTableBody::ColumnsAndConstraints { .. })
                .then(|| created(ObjectKind::Table, own(tbl_name)?, String::new(), ""))?
        }
        Stmt::CreateIndex { idx_name, tbl_name, .. } => {
            created(ObjectKind::Index, own(idx_name)?, unquote(tbl_name.0), "")
        }
        Stmt::CreateView { temporary: false, view_name, .. } => {
            created(ObjectKind::View, own(view_name)?, String::new(), "")
        }
        Stmt::CreateTrigger { temporary: false, trigger_name, tbl_name, event, .. } => {
            let event = match event {
                TriggerEvent::Insert => "INSERT",
                TriggerEvent::Delete => "DELETE",
                TriggerEvent::Update | TriggerEvent::UpdateOf(_) => "UPDATE",
            };
            created(ObjectKind::Trigger, own(trigger_name)?, own(tbl_name)?, event)
        }
        _ => None,
    })
}

/// The names of the columns of a CREATE TABLE.
pub(crate) fn columns(text: &str) -> Option<Vec<String>> {
    statement::statement(text, |stmt| match stmt {
        Stmt::CreateTable {
            body: CreateTableBody::ColumnsAndConstraints { columns, .. }, ..
        } => Some(columns.iter().map(|column| unquote(column.col_name.0)).collect()),
        _ => None,
    })
}

/// An expression, spelled again from its tree.
pub(crate) fn expression(text: &str) -> Option<String> {
    statement::expression(text, |expr| Some(expr.to_string()))
}

/// The value of a DEFAULT as `PRAGMA table_xinfo` gives it, in parentheses if it needs them.
pub(crate) fn default(text: &str) -> Option<String> {
    let read = |value: &str| {
        statement::statement(&format!("CREATE TABLE t (c DEFAULT {value}\n)"), |stmt| {
            let Stmt::CreateTable { body, .. } = stmt else { return None };
            let CreateTableBody::ColumnsAndConstraints { columns, constraints: None, .. } = body
            else {
                return None;
            };
            let [column] = columns.as_slice() else { return None };
            let [constraint] = column.constraints else { return None };
            match &constraint.constraint {
                ColumnConstraint::Default(expr) => Some(expr.to_string()),
                _ => None,
            }
        })
    };
    read(text).or_else(|| read(&format!("({text}\n)")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_statement_of_a_known_kind_is_accepted() {
        let index = created("CREATE UNIQUE INDEX i ON \"t x\" (lower(a)) WHERE a > 0").unwrap();
        assert_eq!((index.kind, index.name.as_str()), (ObjectKind::Index, "i"));
        assert_eq!(index.table, "t x");
        let trigger = "CREATE TRIGGER tr INSTEAD OF UPDATE OF a ON v BEGIN SELECT 1; END";
        assert_eq!(created(trigger).unwrap().event, "UPDATE");
        assert_eq!(created("CREATE VIEW v (a) AS SELECT 1").unwrap().kind, ObjectKind::View);
        for text in [
            "CREATE VIEW v AS SELECT 1; ATTACH '/x' AS x",
            "CREATE TEMP VIEW v AS SELECT 1",
            "CREATE VIEW other.v AS SELECT 1",
            "CREATE TABLE t AS SELECT 1",
            "DROP TABLE t",
            "",
        ] {
            assert_eq!(created(text), None, "{text}");
        }
    }

    #[test]
    fn one_expression_is_accepted() {
        assert_eq!(expression("a > 0 -- x").as_deref(), Some("a > 0"));
        for text in ["a) , (b", "a; DROP TABLE t", "1 FROM t", "a, b"] {
            assert_eq!(expression(text), None, "{text}");
        }
        assert_eq!(default("'x'").as_deref(), Some("'x'"));
        assert_eq!(default("-1").as_deref(), Some("- 1"));
        assert_eq!(default("hello").as_deref(), Some("hello"));
        assert_eq!(default("datetime('now')").as_deref(), Some("(datetime ('now'))"));
        for text in ["1, d INT", "1) ; DROP TABLE t", "1 CHECK (0)"] {
            assert_eq!(default(text), None, "{text}");
        }
    }
}

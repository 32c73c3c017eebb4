//! The properties that only the text of a CREATE statement has: CHECKs, expressions, names and
//! conflict clauses of constraints, and when foreign keys are checked. SQLite's pragmas give
//! everything else.

use crate::schema::expression::{Expression, Sql};
use crate::schema::reason::Reason;
use crate::schema::{Check, Conflict, Deferrable};
use crate::sqlite::sql::parse::expression::{
    boolean, is_rowid, resolve, tree, uncollated, unquote,
};
use crate::sqlite::sql::parse::statement::{expression, statement};
use sqlite3_parser::ast::{
    ColumnConstraint, ColumnDefinition, CreateTableBody, DeferSubclause, Expr, InitDeferredPred,
    Literal, NamedTableConstraint, ResolveType, SortedColumn, Stmt, TabFlags, TableConstraint,
};

/// The names that the expressions of a table may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names<'a> {
    pub(crate) table: &'a str,
    /// The names of its columns, as stored.
    pub(crate) columns: &'a [String],
    /// The column that is an alias of the rowid.
    pub(crate) rowid_alias: Option<&'a str>,
}

/// The properties of a table that only the text of CREATE TABLE has.
#[derive(Debug, Default)]
pub(crate) struct TableText {
    /// The table is STRICT.
    pub(crate) strict: bool,
    /// The name of the PRIMARY KEY constraint, and its conflict clause.
    pub(crate) primary_key: (Option<String>, Option<Conflict>),
    /// The UNIQUE constraints in order: name, if given, columns as written, and conflict clause.
    pub(crate) uniques: Vec<(Option<String>, Vec<String>, Option<Conflict>)>,
    /// The conflict clauses of NOT NULL: the column as written, and the clause.
    pub(crate) not_null: Vec<(String, Conflict)>,
    /// The CHECKs, those of columns first.
    pub(crate) checks: Vec<Check>,
    /// The generated columns: name as written, and expression.
    pub(crate) generated: Vec<(String, Sql)>,
    /// The foreign keys in order of declaration: name, if given, and when they are checked.
    pub(crate) foreign_keys: Vec<(Option<String>, Deferrable)>,
}

/// The properties of an index that only the text of CREATE INDEX has.
#[derive(Debug)]
pub(crate) struct IndexText {
    /// Each term, without COLLATE and ASC or DESC.
    pub(crate) terms: Vec<Sql>,
    /// The WHERE.
    pub(crate) filter: Option<Sql>,
}

/// The module of a virtual table, with the arguments as written.
#[derive(Debug, Default)]
pub(crate) struct ModuleText {
    /// The module's name in lower case.
    pub(crate) name: String,
    pub(crate) arguments: Vec<String>,
}

/// Reads a CREATE TABLE statement.
pub(crate) fn table(text: &str, names: &Names<'_>) -> Option<TableText> {
    statement(text, |stmt| {
        let Stmt::CreateTable { body, .. } = stmt else { return None };
        let CreateTableBody::ColumnsAndConstraints { columns, constraints, flags } = body else {
            return None;
        };
        let mut read = TableText { strict: flags.contains(TabFlags::Strict), ..Default::default() };
        for column in columns {
            column_constraints(column, names, &mut read);
        }
        for constraint in constraints.unwrap_or_default() {
            table_constraint(constraint, names, &mut read);
        }
        Some(read)
    })
}

fn column_constraints(column: &ColumnDefinition<'_>, names: &Names<'_>, read: &mut TableText) {
    for named in column.constraints {
        let name = named.name.as_ref().map(|name| unquote(name.0));
        match &named.constraint {
            ColumnConstraint::PrimaryKey { conflict_clause, .. } => {
                read.primary_key = (name, conflict(*conflict_clause));
            }
            ColumnConstraint::Unique(clause) => {
                read.uniques.push((name, vec![unquote(column.col_name.0)], conflict(*clause)));
            }
            ColumnConstraint::NotNull { nullable: false, conflict_clause } => {
                let column = unquote(column.col_name.0);
                read.not_null.extend(conflict(*conflict_clause).map(|clause| (column, clause)));
            }
            ColumnConstraint::Check(expr) => {
                read.checks.push(Check { name, condition: sql(expr, names) });
            }
            ColumnConstraint::Generated { expr, .. } => {
                read.generated.push((unquote(column.col_name.0), sql(expr, names)));
            }
            ColumnConstraint::ForeignKey { defer_clause, .. } => {
                read.foreign_keys.push((name, deferrable(defer_clause.as_ref())));
            }
            // SQLite applies the clause to the foreign key before it.
            ColumnConstraint::Defer(clause) => {
                if let Some(last) = read.foreign_keys.last_mut() {
                    last.1 = deferrable(Some(clause));
                }
            }
            ColumnConstraint::NotNull { .. }
            | ColumnConstraint::Default(_)
            | ColumnConstraint::Collate { .. } => {}
        }
    }
}

fn table_constraint(named: &NamedTableConstraint<'_>, names: &Names<'_>, read: &mut TableText) {
    let name = named.name.as_ref().map(|name| unquote(name.0));
    match &named.constraint {
        TableConstraint::PrimaryKey { conflict_clause, .. } => {
            read.primary_key = (name, conflict(*conflict_clause));
        }
        TableConstraint::Unique { columns, conflict_clause } => {
            let columns = columns.iter().map(column_name).collect();
            read.uniques.push((name, columns, conflict(*conflict_clause)));
        }
        TableConstraint::Check(expr, _) => {
            read.checks.push(Check { name, condition: sql(expr, names) });
        }
        TableConstraint::ForeignKey { defer_clause, .. } => {
            read.foreign_keys.push((name, deferrable(defer_clause.as_ref())));
        }
    }
}

/// A conflict clause, unless it is the default.
fn conflict(clause: Option<ResolveType>) -> Option<Conflict> {
    Some(match clause? {
        ResolveType::Abort => return None,
        ResolveType::Rollback => Conflict::Rollback,
        ResolveType::Fail => Conflict::Fail,
        ResolveType::Ignore => Conflict::Ignore,
        ResolveType::Replace => Conflict::Replace,
    })
}

/// The column that a term of a PRIMARY KEY or UNIQUE constraint names.
fn column_name(term: &SortedColumn<'_>) -> String {
    match uncollated(&term.expr) {
        Expr::Id(id) => unquote(id.0),
        Expr::Name(name) => unquote(name.0),
        Expr::Literal(Literal::String(text)) => unquote(text),
        _ => String::new(),
    }
}

fn deferrable(clause: Option<&DeferSubclause>) -> Deferrable {
    match clause {
        None | Some(DeferSubclause { deferrable: false, .. }) => Deferrable::No,
        Some(DeferSubclause {
            init_deferred: Some(InitDeferredPred::InitiallyDeferred), ..
        }) => Deferrable::InitiallyDeferred,
        Some(_) => Deferrable::InitiallyImmediate,
    }
}

/// Reads a CREATE INDEX statement.
pub(crate) fn index(text: &str, names: &Names<'_>) -> Option<IndexText> {
    statement(text, |stmt| {
        let Stmt::CreateIndex { columns, where_clause, .. } = stmt else { return None };
        let term = |column: &SortedColumn<'_>| sql(uncollated(&column.expr), names);
        Some(IndexText {
            terms: columns.iter().map(term).collect(),
            filter: where_clause.as_ref().map(|expr| sql(expr, names)),
        })
    })
}

/// Reads a CREATE VIRTUAL TABLE statement.
pub(crate) fn module(text: &str) -> Option<ModuleText> {
    statement(text, |stmt| {
        let Stmt::CreateVirtualTable { module_name, args, .. } = stmt else { return None };
        Some(ModuleText {
            name: unquote(module_name.0).to_ascii_lowercase(),
            arguments: args.unwrap_or_default().iter().map(|&arg| arg.to_owned()).collect(),
        })
    })
}

/// Reads a column's DEFAULT as `PRAGMA table_xinfo` gives it. It cannot name columns: a bare word
/// other than TRUE and FALSE is a string with any quotes.
pub(crate) fn default(text: &str) -> Sql {
    let names = Names { table: "", columns: &[], rowid_alias: None };
    let tree = expression(text, |expr| match expr {
        Expr::Id(id) => Some(
            boolean(id.0).map_or_else(|| Expression::String(unquote(id.0)), Expression::Boolean),
        ),
        other => names.tree(other).ok(),
    });
    Sql { text: text.to_owned(), tree }
}

fn sql(expr: &Expr<'_>, names: &Names<'_>) -> Sql {
    Sql { text: expr.to_string(), tree: names.tree(expr).ok() }
}

impl Names<'_> {
    fn tree(&self, expr: &Expr<'_>) -> Result<Expression, Reason> {
        tree(expr, &|table, written| self.meaning(table, written))
    }

    fn meaning(&self, table: Option<&str>, written: &str) -> Result<Expression, Reason> {
        if table.is_some_and(|table| !table.eq_ignore_ascii_case(self.table)) {
            return Err("uses a column of another table".to_owned());
        }
        let plain = unquote(written);
        let column = self.columns.iter().find(|column| column.eq_ignore_ascii_case(&plain));
        let rowid = || self.rowid_alias.filter(|_| is_rowid(&plain)).map(str::to_owned);
        let column = column.cloned().or_else(rowid).map(Expression::Column);
        resolve(written, table.is_some(), column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree_of(check: &str) -> Option<Expression> {
        let columns = ["a".to_owned(), "Größe".to_owned()];
        let names = Names { table: "t", columns: &columns, rowid_alias: Some("a") };
        let read = table(&format!("CREATE TABLE t(a INTEGER, \"Größe\", CHECK({check}))"), &names);
        read?.checks.pop()?.condition.tree
    }

    #[test]
    fn names_have_sqlite_s_meaning() {
        let column = |name: &str| Some(Expression::Column(name.to_owned()));
        assert_eq!(tree_of("A"), column("a"));
        assert_eq!(tree_of("[GRÖßE]"), None);
        assert_eq!(tree_of("\"GRößE\""), column("Größe"));
        assert_eq!(tree_of("\"b\""), Some(Expression::DoubleQuoted("b".to_owned())));
        assert_eq!(tree_of("T.a"), column("a"));
        assert_eq!(tree_of("u.a"), None);
        assert_eq!(tree_of("ROWID"), column("a"));
        assert_eq!(tree_of("true"), Some(Expression::Boolean(true)));
        assert_eq!(tree_of("b"), None);
    }

    #[test]
    fn defaults_are_constants_whatever_their_quotes() {
        let string = |text: &str| Some(Expression::String(text.to_owned()));
        assert_eq!(default("hello").tree, string("hello"));
        assert_eq!(default("\"it\"\"s\"").tree, string("it\"s"));
        assert_eq!(default("'null'").tree, string("null"));
        assert_eq!(default("[x]").tree, string("x"));
        assert_eq!(default("NULL").tree, Some(Expression::Null));
        assert_eq!(default("FALSE").tree, Some(Expression::Boolean(false)));
        assert_eq!(default("x'00Ff'").tree, Some(Expression::Blob(vec![0, 255])));
        assert_eq!(default("0x10").tree, Some(Expression::Number("16".to_owned())));
        let call = Expression::Call("datetime".to_owned(), vec![Expression::String("now".into())]);
        assert_eq!(default("datetime('now') -- x").tree, Some(call));
        assert_eq!(default("1 FROM t").tree, None);
    }

    #[test]
    fn unknown_constructs_have_text_and_no_tree() {
        for check in ["a IN (SELECT 1)", "a -> 'x'", "(a, 1) = (1, 2)", "a MATCH 'x'"] {
            assert_eq!(tree_of(check), None, "{check}");
        }
        assert!(tree_of("a IN ()").is_some());
        let deep = format!("{}a{}", "-(".repeat(900), ")".repeat(900));
        assert_eq!(tree_of(&deep), None);
    }

    #[test]
    fn the_deepest_nesting_of_sqlite_is_parsed() {
        assert_eq!(tree_of(&format!("{}a{}", "(".repeat(2400), ")".repeat(2400))), None);
        assert_eq!(tree_of(&vec!["a"; 999].join(" + ")), None);
        assert!(tree_of(&vec!["a"; 99].join(" OR ")).is_some());
    }

    #[test]
    fn text_that_is_not_a_statement_is_not_read() {
        let names = Names { table: "t", columns: &[], rowid_alias: None };
        for text in
            ["", "CREATE", "CREATE TABLE t(", "SELECT 1", "CREATE TABLE t AS SELECT 1", "\u{0}"]
        {
            assert!(table(text, &names).is_none(), "{text:?}");
            assert!(index(text, &names).is_none(), "{text:?}");
            assert!(module(text).is_none(), "{text:?}");
        }
    }
}

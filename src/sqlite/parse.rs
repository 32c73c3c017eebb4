//! What only the text of a CREATE statement tells: CHECKs, expressions, the names of constraints
//! and when foreign keys are checked. Everything else is asked of SQLite itself.
//!
//! The grammar is that of the crate `sqlite3-parser`, which is SQLite's own. What it cannot read
//! gives `None` here, and an expression with a construct that [`Expression`] does not know has
//! no tree; nothing is guessed.

use crate::schema::expression::Current;
use crate::schema::{Check, Deferrable, Expression, Sql};
use crate::sqlite::types::collation_named;
use sqlite3_parser::ast::{
    Cmd, ColumnConstraint, ColumnDefinition, CreateTableBody, DeferSubclause, Expr,
    InitDeferredPred, LikeOperator, Literal, NamedTableConstraint, OneSelect, Operator,
    ResultColumn, SortedColumn, Stmt, TabFlags, TableConstraint, Type, UnaryOperator,
};
use sqlite3_parser::lexer::sql::Parser;
use sqlite3_parser::{Bump, FallibleIterator as _};

/// How deep an expression may be nested and still get a tree: far more than people write, and
/// little enough for any thread's stack.
const DEEPEST: u32 = 100;

/// What names in the expressions of a table can mean.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    /// The table's name.
    pub table: &'a str,
    /// Its columns' names, as stored.
    pub columns: &'a [String],
    /// The column that is another name of the rowid, if there is one.
    pub rowid_alias: Option<&'a str>,
}

/// What the text of a CREATE TABLE adds to the pragmas.
#[derive(Debug, Default)]
pub struct TableText {
    /// The table is STRICT.
    pub strict: bool,
    /// The name of the PRIMARY KEY constraint.
    pub primary_key: Option<String>,
    /// The UNIQUE constraints in order: their names, if given, and columns as written.
    pub uniques: Vec<(Option<String>, Vec<String>)>,
    /// The CHECKs, of columns first.
    pub checks: Vec<Check>,
    /// The generated columns: their names as written, and expressions.
    pub generated: Vec<(String, Sql)>,
    /// The foreign keys in order of declaration: their names, if given, and when checked.
    pub foreign_keys: Vec<(Option<String>, Deferrable)>,
}

/// What the text of a CREATE INDEX adds to the pragmas.
#[derive(Debug)]
pub struct IndexText {
    /// Each term, without COLLATE and ASC or DESC.
    pub terms: Vec<Sql>,
    /// The WHERE.
    pub filter: Option<Sql>,
}

/// A virtual table's module and its arguments.
#[derive(Debug)]
pub struct ModuleText {
    /// The module's name in lower case.
    pub name: String,
    /// Its arguments as written.
    pub arguments: Vec<String>,
}

/// Reads a CREATE TABLE statement.
#[must_use]
pub fn table(text: &str, names: &Names<'_>) -> Option<TableText> {
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
            ColumnConstraint::PrimaryKey { .. } => read.primary_key = name,
            ColumnConstraint::Unique(_) => {
                read.uniques.push((name, vec![unquote(column.col_name.0)]));
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
            // SQLite applies it to the foreign key before it.
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
        TableConstraint::PrimaryKey { .. } => read.primary_key = name,
        TableConstraint::Unique { columns, .. } => {
            read.uniques.push((name, columns.iter().map(column_name).collect()));
        }
        TableConstraint::Check(expr, _) => {
            read.checks.push(Check { name, condition: sql(expr, names) });
        }
        TableConstraint::ForeignKey { defer_clause, .. } => {
            read.foreign_keys.push((name, deferrable(defer_clause.as_ref())));
        }
    }
}

/// The column that a term of a PRIMARY KEY or UNIQUE constraint names.
fn column_name(term: &SortedColumn<'_>) -> String {
    let mut expr = &term.expr;
    while let Expr::Collate(inner, _) = expr {
        expr = inner;
    }
    match expr {
        Expr::Id(id) => unquote(id.0),
        Expr::Name(name) => unquote(name.0),
        Expr::Literal(Literal::String(text)) => unquote(text),
        _ => String::new(),
    }
}

fn deferrable(clause: Option<&DeferSubclause>) -> Deferrable {
    match clause {
        Some(DeferSubclause { deferrable: true, init_deferred }) => match init_deferred {
            Some(InitDeferredPred::InitiallyDeferred) => Deferrable::InitiallyDeferred,
            _ => Deferrable::InitiallyImmediate,
        },
        _ => Deferrable::No,
    }
}

/// Reads a CREATE INDEX statement.
#[must_use]
pub fn index(text: &str, names: &Names<'_>) -> Option<IndexText> {
    statement(text, |stmt| {
        let Stmt::CreateIndex { columns, where_clause, .. } = stmt else { return None };
        let term = |column: &SortedColumn<'_>| {
            let mut expr = &column.expr;
            while let Expr::Collate(inner, _) = expr {
                expr = inner;
            }
            sql(expr, names)
        };
        Some(IndexText {
            terms: columns.iter().map(term).collect(),
            filter: where_clause.as_ref().map(|expr| sql(expr, names)),
        })
    })
}

/// Reads a CREATE VIRTUAL TABLE statement.
#[must_use]
pub fn module(text: &str) -> Option<ModuleText> {
    statement(text, |stmt| {
        let Stmt::CreateVirtualTable { module_name, args, .. } = stmt else { return None };
        Some(ModuleText {
            name: unquote(module_name.0).to_ascii_lowercase(),
            arguments: args.unwrap_or_default().iter().map(|&arg| arg.to_owned()).collect(),
        })
    })
}

/// Reads a column's DEFAULT as `PRAGMA table_xinfo` gives it. Columns cannot be named there: a
/// bare word other than TRUE and FALSE is a string, whatever its quotes.
#[must_use]
pub fn default(text: &str) -> Sql {
    let names = Names { table: "", columns: &[], rowid_alias: None };
    let tree = expression(text, |expr| match expr {
        Expr::Id(id) => match boolean(id.0) {
            Some(value) => Some(Expression::Boolean(value)),
            None => Some(Expression::String(unquote(id.0))),
        },
        other => tree(other, &names, DEEPEST),
    });
    Sql { text: text.to_owned(), tree }
}

/// Parses one expression and reads it.
fn expression<T>(text: &str, read: impl FnOnce(&Expr<'_>) -> Option<T>) -> Option<T> {
    // The line end closes a comment that the text may end with.
    statement(&format!("SELECT {text}\n"), |stmt| {
        let Stmt::Select(select) = stmt else { return None };
        let plain = select.with.is_none()
            && select.body.compounds.is_none()
            && select.order_by.is_none()
            && select.limit.is_none();
        match &select.body.select {
            OneSelect::Select { columns: [ResultColumn::Expr(expr, None)], from: None, .. }
                if plain =>
            {
                read(expr)
            }
            _ => None,
        }
    })
}

/// Parses one statement and reads it.
fn statement<T>(text: &str, read: impl FnOnce(&Stmt<'_>) -> Option<T>) -> Option<T> {
    let bump = Bump::new();
    let mut parser = Parser::new(&bump, text.as_bytes());
    match parser.next() {
        Ok(Some(Cmd::Stmt(stmt))) => read(&stmt),
        _ => None,
    }
}

fn sql(expr: &Expr<'_>, names: &Names<'_>) -> Sql {
    Sql { text: expr.to_string(), tree: tree(expr, names, DEEPEST) }
}

/// An expression's tree; `None` where a construct is not known, or the nesting too deep.
fn tree(expr: &Expr<'_>, names: &Names<'_>, depth: u32) -> Option<Expression> {
    let depth = depth.checked_sub(1)?;
    let read = |expr: &Expr<'_>| tree(expr, names, depth);
    let boxed = |expr: &Expr<'_>| read(expr).map(Box::new);
    let all = |list: &[Expr<'_>]| list.iter().map(read).collect::<Option<Vec<_>>>();
    let optional = |expr: Option<&Expr<'_>>| match expr {
        Some(expr) => boxed(expr).map(Some),
        None => Some(None),
    };
    Some(match expr {
        Expr::Parenthesized(inner) => match inner.as_slice() {
            [one] => read(one)?,
            _ => return None,
        },
        Expr::Literal(literal) => self::literal(literal)?,
        Expr::Id(id) => name(id.0, names)?,
        Expr::Name(plain) => name(plain.0, names)?,
        Expr::Qualified(table, column) if unquote(table.0).eq_ignore_ascii_case(names.table) => {
            match name(column.0, names)? {
                column @ Expression::Column(_) => column,
                _ => return None,
            }
        }
        Expr::Unary(op, operand) => Expression::Unary(
            match op {
                UnaryOperator::BitwiseNot => "~",
                UnaryOperator::Negative => "-",
                UnaryOperator::Not => "NOT",
                UnaryOperator::Positive => "+",
            },
            boxed(operand)?,
        ),
        Expr::Binary(left, op, right) => {
            Expression::Binary(boxed(left)?, operator(*op)?, boxed(right)?)
        }
        Expr::Between { lhs, not, start, end } => Expression::Between {
            operand: boxed(lhs)?,
            low: boxed(start)?,
            high: boxed(end)?,
            negated: *not,
        },
        Expr::InList { lhs, not, rhs } => Expression::In {
            operand: boxed(lhs)?,
            list: all(rhs.unwrap_or_default())?,
            negated: *not,
        },
        Expr::IsNull(operand) => Expression::IsNull { operand: boxed(operand)?, negated: false },
        Expr::NotNull(operand) => Expression::IsNull { operand: boxed(operand)?, negated: true },
        Expr::Like {
            lhs,
            not,
            op: op @ (LikeOperator::Like | LikeOperator::Glob),
            rhs,
            escape,
        } => Expression::Like {
            operand: boxed(lhs)?,
            pattern: boxed(rhs)?,
            escape: optional(*escape)?,
            glob: *op == LikeOperator::Glob,
            negated: *not,
        },
        Expr::Case { base, when_then_pairs, else_expr } => Expression::Case {
            base: optional(*base)?,
            branches: when_then_pairs
                .iter()
                .map(|(when, then)| Some((read(when)?, read(then)?)))
                .collect::<Option<Vec<_>>>()?,
            otherwise: optional(*else_expr)?,
        },
        Expr::Cast { expr, type_name: Some(Type { name, .. }) } => {
            Expression::Cast(boxed(expr)?, (*name).to_owned())
        }
        Expr::Collate(operand, collation) => {
            Expression::Collate(boxed(operand)?, collation_named(&unquote(collation)))
        }
        Expr::FunctionCall {
            name,
            distinctness: None,
            args,
            order_by: None,
            filter_over: None,
        } => Expression::Call(unquote(name.0).to_ascii_lowercase(), all(args.unwrap_or_default())?),
        _ => return None,
    })
}

fn operator(op: Operator) -> Option<&'static str> {
    Some(match op {
        Operator::Add => "+",
        Operator::And => "AND",
        Operator::BitwiseAnd => "&",
        Operator::BitwiseOr => "|",
        Operator::Concat => "||",
        Operator::Equals => "=",
        Operator::Divide => "/",
        Operator::Greater => ">",
        Operator::GreaterEquals => ">=",
        Operator::Is => "IS",
        Operator::IsNot => "IS NOT",
        Operator::LeftShift => "<<",
        Operator::Less => "<",
        Operator::LessEquals => "<=",
        Operator::Modulus => "%",
        Operator::Multiply => "*",
        Operator::NotEquals => "<>",
        Operator::Or => "OR",
        Operator::RightShift => ">>",
        Operator::Subtract => "-",
        Operator::ArrowRight | Operator::ArrowRightShift => return None,
    })
}

fn literal(literal: &Literal<'_>) -> Option<Expression> {
    Some(match literal {
        Literal::Numeric(text) => number(text)?,
        Literal::String(text) => Expression::String(unquote(text)),
        Literal::Blob(hex) => Expression::Blob(
            hex.as_bytes()
                .chunks(2)
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
                .collect::<Option<Vec<_>>>()?,
        ),
        Literal::Null => Expression::Null,
        Literal::CurrentDate => Expression::Current(Current::Date),
        Literal::CurrentTime => Expression::Current(Current::Time),
        Literal::CurrentTimestamp => Expression::Current(Current::Timestamp),
        Literal::Keyword(_) => return None,
    })
}

/// A number as both databases write it: SQLite's digit separators are dropped, and its
/// hexadecimal integers, which are 64 bits in two's complement, become decimal.
fn number(text: &str) -> Option<Expression> {
    let text = text.replace('_', "");
    let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) else {
        return Some(Expression::Number(text));
    };
    let value = u64::from_str_radix(hex, 16).ok()?.cast_signed();
    let magnitude = Expression::Number(value.unsigned_abs().to_string());
    Some(if value < 0 { Expression::Unary("-", Box::new(magnitude)) } else { magnitude })
}

/// A bare or quoted word, resolved as SQLite does: a column first (ASCII letters without regard
/// to case), then TRUE and FALSE, then the rowid's alias; in double quotes it is a string at last.
fn name(written: &str, names: &Names<'_>) -> Option<Expression> {
    let plain = unquote(written);
    if let Some(column) = names.columns.iter().find(|c| c.eq_ignore_ascii_case(&plain)) {
        return Some(Expression::Column(column.clone()));
    }
    if written.starts_with('"') {
        return Some(Expression::DoubleQuoted(plain));
    }
    if let Some(value) = boolean(written) {
        return Some(Expression::Boolean(value));
    }
    let rowid = ["rowid", "_rowid_", "oid"].iter().any(|name| written.eq_ignore_ascii_case(name));
    names.rowid_alias.filter(|_| rowid).map(|alias| Expression::Column(alias.to_owned()))
}

fn boolean(word: &str) -> Option<bool> {
    if word.eq_ignore_ascii_case("true") {
        Some(true)
    } else if word.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// A word without its quotes, of whichever of SQLite's four kinds they are.
fn unquote(written: &str) -> String {
    let mut characters = written.chars();
    let (Some(first), Some(last)) = (characters.next(), characters.next_back()) else {
        return written.to_owned();
    };
    let inner = characters.as_str();
    match (first, last) {
        ('[', ']') => inner.to_owned(),
        ('"', '"') => inner.replace("\"\"", "\""),
        ('`', '`') => inner.replace("``", "`"),
        ('\'', '\'') => inner.replace("''", "'"),
        _ => written.to_owned(),
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

    fn column(name: &str) -> Expression {
        Expression::Column(name.to_owned())
    }

    #[test]
    fn words_mean_what_sqlite_takes_them_for() {
        assert_eq!(tree_of("A"), Some(column("a")));
        assert_eq!(tree_of("[GRÖßE]"), None);
        assert_eq!(tree_of("\"GRößE\""), Some(column("Größe")));
        assert_eq!(tree_of("\"b\""), Some(Expression::DoubleQuoted("b".to_owned())));
        assert_eq!(tree_of("T.a"), Some(column("a")));
        assert_eq!(tree_of("u.a"), None);
        assert_eq!(tree_of("ROWID"), Some(column("a")));
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
    fn what_is_not_known_has_text_and_no_tree() {
        assert_eq!(tree_of("a IN (SELECT 1)"), None);
        assert_eq!(tree_of("a -> 'x'"), None);
        assert_eq!(tree_of("(a, 1) = (1, 2)"), None);
        assert_eq!(tree_of("a MATCH 'x'"), None);
        assert!(tree_of("a IN ()").is_some());
        let deep = format!("{}a{}", "-(".repeat(900), ")".repeat(900));
        assert_eq!(tree_of(&deep), None);
    }

    #[test]
    fn nesting_as_deep_as_sqlite_allows_is_survived() {
        assert_eq!(tree_of(&format!("{}a{}", "(".repeat(2400), ")".repeat(2400))), None);
        assert_eq!(tree_of(&vec!["a"; 999].join(" + ")), None);
        assert!(tree_of(&vec!["a"; 99].join(" OR ")).is_some());
    }

    #[test]
    fn text_that_is_no_statement_is_not_read() {
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

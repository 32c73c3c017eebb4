//! Expressions: the parser's tree, converted to the neutral one. The caller resolves names.

use crate::schema::expression::{Current, Expression};
use crate::schema::names::quote;
use crate::schema::reason::Reason;
use crate::sqlite::sql::declared_type::collation_named;
use sqlite3_parser::ast::{Expr, LikeOperator, Literal, Operator, Type, UnaryOperator};

/// The meaning of a name, given the unquoted alias of the table (if written) and the name as
/// written.
pub(crate) type Meaning<'a> = dyn Fn(Option<&str>, &str) -> Result<Expression, Reason> + 'a;

/// The deepest nesting that gets a tree: more than people write, and safe for any thread's stack.
const MAX_DEPTH: u32 = 100;

/// The tree of an expression, or the reason why it has none: an unknown construct, or too much
/// nesting.
pub(crate) fn tree(expr: &Expr<'_>, names: &Meaning<'_>) -> Result<Expression, Reason> {
    nested(expr, names, MAX_DEPTH)
}

fn nested(expr: &Expr<'_>, names: &Meaning<'_>, depth: u32) -> Result<Expression, Reason> {
    let depth = depth.checked_sub(1).ok_or("is nested too deeply")?;
    let read = |expr: &Expr<'_>| nested(expr, names, depth);
    let boxed = |expr: &Expr<'_>| read(expr).map(Box::new);
    let all = |list: &[Expr<'_>]| list.iter().map(read).collect::<Result<Vec<_>, _>>();
    let optional = |expr: Option<&Expr<'_>>| expr.map(boxed).transpose();
    Ok(match expr {
        Expr::Parenthesized(inner) => match inner.as_slice() {
            [one] => read(one)?,
            _ => return Err("compares rows of values".to_owned()),
        },
        Expr::Literal(literal) => self::literal(literal).ok_or("has an unknown literal")?,
        Expr::Id(id) => names(None, id.0)?,
        Expr::Name(plain) => names(None, plain.0)?,
        Expr::Qualified(table, column) => names(Some(&unquote(table.0)), column.0)?,
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
                .map(|(when, then)| Ok((read(when)?, read(then)?)))
                .collect::<Result<Vec<_>, Reason>>()?,
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
        Expr::FunctionCallStar { name, filter_over: None } => {
            Expression::Call(unquote(name.0).to_ascii_lowercase(), Vec::new())
        }
        other => return Err(unknown(other).to_owned()),
    })
}

/// The reason for an unknown construct.
fn unknown(expr: &Expr<'_>) -> &'static str {
    match expr {
        Expr::Exists(_) | Expr::InSelect { .. } | Expr::Subquery(_) | Expr::InTable { .. } => {
            "has a subquery"
        }
        Expr::FunctionCall { filter_over: Some(_), .. }
        | Expr::FunctionCallStar { filter_over: Some(_), .. } => {
            "has a window function or a FILTER"
        }
        Expr::FunctionCall { distinctness: Some(_), .. } => "has an aggregate over DISTINCT values",
        Expr::FunctionCall { order_by: Some(_), .. } => "has an aggregate with ORDER BY",
        Expr::Like { .. } => "uses REGEXP or MATCH",
        _ => "has an unknown construct",
    }
}

fn operator(op: Operator) -> Result<&'static str, Reason> {
    Ok(match op {
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
        Operator::ArrowRight | Operator::ArrowRightShift => {
            return Err("extracts a part of JSON (-> or ->>)".to_owned());
        }
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

/// A number as both databases write it: without digit separators, and in decimal. A hexadecimal
/// integer of SQLite has 64 bits in two's complement.
fn number(text: &str) -> Option<Expression> {
    let text = text.replace('_', "");
    let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) else {
        return Some(Expression::Number(text));
    };
    let value = u64::from_str_radix(hex, 16).ok()?.cast_signed();
    let magnitude = Expression::Number(value.unsigned_abs().to_string());
    Some(if value < 0 { Expression::Unary("-", Box::new(magnitude)) } else { magnitude })
}

/// A name that means `column`. Without a column SQLite takes an unqualified name for a string (in
/// double quotes), TRUE or FALSE.
pub(crate) fn resolve(
    written: &str,
    qualified: bool,
    column: Option<Expression>,
) -> Result<Expression, Reason> {
    let word = || match boolean(written) {
        _ if qualified => None,
        None if written.starts_with('"') => Some(Expression::DoubleQuoted(unquote(written))),
        known => known.map(Expression::Boolean),
    };
    column
        .or_else(word)
        .ok_or_else(|| format!("uses the unknown name {}", quote(&unquote(written))))
}

/// An expression without the COLLATE around it.
pub(crate) fn uncollated<'a, 'b>(mut expr: &'a Expr<'b>) -> &'a Expr<'b> {
    while let Expr::Collate(inner, _) = expr {
        expr = inner;
    }
    expr
}

/// Whether an unquoted name is one of SQLite's names of the rowid.
pub(crate) fn is_rowid(name: &str) -> bool {
    ["rowid", "_rowid_", "oid"].iter().any(|rowid| name.eq_ignore_ascii_case(rowid))
}

pub(crate) fn boolean(word: &str) -> Option<bool> {
    word.to_ascii_lowercase().parse().ok()
}

/// A word without its quotes, of any of SQLite's four kinds.
pub(crate) fn unquote(written: &str) -> String {
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

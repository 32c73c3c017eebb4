//! Translation of values and conditions.

use crate::schema::expression::{Collation, Expression};
use crate::schema::names::quote;
use crate::schema::reason::Reason;
use crate::sqlite::sql::from_postgres::constant;
use crate::sqlite::sql::from_postgres::node::{Kind, Node, ScopeColumn};

pub(crate) fn column<'a>(
    name: &str,
    columns: &'a [ScopeColumn],
) -> Result<&'a ScopeColumn, Reason> {
    columns
        .iter()
        .find(|column| column.name == name)
        .ok_or_else(|| format!("uses the column {}, which is not migrated", quote(name)))
}

/// An expression whose value is true, false or NULL.
pub(crate) fn truth(expression: &Expression, columns: &[ScopeColumn]) -> Result<String, Reason> {
    let node = value(expression, columns)?;
    match node.kind {
        Kind::Boolean | Kind::Null => Ok(node.sql),
        _ => Err("is not a condition".to_owned()),
    }
}

pub(crate) fn value(expression: &Expression, columns: &[ScopeColumn]) -> Result<Node, Reason> {
    let one = |expression: &Expression| value(expression, columns);
    Ok(match expression {
        Expression::Column(name) => {
            let column = column(name, columns)?;
            Node::new(quote(&column.target), column.kind)
        }
        Expression::Unary("NOT", operand) => {
            Node::new(format!("(NOT {})", truth(operand, columns)?), Kind::Boolean)
        }
        Expression::Unary("-", operand) => {
            let node = one(operand)?;
            if !node.kind.is_number() {
                return Err("negates a value that is not a number".to_owned());
            }
            Node::new(format!("(-{})", node.sql), node.kind)
        }
        Expression::Binary(left, operator @ ("AND" | "OR"), right) => {
            let (left, right) = (truth(left, columns)?, truth(right, columns)?);
            Node::new(format!("({left} {operator} {right})"), Kind::Boolean)
        }
        Expression::Binary(left, operator, right) => binary(&one(left)?, operator, &one(right)?)?,
        Expression::IsNull { operand, negated } => {
            let not = if *negated { "NOT " } else { "" };
            Node::new(format!("({} IS {not}NULL)", one(operand)?.sql), Kind::Boolean)
        }
        Expression::In { operand, list, negated: false } => {
            let operand = one(operand)?;
            let mut values = Vec::new();
            for entry in list {
                let entry = one(entry)?;
                comparable(&operand, &entry, false)?;
                values.push(entry.sql);
            }
            Node::new(format!("({} IN ({}))", operand.sql, values.join(", ")), Kind::Boolean)
        }
        Expression::Like { operand, pattern, escape: None, glob: false, negated } => {
            like(&one(operand)?, &one(pattern)?, *negated)?
        }
        Expression::Case { base, branches, otherwise } => {
            case(base.as_deref(), branches, otherwise.as_deref(), columns)?
        }
        Expression::Collate(operand, Collation::Binary) => {
            let node = one(operand)?;
            if !node.kind.is_text() {
                return Err("applies a collation to a value that is not text".to_owned());
            }
            Node { kind: Kind::Text { bytewise: true }, ..node }
        }
        Expression::Cast(operand, to) => cast(operand, to, columns)?,
        Expression::Call(name, arguments) => {
            let arguments = arguments.iter().map(one).collect::<Result<Vec<_>, _>>()?;
            call(name, &arguments)?
        }
        other => constant::node(other).ok_or_else(|| "has an unknown construct".to_owned())?,
    })
}

/// Refuses two values that compare differently in the two databases.
fn comparable(left: &Node, right: &Node, order: bool) -> Result<(), Reason> {
    let fine = match (left.kind, right.kind) {
        (Kind::Null, _) | (_, Kind::Null) => true,
        (a, b) if a.is_number() && b.is_number() => true,
        (Kind::Text { bytewise: a }, Kind::Text { bytewise: b }) => {
            // A constant takes the order of the other side.
            let constant = |node: &Node| node.constant.is_some();
            !order || a && (b || constant(right)) || b && constant(left)
        }
        (Kind::Word, Kind::Word | Kind::Text { .. }) | (Kind::Text { .. }, Kind::Word) => !order,
        (a, b) => a == b && a != Kind::Opaque,
    };
    if fine {
        Ok(())
    } else if order && matches!(left.kind, Kind::Text { .. } | Kind::Word) {
        Err("orders text other than by bytes".to_owned())
    } else {
        Err("compares values that SQLite compares differently".to_owned())
    }
}

fn binary(left: &Node, operator: &str, right: &Node) -> Result<Node, Reason> {
    let kind = match operator {
        "=" | "<>" | "IS" | "IS NOT" => {
            comparable(left, right, false)?;
            Kind::Boolean
        }
        "<" | "<=" | ">" | ">=" => {
            comparable(left, right, true)?;
            Kind::Boolean
        }
        "||" if left.kind.is_text() && right.kind.is_text() => Kind::Text { bytewise: false },
        "+" | "-" | "*" => match (left.kind, right.kind) {
            (Kind::Integer, Kind::Integer) => Kind::Integer,
            (Kind::Integer | Kind::Real, Kind::Integer | Kind::Real) => Kind::Real,
            _ => return Err("computes with decimals or dates".to_owned()),
        },
        "/" | "%"
            if (left.kind, right.kind) == (Kind::Integer, Kind::Integer)
                && right.sql.parse::<i64>().is_ok_and(|divisor| divisor != 0) =>
        {
            Kind::Integer
        }
        _ => return Err(format!("has the unknown operator {operator}")),
    };
    Ok(Node::new(format!("({} {operator} {})", left.sql, right.sql), kind))
}

/// LIKE. PostgreSQL's LIKE is case-sensitive, like GLOB and unlike SQLite's LIKE.
fn like(operand: &Node, pattern: &Node, negated: bool) -> Result<Node, Reason> {
    let (Kind::Text { .. }, Some(pattern)) = (operand.kind, &pattern.constant) else {
        return Err("has a LIKE whose pattern is not a constant".to_owned());
    };
    let mut glob = String::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        let escaped = match character {
            '\\' => {
                characters.next().ok_or("has a LIKE pattern that ends with its escape character")?
            }
            other => other,
        };
        match (character, escaped) {
            ('%', _) => glob.push('*'),
            ('_', _) => glob.push('?'),
            (_, '*' | '?' | '[') => glob.extend(['[', escaped, ']']),
            _ => glob.push(escaped),
        }
    }
    let not = if negated { "NOT " } else { "" };
    let glob = constant::quoted(&glob).ok_or("has a NUL character")?;
    Ok(Node::new(format!("({} {not}GLOB {glob})", operand.sql), Kind::Boolean))
}

fn case(
    base: Option<&Expression>,
    branches: &[(Expression, Expression)],
    otherwise: Option<&Expression>,
    columns: &[ScopeColumn],
) -> Result<Node, Reason> {
    let base = base.map(|base| value(base, columns)).transpose()?;
    let mut sql = base.as_ref().map_or("CASE".to_owned(), |base| format!("CASE {}", base.sql));
    let mut kind = Kind::Null;
    for (when, then) in branches {
        let when = match &base {
            Some(base) => {
                let when = value(when, columns)?;
                comparable(base, &when, false)?;
                when.sql
            }
            None => truth(when, columns)?,
        };
        let then = value(then, columns)?;
        kind = common_kind(kind, then.kind)?;
        sql.push_str(&format!(" WHEN {when} THEN {}", then.sql));
    }
    if let Some(otherwise) = otherwise {
        let otherwise = value(otherwise, columns)?;
        kind = common_kind(kind, otherwise.kind)?;
        sql.push_str(&format!(" ELSE {}", otherwise.sql));
    }
    Ok(Node::new(format!("({sql} END)"), kind))
}

/// The common kind of two alternatives.
fn common_kind(one: Kind, other: Kind) -> Result<Kind, Reason> {
    match (one, other) {
        (Kind::Null, kind) | (kind, Kind::Null) => Ok(kind),
        (Kind::Text { bytewise: a }, Kind::Text { bytewise: b }) => {
            Ok(Kind::Text { bytewise: a && b })
        }
        (a, b) if a == b => Ok(a),
        _ => Err("gives values of several kinds".to_owned()),
    }
}

/// A cast that does not change the stored value, or a cast of a constant.
fn cast(operand: &Expression, to: &str, columns: &[ScopeColumn]) -> Result<Node, Reason> {
    if let Some(node) = constant::cast(operand, to) {
        return Ok(node);
    }
    let node = value(operand, columns)?;
    let word = to.split('(').next().unwrap_or(to);
    // A length would truncate the text.
    let has_length = to.contains('(');
    let kind = match (node.kind, word) {
        (kind @ Kind::Text { .. }, "text" | "character varying") if !has_length => kind,
        (Kind::Word, "text" | "character varying") if !has_length => Kind::Text { bytewise: false },
        (Kind::Integer, "smallint" | "integer" | "bigint") => Kind::Integer,
        (Kind::Integer, "double precision") => Kind::Real,
        (Kind::Integer | Kind::Decimal, "numeric") if !has_length => Kind::Decimal,
        (Kind::Boolean, "integer") => Kind::Integer,
        (Kind::Integer, "text") => {
            let kind = Kind::Text { bytewise: true };
            return Ok(Node::new(format!("CAST({} AS TEXT)", node.sql), kind));
        }
        (Kind::Null, _) => Kind::Null,
        _ => return Err(format!("casts to {to}")),
    };
    Ok(Node { kind, ..node })
}

/// A call of a function that both databases have.
fn call(name: &str, arguments: &[Node]) -> Result<Node, Reason> {
    let list = arguments.iter().map(|node| node.sql.as_str()).collect::<Vec<_>>().join(", ");
    let kinds: Vec<Kind> = arguments.iter().map(|node| node.kind).collect();
    let (function, kind) = match (name, kinds.as_slice()) {
        ("lower" | "upper", [Kind::Text { bytewise: true }]) => (name, kinds[0]),
        ("lower" | "upper", [Kind::Text { bytewise: false }]) => {
            return Err(
                "changes the case of letters beyond ASCII, which SQLite does not".to_owned()
            );
        }
        ("length" | "char_length" | "character_length", [Kind::Text { .. }])
        | ("octet_length" | "length", [Kind::Blob]) => ("length", Kind::Integer),
        ("abs", [kind @ (Kind::Integer | Kind::Real)]) => (name, *kind),
        (
            "ltrim" | "rtrim" | "btrim",
            [kind @ Kind::Text { .. }] | [kind @ Kind::Text { .. }, Kind::Text { .. }],
        ) => (if name == "btrim" { "trim" } else { name }, *kind),
        ("coalesce", [first, rest @ ..]) if !rest.is_empty() => {
            (name, rest.iter().try_fold(*first, |kind, next| common_kind(kind, *next))?)
        }
        ("nullif", [first, _]) => {
            comparable(&arguments[0], &arguments[1], false)?;
            (name, *first)
        }
        _ => return Err(format!("calls the function {name}")),
    };
    Ok(Node::new(format!("{function}({list})"), kind))
}

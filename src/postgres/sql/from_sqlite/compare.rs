//! Comparisons: types, affinity of constants, collations.

use crate::codec::types::is_canonical;
use crate::postgres::sql::from_sqlite::constant::{Constant, looks_numeric};
use crate::postgres::sql::from_sqlite::scope::Scope;
use crate::postgres::sql::from_sqlite::value::{Kind, Node};
use crate::schema::column_type::ColumnType;
use crate::schema::expression::{Affinity, Collation, Expression};
use crate::schema::names::literal;
use crate::schema::reason::Reason;

/// The two sides of a comparison as PostgreSQL compares them.
struct Pair {
    left: String,
    right: String,
}

impl Scope<'_> {
    pub(crate) fn compare(
        &self,
        left: &Expression,
        op: &str,
        right: &Expression,
    ) -> Result<Node, Reason> {
        compare(self.value(left)?, op, self.value(right)?)
    }

    pub(crate) fn is(
        &self,
        left: &Expression,
        negated: bool,
        right: &Expression,
    ) -> Result<Node, Reason> {
        let not = if negated { " NOT" } else { "" };
        match right {
            Expression::Null => return self.is_null(left, negated),
            // SQLite takes the left side as a condition only before TRUE or FALSE.
            Expression::Boolean(value) => {
                let left = self.truth_operand(left)?;
                let word = if *value { "TRUE" } else { "FALSE" };
                return Ok(Node::new(Kind::Boolean, format!("{left} IS{not} {word}")));
            }
            _ => {}
        }
        let pair = pair(self.value(left)?, self.value(right)?)?;
        // IS NOT DISTINCT FROM is IS.
        let not = if negated { "" } else { " NOT" };
        let sql = format!("{} IS{not} DISTINCT FROM {}", pair.left, pair.right);
        Ok(Node::new(Kind::Boolean, sql))
    }

    pub(crate) fn between(
        &self,
        operand: &Expression,
        low: &Expression,
        high: &Expression,
        negated: bool,
    ) -> Result<Node, Reason> {
        let operand = self.value(operand)?;
        let from = pair(operand.clone(), self.value(low)?)?;
        let to = pair(operand, self.value(high)?)?;
        let not = if negated { "NOT " } else { "" };
        Ok(Node::new(
            Kind::Boolean,
            if from.left == to.left {
                format!("{} {not}BETWEEN {} AND {}", from.left, from.right, to.right)
            } else {
                let (a, b) = (from, to);
                format!("{not}({} >= {} AND {} <= {})", a.left, a.right, b.left, b.right)
            },
        ))
    }

    pub(crate) fn list(
        &self,
        operand: &Expression,
        list: &[Expression],
        negated: bool,
    ) -> Result<Node, Reason> {
        let operand = self.value(operand)?;
        let pairs = list
            .iter()
            .map(|item| {
                // The left side alone decides the affinity and the collation.
                let item = Node { affinity: None, ..self.value(item)?.bare()? };
                pair(operand.clone(), Node { collation: None, ..item })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let not = if negated { "NOT " } else { "" };
        let sql = match pairs.first() {
            // Nothing is in an empty list, not even NULL.
            None => return Ok(Node::atom(Kind::Boolean, negated.to_string())),
            Some(first) if pairs.iter().all(|pair| pair.left == first.left) => {
                let items: Vec<&str> = pairs.iter().map(|pair| pair.right.as_str()).collect();
                format!("{} {not}IN ({})", first.left, items.join(", "))
            }
            Some(_) => {
                let each: Vec<String> =
                    pairs.iter().map(|pair| format!("{} = {}", pair.left, pair.right)).collect();
                format!("{not}({})", each.join(" OR "))
            }
        };
        Ok(Node::new(Kind::Boolean, sql))
    }
}

pub(crate) fn compare(left: Node, op: &str, right: Node) -> Result<Node, Reason> {
    let pair = pair(left, right)?;
    Ok(Node::new(Kind::Boolean, format!("{} {op} {}", pair.left, pair.right)))
}

/// The affinity that SQLite applies to both sides
/// (<https://sqlite.org/datatype3.html#type_conversions_prior_to_comparison>).
fn affinity(left: &Node, right: &Node) -> Affinity {
    match (left.affinity, right.affinity) {
        (Some(a), Some(b)) if a.is_numeric() || b.is_numeric() => Affinity::Numeric,
        (Some(_), Some(_)) | (None, None) => Affinity::Blob,
        (Some(one), None) | (None, Some(one)) => one,
    }
}

/// Makes two values comparable with the same result in both databases.
fn pair(left: Node, right: Node) -> Result<Pair, Reason> {
    if left.constant.is_some() && right.constant.is_some() {
        return Err("compares constants".to_owned());
    }
    let affinity = affinity(&left, &right);
    let (left, right) = match (&left.constant, &right.constant) {
        (None, Some(_)) => {
            let right = adapt(right, &left, affinity)?;
            (left, right)
        }
        (Some(_), None) => (adapt(left, &right, affinity)?, right),
        _ => (left, right),
    };
    use Kind::{Boolean, Bytea, Double, Integer, Null, Numeric, Text, Typed};
    let number_constant =
        |node: &Node| node.constant.as_ref().is_some_and(Constant::is_exact_number);
    match (&left.kind, &right.kind) {
        (Null, Null) => Err("compares NULL with NULL".to_owned()),
        (Text, Text) => text_pair(left, right, affinity),
        (Typed(ColumnType::Json), _) | (_, Typed(ColumnType::Json)) => {
            Err("compares json, which has no equality".to_owned())
        }
        (Null, _) | (_, Null) => plain(left, right),
        (Boolean, Boolean) | (Integer, Integer) | (Bytea, Bytea) => plain(left, right),
        (Double, Double) | (Numeric, Numeric)
            if left.constant.is_none() && right.constant.is_none() =>
        {
            plain(left, right)
        }
        (Typed(a), Typed(b)) if a == b => plain(left, right),
        (Boolean, Integer | Double) | (Integer | Double, Boolean) => {
            let number = |node: Node| if node.kind == Boolean { node.integer() } else { Ok(node) };
            pair(number(left)?, number(right)?)
        }
        (Integer | Double | Numeric, _) if number_constant(&right) => plain(left, right),
        (_, Integer | Double | Numeric) if number_constant(&left) => plain(left, right),
        _ => Err("compares values of different types".to_owned()),
    }
}

fn plain(left: Node, right: Node) -> Result<Pair, Reason> {
    Ok(Pair { left: left.operand(), right: right.operand() })
}

/// A constant in the type of the other side, after affinity was applied.
fn adapt(node: Node, other: &Node, affinity: Affinity) -> Result<Node, Reason> {
    let never = || Err("compares text with numbers, which are never equal in SQLite".to_owned());
    let Some(constant) = &node.constant else { return Ok(node) };
    match (constant, &other.kind) {
        (Constant::Integer(n @ (0 | 1)), Kind::Boolean) => {
            Ok(Node::atom(Kind::Boolean, (*n == 1).to_string()))
        }
        (Constant::Integer(n), Kind::Text) if affinity == Affinity::Text => {
            Ok(Node::from_constant(Constant::Text(n.to_string())))
        }
        (Constant::Text(text), Kind::Boolean | Kind::Integer | Kind::Double | Kind::Numeric) => {
            let number = text.parse::<i64>().ok().filter(|n| n.to_string() == *text);
            match number {
                Some(n) if affinity.is_numeric() => {
                    let number = Node {
                        collation: node.collation,
                        ..Node::from_constant(Constant::Integer(n))
                    };
                    adapt(number, other, affinity)
                }
                _ => never(),
            }
        }
        (Constant::Text(text), Kind::Text) if affinity.is_numeric() && looks_numeric(text) => {
            never()
        }
        (Constant::Text(text), Kind::Typed(column_type)) => {
            if !is_canonical(*column_type, text) {
                return Err(format!(
                    "compares a {column_type} with text in another form than PostgreSQL's"
                ));
            }
            let sql = format!("{}::{column_type}", literal(text));
            Ok(Node::atom(Kind::Typed(*column_type), sql))
        }
        (Constant::Integer(_) | Constant::Real(_), Kind::Text | Kind::Typed(_)) => never(),
        _ => Ok(node),
    }
}

/// Two texts, with the collation that SQLite uses: that of a COLLATE, of the left column, or of the
/// right column, in this order.
fn text_pair(left: Node, right: Node, affinity: Affinity) -> Result<Pair, Reason> {
    let numeric = |node: &Node| node.affinity.is_some_and(Affinity::is_numeric);
    // If a column with numeric affinity holds only text, no value looks like a number. Other text may.
    let safe = |node: &Node| node.constant.is_some() || numeric(node);
    if affinity.is_numeric() && !(safe(&left) && safe(&right)) {
        return Err("compares a column of numbers with other text".to_owned());
    }
    let explicit = [&left, &right].into_iter().find_map(|node| match &node.collation {
        Some((collation, true)) => Some(collation),
        _ => None,
    });
    let implicit = [&left, &right]
        .into_iter()
        .find_map(|node| node.collation.as_ref().map(|(collation, _)| collation));
    let collation = explicit.or(implicit).cloned().unwrap_or_default();
    let fold = |node: &Node| match (&collation, &node.constant) {
        (Collation::NoCase, Some(Constant::Text(text))) => Ok(literal(&text.to_ascii_lowercase())),
        (Collation::RTrim, Some(Constant::Text(text))) => Ok(literal(text.trim_end_matches(' '))),
        _ => node.folded(&collation),
    };
    let (mut first, second) = (fold(&left)?, fold(&right)?);
    // Only columns have the collation "C".
    if collation == Collation::Binary && !left.column && !right.column {
        first = format!("({first} COLLATE \"C\")");
    }
    Ok(Pair { left: first, right: second })
}

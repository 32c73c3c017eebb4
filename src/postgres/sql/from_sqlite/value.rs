//! Values: translated expressions, with the properties that comparisons need.

use crate::postgres::sql::from_sqlite::constant::Constant;
use crate::postgres::sql::from_sqlite::scope::{Scope, ScopeColumn};
use crate::schema::column_type::ColumnType;
use crate::schema::expression::{Affinity, Collation, Expression};
use crate::schema::names::{literal, quote};
use crate::schema::reason::Reason;

/// The longest result in bytes: more than people write.
const MAX_SQL_BYTES: usize = 1 << 20;

/// The kind of the values of an expression in PostgreSQL.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Null,
    /// A boolean in PostgreSQL; 0 or 1 in SQLite.
    Boolean,
    Integer,
    Double,
    Numeric,
    Text,
    Bytea,
    /// A type with a text form of its own in PostgreSQL; text in SQLite.
    Typed(ColumnType),
}

impl Kind {
    pub(crate) fn from_type(column_type: &ColumnType) -> Result<Self, Reason> {
        Ok(match column_type {
            ColumnType::Boolean => Self::Boolean,
            ColumnType::SmallInt | ColumnType::Integer | ColumnType::BigInt => Self::Integer,
            ColumnType::Double => Self::Double,
            ColumnType::Numeric(_) => Self::Numeric,
            ColumnType::Text | ColumnType::Varchar(_) => Self::Text,
            ColumnType::Bytea => Self::Bytea,
            ColumnType::Date
            | ColumnType::Time
            | ColumnType::Timestamp
            | ColumnType::TimestampTz
            | ColumnType::Uuid
            | ColumnType::Json => Self::Typed(*column_type),
            // Types that do not store values exactly, or do not compare like their texts.
            other => {
                return Err(format!("uses {other}, whose values do not compare as in SQLite"));
            }
        })
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) sql: String,
    pub(crate) kind: Kind,
    /// The affinity in SQLite, of a column or a CAST; other expressions have none.
    pub(crate) affinity: Option<Affinity>,
    /// The collation for comparisons, and whether COLLATE set it.
    pub(crate) collation: Option<(Collation, bool)>,
    pub(crate) constant: Option<Constant>,
    /// Whether it needs no parentheses as an operand.
    pub(crate) atom: bool,
    pub(crate) column: bool,
}

impl Node {
    pub(crate) fn new(kind: Kind, sql: String) -> Self {
        Self {
            sql,
            kind,
            affinity: None,
            collation: None,
            constant: None,
            atom: false,
            column: false,
        }
    }

    /// A function call, or another expression that needs no parentheses.
    pub(crate) fn atom(kind: Kind, sql: String) -> Self {
        Self { atom: true, ..Self::new(kind, sql) }
    }

    pub(crate) fn from_constant(constant: Constant) -> Self {
        let (kind, sql) = match &constant {
            Constant::Integer(n) => (Kind::Integer, n.to_string()),
            Constant::Real(text) => (Kind::Double, text.clone()),
            Constant::Text(text) => (Kind::Text, literal(text)),
            Constant::Blob(bytes) => (Kind::Bytea, bytea(bytes)),
        };
        // A cast binds more tightly than a sign.
        let atom = !sql.starts_with('-');
        Self { constant: Some(constant), atom, ..Self::new(kind, sql) }
    }

    /// A column, whether or not its values are converted.
    pub(crate) fn from_column(column: &ScopeColumn) -> Result<Self, Reason> {
        Ok(Self {
            affinity: Some(column.affinity),
            collation: Some((column.collation.clone(), false)),
            column: true,
            ..Self::atom(Kind::from_type(&column.column_type)?, column.sql())
        })
    }

    /// The SQL as an operand, in parentheses if needed.
    pub(crate) fn operand(&self) -> String {
        if self.atom { self.sql.clone() } else { format!("({})", self.sql) }
    }

    /// A text in the form in which texts of `collation` are compared by bytes.
    pub(crate) fn folded(&self, collation: &Collation) -> Result<String, Reason> {
        let operand = self.operand();
        Ok(match collation {
            Collation::Binary => operand,
            Collation::NoCase => format!("lower({operand} COLLATE \"C\")"),
            Collation::RTrim => format!("rtrim({operand} COLLATE \"C\", ' ')"),
            Collation::Other(name) => {
                return Err(format!("uses the collation {name:?}, which the application defines"));
            }
        })
    }

    /// The expression as a part of another one that is not a comparison. Refuses COLLATE, which
    /// would affect the outer expression in SQLite.
    pub(crate) fn bare(self) -> Result<Self, Reason> {
        match self.collation {
            Some((_, true)) => Err("has COLLATE inside an expression".to_owned()),
            _ => Ok(self),
        }
    }

    /// An integer, or a boolean converted to one.
    pub(crate) fn integer(self) -> Result<Self, Reason> {
        match self.kind {
            Kind::Integer => Ok(self),
            Kind::Boolean => Ok(Self::atom(Kind::Integer, format!("{}::integer", self.operand()))),
            _ => Err("computes with a value that is not an integer".to_owned()),
        }
    }
}

pub(crate) fn bytea(bytes: &[u8]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("'\\x{hex}'::bytea")
}

impl Scope<'_> {
    pub(crate) fn value(&self, expr: &Expression) -> Result<Node, Reason> {
        let node = match expr {
            Expression::Null => Node::atom(Kind::Null, "NULL".to_owned()),
            Expression::Number(text) => Node::from_constant(Constant::number(text)),
            Expression::String(text) | Expression::DoubleQuoted(text) => {
                Node::from_constant(Constant::Text(text.clone()))
            }
            Expression::Blob(bytes) => Node::from_constant(Constant::Blob(bytes.clone())),
            Expression::Boolean(value) => Node::from_constant(Constant::Integer(i64::from(*value))),
            Expression::Column(_) | Expression::Qualified(..) => {
                let column = self.named(expr).ok_or("names an unknown column")??;
                if column.converted {
                    let name = quote(&column.name);
                    return Err(format!("uses {name}, whose values are converted"));
                }
                Node::from_column(column)?
            }
            Expression::Current(_) => return Err("uses the clock".to_owned()),
            Expression::Unary(op, operand) => self.unary(op, operand)?,
            Expression::Binary(left, op, right) => self.binary(left, op, right)?,
            Expression::Between { operand, low, high, negated } => {
                self.between(operand, low, high, *negated)?
            }
            Expression::In { operand, list, negated } => self.list(operand, list, *negated)?,
            Expression::IsNull { operand, negated } => self.is_null(operand, *negated)?,
            Expression::Like { operand, pattern, escape, glob, negated } => {
                self.like(operand, pattern, escape.as_deref(), *glob, *negated)?
            }
            Expression::Case { base, branches, otherwise } => {
                self.case(base.as_deref(), branches, otherwise.as_deref())?
            }
            Expression::Cast(operand, declared) => self.cast(operand, declared)?,
            Expression::Call(name, arguments) => self.call(name, arguments)?,
            Expression::Collate(operand, collation) => {
                Node { collation: Some((collation.clone(), true)), ..self.value(operand)? }
            }
        };
        // Some constructs repeat an operand; nested ones would grow exponentially.
        if node.sql.len() > MAX_SQL_BYTES { Err("is too long".to_owned()) } else { Ok(node) }
    }

    /// Translates an expression to a condition: a number is true unless it is zero.
    pub(crate) fn truth(&self, expr: &Expression) -> Result<String, Reason> {
        let node = self.value(expr)?.bare()?;
        match (&node.kind, &node.constant) {
            (_, Some(Constant::Integer(n))) => Ok((*n != 0).to_string()),
            (Kind::Boolean, None) => Ok(node.sql),
            (Kind::Null, _) => Ok("NULL::boolean".to_owned()),
            (Kind::Integer | Kind::Double | Kind::Numeric, None) => {
                Ok(format!("{} <> 0", node.operand()))
            }
            _ => Err("uses text as a condition".to_owned()),
        }
    }

    /// Translates a condition to an operand of AND, OR, NOT or IS.
    pub(crate) fn truth_operand(&self, expr: &Expression) -> Result<String, Reason> {
        let sql = self.truth(expr)?;
        let bare = self.named(expr).is_some() && !sql.contains(" <> 0");
        Ok(if bare { sql } else { format!("({sql})") })
    }

    pub(crate) fn is_null(&self, operand: &Expression, negated: bool) -> Result<Node, Reason> {
        // No conversion changes whether a value is NULL.
        let operand = match self.named(operand) {
            Some(column) => column?.sql(),
            None => self.value(operand)?.operand(),
        };
        let not = if negated { " NOT" } else { "" };
        Ok(Node::new(Kind::Boolean, format!("{operand} IS{not} NULL")))
    }

    fn unary(&self, op: &str, operand: &Expression) -> Result<Node, Reason> {
        if op == "NOT" {
            let sql = format!("NOT {}", self.truth_operand(operand)?);
            return Ok(Node::new(Kind::Boolean, sql));
        }
        let node = self.value(operand)?;
        if op == "+" {
            return Ok(Node { affinity: None, ..node });
        }
        let node = node.bare()?;
        if let Some(constant) = &node.constant {
            return match constant.clone().negated() {
                Some(negated) if op == "-" => Ok(Node::from_constant(negated)),
                _ => Err("computes with a constant in an unknown way".to_owned()),
            };
        }
        let node = match (&node.kind, op) {
            (Kind::Double | Kind::Numeric, "-") => node,
            _ => node.integer()?,
        };
        Ok(Node::new(node.kind.clone(), format!("{op} {}", node.operand())))
    }

    fn binary(&self, left: &Expression, op: &str, right: &Expression) -> Result<Node, Reason> {
        match op {
            "AND" | "OR" => {
                let (left, right) = (self.truth_operand(left)?, self.truth_operand(right)?);
                Ok(Node::new(Kind::Boolean, format!("{left} {op} {right}")))
            }
            "=" | "<>" | "<" | "<=" | ">" | ">=" => self.compare(left, op, right),
            "IS" | "IS NOT" => self.is(left, op == "IS NOT", right),
            "+" | "-" | "*" | "/" | "%" | "&" | "|" => self.arithmetic(left, op, right),
            "||" => self.concat(left, right),
            _ => Err(format!("uses the operator {op}")),
        }
    }

    /// Arithmetic of integers: reals overflow and round differently. In SQLite a division by zero
    /// gives NULL.
    fn arithmetic(&self, left: &Expression, op: &str, right: &Expression) -> Result<Node, Reason> {
        let wide = |expr: &Expression| -> Result<String, Reason> {
            let node = self.value(expr)?.bare()?.integer()?;
            Ok(format!("{}::bigint", node.operand()))
        };
        let (left, mut right) = (wide(left)?, wide(right)?);
        if matches!(op, "/" | "%") {
            right = format!("NULLIF({right}, 0)");
        }
        Ok(Node::new(Kind::Integer, format!("{left} {op} {right}")))
    }

    fn concat(&self, left: &Expression, right: &Expression) -> Result<Node, Reason> {
        let text = |expr: &Expression| -> Result<String, Reason> {
            let node = self.value(expr)?.bare()?;
            match node.kind {
                Kind::Text if node.constant.is_none() => Ok(node.operand()),
                Kind::Text | Kind::Integer => Ok(format!("{}::text", node.operand())),
                Kind::Boolean => Ok(format!("{}::text", node.integer()?.operand())),
                _ => Err("concatenates a value that is neither text nor an integer".to_owned()),
            }
        };
        Ok(Node::new(Kind::Text, format!("{} || {}", text(left)?, text(right)?)))
    }
}

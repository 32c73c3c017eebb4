//! Aggregates of one argument. Both databases allow them only in queries.

use crate::postgres::sql::from_sqlite::scope::Scope;
use crate::postgres::sql::from_sqlite::value::{Kind, Node};
use crate::schema::column_type::ColumnType;
use crate::schema::expression::{Collation, Expression};
use crate::schema::reason::Reason;

impl Scope<'_> {
    /// `count`, `min`, `max`, `sum` or `avg`. All of them ignore NULL in both databases.
    pub(crate) fn aggregate(&self, name: &str, argument: &Expression) -> Result<Node, Reason> {
        if name == "count" {
            // No conversion changes whether a value is NULL.
            let sql = match self.named(argument) {
                Some(column) => column?.sql(),
                None => self.value(argument)?.bare()?.sql,
            };
            return Ok(Node::atom(Kind::Integer, format!("count({sql})")));
        }
        let node = self.value(argument)?.bare()?;
        match name {
            "min" | "max" => extreme(name, node),
            // Both fail if a sum exceeds 64 bits. A sum of reals depends on the order.
            "sum" => Ok(Node::atom(Kind::Integer, format!("sum({})::bigint", integer(node)?))),
            // SQLite divides the exact sum by the count, as reals.
            "avg" => {
                let sql = integer(node)?;
                let sql = format!("(sum({sql})::bigint::double precision / count({sql}))");
                Ok(Node::atom(Kind::Double, sql))
            }
            _ => Err(format!("uses {name}(), which has no equivalent")),
        }
    }
}

fn integer(node: Node) -> Result<String, Reason> {
    match node.kind {
        Kind::Integer | Kind::Boolean => Ok(node.integer()?.sql),
        _ => Err("sums numbers that are not integers, which depends on their order".to_owned()),
    }
}

fn extreme(name: &str, node: Node) -> Result<Node, Reason> {
    let binary = node.collation.as_ref().is_none_or(|(c, _)| *c == Collation::Binary);
    let sql = match (&node.kind, name) {
        (Kind::Null, _) => return Err("has no values but NULL".to_owned()),
        (Kind::Typed(ColumnType::Json), _) => {
            return Err("is over json, which has no order".to_owned());
        }
        (Kind::Text, _) if !binary => {
            return Err(format!("uses {name}() on text of a special collation"));
        }
        (Kind::Text, _) if !node.column => format!("{name}({} COLLATE \"C\")", node.operand()),
        (Kind::Boolean, "min") => format!("bool_and({})", node.sql),
        (Kind::Boolean, _) => format!("bool_or({})", node.sql),
        _ => format!("{name}({})", node.sql),
    };
    Ok(Node::atom(node.kind, sql))
}

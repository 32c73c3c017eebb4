//! LIKE and GLOB, CASE, CAST, and the functions with an equivalent.

use crate::postgres::sql::from_sqlite::compare::compare;
use crate::postgres::sql::from_sqlite::constant::Constant;
use crate::postgres::sql::from_sqlite::scope::Scope;
use crate::postgres::sql::from_sqlite::value::{Kind, Node};
use crate::schema::column_type::ColumnType;
use crate::schema::expression::{Affinity, Expression};
use crate::schema::names::literal;
use crate::schema::reason::Reason;

impl Scope<'_> {
    /// In SQLite LIKE ignores the case of ASCII letters and has no default escape; GLOB is
    /// case-sensitive. Both become a LIKE with PostgreSQL's default escape, the backslash.
    pub(crate) fn like(
        &self,
        operand: &Expression,
        pattern: &Expression,
        escape: Option<&Expression>,
        glob: bool,
        negated: bool,
    ) -> Result<Node, Reason> {
        let node = self.value(operand)?.bare()?;
        let (Expression::String(pattern) | Expression::DoubleQuoted(pattern)) = pattern else {
            return Err("has a pattern that is not a constant".to_owned());
        };
        if node.kind != Kind::Text || node.constant.is_some() {
            return Err("matches a pattern against a value that is not text".to_owned());
        }
        let escape = match escape {
            None => None,
            Some(Expression::String(text)) => match text.as_bytes() {
                [c] if c.is_ascii_punctuation() && !glob => Some(char::from(*c)),
                _ => return Err("has an unknown escape character".to_owned()),
            },
            Some(_) => return Err("has an escape that is not a constant".to_owned()),
        };
        let pattern = like_pattern(pattern, escape, glob)?;
        let not = if negated { "NOT " } else { "" };
        let sql = if glob {
            format!("{} {not}LIKE {}", node.operand(), literal(&pattern))
        } else {
            let pattern = literal(&pattern.to_ascii_lowercase());
            format!("lower({} COLLATE \"C\") {not}LIKE {pattern}", node.operand())
        };
        Ok(Node::new(Kind::Boolean, sql))
    }

    pub(crate) fn case(
        &self,
        base: Option<&Expression>,
        branches: &[(Expression, Expression)],
        otherwise: Option<&Expression>,
    ) -> Result<Node, Reason> {
        let base = base.map(|base| self.value(base)).transpose()?;
        let conditions = branches
            .iter()
            .map(|(when, _)| match &base {
                Some(base) => Ok(compare(base.clone(), "=", self.value(when)?)?.sql),
                None => self.truth(when),
            })
            .collect::<Result<Vec<_>, _>>()?;
        let results = branches.iter().map(|(_, then)| then).chain(otherwise);
        let (results, kind) = self.unify(results)?;
        let mut results = results.into_iter();
        let mut sql = String::from("CASE");
        for (condition, result) in conditions.iter().zip(&mut results) {
            sql.push_str(&format!(" WHEN {condition} THEN {result}"));
        }
        if let Some(result) = results.next() {
            sql.push_str(&format!(" ELSE {result}"));
        }
        sql.push_str(" END");
        Ok(Node::atom(kind, sql))
    }

    /// Converts the alternatives of a CASE or coalesce() to one type.
    fn unify<'e>(
        &self,
        alternatives: impl Iterator<Item = &'e Expression>,
    ) -> Result<(Vec<String>, Kind), Reason> {
        let nodes = alternatives
            .map(|expr| self.value(expr)?.bare())
            .collect::<Result<Vec<_>, Reason>>()?;
        let is_bit = |node: &Node| matches!(node.constant, Some(Constant::Integer(0 | 1)));
        let free = |node: &&Node| node.constant.is_none() && node.kind != Kind::Null;
        let kind =
            match nodes.iter().find(free).or_else(|| nodes.iter().find(|n| n.kind != Kind::Null)) {
                Some(node) => node.kind.clone(),
                None => return Err("gives no values but NULL".to_owned()),
            };
        let all = |test: &dyn Fn(&Node) -> bool| {
            nodes.iter().all(|node| node.kind == Kind::Null || test(node))
        };
        let sql = |node: &Node| node.sql.clone();
        if kind == Kind::Boolean && all(&|node| node.kind == Kind::Boolean || is_bit(node)) {
            let each = nodes.iter().map(|node| match node.constant {
                Some(Constant::Integer(n)) => (n == 1).to_string(),
                _ => sql(node),
            });
            return Ok((each.collect(), Kind::Boolean));
        }
        if all(&|node| matches!(node.kind, Kind::Boolean | Kind::Integer)) {
            let each = nodes.iter().map(|node| match node.kind {
                Kind::Null => Ok(sql(node)),
                _ => node.clone().integer().map(|node| format!("{}::bigint", node.operand())),
            });
            return Ok((each.collect::<Result<_, _>>()?, Kind::Integer));
        }
        let real = matches!(kind, Kind::Double | Kind::Numeric);
        if all(&|node| match &node.constant {
            Some(constant) if real => constant.is_exact_number(),
            _ => node.kind == kind,
        }) && !(real && nodes.iter().all(|node| node.constant.is_some()))
        {
            return Ok((nodes.iter().map(sql).collect(), kind));
        }
        Err("gives values of different types".to_owned())
    }

    pub(crate) fn cast(&self, operand: &Expression, declared: &str) -> Result<Node, Reason> {
        let node = self.value(operand)?.bare()?;
        let to = match declared.trim().to_ascii_uppercase().as_str() {
            "TEXT" => Affinity::Text,
            "INTEGER" | "INT" | "BIGINT" => Affinity::Integer,
            "REAL" => Affinity::Real,
            _ => return Err(format!("casts to {declared:?}")),
        };
        let operand = node.operand();
        let (kind, sql) = match (to, &node.kind) {
            _ if node.constant.is_some() => return Err("casts a constant".to_owned()),
            (Affinity::Text, Kind::Text) => (Kind::Text, operand),
            (Affinity::Text, Kind::Integer) => (Kind::Text, format!("{operand}::text")),
            (Affinity::Integer, Kind::Integer) => (Kind::Integer, operand),
            (Affinity::Integer, Kind::Boolean) => (Kind::Integer, format!("{operand}::integer")),
            (Affinity::Real, Kind::Double) => (Kind::Double, operand),
            (Affinity::Real, Kind::Integer) => {
                (Kind::Double, format!("{operand}::double precision"))
            }
            _ => return Err(format!("casts to {declared:?} in an unknown way")),
        };
        Ok(Node { affinity: Some(to), collation: node.collation, ..Node::atom(kind, sql) })
    }

    pub(crate) fn call(&self, name: &str, arguments: &[Expression]) -> Result<Node, Reason> {
        let unknown = || format!("uses {name}(), which has no equivalent");
        match (name, arguments) {
            ("coalesce", [_, _, ..]) | ("ifnull", [_, _]) => {
                let (each, kind) = self.unify(arguments.iter())?;
                Ok(Node::atom(kind, format!("coalesce({})", each.join(", "))))
            }
            ("nullif", [value, other]) => {
                let node = self.value(value)?.bare()?;
                let equal = compare(node.clone(), "=", self.value(other)?)?.sql;
                let sql = format!("CASE WHEN {equal} THEN NULL ELSE {} END", node.sql);
                Ok(Node::atom(node.kind, sql))
            }
            ("iif" | "if", [condition, then, rest @ ..]) if rest.len() <= 1 => {
                self.case(None, &[(condition.clone(), then.clone())], rest.first())
            }
            ("likely" | "unlikely", [value]) => {
                Ok(Node { affinity: None, collation: None, ..self.value(value)?.bare()? })
            }
            ("typeof", [column]) if self.named(column).is_some() => self.type_of(column),
            ("json_valid", [column]) if self.named(column).is_some() => {
                let column = self.named(column).ok_or_else(unknown)??;
                if column.column_type != ColumnType::Json {
                    return Err("uses json_valid() on a column that is not json".to_owned());
                }
                // Every value of a json column is valid; NULL gives NULL.
                let sql = format!("{} IS NOT NULL OR NULL::boolean", column.sql());
                Ok(Node::new(Kind::Boolean, sql))
            }
            ("min" | "max", [_, _, ..]) => self.extreme(name, arguments),
            ("substr" | "substring", [text, from, rest @ ..]) if rest.len() <= 1 => {
                self.substring(text, from, rest.first())
            }
            ("count", []) => Ok(Node::atom(Kind::Integer, "count(*)".to_owned())),
            ("count" | "min" | "max" | "sum" | "avg", [argument]) => self.aggregate(name, argument),
            (_, arguments) => {
                let nodes = arguments
                    .iter()
                    .map(|argument| self.value(argument)?.bare())
                    .collect::<Result<Vec<_>, Reason>>()?;
                simple(name, &nodes).ok_or_else(unknown)
            }
        }
    }

    /// The storage class of a column's values, which the new type determines.
    fn type_of(&self, column: &Expression) -> Result<Node, Reason> {
        let node = self.value(column)?;
        let class = match node.kind {
            Kind::Boolean | Kind::Integer => "integer",
            // A column of another affinity may have held integers and reals.
            Kind::Double if node.affinity == Some(Affinity::Real) => "real",
            Kind::Text | Kind::Typed(_) => "text",
            Kind::Bytea => "blob",
            Kind::Double | Kind::Numeric | Kind::Null => {
                return Err("uses typeof() on integers and reals".to_owned());
            }
        };
        let sql = format!("CASE WHEN {} IS NULL THEN 'null' ELSE '{class}' END", node.sql);
        Ok(Node::atom(Kind::Text, sql))
    }

    /// NULL if any argument is NULL: GREATEST and LEAST ignore NULL.
    fn extreme(&self, name: &str, arguments: &[Expression]) -> Result<Node, Reason> {
        let each = arguments
            .iter()
            .map(|argument| Ok(self.value(argument)?.bare()?.integer()?.operand()))
            .collect::<Result<Vec<_>, Reason>>()?;
        let null: Vec<String> = each.iter().map(|sql| format!("{sql} IS NULL")).collect();
        let function = if name == "min" { "LEAST" } else { "GREATEST" };
        let (null, each) = (null.join(" OR "), each.join(", "));
        let sql = format!("CASE WHEN {null} THEN NULL ELSE {function}({each}) END");
        Ok(Node::atom(Kind::Integer, sql))
    }

    /// Requires a constant start of at least 1: below 1, SQLite counts from the end.
    fn substring(
        &self,
        text: &Expression,
        from: &Expression,
        length: Option<&Expression>,
    ) -> Result<Node, Reason> {
        let node = self.value(text)?.bare()?;
        let position = |expr: &Expression, min: i32| match expr {
            Expression::Number(text) => {
                text.parse::<i32>().ok().filter(|n| (min..=1_000_000_000).contains(n))
            }
            _ => None,
        };
        let unknown = || "uses substr() with unknown positions".to_owned();
        // For an empty blob SQLite gives NULL.
        if node.constant.is_some() || node.kind != Kind::Text {
            return Err("uses substr() on a value that is not text".to_owned());
        }
        let mut sql = format!("substr({}, {}", node.sql, position(from, 1).ok_or_else(unknown)?);
        if let Some(length) = length {
            sql.push_str(&format!(", {}", position(length, 0).ok_or_else(unknown)?));
        }
        Ok(Node::atom(node.kind, sql + ")"))
    }
}

/// The functions whose arguments have fixed types. The first argument is never a constant.
fn simple(name: &str, arguments: &[Node]) -> Option<Node> {
    use Kind::{Bytea, Double, Integer, Numeric, Text};
    let kinds: Vec<&Kind> = arguments.iter().map(|node| &node.kind).collect();
    let first = arguments.first().filter(|node| node.constant.is_none())?;
    let sql: Vec<&str> = arguments.iter().map(|node| node.sql.as_str()).collect();
    let (kind, sql) = match (name, kinds.as_slice(), sql.as_slice()) {
        // Both count the characters of text and the bytes of blobs.
        ("length", [Text], [x]) => (Integer, format!("length({x})")),
        ("length", [Bytea], [x]) => (Integer, format!("octet_length({x})")),
        ("octet_length", [Text | Bytea], [x]) => (Integer, format!("octet_length({x})")),
        // SQLite changes the case of ASCII letters only, like the collation "C".
        ("lower" | "upper", [Text], _) => {
            (Text, format!("{name}({} COLLATE \"C\")", first.operand()))
        }
        ("trim", [Text], [x]) => (Text, format!("btrim({x})")),
        ("trim", [Text, Text], [x, set]) => (Text, format!("btrim({x}, {set})")),
        ("ltrim" | "rtrim", [Text], [x]) => (Text, format!("{name}({x})")),
        ("ltrim" | "rtrim", [Text, Text], [x, set]) => (Text, format!("{name}({x}, {set})")),
        ("replace", [Text, Text, Text], [x, from, to]) => {
            (Text, format!("replace({x}, {from}, {to})"))
        }
        ("instr", [Text, Text], [x, part]) => (Integer, format!("strpos({x}, {part})")),
        ("abs", [kind @ (Integer | Double | Numeric)], [x]) => {
            ((*kind).clone(), format!("abs({x})"))
        }
        // For NULL SQLite gives empty text.
        ("hex", [Bytea], [x]) => (Text, format!("coalesce(upper(encode({x}, 'hex')), '')")),
        _ => return None,
    };
    Some(Node::atom(kind, sql))
}

/// Converts a pattern of LIKE or GLOB to one of LIKE with the backslash as escape.
fn like_pattern(pattern: &str, escape: Option<char>, glob: bool) -> Result<String, Reason> {
    let mut out = String::with_capacity(pattern.len());
    let mut characters = pattern.chars();
    while let Some(c) = characters.next() {
        match c {
            c if Some(c) == escape => match characters.next() {
                Some(next @ ('%' | '_' | '\\')) => out.extend(['\\', next]),
                Some(next) => out.push(next),
                None => return Err("has a pattern that ends with its escape character".to_owned()),
            },
            '*' if glob => out.push('%'),
            '?' if glob => out.push('_'),
            '[' if glob => return Err("has a GLOB with a set of characters".to_owned()),
            '%' | '_' if !glob => out.push(c),
            '%' | '_' | '\\' => out.extend(['\\', c]),
            other => out.push(other),
        }
    }
    Ok(out)
}

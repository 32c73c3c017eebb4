//! SELECT statements: translation of views.
//!
//! PostgreSQL itself refuses columns that an aggregate query neither groups by nor aggregates
//! (unless the grouping determines them), and UNION results of incompatible types.

use crate::postgres::sql::from_sqlite::constant::Constant;
use crate::postgres::sql::from_sqlite::scope::{Scope, ScopeColumn};
use crate::postgres::sql::from_sqlite::value::{Kind, Node};
use crate::schema::column_type::ColumnType;
use crate::schema::expression::{Affinity, Collation, Expression};
use crate::schema::names::{Allocator, quote};
use crate::schema::query::{Core, Ordering, Select, Union};
use crate::schema::reason::Reason;

/// A table or view of the target that a SELECT may read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Readable<'a> {
    pub(crate) target: &'a str,
    pub(crate) columns: &'a [ScopeColumn],
}

#[derive(Debug)]
pub(crate) struct Selected {
    pub(crate) sql: String,
    /// The columns of the result, with empty names.
    pub(crate) columns: Vec<ScopeColumn>,
}

/// Translates a SELECT. `relation` finds a table or view by its name in the source.
pub(crate) fn select<'a>(
    select: &Select,
    relation: &dyn Fn(&str) -> Option<Readable<'a>>,
) -> Result<Selected, Reason> {
    let columns = scope(&select.first, relation)?;
    let first = Scope::new(&columns);
    let mut outputs = first.outputs(&select.first)?;
    let mut parts = vec![outputs.clone()];
    for (union, core) in &select.unions {
        let columns = scope(core, relation)?;
        let part = Scope::new(&columns).outputs(core)?;
        if part.len() != outputs.len() {
            return Err("combines results with different numbers of columns".to_owned());
        }
        for (output, other) in outputs.iter_mut().zip(&part) {
            output.unite(other)?;
        }
        parts.push(part);
        if *union == Union::Distinct {
            parts.iter().flatten().try_for_each(Output::comparable)?;
        }
    }
    let types: Vec<ColumnType> = outputs.iter().map(Output::column_type).collect();
    let mut sql = first.core(&select.first, relation, &parts[0], &types)?;
    for ((union, core), part) in select.unions.iter().zip(&parts[1..]) {
        let columns = scope(core, relation)?;
        sql.push_str(match union {
            Union::All => " UNION ALL ",
            Union::Distinct => " UNION ",
        });
        sql.push_str(&Scope::new(&columns).core(core, relation, part, &types)?);
    }
    let single = select.unions.is_empty();
    let terms: Vec<String> = select
        .order_by
        .iter()
        .map(|term| match term.result_index.map(|index| outputs[index].converted) {
            Some(true) => Err("sorts by values that are converted".to_owned()),
            _ => first.ordering(term, single),
        })
        .collect::<Result<_, _>>()?;
    if !terms.is_empty() {
        sql.push_str(&format!(" ORDER BY {}", terms.join(", ")));
    }
    if terms.is_empty() && (select.limit.is_some() || select.offset.is_some()) {
        return Err("has a LIMIT without an order".to_owned());
    }
    for (word, rows) in [("LIMIT", select.limit), ("OFFSET", select.offset)] {
        if let Some(rows) = rows {
            sql.push_str(&format!(" {word} {rows}"));
        }
    }
    let columns = outputs.into_iter().zip(types).map(|(output, column_type)| ScopeColumn {
        table: None,
        name: String::new(),
        target: String::new(),
        column_type,
        affinity: output.affinity,
        collation: output.collation,
        converted: output.converted,
        generated: false,
    });
    Ok(Selected { sql, columns: columns.collect() })
}

/// The columns of all relations of a SELECT, with their aliases.
fn scope<'a>(
    core: &Core,
    relation: &dyn Fn(&str) -> Option<Readable<'a>>,
) -> Result<Vec<ScopeColumn>, Reason> {
    let mut all = Vec::new();
    for ((alias, target), joined) in aliases(core).into_iter().zip(&core.from) {
        let columns = readable(&joined.relation, relation)?.columns.iter().cloned();
        let table = Some((alias, target));
        all.extend(columns.map(|column| ScopeColumn { table: table.clone(), ..column }));
    }
    Ok(all)
}

/// The aliases in the source and in the target.
fn aliases(core: &Core) -> Vec<(String, String)> {
    let mut names = Allocator::default();
    core.from.iter().map(|from| (from.alias.clone(), names.relation(&from.alias))).collect()
}

fn readable<'a>(
    name: &str,
    relation: &dyn Fn(&str) -> Option<Readable<'a>>,
) -> Result<Readable<'a>, Reason> {
    relation(name).ok_or_else(|| format!("reads {}, which is not migrated", quote(name)))
}

/// One column of a result.
#[derive(Debug, Clone)]
struct Output {
    sql: String,
    /// `None` if the column is always NULL.
    column_type: Option<ColumnType>,
    affinity: Affinity,
    collation: Collation,
    converted: bool,
}

impl Output {
    /// The output of an expression: cast to its type, and with the collation of text columns.
    fn from_node(node: &Node) -> Result<Self, Reason> {
        let operand = node.operand();
        let (sql, column_type) = match (&node.kind, &node.constant) {
            (Kind::Null, _) => ("NULL".to_owned(), None),
            (Kind::Boolean, _) => (node.sql.clone(), Some(ColumnType::Boolean)),
            (Kind::Integer, _) => (format!("{operand}::bigint"), Some(ColumnType::BigInt)),
            (Kind::Double, Some(constant)) if constant.is_exact_number() => {
                (format!("{operand}::double precision"), Some(ColumnType::Double))
            }
            (Kind::Double, Some(_)) => {
                return Err("has a number with more digits than a real holds".to_owned());
            }
            (Kind::Double, None) => (node.sql.clone(), Some(ColumnType::Double)),
            (Kind::Numeric, _) => (node.sql.clone(), Some(ColumnType::Numeric(None))),
            (Kind::Text, Some(Constant::Text(_))) => {
                (format!("{operand}::text COLLATE \"C\""), Some(ColumnType::Text))
            }
            (Kind::Text, _) => (format!("{operand} COLLATE \"C\""), Some(ColumnType::Text)),
            (Kind::Bytea, _) => (node.sql.clone(), Some(ColumnType::Bytea)),
            (Kind::Typed(column_type), _) => (node.sql.clone(), Some(*column_type)),
        };
        Ok(Self {
            sql,
            column_type,
            // SQLite compares an expression without affinity like a BLOB column.
            affinity: node.affinity.unwrap_or(Affinity::Blob),
            collation: node.collation.clone().map(|(c, _)| c).unwrap_or_default(),
            converted: false,
        })
    }

    fn from_column(column: &ScopeColumn) -> Self {
        Self {
            sql: column.sql(),
            column_type: Some(column.column_type),
            affinity: column.affinity,
            collation: column.collation.clone(),
            converted: column.converted,
        }
    }

    fn column_type(&self) -> ColumnType {
        self.column_type.unwrap_or(ColumnType::Text)
    }

    /// Refuses a column whose duplicates may differ between the databases.
    fn comparable(&self) -> Result<(), Reason> {
        if self.converted {
            return Err("compares whole rows with converted values".to_owned());
        }
        let text = self.column_type.is_some_and(ColumnType::is_text);
        if text && self.collation != Collation::Binary {
            return Err("compares whole rows with text of a special collation".to_owned());
        }
        Ok(())
    }

    /// Combines the column with that of another SELECT of a UNION.
    fn unite(&mut self, other: &Self) -> Result<(), Reason> {
        let is_text = |output: &Self| output.column_type.is_some_and(ColumnType::is_text);
        match (&self.column_type, &other.column_type) {
            (_, None) => return Ok(()),
            (None, _) => {
                *self = other.clone();
                return Ok(());
            }
            (Some(one), Some(two)) if one == two => {}
            _ if is_text(self) && is_text(other) => self.column_type = Some(ColumnType::Text),
            (Some(one), Some(two)) => return Err(format!("combines results of {one} and {two}")),
        }
        if self.collation != other.collation {
            return Err("combines results of different collations".to_owned());
        }
        if self.affinity != other.affinity {
            if is_text(self) && (self.affinity.is_numeric() || other.affinity.is_numeric()) {
                return Err("combines text with a column of numbers".to_owned());
            }
            // Without affinity, every expression that depends on it is refused.
            self.affinity = Affinity::Blob;
        }
        self.converted |= other.converted;
        Ok(())
    }

    /// The SQL of the column, cast to the common type.
    fn cast_to(&self, column_type: &ColumnType) -> String {
        match &self.column_type {
            None => format!("NULL::{column_type}"),
            Some(own) if own == column_type => self.sql.clone(),
            Some(_) => format!("{}::{column_type}", self.sql),
        }
    }
}

impl Scope<'_> {
    fn output(&self, expr: &Expression) -> Result<Output, Reason> {
        match self.named(expr) {
            Some(column) => Ok(Output::from_column(column?)),
            None => Output::from_node(&self.value(expr)?),
        }
    }

    fn outputs(&self, core: &Core) -> Result<Vec<Output>, Reason> {
        let outputs: Vec<Output> =
            core.columns.iter().map(|expr| self.output(expr)).collect::<Result<_, _>>()?;
        if core.distinct {
            outputs.iter().try_for_each(Output::comparable)?;
        }
        Ok(outputs)
    }

    fn core<'a>(
        &self,
        core: &Core,
        relation: &dyn Fn(&str) -> Option<Readable<'a>>,
        outputs: &[Output],
        types: &[ColumnType],
    ) -> Result<String, Reason> {
        let columns: Vec<String> = outputs.iter().zip(types).map(|(o, t)| o.cast_to(t)).collect();
        let distinct = if core.distinct { "DISTINCT " } else { "" };
        let mut sql = format!("SELECT {distinct}{}", columns.join(", "));
        for (number, (joined, (_, alias))) in core.from.iter().zip(aliases(core)).enumerate() {
            let on = joined.on.as_ref().map(|on| self.truth(on)).transpose()?;
            sql.push_str(match (number, joined.left, &on) {
                (0, _, _) => " FROM ",
                (_, true, _) => " LEFT JOIN ",
                (_, false, Some(_)) => " JOIN ",
                (_, false, None) => " CROSS JOIN ",
            });
            let target = readable(&joined.relation, relation)?.target;
            sql.push_str(&format!("{target} AS {}", quote(&alias)));
            match on {
                Some(on) => sql.push_str(&format!(" ON {on}")),
                None if joined.left => sql.push_str(" ON true"),
                None => {}
            }
        }
        if let Some(filter) = &core.filter {
            sql.push_str(&format!(" WHERE {}", self.truth(filter)?));
        }
        let groups: Vec<String> =
            core.group_by.iter().map(|expr| self.group(expr)).collect::<Result<_, _>>()?;
        if !groups.is_empty() {
            sql.push_str(&format!(" GROUP BY {}", groups.join(", ")));
        }
        if let Some(having) = &core.having {
            sql.push_str(&format!(" HAVING {}", self.truth(having)?));
        }
        Ok(sql)
    }

    /// A term of GROUP BY, in the same SQL as in the result, so that the server recognizes it.
    fn group(&self, expr: &Expression) -> Result<String, Reason> {
        let node = self.value(expr)?;
        if node.constant.is_some() || node.kind == Kind::Null {
            return Err("groups by a constant".to_owned());
        }
        let output = self.output(expr)?;
        output.comparable().map_err(|_| "groups by text of a special collation")?;
        Ok(output.sql)
    }

    /// A term of ORDER BY. A UNION can be sorted only by result columns.
    fn ordering(&self, term: &Ordering, single: bool) -> Result<String, Reason> {
        let node = self.value(&term.by)?;
        if node.constant.is_some() && term.result_index.is_none() {
            return Err("sorts by a constant".to_owned());
        }
        let binary = node.collation.as_ref().is_none_or(|(c, _)| *c == Collation::Binary);
        let plain = binary || node.kind != Kind::Text;
        let sql = match (term.result_index, &node.collation) {
            (Some(index), _) if plain => (index + 1).to_string(),
            _ if !single => return Err("sorts a UNION by an expression".to_owned()),
            (_, Some((collation, _))) if !plain => node.folded(collation)?,
            _ if node.kind == Kind::Text && !node.column => {
                format!("{} COLLATE \"C\"", node.operand())
            }
            _ => node.operand(),
        };
        let direction = if term.descending { "DESC" } else { "ASC" };
        let nulls = if term.nulls_first { "FIRST" } else { "LAST" };
        Ok(format!("{sql} {direction} NULLS {nulls}"))
    }
}

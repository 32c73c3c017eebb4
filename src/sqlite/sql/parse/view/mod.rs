//! CREATE VIEW: the SELECT, with all names resolved as SQLite resolves them.

use crate::schema::expression::Expression;
use crate::schema::names::quote;
use crate::schema::query::{Core, Joined, Ordering, Select, Union};
use crate::schema::reason::Reason;
use crate::sqlite::sql::declared_type::collation_named;
use crate::sqlite::sql::parse::expression::{is_rowid, resolve, tree, uncollated, unquote};
use crate::sqlite::sql::parse::statement::statement;
use sqlite3_parser::ast::{
    As, CompoundOperator, Distinctness, Expr, FromClause, JoinConstraint, JoinOperator, JoinType,
    Limit, Literal, NullsOrder, OneSelect, ResultColumn, Select as ParsedSelect, SelectTable,
    SortOrder, SortedColumn, Stmt,
};

/// A table or view that a view may read, with the names as stored.
#[derive(Debug, Clone)]
pub(crate) struct Relation {
    pub(crate) name: String,
    /// The names of the columns, in order.
    pub(crate) columns: Vec<String>,
    /// The column that is an alias of the rowid.
    pub(crate) rowid_alias: Option<String>,
}

/// Why a view has no tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It reads an unknown relation with this name, as written.
    Unknown(String),
    /// It has an unknown construct.
    Construct(String),
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self::Construct(reason)
    }
}

fn refuse<T>(reason: &str) -> Result<T, Refusal> {
    Err(Refusal::Construct(reason.to_owned()))
}

/// Reads a CREATE VIEW statement. `relation` finds a relation by its name as written, ignoring the
/// case of ASCII letters.
pub(crate) fn view(
    text: &str,
    relation: &dyn Fn(&str) -> Option<Relation>,
) -> Result<Select, Refusal> {
    statement(text, |stmt| match stmt {
        Stmt::CreateView { select, .. } => Some(read(select, text, relation)),
        _ => None,
    })
    .unwrap_or_else(|| refuse("cannot be parsed"))
}

fn read(
    select: &ParsedSelect<'_>,
    text: &str,
    relation: &dyn Fn(&str) -> Option<Relation>,
) -> Result<Select, Refusal> {
    if select.with.is_some() {
        return refuse("has a WITH clause");
    }
    let (first, names) = core(&select.body.select, relation)?;
    let mut unions = Vec::new();
    for compound in select.body.compounds.iter().flatten() {
        let union = match compound.operator {
            CompoundOperator::Union => Union::Distinct,
            CompoundOperator::UnionAll => Union::All,
            CompoundOperator::Except => return refuse("uses EXCEPT"),
            CompoundOperator::Intersect => return refuse("uses INTERSECT"),
        };
        unions.push((union, core(&compound.select, relation)?.0));
    }
    let order_by = select
        .order_by
        .unwrap_or_default()
        .iter()
        .map(|term| ordering(term, &first, &names))
        .collect::<Result<Vec<_>, _>>()?;
    let limits = select.limit.map(|limit| self::limit(limit, text)).transpose()?;
    let (limit, offset) = limits.unwrap_or_default();
    Ok(Select { first, unions, order_by, limit, offset })
}

/// The names that one SELECT may use.
#[derive(Default)]
struct Names {
    /// The relations by alias.
    relations: Vec<(String, Relation)>,
    /// Columns that USING merged with a column to the left: alias and name.
    merged: Vec<(String, String)>,
    /// The result columns with a name.
    results: Vec<(String, Expression)>,
}

impl Names {
    /// The columns with this name; of merged columns, the leftmost.
    fn columns(&self, table: Option<&str>, name: &str) -> Vec<Expression> {
        let named = |alias: &str| table.is_none_or(|table| table.eq_ignore_ascii_case(alias));
        let mut found = Vec::new();
        for (alias, relation) in self.relations.iter().filter(|(alias, _)| named(alias)) {
            let same = |column: &&String| column.eq_ignore_ascii_case(name);
            for column in relation.columns.iter().filter(same) {
                if table.is_some() || !self.is_merged(alias, column) {
                    found.push(qualified(alias, column));
                }
            }
        }
        found
    }

    fn is_merged(&self, alias: &str, column: &str) -> bool {
        self.merged.iter().any(|(a, c)| a == alias && c == column)
    }

    /// The rowid, if only one table can be meant.
    fn rowid(&self, table: Option<&str>) -> Option<Expression> {
        let (alias, relation) = match table {
            Some(table) => self.relations.iter().find(|(a, _)| a.eq_ignore_ascii_case(table))?,
            None => match self.relations.as_slice() {
                [only] => only,
                _ => return None,
            },
        };
        relation.rowid_alias.as_ref().map(|column| qualified(alias, column))
    }

    fn result(&self, name: &str) -> Option<&Expression> {
        self.results.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, expr)| expr)
    }

    fn meaning(&self, table: Option<&str>, written: &str) -> Result<Expression, Reason> {
        let name = unquote(written);
        let mut columns = self.columns(table, &name);
        if columns.len() > 1 {
            return Err(format!("uses {}, which is in several tables", quote(&name)));
        }
        let rowid = || if is_rowid(&name) { self.rowid(table) } else { None };
        let result = || self.result(&name).filter(|_| table.is_none()).cloned();
        resolve(written, table.is_some(), columns.pop().or_else(rowid).or_else(result))
    }

    fn tree(&self, expr: &Expr<'_>) -> Result<Expression, Reason> {
        tree(expr, &|table, written| self.meaning(table, written))
    }
}

fn qualified(alias: &str, column: &str) -> Expression {
    Expression::Qualified(alias.to_owned(), column.to_owned())
}

fn core(
    select: &OneSelect<'_>,
    relation: &dyn Fn(&str) -> Option<Relation>,
) -> Result<(Core, Names), Refusal> {
    let OneSelect::Select {
        distinctness,
        columns,
        from,
        where_clause,
        group_by,
        having,
        window_clause: None,
    } = select
    else {
        return refuse("has VALUES or a WINDOW clause");
    };
    let mut names = Names::default();
    let from = match from {
        Some(clause) => self::from(clause, &mut names, relation)?,
        None => Vec::new(),
    };
    let columns = results(columns, &mut names)?;
    let grouped = |expr: &Expr<'_>| match result_index(expr, columns.len()) {
        Some(index) => Ok(columns[index].clone()),
        None => names.tree(expr),
    };
    let group_by =
        group_by.unwrap_or_default().iter().map(grouped).collect::<Result<Vec<_>, _>>()?;
    let core = Core {
        distinct: *distinctness == Some(Distinctness::Distinct),
        filter: where_clause.map(|expr| names.tree(expr)).transpose()?,
        having: having.map(|expr| names.tree(expr)).transpose()?,
        columns,
        from,
        group_by,
    };
    Ok((core, names))
}

/// The index of the result column that a plain number means in GROUP BY and ORDER BY.
fn result_index(expr: &Expr<'_>, columns: usize) -> Option<usize> {
    match expr {
        Expr::Literal(Literal::Numeric(text)) => {
            text.parse::<usize>().ok()?.checked_sub(1).filter(|index| *index < columns)
        }
        _ => None,
    }
}

/// The columns of the result. They cannot name each other.
fn results(columns: &[ResultColumn<'_>], names: &mut Names) -> Result<Vec<Expression>, Refusal> {
    let mut all = Vec::new();
    let mut named = Vec::new();
    for column in columns {
        match column {
            ResultColumn::Expr(expr, alias) => {
                let expr = names.tree(expr)?;
                if let Some(As::As(name) | As::Elided(name)) = alias {
                    named.push((unquote(name.0), expr.clone()));
                }
                all.push(expr);
            }
            ResultColumn::Star => {
                for (alias, relation) in &names.relations {
                    let shown = relation.columns.iter().filter(|c| !names.is_merged(alias, c));
                    all.extend(shown.map(|column| qualified(alias, column)));
                }
            }
            ResultColumn::TableStar(table) => {
                let table = unquote(table.0);
                let same = |(alias, _): &&(String, Relation)| alias.eq_ignore_ascii_case(&table);
                let Some((alias, relation)) = names.relations.iter().find(same) else {
                    return Err(Refusal::Unknown(table));
                };
                all.extend(relation.columns.iter().map(|column| qualified(alias, column)));
            }
        }
    }
    names.results = named;
    Ok(all)
}

fn from(
    clause: &FromClause<'_>,
    names: &mut Names,
    relation: &dyn Fn(&str) -> Option<Relation>,
) -> Result<Vec<Joined>, Refusal> {
    let Some(first) = clause.select else { return Ok(Vec::new()) };
    let mut all = vec![read_from(first, names, relation)?];
    for join in clause.joins.iter().flatten() {
        let left = match join.operator {
            JoinOperator::Comma | JoinOperator::TypedJoin(None) => false,
            JoinOperator::TypedJoin(Some(kind)) => {
                if kind.intersects(JoinType::NATURAL | JoinType::RIGHT) {
                    return refuse("has a NATURAL, RIGHT or FULL join");
                }
                kind.contains(JoinType::LEFT)
            }
        };
        let before = names.relations.len();
        let mut joined = Joined { left, ..read_from(&join.table, names, relation)? };
        joined.on = match &join.constraint {
            None => None,
            Some(JoinConstraint::On(expr)) => Some(names.tree(expr)?),
            Some(JoinConstraint::Using(columns)) => {
                let pairs = columns.iter().map(|name| merge(&unquote(name.0), before, names));
                pairs
                    .collect::<Result<Vec<_>, _>>()?
                    .into_iter()
                    .reduce(|all, one| Expression::Binary(Box::new(all), "AND", Box::new(one)))
            }
        };
        all.push(joined);
    }
    Ok(all)
}

/// The condition of a column in USING: the leftmost column with that name equals the column of the
/// joined relation, which has the index `joined`.
fn merge(name: &str, joined: usize, names: &mut Names) -> Result<Expression, Refusal> {
    let unknown = || Refusal::Construct(format!("joins USING {}", quote(name)));
    let (alias, relation) = names.relations.get(joined).ok_or_else(unknown)?;
    let column = relation.columns.iter().find(|column| column.eq_ignore_ascii_case(name));
    let (alias, column) = (alias.clone(), column.ok_or_else(unknown)?.clone());
    let right = qualified(&alias, &column);
    let left = names.columns(None, name).into_iter().find(|left| *left != right);
    let left = left.ok_or_else(unknown)?;
    names.merged.push((alias, column));
    Ok(Expression::Binary(Box::new(left), "=", Box::new(right)))
}

fn read_from(
    table: &SelectTable<'_>,
    names: &mut Names,
    relation: &dyn Fn(&str) -> Option<Relation>,
) -> Result<Joined, Refusal> {
    let (name, alias) = match table {
        SelectTable::Table(name, alias, _) => (name, alias),
        SelectTable::TableCall(..) => return refuse("reads a table-valued function"),
        SelectTable::Select(..) => return refuse("reads a subquery"),
        SelectTable::Sub(..) => return refuse("has parentheses around a join"),
    };
    let written = unquote(name.name.0);
    let main = |schema: &str| unquote(schema).eq_ignore_ascii_case("main");
    if name.db_name.as_ref().is_some_and(|schema| !main(schema.0)) {
        return refuse("reads another database");
    }
    let relation = relation(&written).ok_or(Refusal::Unknown(written))?;
    let alias = match alias {
        Some(As::As(alias) | As::Elided(alias)) => unquote(alias.0),
        None => relation.name.clone(),
    };
    if names.relations.iter().any(|(other, _)| other.eq_ignore_ascii_case(&alias)) {
        return refuse("reads two tables with the same alias");
    }
    let joined =
        Joined { relation: relation.name.clone(), alias: alias.clone(), left: false, on: None };
    names.relations.push((alias, relation));
    Ok(joined)
}

/// A term of ORDER BY. Names of result columns come before names of table columns.
fn ordering(term: &SortedColumn<'_>, first: &Core, names: &Names) -> Result<Ordering, Refusal> {
    let expr = uncollated(&term.expr);
    let result = match expr {
        Expr::Id(id) => names.result(&unquote(id.0)),
        Expr::Name(name) => names.result(&unquote(name.0)),
        _ => result_index(expr, first.columns.len()).map(|index| &first.columns[index]),
    };
    let by = match (result, &term.expr) {
        (Some(result), Expr::Collate(_, name)) => {
            Expression::Collate(Box::new(result.clone()), collation_named(&unquote(name)))
        }
        (Some(result), _) => result.clone(),
        (None, whole) => names.tree(whole)?,
    };
    let mut plain = &by;
    while let Expression::Collate(inner, _) = plain {
        plain = inner;
    }
    let descending = term.order == Some(SortOrder::Desc);
    Ok(Ordering {
        result_index: first.columns.iter().position(|column| column == plain || *column == by),
        by,
        descending,
        // In SQLite NULL is the smallest value.
        nulls_first: match &term.nulls {
            Some(nulls) => *nulls == NullsOrder::First,
            None => !descending,
        },
    })
}

/// LIMIT and OFFSET, if they are plain numbers.
fn limit(limit: &Limit<'_>, text: &str) -> Result<(Option<u64>, Option<u64>), Refusal> {
    let number = |expr: &Expr<'_>| match expr {
        Expr::Literal(Literal::Numeric(text)) => {
            text.parse::<u64>().ok().filter(|&n| i64::try_from(n).is_ok())
        }
        _ => None,
    };
    let Some(rows) = number(&limit.expr) else { return refuse("has a computed LIMIT") };
    let Some(offset) = &limit.offset else { return Ok((Some(rows), None)) };
    let Some(offset) = number(offset) else { return refuse("has a computed OFFSET") };
    // The tree is the same for `LIMIT rows OFFSET offset` and `LIMIT offset, rows`.
    let lower = text.to_ascii_lowercase();
    let tail = lower.rsplit("limit").next().unwrap_or_default();
    let words: Vec<&str> = tail.trim_end_matches(';').split_ascii_whitespace().collect();
    if words != [rows.to_string().as_str(), "offset", offset.to_string().as_str()] {
        return refuse("has a LIMIT in another form than LIMIT rows OFFSET rows");
    }
    Ok((Some(rows), Some(offset)))
}

#[cfg(test)]
mod tests;

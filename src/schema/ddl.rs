//! SQL that both databases write alike: name lists, index definitions, foreign key clauses.

use crate::schema::names::quote;
use crate::schema::{Action, Conflict, Deferrable, ForeignKey};

/// The quoted names, separated by commas.
pub(crate) fn quote_list(names: &[String]) -> String {
    names.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", ")
}

/// CREATE INDEX on the quoted `table`. `terms` and `filter` are finished SQL.
pub(crate) fn create_index(
    table: &str,
    name: &str,
    unique: bool,
    terms: &[String],
    filter: Option<&str>,
) -> String {
    let unique = if unique { "UNIQUE " } else { "" };
    let filter = filter.map_or_else(String::new, |filter| format!(" WHERE {filter}"));
    format!("CREATE {unique}INDEX {} ON {table} ({}){filter}", quote(name), terms.join(", "))
}

impl ForeignKey {
    /// The columns and the parent, without name and actions.
    pub(crate) fn clause(&self) -> String {
        let parent_columns = match self.parent_columns.as_slice() {
            [] => String::new(),
            columns => format!(" ({})", quote_list(columns)),
        };
        let (columns, parent) = (quote_list(&self.columns), quote(&self.parent));
        format!("FOREIGN KEY ({columns}) REFERENCES {parent}{parent_columns}")
    }
}

impl Action {
    /// All actions.
    pub(crate) const ALL: [Self; 5] =
        [Self::NoAction, Self::Restrict, Self::Cascade, Self::SetNull, Self::SetDefault];

    pub(crate) fn as_sql(self) -> &'static str {
        match self {
            Self::NoAction => "NO ACTION",
            Self::Restrict => "RESTRICT",
            Self::Cascade => "CASCADE",
            Self::SetNull => "SET NULL",
            Self::SetDefault => "SET DEFAULT",
        }
    }
}

impl Conflict {
    /// The clause after a constraint, with a leading space.
    pub(crate) fn as_clause(self) -> &'static str {
        match self {
            Self::Rollback => " ON CONFLICT ROLLBACK",
            Self::Fail => " ON CONFLICT FAIL",
            Self::Ignore => " ON CONFLICT IGNORE",
            Self::Replace => " ON CONFLICT REPLACE",
        }
    }
}

impl Deferrable {
    /// The clause after a foreign key, with a leading space.
    pub(crate) fn as_clause(self) -> &'static str {
        match self {
            Self::No => "",
            Self::InitiallyImmediate => " DEFERRABLE INITIALLY IMMEDIATE",
            Self::InitiallyDeferred => " DEFERRABLE INITIALLY DEFERRED",
        }
    }
}

//! The neutral schema, into which the catalogs of both databases are read.
//!
//! Names are kept exactly as their database has them. Only [`names`] quotes and shortens them.

pub(crate) mod chunk;
pub(crate) mod column_type;
pub(crate) mod ddl;
pub(crate) mod dropped;
pub(crate) mod expression;
pub(crate) mod names;
pub(crate) mod note;
pub(crate) mod query;
pub(crate) mod reason;

use crate::schema::expression::{Collation, Sql};
use crate::schema::names::quote;
use serde::{Deserialize, Serialize};

/// The data objects of one schema of a database.
#[derive(Debug, Clone, Default)]
pub(crate) struct Schema {
    /// The ordinary tables, in the order of their creation.
    pub(crate) tables: Vec<Table>,
    /// The views, in the order of their creation.
    pub(crate) views: Vec<View>,
    /// The objects that are not migrated, each with the reason.
    pub(crate) left_out: Vec<LeftOut>,
}

/// One table.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    /// The name, as stored.
    pub(crate) name: String,
    /// The columns in order of declaration, generated ones included.
    pub(crate) columns: Vec<Column>,
    /// The primary key, if there is one.
    pub(crate) primary_key: Option<Key>,
    /// UNIQUE constraints (not unique indexes made by CREATE INDEX).
    pub(crate) uniques: Vec<Key>,
    /// The foreign keys of this table as a child.
    pub(crate) foreign_keys: Vec<ForeignKey>,
    /// CHECK constraints, of columns and of the table.
    pub(crate) checks: Vec<Check>,
    /// Indexes made by CREATE INDEX.
    pub(crate) indexes: Vec<Index>,
    /// How ranges of rows are addressed.
    pub(crate) address: RowAddress,
    /// The last value of an automatic key (SQLite: `sqlite_sequence.seq`), if the database keeps one.
    pub(crate) sequence: Option<i64>,
}

/// How the rows of a table are addressed by ranges of a key, in storage order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) enum RowAddress {
    /// One 64-bit integer per row, under this column name (SQLite: the rowid or its alias).
    Integer {
        /// The name of the column in a query, which may be an undeclared one.
        column: String,
    },
    /// A composite or non-integer key whose columns all ascend, in key order.
    Key {
        /// The key's column names; their own collations apply.
        columns: Vec<String>,
    },
    /// No usable key: rows are numbered by one scan in storage order.
    #[default]
    Ordinal,
}

/// One column.
#[derive(Debug, Clone, Default)]
pub(crate) struct Column {
    /// The name, as stored.
    pub(crate) name: String,
    /// The declared type exactly as written; empty if there is none.
    pub(crate) declared: String,
    /// Declared NOT NULL (or implied so by a key that enforces it).
    pub(crate) not_null: bool,
    /// The DEFAULT, if there is one.
    pub(crate) default: Option<Sql>,
    pub(crate) collation: Collation,
    /// The rule of a generated column.
    pub(crate) generated: Option<Generated>,
    /// The column generates integer keys (SQLite: the alias of the rowid).
    pub(crate) identity: bool,
    /// The conflict clause of NOT NULL (SQLite).
    pub(crate) conflict: Option<Conflict>,
}

/// A generated column's rule.
#[derive(Debug, Clone)]
pub(crate) struct Generated {
    pub(crate) expression: Sql,
    /// STORED rather than VIRTUAL.
    pub(crate) stored: bool,
}

/// A column of a key or index, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyColumn {
    pub(crate) name: String,
    /// The collation in this key (usually that of the column).
    pub(crate) collation: Collation,
    /// Sorted descending.
    pub(crate) descending: bool,
}

/// A PRIMARY KEY or UNIQUE constraint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Key {
    /// The constraint's name, if it was given one.
    pub(crate) name: Option<String>,
    /// Its columns in key order.
    pub(crate) columns: Vec<KeyColumn>,
    /// Its conflict clause (SQLite).
    pub(crate) conflict: Option<Conflict>,
}

/// What SQLite does instead of refusing the statement when a row breaks a constraint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Conflict {
    Rollback,
    Fail,
    Ignore,
    Replace,
}

/// A foreign key of its child table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ForeignKey {
    /// The constraint's name, if it was given one.
    pub(crate) name: Option<String>,
    /// The child's columns.
    pub(crate) columns: Vec<String>,
    /// The parent table's own name, or the name as written if there is no such table.
    pub(crate) parent: String,
    /// The parent's columns. If none are written, the parent's primary key; empty if the parent or
    /// its key does not exist.
    pub(crate) parent_columns: Vec<String>,
    pub(crate) on_delete: Action,
    pub(crate) on_update: Action,
    /// DEFERRABLE and how.
    pub(crate) deferrable: Deferrable,
}

/// The action of a foreign key when the parent row is deleted or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[expect(clippy::enum_variant_names, reason = "SQL's own word")]
pub(crate) enum Action {
    #[default]
    NoAction,
    Restrict,
    Cascade,
    SetNull,
    SetDefault,
}

/// When a foreign key is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) enum Deferrable {
    /// Immediately, always.
    #[default]
    No,
    /// Immediately, unless SET CONSTRAINTS changes it.
    InitiallyImmediate,
    /// At commit.
    InitiallyDeferred,
}

/// A CHECK constraint.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Check {
    /// The constraint's name, if it was given one.
    pub(crate) name: Option<String>,
    pub(crate) condition: Sql,
}

/// An index made by CREATE INDEX.
#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    pub(crate) name: String,
    pub(crate) unique: bool,
    /// The terms, in order.
    pub(crate) terms: Vec<IndexTerm>,
    /// The WHERE of a partial index.
    pub(crate) filter: Option<Sql>,
    /// The whole statement as written.
    pub(crate) definition: String,
}

/// One term of an index.
#[derive(Debug, Clone)]
pub(crate) struct IndexTerm {
    /// A column or an expression.
    pub(crate) over: IndexOver,
    /// The collation of this term.
    pub(crate) collation: Collation,
    /// Sorted descending.
    pub(crate) descending: bool,
}

/// The value of an index term.
#[derive(Debug, Clone)]
pub(crate) enum IndexOver {
    /// A column, by name.
    Column(String),
    Expression(Sql),
}

/// A view.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) name: String,
    /// The whole CREATE VIEW statement as written.
    pub(crate) definition: String,
}

/// The kinds of objects that may not be migrated, in the order in which a target's are listed, and
/// what is attached to a table is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ObjectKind {
    View,
    MaterializedView,
    ForeignTable,
    Table,
    Sequence,
    Type,
    Index,
    VirtualTable,
    ShadowTable,
    InternalTable,
    Trigger,
    PrimaryKey,
    Unique,
    ForeignKey,
    Check,
    ConflictClause,
    Default,
    GeneratedColumn,
    Column,
    Rows,
    LargeObjects,
    Inheritance,
    Role,
    Pragma,
    Rule,
    Function,
    Comments,
    Schema,
    Statistics,
    Publication,
    RowSecurity,
    Setting,
    SecurityLabel,
    Policy,
    Owner,
    Comment,
    Grant,
}

/// An object that is not migrated, and the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LeftOut {
    pub(crate) kind: ObjectKind,
    /// The table to which it belongs, if it belongs to one.
    pub(crate) table: Option<String>,
    /// The name (for an unnamed constraint: its short text).
    pub(crate) name: String,
    /// The reason, in one line.
    pub(crate) reason: String,
    /// The definition in the source, if it helps to create the object by hand.
    pub(crate) definition: Option<String>,
    /// The number of rows that are not migrated because of it.
    pub(crate) rows: Option<u64>,
}

impl Table {
    /// The columns of each key, and of each unique index over plain columns and all rows.
    pub(crate) fn unique_columns(&self) -> Vec<Vec<&str>> {
        let keys = self.primary_key.iter().chain(&self.uniques);
        let indexes = self.indexes.iter().filter(|index| index.unique && index.filter.is_none());
        let indexes =
            indexes.filter_map(|index| index.terms.iter().map(IndexTerm::column).collect());
        keys.map(|key| key.names().collect()).chain(indexes).collect()
    }
}

impl Key {
    /// The names of its columns.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name.as_str())
    }
}

impl IndexTerm {
    /// The column of a term without an expression.
    pub(crate) fn column(&self) -> Option<&str> {
        match &self.over {
            IndexOver::Column(name) => Some(name),
            IndexOver::Expression(_) => None,
        }
    }

    /// The text of an expression.
    pub(crate) fn expression(&self) -> Option<&str> {
        match &self.over {
            IndexOver::Column(_) => None,
            IndexOver::Expression(sql) => Some(&sql.text),
        }
    }
}

impl LeftOut {
    /// An object that belongs to no table, without a reason yet.
    pub(crate) fn object(kind: ObjectKind, name: &str, definition: Option<&str>) -> Self {
        let (name, definition) = (name.to_owned(), definition.map(str::to_owned));
        Self { kind, table: None, name, reason: String::new(), definition, rows: None }
    }

    /// A part of `table`, without a reason yet.
    pub(crate) fn part(
        kind: ObjectKind,
        table: &str,
        name: &str,
        definition: Option<&str>,
    ) -> Self {
        Self { table: Some(table.to_owned()), ..Self::object(kind, name, definition) }
    }

    /// Whether both are about the same object.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (self.kind, &self.table, &self.name) == (other.kind, &other.table, &other.name)
    }

    /// The object and the reason, in one line.
    pub(crate) fn describe(&self) -> String {
        let of = self.table.as_ref().map(|table| format!(" of {}", quote(table)));
        let (kind, of) = (self.kind.as_str(), of.unwrap_or_default());
        format!("{kind} {}{of}: {}", quote(&self.name), self.reason)
    }

    /// Sets the reason.
    pub(crate) fn because(self, reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), ..self }
    }
}

impl ObjectKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::VirtualTable => "virtual table",
            Self::ShadowTable => "shadow table",
            Self::InternalTable => "internal table",
            Self::View => "view",
            Self::Trigger => "trigger",
            Self::Index => "index",
            Self::PrimaryKey => "primary key",
            Self::Unique => "unique constraint",
            Self::ForeignKey => "foreign key",
            Self::Check => "check",
            Self::ConflictClause => "conflict clause",
            Self::Default => "default",
            Self::GeneratedColumn => "generated column",
            Self::Column => "column",
            Self::Rows => "set of rows",
            Self::MaterializedView => "materialized view",
            Self::ForeignTable => "foreign table",
            Self::Sequence => "sequence",
            Self::Type => "type",
            Self::LargeObjects => "set of large objects",
            Self::Inheritance => "inheritance",
            Self::Policy => "policy",
            Self::Pragma => "pragma",
            Self::Rule => "rule",
            Self::Statistics => "statistics object",
            Self::Publication => "publication",
            Self::RowSecurity => "row-level security",
            Self::Setting => "setting",
            Self::SecurityLabel => "security label",
            Self::Owner => "owner",
            Self::Comment => "comment",
            Self::Grant => "grant",
            Self::Role => "role",
            Self::Function => "function",
            Self::Comments => "set of comments",
            Self::Schema => "schema",
        }
    }
}

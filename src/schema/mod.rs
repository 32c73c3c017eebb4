//! The neutral schema: what both databases' catalogs are read into and written from.
//!
//! Names are kept exactly as the database that owns them spells them; quoting and shortening
//! live in [`names`], and nowhere else.

pub mod chunk;
pub mod column_type;
pub mod expression;
pub mod names;
pub mod query;

pub use crate::schema::column_type::ColumnType;
pub use crate::schema::expression::{Affinity, Expression, Sql};

use serde::{Deserialize, Serialize};

/// Everything of one database (one schema of it) that has to do with data.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    /// The ordinary tables, in the order of their creation.
    pub tables: Vec<Table>,
    /// The views, in the order of their creation.
    pub views: Vec<View>,
    /// What the catalog holds and a migration does not carry over, each with the reason.
    pub left_out: Vec<LeftOut>,
}

/// One table.
#[derive(Debug, Clone)]
pub struct Table {
    /// The name, as stored.
    pub name: String,
    /// The columns in order of declaration, generated ones included.
    pub columns: Vec<Column>,
    /// The primary key, if there is one.
    pub primary_key: Option<Key>,
    /// UNIQUE constraints (not unique indexes made by CREATE INDEX).
    pub uniques: Vec<Key>,
    /// Foreign keys of which this table is the child.
    pub foreign_keys: Vec<ForeignKey>,
    /// CHECK constraints, of columns and of the table.
    pub checks: Vec<Check>,
    /// Indexes made by CREATE INDEX.
    pub indexes: Vec<Index>,
    /// How the rows of the table can be addressed by ranges.
    pub address: RowAddress,
    /// The last value that an automatic key has handed out (SQLite: `sqlite_sequence.seq`),
    /// where the database remembers one.
    pub sequence: Option<i64>,
}

/// How the rows of a table are addressed by ranges of a key, in storage order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RowAddress {
    /// One 64-bit integer per row, under this column name (SQLite: the rowid or its alias).
    Integer {
        /// The name under which a query reaches it; not necessarily a declared column.
        column: String,
    },
    /// A composite or non-integer key whose columns all ascend, in key order.
    Key {
        /// The key's column names; their own collations apply.
        columns: Vec<String>,
    },
    /// No usable key: rows are numbered by one scan in storage order.
    Ordinal,
}

/// One column.
#[derive(Debug, Clone)]
pub struct Column {
    /// The name, as stored.
    pub name: String,
    /// The declared type exactly as written; empty where there is none.
    pub declared: String,
    /// Declared NOT NULL (or implied so by a key that enforces it).
    pub not_null: bool,
    /// The DEFAULT, if there is one.
    pub default: Option<Sql>,
    /// The column's collation.
    pub collation: Collation,
    /// How the value is computed, for a generated column.
    pub generated: Option<Generated>,
    /// The column hands out its own integer keys (SQLite: the rowid's alias).
    pub identity: bool,
}

/// A generated column's rule.
#[derive(Debug, Clone)]
pub struct Generated {
    /// The expression.
    pub expression: Sql,
    /// STORED rather than VIRTUAL.
    pub stored: bool,
}

/// How text compares.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Collation {
    /// By bytes.
    #[default]
    Binary,
    /// ASCII letters without regard to case.
    NoCase,
    /// By bytes, trailing spaces ignored.
    RTrim,
    /// A collation that the application defines, by its name.
    Other(String),
}

/// A column of a key or index, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyColumn {
    /// The column's name.
    pub name: String,
    /// The collation in this key (normally the column's own).
    pub collation: Collation,
    /// Sorted descending.
    pub descending: bool,
}

/// A PRIMARY KEY or UNIQUE constraint.
#[derive(Debug, Clone)]
pub struct Key {
    /// The constraint's name, if it was given one.
    pub name: Option<String>,
    /// Its columns in key order.
    pub columns: Vec<KeyColumn>,
}

/// A foreign key, seen from the child.
#[derive(Debug, Clone)]
pub struct ForeignKey {
    /// The constraint's name, if it was given one.
    pub name: Option<String>,
    /// The child's columns.
    pub columns: Vec<String>,
    /// The parent table's name as the parent table itself spells it, or as written where there
    /// is no such table.
    pub parent: String,
    /// The parent's columns; where none were written, the parent's primary key (empty where the
    /// parent or its key does not exist).
    pub parent_columns: Vec<String>,
    /// ON DELETE.
    pub on_delete: Action,
    /// ON UPDATE.
    pub on_update: Action,
    /// DEFERRABLE and how.
    pub deferrable: Deferrable,
}

/// What a foreign key does when the parent's row goes or changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the SQL keywords")]
pub enum Action {
    #[default]
    NoAction,
    Restrict,
    Cascade,
    SetNull,
    SetDefault,
}

/// When a foreign key is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Deferrable {
    /// At once, always.
    #[default]
    No,
    /// At once unless SET CONSTRAINTS says otherwise.
    InitiallyImmediate,
    /// At commit.
    InitiallyDeferred,
}

/// A CHECK constraint.
#[derive(Debug, Clone)]
pub struct Check {
    /// The constraint's name, if it was given one.
    pub name: Option<String>,
    /// The condition.
    pub condition: Sql,
}

/// An index made by CREATE INDEX.
#[derive(Debug, Clone)]
pub struct Index {
    /// The name.
    pub name: String,
    /// UNIQUE.
    pub unique: bool,
    /// What it is over, in order.
    pub terms: Vec<IndexTerm>,
    /// The WHERE of a partial index.
    pub filter: Option<Sql>,
    /// The whole statement as written, for listing.
    pub definition: String,
}

/// One term of an index.
#[derive(Debug, Clone)]
pub struct IndexTerm {
    /// A column or an expression.
    pub over: IndexOver,
    /// The collation of this term.
    pub collation: Collation,
    /// Sorted descending.
    pub descending: bool,
}

/// What an index term is over.
#[derive(Debug, Clone)]
pub enum IndexOver {
    /// A column, by name.
    Column(String),
    /// An expression.
    Expression(Sql),
}

/// A view.
#[derive(Debug, Clone)]
pub struct View {
    /// The name.
    pub name: String,
    /// The whole CREATE VIEW statement as written.
    pub definition: String,
}

/// The kinds of things that can be left out of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum ObjectKind {
    Table,
    VirtualTable,
    ShadowTable,
    InternalTable,
    View,
    Trigger,
    Index,
    PrimaryKey,
    Unique,
    ForeignKey,
    Check,
    Default,
    GeneratedColumn,
    Column,
    Rows,
    MaterializedView,
    ForeignTable,
    Sequence,
    Inheritance,
    Policy,
    Role,
}

/// Something that is not carried over, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// What it is.
    pub kind: ObjectKind,
    /// The table it belongs to, where it belongs to one.
    pub table: Option<String>,
    /// Its name (for an unnamed constraint: its text in short).
    pub name: String,
    /// Why it is left out, in one line.
    pub reason: String,
    /// Its text as the source has it, where that helps to build it by hand.
    pub definition: Option<String>,
    /// Rows of content that do not arrive because of it.
    pub rows: Option<u64>,
}

impl LeftOut {
    /// A part of `table`, for a reason that is yet to be told.
    #[must_use]
    pub fn part(kind: ObjectKind, table: &str, name: &str, definition: Option<&str>) -> Self {
        Self {
            kind,
            table: Some(table.to_owned()),
            name: name.to_owned(),
            reason: String::new(),
            definition: definition.map(str::to_owned),
            rows: None,
        }
    }

    /// The same, for this reason.
    #[must_use]
    pub fn because(self, reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), ..self }
    }
}

impl ObjectKind {
    /// The word a person reads.
    #[must_use]
    pub fn word(self) -> &'static str {
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
            Self::Default => "default",
            Self::GeneratedColumn => "generated column",
            Self::Column => "column",
            Self::Rows => "set of rows",
            Self::MaterializedView => "materialized view",
            Self::ForeignTable => "foreign table",
            Self::Sequence => "sequence",
            Self::Inheritance => "inheritance",
            Self::Policy => "policy",
            Self::Role => "role",
        }
    }
}

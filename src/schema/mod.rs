//! The neutral schema: what both databases' catalogs are read into and written from.
//!
//! Names are kept exactly as the database that owns them spells them; quoting and shortening
//! live in [`names`], and nowhere else.

pub(crate) mod chunk;
pub(crate) mod column_type;
pub(crate) mod expression;
pub(crate) mod names;
pub(crate) mod query;
pub(crate) mod reason;

use crate::schema::expression::{Collation, Sql};
use serde::{Deserialize, Serialize};

/// Everything of one database (one schema of it) that has to do with data.
#[derive(Debug, Clone, Default)]
pub(crate) struct Schema {
    /// The ordinary tables, in the order of their creation.
    pub(crate) tables: Vec<Table>,
    /// The views, in the order of their creation.
    pub(crate) views: Vec<View>,
    /// What the catalog holds and a migration does not carry over, each with the reason.
    pub(crate) left_out: Vec<LeftOut>,
}

/// One table.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    /// The name, as stored.
    pub(crate) name: String,
    /// The columns in order of declaration, generated ones included.
    pub(crate) columns: Vec<Column>,
    /// The primary key, if there is one.
    pub(crate) primary_key: Option<Key>,
    /// UNIQUE constraints (not unique indexes made by CREATE INDEX).
    pub(crate) uniques: Vec<Key>,
    /// Foreign keys of which this table is the child.
    pub(crate) foreign_keys: Vec<ForeignKey>,
    /// CHECK constraints, of columns and of the table.
    pub(crate) checks: Vec<Check>,
    /// Indexes made by CREATE INDEX.
    pub(crate) indexes: Vec<Index>,
    /// How the rows of the table can be addressed by ranges.
    pub(crate) address: RowAddress,
    /// The last value that an automatic key has handed out (SQLite: `sqlite_sequence.seq`),
    /// where the database remembers one.
    pub(crate) sequence: Option<i64>,
}

/// How the rows of a table are addressed by ranges of a key, in storage order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RowAddress {
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
pub(crate) struct Column {
    /// The name, as stored.
    pub(crate) name: String,
    /// The declared type exactly as written; empty where there is none.
    pub(crate) declared: String,
    /// Declared NOT NULL (or implied so by a key that enforces it).
    pub(crate) not_null: bool,
    /// The DEFAULT, if there is one.
    pub(crate) default: Option<Sql>,
    /// The column's collation.
    pub(crate) collation: Collation,
    /// How the value is computed, for a generated column.
    pub(crate) generated: Option<Generated>,
    /// The column hands out its own integer keys (SQLite: the rowid's alias).
    pub(crate) identity: bool,
}

/// A generated column's rule.
#[derive(Debug, Clone)]
pub(crate) struct Generated {
    /// The expression.
    pub(crate) expression: Sql,
    /// STORED rather than VIRTUAL.
    pub(crate) stored: bool,
}

/// A column of a key or index, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyColumn {
    /// The column's name.
    pub(crate) name: String,
    /// The collation in this key (normally the column's own).
    pub(crate) collation: Collation,
    /// Sorted descending.
    pub(crate) descending: bool,
}

/// A PRIMARY KEY or UNIQUE constraint.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    /// The constraint's name, if it was given one.
    pub(crate) name: Option<String>,
    /// Its columns in key order.
    pub(crate) columns: Vec<KeyColumn>,
}

/// A foreign key, seen from the child.
#[derive(Debug, Clone)]
pub(crate) struct ForeignKey {
    /// The constraint's name, if it was given one.
    pub(crate) name: Option<String>,
    /// The child's columns.
    pub(crate) columns: Vec<String>,
    /// The parent table's name as the parent table itself spells it, or as written where there
    /// is no such table.
    pub(crate) parent: String,
    /// The parent's columns; where none were written, the parent's primary key (empty where the
    /// parent or its key does not exist).
    pub(crate) parent_columns: Vec<String>,
    /// ON DELETE.
    pub(crate) on_delete: Action,
    /// ON UPDATE.
    pub(crate) on_update: Action,
    /// DEFERRABLE and how.
    pub(crate) deferrable: Deferrable,
}

/// What a foreign key does when the parent's row goes or changes.
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
pub(crate) struct Check {
    /// The constraint's name, if it was given one.
    pub(crate) name: Option<String>,
    /// The condition.
    pub(crate) condition: Sql,
}

/// An index made by CREATE INDEX.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    /// The name.
    pub(crate) name: String,
    /// UNIQUE.
    pub(crate) unique: bool,
    /// What it is over, in order.
    pub(crate) terms: Vec<IndexTerm>,
    /// The WHERE of a partial index.
    pub(crate) filter: Option<Sql>,
    /// The whole statement as written, for listing.
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

/// What an index term is over.
#[derive(Debug, Clone)]
pub(crate) enum IndexOver {
    /// A column, by name.
    Column(String),
    /// An expression.
    Expression(Sql),
}

/// A view.
#[derive(Debug, Clone)]
pub(crate) struct View {
    /// The name.
    pub(crate) name: String,
    /// The whole CREATE VIEW statement as written.
    pub(crate) definition: String,
}

/// The kinds of things that can be left out of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ObjectKind {
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
pub(crate) struct LeftOut {
    /// What it is.
    pub(crate) kind: ObjectKind,
    /// The table it belongs to, where it belongs to one.
    pub(crate) table: Option<String>,
    /// Its name (for an unnamed constraint: its text in short).
    pub(crate) name: String,
    /// Why it is left out, in one line.
    pub(crate) reason: String,
    /// Its text as the source has it, where that helps to build it by hand.
    pub(crate) definition: Option<String>,
    /// Rows of content that do not arrive because of it.
    pub(crate) rows: Option<u64>,
}

impl LeftOut {
    /// A part of `table`, for a reason that is yet to be told.
    pub(crate) fn part(
        kind: ObjectKind,
        table: &str,
        name: &str,
        definition: Option<&str>,
    ) -> Self {
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
    pub(crate) fn because(self, reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), ..self }
    }
}

impl ObjectKind {
    /// The word a person reads.
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

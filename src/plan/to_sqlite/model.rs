//! The parts of a plan that only a SQLite target has.

use crate::codec::encoding::Encoding;
use crate::plan::model::{PlannedColumn, Target};
use crate::plan::to_sqlite::column_types::MappingCandidate;
use crate::schema::LeftOut;
use crate::schema::names::quote;
use crate::sqlite::catalog::file_properties::FileProperties;
use crate::sqlite::sql::ddl::TableDdl;

/// A SQLite target.
pub(crate) enum ToSqlite {}

impl Target for ToSqlite {
    type TableDdl = TableDdl;
    type Read = OrderedRead;
    type Finish = SqliteFinish;
    type Mapping = MappingCandidate;
    type Objects = SqliteObjects;

    fn table_name(ddl: &TableDdl) -> &str {
        &ddl.name
    }

    fn column_type(mapping: &MappingCandidate) -> String {
        mapping.declared.clone()
    }

    fn type_override(_: &MappingCandidate) -> Option<Encoding> {
        None
    }
}

/// What a plan has in addition to its tables.
pub(crate) struct SqliteObjects {
    pub(crate) file: FileProperties,
    /// Indexes, views and triggers of the original SQLite file, created last.
    pub(crate) restored: Vec<Restored>,
}

/// An object of the original SQLite file, from a note.
pub(crate) struct Restored {
    pub(crate) sql: String,
    /// A statement that fails if the object cannot work.
    pub(crate) probe: String,
    /// Its entry in the list of what is not migrated, without the reason.
    pub(crate) left_out: LeftOut,
}

/// How the rows of a table are read: by queries whose rows are written in their order.
#[derive(Default)]
pub(crate) struct OrderedRead {
    /// The qualified name of the table in the source.
    pub(crate) qualified: String,
    /// The queries, in order.
    pub(crate) queries: Vec<String>,
    /// Bytes of the widest row; 0 where no row can be large.
    pub(crate) widest: u64,
    /// The columns of the primary key, by their names in the source.
    pub(crate) key: Vec<String>,
}

/// Whether PostgreSQL has enforced a foreign key. Only a valid one has no rows without a parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Enforced {
    Valid,
    NotValid,
    /// PostgreSQL lacks it.
    Lost,
}

/// What a table gets once its rows are copied.
pub(crate) struct SqliteFinish {
    /// For each foreign key of the definition: whether PostgreSQL has enforced it.
    pub(crate) enforced: Vec<Enforced>,
    /// The last checks that PostgreSQL lacks; a check that rows break is taken out.
    pub(crate) lost_checks: usize,
    /// The last value that the table's key has handed out.
    pub(crate) sequence: Option<i64>,
}

impl PlannedColumn<ToSqlite> {
    /// The expression that reads it.
    pub(crate) fn expression(&self) -> String {
        self.mapping.read.clone().unwrap_or_else(|| quote(&self.name))
    }
}

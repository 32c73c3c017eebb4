//! A source: a SQLite file in a folder of its own, checked for any change.

use crate::harness;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use tempfile::TempDir;

/// A SQLite database in its own folder, and the original content of the folder.
pub(crate) struct Source {
    folder: TempDir,
    before: BTreeMap<OsString, String>,
}

impl Source {
    /// The database that `fixtures/NAME.sql` builds.
    pub(crate) fn of_fixture(name: &str) -> Self {
        let path = fixture_path(&format!("{name}.sql"));
        let sql = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Self::of_sql(&sql)
    }

    /// The database that `sql` builds, foreign keys not enforced while it is built.
    pub(crate) fn of_sql(sql: &str) -> Self {
        Self::built(|connection| connection.execute_batch(sql).unwrap())
    }

    /// The database that `build` makes in a new, empty file.
    pub(crate) fn built(build: impl FnOnce(&Connection)) -> Self {
        Self::of_folder(|path| {
            let connection = Connection::open(path).unwrap();
            connection
                .execute_batch("PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF")
                .unwrap();
            build(&connection);
            // An empty schema leaves a file of zero bytes; a database without tables has a header.
            connection.execute_batch("PRAGMA user_version = 7").unwrap();
        })
    }

    /// The database that `make` creates at a path.
    pub(crate) fn of_folder(make: impl FnOnce(&Path)) -> Self {
        let folder = TempDir::new().unwrap();
        make(&folder.path().join("app.db"));
        let before = inventory(folder.path());
        Self { folder, before }
    }

    /// Where the database is.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("app.db")
    }

    /// The path as an argument.
    pub(crate) fn argument(&self) -> String {
        self.path().to_str().unwrap().to_owned()
    }

    /// Asserts that the folder's content is unchanged: the file, its `-wal`, and nothing else.
    pub(crate) fn assert_unchanged(&self) {
        let after = inventory(self.folder.path());
        assert_eq!(
            self.before.keys().collect::<Vec<_>>(),
            after.keys().collect::<Vec<_>>(),
            "files next to the source"
        );
        for (name, hash) in &self.before {
            assert!(after[name] == *hash, "{} has changed", name.display());
        }
    }

    /// Opens a copy, so that reading never touches the source.
    pub(crate) fn reading_copy(&self) -> Copy {
        let folder = TempDir::new().unwrap();
        for name in self.before.keys().filter(|name| !name.to_string_lossy().ends_with("-shm")) {
            fs::copy(self.folder.path().join(name), folder.path().join(name)).unwrap();
        }
        let connection = Connection::open(folder.path().join("app.db")).unwrap();
        Copy { connection, _folder: folder }
    }

    /// Runs `migrate database --from THIS --to URL ARGUMENTS` and asserts that the source is unchanged.
    pub(crate) fn migrate(&self, url: &str, arguments: &[&str]) -> Output {
        let from = self.argument();
        let mut all = vec!["database", "--from", from.as_str(), "--to", url];
        all.extend(arguments);
        let output = harness::migrate(all);
        self.assert_unchanged();
        output
    }
}

/// An open copy of a source.
pub(crate) struct Copy {
    /// The open copy.
    pub(crate) connection: Connection,
    _folder: TempDir,
}

/// The path of a file in `fixtures/`.
pub(crate) fn fixture_path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(file)
}

/// Every file of `folder` with the SHA-256 of its content. A WAL index (`-shm`) is named but not
/// hashed: it is shared memory, and readers mark it.
fn inventory(folder: &Path) -> BTreeMap<OsString, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        let hashable =
            entry.file_type().unwrap().is_file() && !name.to_string_lossy().ends_with("-shm");
        let hash = if hashable { harness::sha256(&entry.path()) } else { String::new() };
        found.insert(name, hash);
    }
    found
}

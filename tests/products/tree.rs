//! A tree: the files of a product under a root of their own, with a stand-in for `systemctl` on PATH.

use crate::harness::{migrate_command, sha256, sqlite3_script};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A tree of a product.
pub(crate) struct Tree {
    root: TempDir,
    name: &'static str,
    files: Vec<PathBuf>,
    hashes: Vec<String>,
}

/// The tables of the first data set.
pub(crate) const FIRST: &str = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT); \
    INSERT INTO users VALUES (1, 'ada'), (2, 'grace')";
/// The tables of the second data set.
pub(crate) const SECOND: &str = "CREATE TABLE visits (id INTEGER PRIMARY KEY, at TEXT); \
    INSERT INTO visits VALUES (1, 'x'), (2, 'y'), (3, 'z')";

impl Tree {
    /// Connect's, with both databases and `postgres` as the lines of `[Postgres]`.
    pub(crate) fn connect(postgres: &str) -> Self {
        let mut tree = Self::new("rstudio-connect");
        tree.configure(&format!(
            "\u{feff}; Posit Connect\r\n\r\n[Server]\r\nAddress = \"http://a.example/\" # not https\r\n\r\n\
             [Database]\r\nProvider = \"sqlite\" ; for now\r\n\r\n[Postgres]\r\n{postgres}\r\n"
        ));
        tree.database("var/lib/rstudio-connect/db/connect.db", FIRST);
        tree.database("var/lib/rstudio-connect/db/connect-instrumentation.db", SECOND);
        // A backup by the product, which is not the database.
        fs::write(tree.path("var/lib/rstudio-connect/db/connect.db.01508526538"), "old").unwrap();
        tree
    }

    /// Package Manager's, with its main database only.
    pub(crate) fn package_manager(postgres: &str) -> Self {
        let mut tree = Self::new("rstudio-pm");
        tree.configure(&format!("[Server]\nAddress = :4242\n\n[Postgres]\n{postgres}\n"));
        tree.database("var/lib/rstudio-pm/db/packages.db", FIRST);
        if !is_root() {
            let unit = tree.path("etc/systemd/system/rstudio-pm.service.d");
            fs::create_dir_all(&unit).unwrap();
            let group = rustix::process::getegid().as_raw();
            fs::write(unit.join("00.conf"), format!("[Service]\nGroup={group}\n")).unwrap();
        }
        tree
    }

    fn new(name: &'static str) -> Self {
        let tree =
            Self { root: TempDir::new().unwrap(), name, files: Vec::new(), hashes: Vec::new() };
        tree.service("inactive");
        tree
    }

    /// Writes the configuration file.
    pub(crate) fn configure(&self, text: &str) {
        let path = self.config();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }

    /// Adds a SQLite database at a path under the root.
    pub(crate) fn database(&mut self, path: &str, sql: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        sqlite3_script(&path, sql);
        self.hashes.push(sha256(&path));
        self.files.push(path);
    }

    /// Lets `systemctl is-active` of the product's unit answer `state`.
    pub(crate) fn service(&self, state: &str) {
        let program = self.path("bin/systemctl");
        fs::create_dir_all(program.parent().unwrap()).unwrap();
        let name = self.name;
        let script = format!(
            "#!/bin/sh\n[ \"$1 $2\" = \"is-active {name}\" ] || exit 64\necho {state}\n\
             [ {state} = active ]\n"
        );
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    }

    /// A path under the root.
    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.root.path().join(below)
    }

    /// The configuration file.
    pub(crate) fn config(&self) -> PathBuf {
        self.path(&format!("etc/{0}/{0}.gcfg", self.name))
    }

    /// The command with `arguments` under this root.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = match self.name {
            "rstudio-connect" => as_root(migrate_command()),
            _ => migrate_command(),
        };
        command.args(arguments).arg("--root").arg(self.root.path());
        self.surround(&mut command);
        command
    }

    /// Adds the stand-ins to a command's PATH.
    pub(crate) fn surround(&self, command: &mut Command) {
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", self.path("bin").display()));
    }

    /// Runs the command and asserts that no database has changed.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output().unwrap();
        self.assert_unchanged();
        output
    }

    pub(crate) fn assert_unchanged(&self) {
        for (file, hash) in self.files.iter().zip(&self.hashes) {
            assert_eq!(sha256(file), *hash, "{}", file.display());
        }
    }

    /// The root.
    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }
}

/// Whether the tests run as root. Another user acts as root of a user namespace for Connect, and as a
/// member of the service's group for Package Manager.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn as_root(command: Command) -> Command {
    if is_root() {
        return command;
    }
    let mut outer = Command::new("unshare");
    outer.arg("--map-root-user").arg(command.get_program()).stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer
}

/// A URL as a gcfg file may hold it, with a search path.
pub(crate) fn url(url: &str, schema: Option<&str>) -> String {
    let join = if url.contains('?') { '&' } else { '?' };
    match schema {
        // The second equals sign raw, as the products' documentation has it.
        Some(schema) => format!("\"{url}{join}options=-csearch_path={schema}\""),
        None => format!("\"{url}\""),
    }
}

//! The programs of a PostgreSQL server.

use crate::error::{Error, Result};
use crate::postgres::server::account::Account;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The folder in which Debian has one folder per major version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// The folder of `postgres`, `initdb` and the other programs: `PG_BIN` if set, else the first usable
/// folder on `PATH`, else Debian's newest.
pub(crate) fn find(account: Option<&Account>) -> Result<PathBuf> {
    let given = env::var_os("PG_BIN");
    let candidates = match &given {
        Some(bin) => vec![PathBuf::from(bin)],
        None => {
            let path = env::var_os("PATH").unwrap_or_default();
            env::split_paths(&path).chain(newest_first(Path::new(DEBIAN))).collect()
        }
    };
    let mut refused = Vec::new();
    for candidate in &candidates {
        // Most folders on PATH have no server, which is not worth an error.
        if given.is_none() && !candidate.join("postgres").exists() {
            continue;
        }
        match usable(candidate, account) {
            Ok(bin) => return Ok(bin),
            Err(reason) => refused.push(format!("{}: {reason}", candidate.display())),
        }
    }
    let error = Error::failed("no usable PostgreSQL server programs found")
        .hint("install them (apt install postgresql), or set PG_BIN to their folder");
    Err(refused.into_iter().fold(error, Error::caused_by))
}

/// The `bin` folders below `root`, the highest version first.
fn newest_first(root: &Path) -> Vec<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    versions.into_iter().map(|(_, bin)| bin).collect()
}

/// The real folder behind `folder`, or the reason why its programs cannot be used.
fn usable(folder: &Path, account: Option<&Account>) -> Result<PathBuf, String> {
    // PATH may have only a link to the server. The other programs and the share directory are found
    // from its real path.
    let postgres = folder.join("postgres").canonicalize().map_err(|e| format!("postgres: {e}"))?;
    let bin = postgres.parent().ok_or("postgres: no folder")?.to_owned();
    let initdb = bin.join("initdb");
    if !initdb.exists() {
        return Err(format!("no initdb next to {}", postgres.display()));
    }
    // --show only prints settings, among them the file that clusters are created from.
    let mut command = Command::new(&initdb);
    command.args(["--show", "-D", "/nonexistent"]);
    Account::prepare(account, &mut command);
    let output = command.output().map_err(|e| format!("initdb does not run: {e}"))?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    match text.lines().find_map(|line| line.strip_prefix("POSTGRES_BKI=")) {
        Some(bki) if Path::new(bki).exists() => Ok(bin),
        Some(bki) => Err(format!("initdb does not find its file {bki}")),
        None => Err(format!("initdb fails: {}", text.lines().next().unwrap_or("no message"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_sorted_by_number() {
        let root = tempfile::tempdir().unwrap();
        for version in ["9", "15", "14", "common"] {
            fs::create_dir_all(root.path().join(version).join("bin")).unwrap();
        }
        let found = newest_first(root.path());
        let expected: Vec<_> =
            ["15", "14", "9"].iter().map(|v| root.path().join(v).join("bin")).collect();
        assert_eq!(found, expected);
        assert!(newest_first(&root.path().join("absent")).is_empty());
    }

    #[test]
    fn a_link_to_the_server_leads_to_its_programs() {
        let root = tempfile::tempdir().unwrap();
        let (real, path) = (root.path().join("real"), root.path().join("path"));
        fs::create_dir_all(&real).unwrap();
        fs::create_dir_all(&path).unwrap();
        fs::write(real.join("postgres"), "").unwrap();
        std::os::unix::fs::symlink(real.join("postgres"), path.join("postgres")).unwrap();
        let reason = usable(&path, None).unwrap_err();
        assert!(reason.starts_with("no initdb next to "), "{reason}");
        assert!(reason.contains("/real/postgres"), "{reason}");
    }

    #[test]
    fn an_initdb_without_its_share_directory_is_skipped() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("postgres"), "").unwrap();
        let initdb = root.path().join("initdb");
        fs::write(&initdb, "#!/bin/sh\necho POSTGRES_BKI=/absent/postgres.bki >&2\n").unwrap();
        fs::set_permissions(&initdb, fs::Permissions::from_mode(0o755)).unwrap();
        let reason = usable(root.path(), None).unwrap_err();
        assert_eq!(reason, "initdb does not find its file /absent/postgres.bki");
    }
}

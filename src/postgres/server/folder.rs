//! The folder of a private server: short enough for the path of a socket, closed to other users, and
//! reachable by the server's user.

use crate::error::{Error, Result};
use crate::postgres::server::account::Account;
use std::env;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The longest path of a socket on Linux, in bytes (`sockaddr_un` without the final NUL).
const MAX_SOCKET: usize = 107;

/// The prefix of the folder's name; six random characters follow.
const PREFIX: &str = "migrate-pg-";

/// The bytes after the parent's path: the folder's name and the longest name of the socket.
const SUFFIX_BYTES: usize = "/".len() + PREFIX.len() + 6 + "/.s.PGSQL.65535".len();

/// Creates a folder in the temporary folder, or in /tmp if that one cannot be used.
pub(crate) fn make(account: Option<&Account>) -> Result<TempDir> {
    let mut error = Error::failed("cannot create a folder for a private PostgreSQL server")
        .hint("set TMPDIR to a short path that every user may write to, such as /tmp");
    for parent in [env::temp_dir(), PathBuf::from("/tmp")] {
        match make_in(&parent, account) {
            Ok(folder) => return Ok(folder),
            Err(reason) => error = error.caused_by(format!("{}: {reason}", parent.display())),
        }
    }
    Err(error)
}

fn make_in(parent: &Path, account: Option<&Account>) -> Result<TempDir, String> {
    let parent = std::path::absolute(parent).map_err(|e| e.to_string())?;
    if parent.as_os_str().len() + SUFFIX_BYTES > MAX_SOCKET {
        let max = MAX_SOCKET - SUFFIX_BYTES;
        return Err(format!("longer than {max} bytes, too long for the path of a socket"));
    }
    if parent.to_str().is_none() {
        return Err("not UTF-8".to_owned());
    }
    let folder = tempfile::Builder::new()
        .prefix(PREFIX)
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(&parent)
        .map_err(|e| e.to_string())?;
    if let Some(account) = account {
        account.own(folder.path()).map_err(|e| e.to_string())?;
        // The user must reach the folder, and remove it if this process cannot.
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(r#"cd "$1" && test -w .."#).arg("sh").arg(folder.path());
        Account::prepare(Some(account), &mut command);
        let reached = command.output().map_err(|e| e.to_string())?.status.success();
        if !reached {
            return Err(format!("not accessible to the user \"{}\"", account.name()));
        }
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_too_long_for_a_socket_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("x".repeat(MAX_SOCKET));
        std::fs::create_dir(&deep).unwrap();
        let reason = make_in(&deep, None).unwrap_err();
        assert!(reason.contains("too long for the path of a socket"), "{reason}");
    }

    #[test]
    fn the_folder_is_closed_to_others_and_short_enough_for_the_socket() {
        let folder = make(None).unwrap();
        let mode = folder.path().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        let socket = folder.path().join(".s.PGSQL.65535");
        assert!(socket.as_os_str().len() <= MAX_SOCKET, "{}", socket.display());
        assert!(folder.path().file_name().unwrap().len() <= PREFIX.len() + 6);
    }
}

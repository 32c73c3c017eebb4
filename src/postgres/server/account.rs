//! The account of a private server: PostgreSQL refuses to run as root, so root starts its processes
//! as an unprivileged user.

use crate::error::{Error, Result};
use nix::unistd::User;
use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// The users to run as, in order: that of the server packages, and one that every system has.
const USERS: [&str; 2] = ["postgres", "nobody"];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    name: String,
    uid: u32,
    gid: u32,
}

impl Account {
    /// The user to run a server as; `None` if this process is not root.
    pub(crate) fn choose() -> Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        USERS.iter().find_map(|name| Self::find(name)).map(Some).ok_or_else(|| {
            Error::failed("PostgreSQL does not run as root, and no unprivileged user exists")
                .hint("run as an ordinary user, or create the user \"postgres\"")
        })
    }

    fn find(name: &str) -> Option<Self> {
        Self::unprivileged(User::from_name(name).ok()??)
    }

    /// `user`, unless it has root's id: a user "nobody" may have it.
    fn unprivileged(User { name, uid, gid, .. }: User) -> Option<Self> {
        (!uid.is_root()).then(|| Self { name, uid: uid.as_raw(), gid: gid.as_raw() })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn own(&self, folder: &Path) -> std::io::Result<()> {
        std::os::unix::fs::chown(folder, Some(self.uid), Some(self.gid))
    }

    /// Prepares `command` for a private server: the user, a working directory that every user may
    /// enter, English messages, and none of the `PG*` variables of PostgreSQL's programs.
    pub(crate) fn prepare(account: Option<&Self>, command: &mut Command) {
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"PG") {
                command.env_remove(&name);
            }
        }
        command.env("LC_ALL", OsStr::new("C")).current_dir("/");
        if let Some(account) = account {
            // With a user, the standard library also drops root's supplementary groups.
            command.gid(account.gid).uid(account.uid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_unless_it_has_the_id_of_root() {
        assert_eq!(Account::find("no such user"), None);
        let Some(mut user) = User::from_name("nobody").unwrap() else { return };
        assert_ne!(Account::find("nobody").unwrap().uid, 0);
        user.uid = nix::unistd::Uid::from_raw(0);
        assert_eq!(Account::unprivileged(user), None);
    }
}

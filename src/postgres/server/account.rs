//! The account of a private server: PostgreSQL refuses to run as root, so root starts its processes
//! as an unprivileged user.

use crate::error::{Error, Result};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// The users to run as, in order: that of the server packages, and one that every system has.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// An unprivileged user.
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
        let unreadable = |e| Error::failed("cannot read /etc/passwd").caused_by(e);
        let users = fs::read_to_string("/etc/passwd").map_err(unreadable)?;
        let found = USERS.iter().find_map(|name| Self::among(&users, name));
        found.map(Some).ok_or_else(|| {
            Error::failed("PostgreSQL does not run as root, and no unprivileged user exists")
                .hint("run as an ordinary user, or create the user \"postgres\"")
        })
    }

    /// The user `name` in the text of a passwd file.
    fn among(users: &str, name: &str) -> Option<Self> {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next() == Some(name)).then_some(())?;
            let uid = fields.nth(1)?.parse().ok()?;
            let gid = fields.next()?.parse().ok()?;
            // A "nobody" with root's id is not unprivileged.
            (uid != 0).then(|| Self { name: name.to_owned(), uid, gid })
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Makes this user the owner of `folder`.
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

    const USERS: &str = "root:x:0:0:root:/root:/bin/bash\n\
        postgresql:x:7:8::/:/bin/sh\n\
        broken\n\
        postgres:x:101:104:PostgreSQL,,,:/var/lib/postgresql:/bin/bash\n\
        nobody:x:0:0::/:/bin/sh\n";

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let account = Account::among(USERS, "postgres").unwrap();
        assert_eq!(account, Account { name: "postgres".to_owned(), uid: 101, gid: 104 });
    }

    #[test]
    fn a_user_with_the_id_of_root_is_not_used() {
        assert_eq!(Account::among(USERS, "nobody"), None);
        assert_eq!(Account::among(USERS, "absent"), None);
    }
}

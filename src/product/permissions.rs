//! Who may run: root for Connect; for Package Manager also the members of the group under which
//! its service runs, which systemd may have been told otherwise.

use crate::error::{Error, Result};
use crate::product::{Product, Root};
use nix::unistd::{Gid, Group, Uid, User};
use std::fs;
use std::path::Path;

/// Refuses a user who may not.
pub(crate) fn check(product: Product, root: &Root) -> Result<()> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    match product {
        Product::Connect => Err(Error::refused("only root may migrate Connect's databases")
            .hint("run the same command with sudo")),
        Product::PackageManager => {
            let unit = Unit::read(&root.at(Path::new("/etc/systemd/system")));
            let (name, gid) = unit.group()?;
            let groups = rustix::process::getgroups().unwrap_or_default();
            let ours = groups.into_iter().chain([rustix::process::getegid()]);
            if ours.into_iter().any(|group| group.as_raw() == gid.as_raw()) {
                return Ok(());
            }
            Err(Error::refused(format!(
                "only root and the members of the group {name}, under which Package Manager's \
                 service runs, may migrate its databases"
            ))
            .hint("run the same command with sudo")
            .hint(format!("or become a member: sudo usermod -aG {name} USER, and log in again")))
        }
    }
}

/// What systemd was told of the user and group of a service.
#[derive(Debug, Default, PartialEq, Eq)]
struct Unit {
    user: Option<String>,
    group: Option<String>,
}

impl Unit {
    /// Reads the drop-in files of Package Manager's unit in the order of their names, as
    /// systemd.unit(5) says; what cannot be read says nothing.
    fn read(folder: &Path) -> Self {
        let name = Product::PackageManager.system_name();
        let folder = folder.join(format!("{name}.service.d"));
        let mut files: Vec<_> = fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|end| end == "conf"))
            .collect();
        files.sort();
        let mut unit = Self::default();
        for file in files {
            unit.add(&fs::read_to_string(file).unwrap_or_default());
        }
        unit
    }

    /// Takes up `User=` and `Group=` of `[Service]`; an empty one undoes an earlier one.
    fn add(&mut self, text: &str) {
        let mut in_service = false;
        for line in text.lines().map(str::trim) {
            if line.starts_with('[') {
                in_service = line == "[Service]";
            }
            let Some((key, value)) = line.split_once('=').filter(|_| in_service) else { continue };
            let value = Some(value.trim().to_owned()).filter(|value| !value.is_empty());
            match key.trim() {
                "User" => self.user = value,
                "Group" => self.group = value,
                _ => {}
            }
        }
    }

    /// The group: its own, else the primary group of its user. Both may be numbers.
    fn group(&self) -> Result<(String, Gid)> {
        let unknown = |kind: &str, name: &str| {
            Error::refused(format!(
                "Package Manager's service runs as the {kind} {name}, which this system does not \
                 know"
            ))
            .hint("run as root, or mend the drop-in files of the service")
        };
        if let Some(name) = &self.group {
            let known = Group::from_name(name).ok().flatten().map(|group| group.gid);
            let gid = known.or_else(|| name.parse().ok().map(Gid::from_raw));
            return gid.map(|gid| (name.clone(), gid)).ok_or_else(|| unknown("group", name));
        }
        let name = self.user.as_deref().unwrap_or(Product::PackageManager.system_name());
        let by_name = User::from_name(name).ok().flatten();
        let by_number = || User::from_uid(Uid::from_raw(name.parse().ok()?)).ok().flatten();
        let user = by_name.or_else(by_number).ok_or_else(|| unknown("user", name))?;
        let group = Group::from_gid(user.gid).ok().flatten();
        Ok((group.map_or_else(|| user.gid.to_string(), |group| group.name), user.gid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drop_in_files_are_read_in_order_and_only_their_service_section() {
        let folder = tempfile::tempdir().unwrap();
        let unit = folder.path().join("rstudio-pm.service.d");
        fs::create_dir(&unit).unwrap();
        fs::write(unit.join("20.conf"), "[Service]\nUser = late\n# Group=no\n").unwrap();
        fs::write(unit.join("10.conf"), "[Unit]\nUser=no\n[Service]\nUser=early\nGroup=g\n")
            .unwrap();
        fs::write(unit.join("30.conf.bak"), "[Service]\nUser=no\n").unwrap();
        let expected = Unit { user: Some("late".into()), group: Some("g".into()) };
        assert_eq!(Unit::read(folder.path()), expected);
        fs::write(unit.join("40.conf"), "[Service]\nGroup=\n").unwrap();
        assert_eq!(Unit::read(folder.path()), Unit { group: None, ..expected });
    }

    #[test]
    fn groups_may_be_names_and_numbers_and_default_to_the_user_s_own() {
        let unit = |user: Option<&str>, group: Option<&str>| Unit {
            user: user.map(str::to_owned),
            group: group.map(str::to_owned),
        };
        let gid = |unit: Unit| unit.group().map(|(_, gid)| gid.as_raw()).map_err(|_| ());
        assert_eq!(gid(unit(Some("root"), None)), Ok(0));
        assert_eq!(gid(unit(Some("0"), None)), Ok(0));
        assert_eq!(gid(unit(Some("nobody-here"), Some("54321"))), Ok(54321));
        assert_eq!(gid(unit(None, Some("root"))), Ok(0));
        assert_eq!(gid(unit(Some("nobody-here"), None)), Err(()));
    }
}

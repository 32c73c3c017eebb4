//! Who may migrate a product's databases: root, and for some products the members of the group under
//! which the service runs. systemd's drop-in files may change that group.

use crate::error::{Error, Result};
use crate::product::Root;
use crate::product::spec::{Permitted, ProductSpec};
use nix::unistd::{Gid, Group, Uid, User};
use std::fs;
use std::path::Path;

/// Refuses a user who may not migrate the databases of `product`.
pub(crate) fn check(product: &ProductSpec, root: &Root) -> Result<()> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    match product.permitted {
        Permitted::Root => {
            Err(Error::refused(format!("only root may migrate the databases of {product}"))
                .hint("run the same command with sudo"))
        }
        Permitted::ServiceGroup => {
            let unit = Unit::read(product, &root.at(Path::new("/etc/systemd/system")));
            let (name, gid) = unit.group(product)?;
            let groups = rustix::process::getgroups().unwrap_or_default();
            let ours = groups.into_iter().chain([rustix::process::getegid()]);
            if ours.into_iter().any(|group| group.as_raw() == gid.as_raw()) {
                return Ok(());
            }
            Err(Error::refused(format!(
                "only root and members of the group {name} may migrate the databases of {product}"
            ))
            .caused_by(format!("the service of {product} runs under that group"))
            .hint("run the same command with sudo")
            .hint(format!("or become a member: sudo usermod -aG {name} USER, and log in again")))
        }
    }
}

/// The user and group that systemd's drop-in files set for a service.
#[derive(Debug, Default, PartialEq, Eq)]
struct Unit {
    user: Option<String>,
    group: Option<String>,
}

impl Unit {
    /// Reads the drop-in files of the product's unit in the order of their names, as in
    /// systemd.unit(5). Unreadable files are skipped.
    fn read(product: &ProductSpec, folder: &Path) -> Self {
        let folder = folder.join(format!("{}.service.d", product.system_name));
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

    /// Reads `User=` and `Group=` of `[Service]`. An empty value resets an earlier one.
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

    /// The group of the unit, else the primary group of its user. Both may be numbers.
    fn group(&self, product: &ProductSpec) -> Result<(String, Gid)> {
        let unknown = |kind: &str, name: &str| {
            Error::refused(format!(
                "the service of {product} runs as the {kind} {name}, which does not exist"
            ))
            .hint("run as root, or fix the drop-in files of the service")
        };
        if let Some(name) = &self.group {
            let known = Group::from_name(name).ok().flatten().map(|group| group.gid);
            let gid = known.or_else(|| name.parse().ok().map(Gid::from_raw));
            return gid.map(|gid| (name.clone(), gid)).ok_or_else(|| unknown("group", name));
        }
        let name = self.user.as_deref().unwrap_or(product.system_name);
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
    use crate::product::products::PACKAGE_MANAGER;

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
        assert_eq!(Unit::read(&PACKAGE_MANAGER, folder.path()), expected);
        fs::write(unit.join("40.conf"), "[Service]\nGroup=\n").unwrap();
        assert_eq!(Unit::read(&PACKAGE_MANAGER, folder.path()), Unit { group: None, ..expected });
    }

    #[test]
    fn groups_may_be_names_or_numbers_and_default_to_the_users_own() {
        let unit = |user: Option<&str>, group: Option<&str>| Unit {
            user: user.map(str::to_owned),
            group: group.map(str::to_owned),
        };
        let gid =
            |unit: Unit| unit.group(&PACKAGE_MANAGER).map(|(_, gid)| gid.as_raw()).map_err(|_| ());
        assert_eq!(gid(unit(Some("root"), None)), Ok(0));
        assert_eq!(gid(unit(Some("0"), None)), Ok(0));
        assert_eq!(gid(unit(Some("nobody-here"), Some("54321"))), Ok(54321));
        assert_eq!(gid(unit(None, Some("root"))), Ok(0));
        assert_eq!(gid(unit(Some("nobody-here"), None)), Err(()));
    }
}

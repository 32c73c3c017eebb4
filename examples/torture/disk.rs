//! A disk that fills: a small tmpfs as a tablespace of the server.

use crate::Outcome;
use crate::control::Control;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;

/// A mounted tmpfs; gone when dropped.
pub struct Disk {
    folder: TempDir,
    tablespace: String,
}

/// Whether this machine lets us mount one.
pub fn can_be_filled() -> bool {
    static CAN: OnceLock<bool> = OnceLock::new();
    *CAN.get_or_init(|| {
        let Ok(folder) = tempfile::tempdir() else { return false };
        let mounted = mount(folder.path(), "size=1m");
        if mounted {
            unmount(folder.path());
        }
        mounted
    })
}

fn mount(folder: &Path, options: &str) -> bool {
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(folder);
    mount.output().is_ok_and(|output| output.status.success())
}

fn unmount(folder: &Path) {
    // Lazily: the server may hold files of it open.
    let _ = Command::new("umount").arg("-l").arg(folder).output();
}

impl Disk {
    /// A tablespace on a disk of `bytes`.
    pub fn mount(control: &Control, name: &str, bytes: u64) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        if !mount(folder.path(), &format!("size={bytes}")) {
            return Err("cannot mount a tmpfs".into());
        }
        let disk = Self { folder, tablespace: format!("small_{name}") };
        let place = disk.folder.path().join("space");
        std::fs::create_dir(&place)?;
        let owner = std::fs::metadata(control.data())?;
        for folder in [disk.folder.path(), &place] {
            chown(folder, Some(owner.uid()), Some(owner.gid()))?;
        }
        let place = place.display();
        control.run(&format!("CREATE TABLESPACE {} LOCATION '{place}'", disk.tablespace))?;
        Ok(disk)
    }

    pub fn tablespace(&self) -> &str {
        &self.tablespace
    }

    /// Gives the disk room.
    pub fn enlarge(&self) -> Outcome<()> {
        let mut mount = Command::new("mount");
        let output = mount.args(["-o", "remount,size=1g"]).arg(self.folder.path()).output()?;
        if output.status.success() { Ok(()) } else { Err("cannot enlarge the tmpfs".into()) }
    }

    /// Takes the tablespace away; its databases are gone by then.
    pub fn remove(self, control: &Control) -> Outcome<()> {
        control.run(&format!("DROP TABLESPACE {}", self.tablespace))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        unmount(self.folder.path());
    }
}

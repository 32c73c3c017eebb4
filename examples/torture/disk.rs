//! A full disk: a small tmpfs as a tablespace of the server.

use crate::Outcome;
use crate::control::Control;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;

/// Enough for the source of any round.
const LARGE: &str = "size=1g";

/// A mounted tmpfs; dropping it unmounts it.
pub struct Disk {
    folder: TempDir,
    tablespace: String,
}

/// Whether this machine allows mounting a tmpfs.
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
    // Lazily, because the server may hold files open.
    let _ = Command::new("umount").arg("-l").arg(folder).output();
}

impl Disk {
    /// Creates a tablespace on a disk with much space.
    pub fn mount(control: &Control, name: &str) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        if !mount(folder.path(), LARGE) {
            return Err("cannot mount a tmpfs".into());
        }
        let disk = Self { folder, tablespace: format!("small_{name}") };
        let location = disk.folder.path().join("space");
        std::fs::create_dir(&location)?;
        let owner = std::fs::metadata(control.data())?;
        for folder in [disk.folder.path(), &location] {
            chown(folder, Some(owner.uid()), Some(owner.gid()))?;
        }
        let location = location.display();
        control.run(&format!("CREATE TABLESPACE {} LOCATION '{location}'", disk.tablespace))?;
        Ok(disk)
    }

    pub fn tablespace(&self) -> &str {
        &self.tablespace
    }

    /// Leaves space for this many bytes.
    pub fn leave(&self, bytes: u64) -> Outcome<()> {
        let disk = rustix::fs::statvfs(self.folder.path())?;
        let used = (disk.f_blocks - disk.f_bfree) * disk.f_frsize;
        self.remount(&format!("size={}", used + bytes))
    }

    /// Restores the original size.
    pub fn enlarge(&self) -> Outcome<()> {
        self.remount(LARGE)
    }

    fn remount(&self, options: &str) -> Outcome<()> {
        let mut mount = Command::new("mount");
        let options = format!("remount,{options}");
        let output = mount.args(["-o", &options]).arg(self.folder.path()).output()?;
        if output.status.success() { Ok(()) } else { Err("cannot resize the tmpfs".into()) }
    }

    /// Drops the tablespace; its databases must be dropped before.
    pub fn remove(self, control: &Control) -> Outcome<()> {
        control.run(&format!("DROP TABLESPACE {}", self.tablespace))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        unmount(self.folder.path());
    }
}

//! The processes that have a source locked or open, as Linux lists them under `/proc`.
//!
//! They improve messages and refuse a writer earlier. Without `/proc` the locks themselves decide.

use crate::sqlite::source::fingerprint::sibling;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Whether another process holds a write lock on the database file itself. A process in a write
/// transaction does so in the rollback journal modes.
pub(crate) fn has_writer(path: &Path) -> bool {
    !lockers(path).is_empty()
}

/// The processes that lock the database at `path` for writing, or if there are none, those that
/// have it open: "process 4711 (gunicorn)". `None` if no process is known.
pub(crate) fn describe(path: &Path) -> Option<String> {
    let mut pids = lockers(path);
    pids.extend(lockers(&sibling(path, "-shm")));
    if pids.is_empty() {
        pids = openers(path);
    }
    pids.sort_unstable();
    pids.dedup();
    let named: Vec<String> = pids.into_iter().map(name).collect();
    (!named.is_empty()).then(|| named.join(", "))
}

/// The other processes that have the file at `path` open.
pub(crate) fn processes_with_open(path: &Path) -> Vec<String> {
    openers(path).into_iter().map(name).collect()
}

/// Other processes with a granted write lock on the file at `path`.
fn lockers(path: &Path) -> Vec<u32> {
    let Ok(metadata) = fs::metadata(path) else { return Vec::new() };
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    let file = format!(
        "{:02x}:{:02x}:{}",
        rustix::fs::major(metadata.dev()),
        rustix::fs::minor(metadata.dev()),
        metadata.ino()
    );
    locks.lines().filter_map(|line| write_locker(line, &file)).filter(is_another).collect()
}

/// The process id in a line of `/proc/locks` (proc_locks(5)), if the line is a granted write lock
/// on `file` (major:minor:inode). Lines of waiting processes have an arrow in their second field.
fn write_locker(line: &str, file: &str) -> Option<u32> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    match fields.as_slice() {
        [_, "POSIX" | "OFDLCK", _, "WRITE", pid, locked, ..] if *locked == file => pid.parse().ok(),
        _ => None,
    }
}

/// Other processes that have the file at `path` open. Only root sees those of other users.
fn openers(path: &Path) -> Vec<u32> {
    let (Ok(all), Ok(file)) = (fs::read_dir("/proc"), fs::metadata(path)) else {
        return Vec::new();
    };
    let file = (file.dev(), file.ino());
    all.flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
        .filter(|(pid, folder)| is_another(pid) && has_open(folder, file))
        .map(|(pid, _)| pid)
        .collect()
}

/// Whether a process has the file of this device and inode open. The check opens no file: closing
/// a descriptor of the source would drop our locks on it.
fn has_open(process: &Path, file: (u64, u64)) -> bool {
    let Ok(descriptors) = fs::read_dir(process.join("fd")) else { return false };
    let is_it = |fd: fs::DirEntry| {
        fs::metadata(fd.path()).is_ok_and(|open| (open.dev(), open.ino()) == file)
    };
    descriptors.flatten().any(is_it)
}

fn is_another(pid: &u32) -> bool {
    *pid != std::process::id()
}

/// The process id and the command's name; never its arguments, which may hold secrets.
fn name(pid: u32) -> String {
    let comm = PathBuf::from(format!("/proc/{pid}/comm"));
    match fs::read_to_string(comm) {
        Ok(command) => format!("process {pid} ({})", command.trim_end()),
        Err(_) => format!("process {pid}"),
    }
}

#[cfg(test)]
mod tests {
    use crate::sqlite::source::lock_holders::write_locker;

    #[test]
    fn only_a_granted_write_lock_on_the_same_file_names_its_process() {
        for (line, expected) in [
            ("3: POSIX  ADVISORY  WRITE 815 fe:00:4711 1073741825 1073741825", Some(815)),
            ("3: POSIX  ADVISORY  READ 815 fe:00:4711 1073741825 1073741825", None),
            ("3: -> POSIX  ADVISORY  WRITE 815 fe:00:4711 1073741825 1073741825", None),
            ("3: POSIX  ADVISORY  WRITE 815 fe:00:47 1073741825 1073741825", None),
            ("3: FLOCK  ADVISORY  WRITE 815 fe:00:4711 0 EOF", None),
            ("3: OFDLCK ADVISORY  WRITE -1 fe:00:4711 0 EOF", None),
        ] {
            assert_eq!(write_locker(line, "fe:00:4711"), expected, "{line}");
        }
    }
}

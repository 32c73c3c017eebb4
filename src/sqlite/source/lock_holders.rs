//! Holders: the processes that have a source locked or open, as far as Linux tells under `/proc`.
//! They only make messages better and refuse a writer earlier; where `/proc` says nothing, the
//! locks themselves still decide.

use crate::sqlite::source::fingerprint::sibling;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Whether another process holds a write lock on the database file itself, as one does that is
/// in a write transaction in one of the rollback journal modes.
pub(crate) fn has_writer(path: &Path) -> bool {
    !lockers(path).is_empty()
}

/// The processes that lock the database at `path` for writing, or else those that have it open:
/// "process 4711 (gunicorn)". `None` where nobody can be named.
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

/// The processes that have the file at `path` open, this one excepted.
pub(crate) fn processes_with_open(path: &Path) -> Vec<String> {
    openers(path).into_iter().map(name).collect()
}

/// Other processes with a granted write lock on the file at `path`.
fn lockers(path: &Path) -> Vec<u32> {
    let Ok(metadata) = fs::metadata(path) else { return Vec::new() };
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    let place = format!(
        "{:02x}:{:02x}:{}",
        rustix::fs::major(metadata.dev()),
        rustix::fs::minor(metadata.dev()),
        metadata.ino()
    );
    locks.lines().filter_map(|line| write_locker(line, &place)).filter(is_another).collect()
}

/// The process id in a line of `/proc/locks` (proc_locks(5)) that is a granted write lock on
/// `place` (major:minor:inode); lines of waiting processes have an arrow in their second field.
fn write_locker(line: &str, place: &str) -> Option<u32> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    match fields.as_slice() {
        [_, "POSIX" | "OFDLCK", _, "WRITE", pid, at, ..] if *at == place => pid.parse().ok(),
        _ => None,
    }
}

/// Other processes that have the file at `path` open; of other users only root sees them.
fn openers(path: &Path) -> Vec<u32> {
    let (Ok(all), Ok(file)) = (fs::read_dir("/proc"), fs::metadata(path)) else {
        return Vec::new();
    };
    let place = (file.dev(), file.ino());
    all.flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
        .filter(|(pid, folder)| is_another(pid) && has_open(folder, place))
        .map(|(pid, _)| pid)
        .collect()
}

/// Whether a process has the file of a device and inode open. Looking opens nothing: a descriptor
/// of the source that is closed would drop our locks on it.
fn has_open(process: &Path, place: (u64, u64)) -> bool {
    let Ok(descriptors) = fs::read_dir(process.join("fd")) else { return false };
    let is_it = |fd: fs::DirEntry| {
        fs::metadata(fd.path()).is_ok_and(|file| (file.dev(), file.ino()) == place)
    };
    descriptors.flatten().any(is_it)
}

fn is_another(pid: &u32) -> bool {
    *pid != std::process::id()
}

/// The process's number and its command's name; never its arguments, which may hold secrets.
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
    fn only_a_granted_write_lock_on_the_very_file_names_its_process() {
        let place = "fe:00:4711";
        let find = |line: String| write_locker(&line, place);
        let range = "1073741825 1073741825";
        assert_eq!(find(format!("3: POSIX  ADVISORY  WRITE 815 {place} {range}")), Some(815));
        assert_eq!(find(format!("3: POSIX  ADVISORY  READ 815 {place} {range}")), None);
        assert_eq!(find(format!("3: -> POSIX  ADVISORY  WRITE 815 {place} {range}")), None);
        assert_eq!(find(format!("3: POSIX  ADVISORY  WRITE 815 fe:00:47 {range}")), None);
        assert_eq!(find(format!("3: FLOCK  ADVISORY  WRITE 815 {place} 0 EOF")), None);
        assert_eq!(find(format!("3: OFDLCK ADVISORY  WRITE -1 {place} 0 EOF")), None);
    }
}

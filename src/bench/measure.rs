//! The cost of work: seconds, processor time on both sides, memory. All figures are read from
//! Linux's `/proc` (proc(5)).

use crate::error::{Error, Result};
use rustix::time::{ClockId, clock_gettime};
use std::fs;
use std::time::Instant;

/// The cost of a piece of work.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Cost {
    /// Wall-clock seconds.
    pub(crate) seconds: f64,
    /// Processor seconds of all threads of this process.
    pub(crate) client_cpu: f64,
    /// Processor seconds of the processes of a private server.
    pub(crate) server_cpu: Option<f64>,
    /// The peak resident memory of this process in bytes, including memory that the allocator kept
    /// from earlier work.
    pub(crate) peak_memory: Option<u64>,
}

/// A meter for work with or without a private server: the server's postmaster.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Meter(pub(crate) Option<u32>);

impl Meter {
    /// Does `work` and measures its cost.
    pub(crate) fn measure<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<(T, Cost)> {
        let is_reset = fs::write("/proc/self/clear_refs", "5").is_ok();
        let (server, client) = (self.server_cpu(), cpu(ClockId::ProcessCPUTime));
        let started = Instant::now();
        let done = work()?;
        let seconds = started.elapsed().as_secs_f64();
        let client_cpu = cpu(ClockId::ProcessCPUTime) - client;
        let spent = |before: f64| Some((self.server_cpu()? - before).max(0.0));
        let server_cpu = server.and_then(spent);
        let peak_memory = if is_reset { peak_memory() } else { None };
        Ok((done, Cost { seconds, client_cpu, server_cpu, peak_memory }))
    }

    fn server_cpu(&self) -> Option<f64> {
        self.0.and_then(cpu_of_tree)
    }
}

/// Processor seconds of the calling thread so far.
pub(crate) fn cpu_of_thread() -> f64 {
    cpu(ClockId::ThreadCPUTime)
}

fn cpu(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The peak resident memory since the last reset.
fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// The memory of this machine, in bytes.
pub(crate) fn machine_memory() -> Result<u64> {
    let system = rustix::system::sysinfo();
    let memory = (system.totalram as u64).checked_mul(u64::from(system.mem_unit));
    memory
        .filter(|&bytes| bytes > 0)
        .ok_or_else(|| Error::failed("cannot read the size of the memory"))
}

/// A process in `/proc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    number: u32,
    parent: u32,
    /// Clock ticks of the process itself.
    own: u64,
    /// Clock ticks of its reaped children.
    of_children: u64,
}

impl Process {
    /// The process `number`; `None` if it has ended.
    fn read(number: u32) -> Option<Self> {
        Self::parse(number, &fs::read_to_string(format!("/proc/{number}/stat")).ok()?)
    }

    fn parse(number: u32, stat: &str) -> Option<Self> {
        // The name may contain any character, so fields are counted after its last parenthesis.
        let (_, rest) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // The state is field 3 of the manual page and field 0 here.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            number,
            parent: u32::try_from(field(4)?).ok()?,
            own: field(14)? + field(15)?,
            of_children: field(16)? + field(17)?,
        })
    }
}

/// Processor seconds of the process `root` and all its descendants, including ended ones.
fn cpu_of_tree(root: u32) -> Option<f64> {
    loop {
        let before = Process::read(root)?;
        let numbers = fs::read_dir("/proc").ok()?.flatten();
        let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let all: Vec<Process> = numbers.filter_map(Process::read).collect();
        // A child that ended in between would be missing or counted twice.
        if Process::read(root)?.of_children == before.of_children {
            let ticks = ticks_of_tree(root, &all);
            return Some(ticks as f64 / rustix::param::clock_ticks_per_second() as f64);
        }
    }
}

fn ticks_of_tree(root: u32, all: &[Process]) -> u64 {
    let of_root = all.iter().filter(|one| one.number == root);
    let own: u64 = of_root.map(|one| one.own + one.of_children).sum();
    let children = all.iter().filter(|one| one.parent == root && one.number != root);
    own + children.map(|child| ticks_of_tree(child.number, all)).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_process_with_any_name_is_parsed() {
        let stat = "12 (a) b (c) S 7 12 12 0 -1 4194560 1 2 3 4 10 20 300 400 20 0 1 0 5";
        let process = Process::parse(12, stat);
        assert_eq!(process, Some(Process { number: 12, parent: 7, own: 30, of_children: 700 }));
        assert_eq!(Process::parse(12, "12 (a"), None);
    }

    #[test]
    fn running_and_ended_processes_of_a_tree_count_once() {
        let process =
            |number, parent, own, of_children| Process { number, parent, own, of_children };
        let all = [process(5, 1, 1, 10), process(6, 5, 100, 0), process(7, 6, 1_000, 10_000)];
        let strangers = [process(8, 1, 7, 7), process(1, 0, 7, 7)];
        assert_eq!(ticks_of_tree(5, &[&all[..], &strangers].concat()), 11_111);
    }

    #[test]
    fn busy_work_costs_processor_time() {
        let busy = || {
            let until = cpu_of_thread() + 0.2;
            while cpu_of_thread() < until {
                std::hint::black_box(0);
            }
            Ok(())
        };
        let ((), cost) = Meter(None).measure(busy).unwrap();
        assert!(cost.client_cpu >= 0.2, "{cost:?}");
        assert!(cost.seconds >= 0.15, "{cost:?}");
        assert_eq!(cost.server_cpu, None);
    }

    #[test]
    fn an_ended_child_counts_as_time_of_the_server() {
        let burn = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done";
        let work = || {
            // A shell, so that the time is spent outside this process.
            let status = Command::new("sh").args(["-c", burn]).status();
            status.map(drop).map_err(|error| Error::failed("sh").caused_by(error))
        };
        let ((), cost) = Meter(Some(std::process::id())).measure(work).unwrap();
        assert!(cost.server_cpu.unwrap() > cost.client_cpu, "{cost:?}");
    }

    #[test]
    fn the_peak_excludes_earlier_work() {
        let hold = |bytes: usize| {
            let held = move || Ok(std::hint::black_box(vec![1_u8; bytes]).len());
            Meter(None).measure(held).unwrap().1.peak_memory
        };
        let (Some(large), Some(small)) = (hold(256 << 20), hold(1 << 20)) else { return };
        assert!(large >= 256 << 20, "{large}");
        assert!(small + (128 << 20) < large, "{small} {large}");
    }
}

//! The bottleneck: the part that the copy waits for, and the longest phase.

use crate::bench::report::{Bottleneck, Bound, Name, Stage, per};
use crate::control::progress::Phase;
use crate::report::PhaseTime;

/// The cores count as busy from this share of their time.
const BUSY_SHARE: f64 = 0.85;

/// A part of the copy alone: its name, and its bytes per second with the threads that the copy uses.
type Part = (Bound, &'static str, f64);

/// The parts in the order of the reason. The time of encoding, with hashing, is that of the stage
/// "encode" less that of "scan"; the copy has `encoders` threads for it.
fn parts(scan: &Stage, encode: &Stage, limit: &Stage, encoders: usize) -> [Part; 3] {
    let thread_seconds = (encode.seconds - scan.seconds).max(0.0) * encode.threads as f64;
    let encoding = match thread_seconds > 0.0 {
        true => per(encode.bytes as f64, thread_seconds) * encoders.max(1) as f64,
        false => f64::INFINITY,
    };
    [
        (Bound::Reading, "reading", scan.bytes_per_second),
        (Bound::Encoding, "encoding", encoding),
        (Bound::Server, "the server's COPY", limit.bytes_per_second),
    ]
}

/// Finds the bottleneck. `cores` are those of this machine; the server shares them if its processor
/// time is known.
pub(crate) fn decide(
    stages: &[Stage],
    phases: &[PhaseTime],
    encoders: usize,
    cores: usize,
) -> Option<Bottleneck> {
    let find = |name| stages.iter().find(|stage| stage.stage == name);
    let (scan, encode) = (find(Name::Scan)?, find(Name::Encode)?);
    let (limit, copy) = (find(Name::Limit)?, find(Name::Copy)?);
    let parts = parts(scan, encode, limit, encoders);
    // Of equal parts the server is the bottleneck: nothing here can make it faster.
    let slowest = *[parts[2], parts[0], parts[1]].iter().min_by(|a, b| a.2.total_cmp(&b.2))?;
    let copy_reason = reason(slowest, &parts, copy, cores);
    let (phase, phase_reason) = longest(phases)?;
    Some(Bottleneck { copy: slowest.0, copy_reason, phase, phase_reason })
}

fn format_rate(bytes: f64) -> String {
    format!("{:.0} MB/s", bytes / 1e6)
}

fn reason((bound, name, rate): Part, parts: &[Part], copy: &Stage, cores: usize) -> String {
    let others = parts.iter().filter(|part| part.0 != bound).map(|(_, what, bytes)| {
        match bytes.is_finite() {
            true => format!("{what} {}", format_rate(*bytes)),
            false => format!("{what} a rate too high to measure"),
        }
    });
    let mut text = format!(
        "alone, {name} reaches {}, {}; together they reached {}",
        format_rate(rate),
        others.collect::<Vec<_>>().join(" and "),
        format_rate(copy.bytes_per_second)
    );
    let spent = copy.client_cpu_seconds + copy.server_cpu_seconds.unwrap_or(0.0);
    let busy = per(spent, copy.seconds * cores as f64);
    if busy >= BUSY_SHARE {
        let whose = match copy.server_cpu_seconds {
            Some(_) => "which client and server share",
            None => "of the client alone",
        };
        text.push_str(&format!(
            ", and the {cores} cores, {whose}, were busy for {:.0} % of the time",
            100.0 * busy.min(1.0)
        ));
    }
    text
}

fn longest(phases: &[PhaseTime]) -> Option<(Phase, String)> {
    let all: f64 = phases.iter().map(|time| time.seconds).sum();
    let longest = phases.iter().max_by(|a, b| a.seconds.total_cmp(&b.seconds))?;
    let share = 100.0 * per(longest.seconds, all);
    let text = format!(
        "{} takes {share:.0} % of the whole job, {:.2} of {all:.2} s",
        longest.phase.as_str(),
        longest.seconds
    );
    Some((longest.phase, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::measure::Cost;

    fn stage(name: Name, threads: usize, seconds: f64, cpu: (f64, Option<f64>)) -> Stage {
        let cost = Cost { seconds, client_cpu: cpu.0, server_cpu: cpu.1, peak_memory: None };
        Stage::from_costs(name, threads, (1_000, 100_000_000), &[cost])
    }

    /// The bottleneck if scan, encode, limit and copy take these seconds, with two threads.
    fn decided(seconds: [f64; 4], encoders: usize) -> Bottleneck {
        let names = [Name::Scan, Name::Encode, Name::Limit, Name::Copy];
        let stages: Vec<Stage> = names
            .into_iter()
            .zip(seconds)
            .map(|(name, seconds)| stage(name, 2, seconds, (0.2, Some(0.9))))
            .collect();
        let time = |phase, seconds| PhaseTime { phase, seconds };
        let phases = [time(Phase::Copy, 2.0), time(Phase::Finish, 6.0), time(Phase::Verify, 2.0)];
        decide(&stages, &phases, encoders, 2).unwrap()
    }

    #[test]
    fn the_copy_waits_for_the_slowest_part() {
        for (seconds, encoders, bound) in [
            ([0.2, 0.5, 1.0, 1.2], 2, Bound::Server),
            ([2.0, 2.5, 1.0, 2.2], 2, Bound::Reading),
            ([0.2, 1.9, 1.0, 2.0], 2, Bound::Encoding),
            // Two threads encode in 0.8 s, one in 1.6 s, and the server takes 1 s.
            ([0.2, 1.0, 1.0, 1.2], 2, Bound::Server),
            ([0.2, 1.0, 1.0, 1.7], 1, Bound::Encoding),
            // As fast as each other.
            ([1.0, 1.0, 1.0, 1.2], 2, Bound::Server),
            ([1.0, 2.0, 0.5, 1.2], 2, Bound::Reading),
        ] {
            assert_eq!(decided(seconds, encoders).copy, bound, "{seconds:?}, {encoders}");
        }
    }

    #[test]
    fn the_reasons_name_the_rates() {
        let bottleneck = decided([0.2, 0.6, 1.0, 1.25], 2);
        assert_eq!(
            bottleneck.copy_reason,
            "alone, the server's COPY reaches 100 MB/s, reading 500 MB/s and encoding 250 MB/s; \
             together they reached 80 MB/s"
        );
        assert_eq!(bottleneck.phase, Phase::Finish);
        assert_eq!(bottleneck.phase_reason, "finish takes 60 % of the whole job, 6.00 of 10.00 s");
    }

    #[test]
    fn busy_cores_are_reported() {
        // 0.2 s and 0.9 s of two cores' 1.2 s.
        assert!(decided([0.2, 0.6, 0.5, 0.6], 2).copy_reason.ends_with(
            "and the 2 cores, which client and server share, were busy for 92 % of the time"
        ));
    }

    #[test]
    fn without_all_stages_there_is_no_bottleneck() {
        let scan = stage(Name::Scan, 2, 1.0, (0.0, None));
        assert_eq!(decide(&[scan], &[], 1, 2), None);
    }
}

//! The sweep: the copy with other numbers of writers and other chunk sizes.
//!
//! Each pair of settings is measured once, and the best ones once more in each further round.

use crate::bench::harness::Bench;
use crate::bench::measure::Cost;
use crate::bench::report::{Cell, Sweep, highest_peak, median_seconds, per};
use crate::bench::request::connections;
use crate::bench::rounds::copy;
use crate::bench::server::Server;
use crate::control::sizing::{ResourceLimits, Resources};
use crate::error::{Error, Result};
use crate::options::run_options::RunOptions;
use crate::run::env::RunEnv;

const MIB: u64 = 1 << 20;

/// The chunk sizes in bytes.
const CHUNK_SIZES: [u64; 4] = [MIB, 2 * MIB, 8 * MIB, 32 * MIB];

/// The number of the best pairs that are measured in every round.
const BEST_PAIRS: usize = 3;

/// The number of measurements of a sweep.
pub(crate) fn measurements(rounds: usize) -> usize {
    let cells = CHUNK_SIZES.len() * connections().len();
    cells + rounds.saturating_sub(1) * BEST_PAIRS.min(cells)
}

/// One pair of settings, with what it cost.
struct Pair {
    writers: usize,
    chunk_bytes: u64,
    costs: Vec<Cost>,
}

impl Pair {
    fn seconds(&self) -> f64 {
        median_seconds(&self.costs)
    }

    fn cell(&self, (rows, bytes): (u64, u64)) -> Cell {
        Cell {
            writers: self.writers,
            chunk_bytes: self.chunk_bytes,
            seconds: self.seconds(),
            seconds_of_rounds: self.costs.iter().map(|cost| cost.seconds).collect(),
            rows_per_second: per(rows as f64, self.seconds()),
            bytes_per_second: per(bytes as f64, self.seconds()),
            peak_memory: highest_peak(&self.costs),
        }
    }
}

/// Measures; `size` is the rows and bytes of all tables.
pub(crate) fn measure(bench: &Bench<'_>, server: &Server, size: (u64, u64)) -> Result<Sweep> {
    let mut pairs: Vec<Pair> = CHUNK_SIZES
        .iter()
        .flat_map(|&chunk_bytes| {
            let pair = move |writers| Pair { writers, chunk_bytes, costs: Vec::new() };
            connections().into_iter().map(pair)
        })
        .collect();
    let all: Vec<usize> = (0..pairs.len()).collect();
    measure_once(bench, server, &mut pairs, &all)?;
    let best = best_of(&pairs, BEST_PAIRS);
    for _ in 1..bench.request.rounds {
        measure_once(bench, server, &mut pairs, &best)?;
    }
    // The others were measured only once and may be ahead by chance.
    let quickest = best.into_iter().min_by(|a, b| seconds_of(&pairs, *a, *b));
    let quickest =
        quickest.ok_or_else(|| Error::failed("internal error: no settings to measure"))?;
    let best = pairs[quickest].cell(size);
    Ok(Sweep { cells: pairs.iter().map(|pair| pair.cell(size)).collect(), best })
}

fn seconds_of(pairs: &[Pair], a: usize, b: usize) -> std::cmp::Ordering {
    pairs[a].seconds().total_cmp(&pairs[b].seconds())
}

/// The indexes of the fastest pairs, in the order of `pairs`.
fn best_of(pairs: &[Pair], count: usize) -> Vec<usize> {
    let mut indexes: Vec<usize> = (0..pairs.len()).collect();
    indexes.sort_by(|a, b| seconds_of(pairs, *a, *b));
    indexes.truncate(count);
    indexes.sort_unstable();
    indexes
}

/// Measures the pairs with these indexes once. Pairs with the same chunk size share a plan.
fn measure_once(
    bench: &Bench<'_>,
    server: &Server,
    pairs: &mut [Pair],
    indexes: &[usize],
) -> Result<()> {
    for chunk_bytes in CHUNK_SIZES {
        let ours: Vec<usize> =
            indexes.iter().copied().filter(|&at| pairs[at].chunk_bytes == chunk_bytes).collect();
        if ours.is_empty() {
            continue;
        }
        let with = |writers| {
            let chunk_bytes = Some(chunk_bytes);
            let limits = ResourceLimits { writers, chunk_bytes, ..ResourceLimits::default() };
            RunOptions { limits, ..bench.options(server) }
        };
        bench.planned(&with(None), |load, env| {
            for index in ours {
                let pair = &mut pairs[index];
                let options = with(Some(pair.writers));
                let resources = Resources::choose(&options.limits);
                let env = RunEnv { options: &options, resources: &resources, ..*env };
                let (writers, size) = (pair.writers, chunk_bytes / MIB);
                let what = format!("sweep: {writers} writers, chunks of {size} MiB");
                let cost = bench.step(&what, || copy(bench, server, load, &env))?;
                pair.costs.push(cost);
            }
            Ok(())
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_pairs_are_the_fastest_ones_in_their_order() {
        let pair = |seconds| {
            let cost = Cost { seconds, ..Cost::default() };
            Pair { writers: 1, chunk_bytes: MIB, costs: vec![cost] }
        };
        let pairs = [4.0, 1.0, 3.0, 2.0].map(pair);
        assert_eq!(best_of(&pairs, 3), [1, 2, 3]);
        assert_eq!(best_of(&pairs, 9), [0, 1, 2, 3]);
    }
}

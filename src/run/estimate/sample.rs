//! The sample of an estimate: some chunks are read, encoded, written, indexed and read back from
//! the target, in a transaction that is rolled back. Each step is timed.
//!
//! One connection does all steps in turn. A run has several connections, so each time is divided by
//! their number. That is exact as far as they do not slow each other down.

use crate::codec::row_batch::RowBatch;
use crate::control::cancel::CancelScope;
use crate::error::{Error, Result};
use crate::options::run_options::{Depth, Verify};
use crate::plan::model::{Plan, PlannedTable};
use crate::plan::to_postgres::model::ToPostgres;
use crate::postgres::catalog::target_objects::{self, CatalogObject, drop_objects, in_savepoint};
use crate::postgres::copy_in::copy_in;
use crate::postgres::errors::db_error;
use crate::postgres::sql::ddl;
use crate::report::Estimate;
use crate::run::env::RunEnv;
use crate::schema::RowAddress;
use crate::schema::chunk::Chunk;
use crate::schema::names::quote;
use crate::sqlite::read::chunk_reader::ChunkReader;
use crate::sqlite::read::query::TableQuery;
use crate::sqlite::source::open::Source;
use bytes::BytesMut;
use postgres::{Client, Transaction};
use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The size of a sample in bytes: about one second on a common machine.
const SAMPLE_BYTES: u64 = 32 << 20;
/// The time after which no further chunk is started.
const SAMPLE_TIME: Duration = Duration::from_secs(4);

/// The content of a sample, and the seconds of each step.
#[derive(Debug, Default)]
struct Sampled {
    /// Rows, by the table's index in the plan.
    rows: HashMap<usize, u64>,
    /// Bytes as chunks count them.
    bytes: u64,
    /// Bytes of COPY data.
    sent: u64,
    read: f64,
    encode: f64,
    write: f64,
    /// Reading back from the target.
    read_back: f64,
    /// The expected time of each index build, validation and ANALYZE.
    finish: Vec<f64>,
}

/// Measures the time that the rest of a plan will take: all but the chunks that are `done`.
pub(crate) fn measure(
    plan: &Plan<ToPostgres>,
    done: &HashMap<String, HashMap<u32, u64>>,
    source: &Source,
    client: &mut Client,
    env: &RunEnv<'_>,
) -> Result<Estimate> {
    let what = "cannot measure the target's speed";
    let conflicts = conflicts(plan, &target_objects::existing(client, &plan.target_schema)?);
    let mut transaction = client.transaction().map_err(db_error(what))?;
    drop_objects(&mut transaction, &plan.target_schema, &conflicts, plan.objects.drop_all)?;
    let queries: Arc<[TableQuery]> =
        plan.tables.iter().map(|table| table.read.query.clone()).collect();
    let mut sample = Sample {
        plan,
        reader: ChunkReader::new(source.connect_to_pages()?, queries),
        transaction,
        sampled: Sampled::default(),
        cancel: &env.control.cancel,
    };
    sample.copy()?;
    sample.finish()?;
    sample.read_back()?;
    let Sample { sampled, transaction, .. } = sample;
    transaction.rollback().map_err(db_error(what))?;
    let is_copied = |table: &PlannedTable<ToPostgres>, chunk: &Chunk| {
        done.get(&table.name).is_some_and(|done| done.contains_key(&chunk.number))
    };
    let left = plan.tables.iter().flat_map(|table| {
        table.read.chunks.iter().filter(|chunk| !is_copied(table, chunk)).map(|chunk| chunk.bytes)
    });
    let all: u64 = plan.tables.iter().flat_map(|table| &table.read.chunks).map(|c| c.bytes).sum();
    let depth = match env.options.verify {
        Verify::AfterCopy(depth) | Verify::Only(depth) => Some(depth),
        Verify::No => None,
    };
    Ok(sampled.estimate(left.sum(), all, env, depth))
}

/// The objects that the run will drop, and those that an earlier run created.
fn conflicts(plan: &Plan<ToPostgres>, existing: &[CatalogObject]) -> Vec<CatalogObject> {
    let views = plan.objects.views.iter().map(|view| view.name.clone());
    let names: HashSet<String> = plan.table_names().into_iter().chain(views).collect();
    let created = existing.iter().filter(|object| names.contains(&object.name)).cloned();
    let mut objects: Vec<CatalogObject> =
        plan.objects.dropped.iter().cloned().chain(created).collect();
    objects.sort_unstable();
    objects.dedup();
    objects
}

impl Sampled {
    /// The estimate for `left` bytes still to copy of `all` bytes.
    fn estimate(&self, left: u64, all: u64, env: &RunEnv<'_>, depth: Option<Depth>) -> Estimate {
        let RunEnv { resources, options, .. } = *env;
        if self.bytes == 0 {
            return Estimate {
                bytes: left,
                finish: self.finish.iter().sum(),
                ..Estimate::default()
            };
        }
        let times = |bytes: u64| bytes as f64 / self.bytes as f64;
        let lanes = resources.readers.min(resources.writers) as f64;
        let copy = (self.read + self.encode + self.write) * times(left) / lanes;
        let sent = self.sent as f64 * times(left);
        let at_max_rate = options.limits.max_rate.map_or(0.0, |rate| sent / rate.max(1) as f64);
        // One index is built by one connection.
        let longest = self.finish.iter().copied().fold(0.0, f64::max);
        let finish = (self.finish.iter().sum::<f64>() / resources.writers as f64).max(longest);
        let source = self.read / resources.readers as f64;
        let encode = self.encode / resources.readers as f64;
        let target = self.read_back / resources.writers as f64;
        let verify = match depth {
            None => 0.0,
            // Counting takes at most as long as reading.
            Some(Depth::Rows) => source.max(target),
            // This program decodes and hashes both sides, perhaps on the same processors as the
            // server.
            Some(Depth::Full) => source + 2.0 * encode + target,
        };
        Estimate {
            copy: copy.max(at_max_rate),
            finish,
            verify: verify * times(all),
            bytes: left,
            rate_limited: at_max_rate > copy,
        }
    }
}

struct Sample<'a> {
    plan: &'a Plan<ToPostgres>,
    reader: ChunkReader,
    transaction: Transaction<'a>,
    sampled: Sampled,
    cancel: &'a CancelScope,
}

/// Runs `work` and adds the seconds it took.
fn timed<T>(seconds: &mut f64, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let started = Instant::now();
    let result = work();
    *seconds += started.elapsed().as_secs_f64();
    result
}

impl Sample<'_> {
    /// The chunks of the sample, as indexes of table and chunk: one from the middle of each table,
    /// the largest table first, then more of each. Tables that can only be read from their start
    /// are skipped.
    fn chunks(&self) -> Vec<(usize, usize)> {
        let mut tables: Vec<usize> = (0..self.plan.tables.len()).collect();
        tables.retain(|&table| self.plan.tables[table].read.query.address != RowAddress::Ordinal);
        tables.sort_by_key(|&table| std::cmp::Reverse(self.plan.tables[table].bytes));
        let mut chosen = Vec::new();
        for (numerator, denominator) in [(1, 2), (1, 4), (3, 4)] {
            for &table in &tables {
                let index = self.plan.tables[table].read.chunks.len() * numerator / denominator;
                let taken = chosen.contains(&(table, index));
                if !taken && index < self.plan.tables[table].read.chunks.len() {
                    chosen.push((table, index));
                }
            }
        }
        chosen
    }

    fn copy(&mut self) -> Result<()> {
        let started = Instant::now();
        for (table, index) in self.chunks() {
            if self.sampled.bytes >= SAMPLE_BYTES || started.elapsed() >= SAMPLE_TIME {
                break;
            }
            self.cancel.check()?;
            self.copy_chunk(table, &self.plan.tables[table].read.chunks[index])?;
        }
        Ok(())
    }

    fn copy_chunk(&mut self, table: usize, chunk: &Chunk) -> Result<()> {
        let planned = &self.plan.tables[table];
        let what = format!("cannot write a sample to table {}", quote(&planned.name));
        let Self { reader, transaction, sampled, .. } = self;
        let mut rows = RowBatch::new(BytesMut::new(), chunk.bytes as usize);
        timed(&mut sampled.read, || reader.read(table, chunk, &mut rows))?;
        let block = timed(&mut sampled.encode, || {
            let (skip_rejected, buffer) = (!planned.rejected.is_empty(), BytesMut::new());
            let encoded =
                planned.read.layout.encode(table, chunk.number, &rows, skip_rejected, buffer);
            encoded.map_err(|_| Error::failed("the source changed since it was profiled"))
        })?;
        if !sampled.rows.contains_key(&table) {
            transaction.batch_execute(&planned.ddl.create()).map_err(db_error(&what))?;
        }
        timed(&mut sampled.write, || {
            let sent = (&*block.data, block.digest.rows);
            copy_in(transaction, planned.ddl.copy(&planned.read.sent).as_str(), sent, &what)
        })?;
        *sampled.rows.entry(table).or_default() += block.digest.rows;
        sampled.bytes += chunk.bytes;
        sampled.sent += block.data.len() as u64;
        Ok(())
    }

    /// Runs the steps of the finish, and scales their times to the whole tables. A step that fails
    /// on the sample is not counted: the parents of a foreign key may not be in it.
    fn finish(&mut self) -> Result<()> {
        let sampled = self.sampled.rows.clone();
        for (&table, &rows) in &sampled {
            let planned = &self.plan.tables[table];
            let whole = planned.rows.max(rows);
            let keys = planned.finish.keys.iter().map(|key| &key.index);
            let indexes = planned.indexes.iter().map(|index| &index.sql);
            for sql in keys.chain(indexes) {
                self.step(sql, sort_cost(whole) / sort_cost(rows))?;
            }
            // ANALYZE reads the same number of rows, whatever the table's size.
            self.step(&format!("ANALYZE {}", planned.ddl.qualified()), 1.0)?;
            self.step(&ddl::enable_autovacuum(&planned.ddl.qualified()), 1.0)?;
        }
        for key in &self.plan.objects.foreign_keys {
            if let (Some(&rows), true) =
                (sampled.get(&key.child), sampled.contains_key(&key.parent))
            {
                let whole = self.plan.tables[key.child].rows as f64 / rows.max(1) as f64;
                self.step(&key.ddl.count_orphans(), whole.max(1.0))?;
            }
        }
        self.scale_to_all(&sampled);
        Ok(())
    }

    /// Adds the tables outside the sample, in proportion to their size.
    fn scale_to_all(&mut self, sampled: &HashMap<usize, u64>) {
        let tables = self.plan.tables.iter().enumerate();
        let (inside, outside): (Vec<_>, Vec<_>) =
            tables.partition(|(table, _)| sampled.contains_key(table));
        let bytes = |tables: &[(usize, &PlannedTable<ToPostgres>)]| -> u64 {
            tables.iter().map(|(_, table)| table.bytes).sum()
        };
        let (inside, outside) = (bytes(&inside), bytes(&outside));
        if inside > 0 && outside > 0 {
            let seconds: f64 = self.sampled.finish.iter().sum();
            // Split, so that it does not count as one long step.
            let more = seconds * outside as f64 / inside as f64;
            self.sampled.finish.extend([more / 16.0; 16]);
        }
    }

    fn step(&mut self, sql: &str, times: f64) -> Result<()> {
        self.cancel.check()?;
        let started = Instant::now();
        if in_savepoint(&mut self.transaction, sql).is_ok() {
            self.sampled.finish.push(started.elapsed().as_secs_f64() * times);
        }
        Ok(())
    }

    fn read_back(&mut self) -> Result<()> {
        let Self { plan, transaction, sampled, .. } = self;
        for &table in sampled.rows.keys() {
            let planned = &plan.tables[table];
            let what = format!("cannot read the sample of table {}", quote(&planned.name));
            let sql = format!("COPY {} TO STDOUT (FORMAT binary)", planned.ddl.qualified());
            timed(&mut sampled.read_back, || {
                let mut stream = transaction.copy_out(&sql).map_err(db_error(&what))?;
                io::copy(&mut stream, &mut io::sink())
                    .map_err(|error| Error::failed(&what).caused_by(error))
            })?;
        }
        Ok(())
    }
}

/// The relative time to sort `rows` rows.
fn sort_cost(rows: u64) -> f64 {
    let rows = rows.max(2) as f64;
    rows * rows.log2()
}

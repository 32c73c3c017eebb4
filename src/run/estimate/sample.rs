//! The sample: some chunks that are read, encoded, written, indexed and read again on the target,
//! in a transaction that is rolled back, with the time of each step.
//!
//! One connection does it all, one step after the other. The run has several, so each step's time
//! is divided by their number: right as far as they do not get in each other's way.

use crate::codec::row_batch::RowBatch;
use crate::control::cancel::CancelScope;
use crate::error::{Error, Result};
use crate::options::{Depth, Verify};
use crate::plan::model::{Plan, PlannedTable};
use crate::plan::to_postgres::model::ToPostgres;
use crate::postgres::catalog::target_objects;
use crate::postgres::catalog::target_objects::{CatalogObject, drop_objects, in_savepoint};
use crate::postgres::copy_in::copy_in;
use crate::postgres::errors::db_error;
use crate::postgres::sql::ddl;
use crate::run::data_set::to_postgres::RunEnv;
use crate::run::estimate::Estimate;
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

/// Bytes of rows in a sample: a second's worth on a common machine.
const BYTES: u64 = 32 << 20;
/// However slow the target is, no further chunk is begun after so long a time.
const TIME: Duration = Duration::from_secs(4);

/// Seconds of each step over the sample, and what was in it.
#[derive(Debug, Default)]
struct Sampled {
    /// By the table's place in the plan: rows of it.
    rows: HashMap<usize, u64>,
    /// As chunks count them.
    bytes: u64,
    /// As COPY data.
    sent: u64,
    read: f64,
    encode: f64,
    write: f64,
    /// Reading it back from the target.
    back: f64,
    /// What index builds, validations and statistics of the tables will take, one by one.
    finish: Vec<f64>,
}

/// Measures what the rest of a plan will take: all of it but the chunks that are `done`.
pub(crate) fn measure(
    plan: &Plan<ToPostgres>,
    done: &HashMap<String, HashMap<u32, u64>>,
    source: &Source,
    client: &mut Client,
    env: &RunEnv<'_>,
) -> Result<Estimate> {
    let what = "cannot measure the target's speed";
    let in_the_way = in_the_way(plan, &target_objects::existing(client, &plan.target_schema)?);
    let mut transaction = client.transaction().map_err(db_error(what))?;
    drop_objects(&mut transaction, &plan.target_schema, &in_the_way, plan.objects.drop_all)?;
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
    let there = |table: &PlannedTable<ToPostgres>, chunk: &Chunk| {
        done.get(&table.name).is_some_and(|done| done.contains_key(&chunk.number))
    };
    let left = plan.tables.iter().flat_map(|table| {
        table.read.chunks.iter().filter(|chunk| !there(table, chunk)).map(|chunk| chunk.bytes)
    });
    let all: u64 = plan.tables.iter().flat_map(|table| &table.read.chunks).map(|c| c.bytes).sum();
    let depth = match env.options.verify {
        Verify::AfterCopy(depth) | Verify::Only(depth) => Some(depth),
        Verify::No => None,
    };
    Ok(sampled.estimate(left.sum(), all, env, depth))
}

/// What is going to be dropped, and what an earlier run made of the plan.
fn in_the_way(plan: &Plan<ToPostgres>, existing: &[CatalogObject]) -> Vec<CatalogObject> {
    let views = plan.objects.views.iter().map(|view| view.name.clone());
    let names: HashSet<String> = plan.table_names().into_iter().chain(views).collect();
    let made = target_objects::conflicts(existing, &names).into_iter().cloned();
    let mut things: Vec<CatalogObject> = plan.objects.dropped.iter().cloned().chain(made).collect();
    things.sort_unstable();
    things.dedup();
    things
}

impl Sampled {
    /// What was measured, for `left` bytes that are still to be copied of `all`.
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
        let held = options.max_rate.map_or(0.0, |rate| sent / rate.max(1) as f64);
        // However many connections there are, one index is one connection's work.
        let longest = self.finish.iter().copied().fold(0.0, f64::max);
        let finish = (self.finish.iter().sum::<f64>() / resources.writers as f64).max(longest);
        let source = self.read / resources.readers as f64;
        let encode = self.encode / resources.readers as f64;
        let target = self.back / resources.writers as f64;
        let verify = match depth {
            None => 0.0,
            // Counting cannot take longer than reading all of it.
            Some(Depth::Rows) => source.max(target),
            // Both sides are decoded and hashed here, and may share the processors with the server.
            Some(Depth::Full) => source + 2.0 * encode + target,
        };
        Estimate {
            copy: copy.max(held),
            finish,
            verify: verify * times(all),
            bytes: left,
            held_back: held > copy,
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
    /// Chunks of the sample: of each table one from its middle, the largest first; then more of
    /// each while there is room. Tables that can only be read from their start are left out.
    fn chunks(&self) -> Vec<(usize, usize)> {
        let mut tables: Vec<usize> = (0..self.plan.tables.len()).collect();
        tables.retain(|&table| self.plan.tables[table].read.query.address != RowAddress::Ordinal);
        tables.sort_by_key(|&table| std::cmp::Reverse(self.plan.tables[table].bytes));
        let mut chosen = Vec::new();
        for (numerator, denominator) in [(1, 2), (1, 4), (3, 4)] {
            for &table in &tables {
                let place = self.plan.tables[table].read.chunks.len() * numerator / denominator;
                let taken = chosen.contains(&(table, place));
                if !taken && place < self.plan.tables[table].read.chunks.len() {
                    chosen.push((table, place));
                }
            }
        }
        chosen
    }

    fn copy(&mut self) -> Result<()> {
        let started = Instant::now();
        for (table, place) in self.chunks() {
            if self.sampled.bytes >= BYTES || started.elapsed() >= TIME {
                break;
            }
            self.cancel.check()?;
            self.copy_chunk(table, &self.plan.tables[table].read.chunks[place])?;
        }
        Ok(())
    }

    fn copy_chunk(&mut self, table: usize, chunk: &Chunk) -> Result<()> {
        let planned = &self.plan.tables[table];
        let what = format!("cannot try to write into table {}", quote(&planned.name));
        let Self { reader, transaction, sampled, .. } = self;
        let mut rows = RowBatch::new(BytesMut::new(), chunk.bytes as usize);
        timed(&mut sampled.read, || reader.read(table, chunk, &mut rows))?;
        let block = timed(&mut sampled.encode, || {
            let (leave_out, spare) = (!planned.rejected.is_empty(), BytesMut::new());
            let encoded = planned.read.layout.encode(table, chunk.number, &rows, leave_out, spare);
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

    /// Builds what the finish will build, and stretches the times to the whole tables. A step that
    /// the sample does not allow (its parents may not be in it) is not counted.
    fn finish(&mut self) -> Result<()> {
        let sampled = self.sampled.rows.clone();
        for (&table, &rows) in &sampled {
            let planned = &self.plan.tables[table];
            let whole = planned.rows.max(rows);
            let keys = planned.finish.keys.iter().map(|key| &key.index);
            let indexes = planned.indexes.iter().map(|index| &index.sql);
            for sql in keys.chain(indexes) {
                self.step(sql, sorting(whole) / sorting(rows))?;
            }
            // The same number of rows is looked at, whatever the table's size.
            self.step(&format!("ANALYZE {}", planned.qualified()), 1.0)?;
            self.step(&ddl::enable_autovacuum(&planned.qualified()), 1.0)?;
        }
        for key in &self.plan.objects.foreign_keys {
            if let (Some(&rows), true) =
                (sampled.get(&key.child), sampled.contains_key(&key.parent))
            {
                let whole = self.plan.tables[key.child].rows as f64 / rows.max(1) as f64;
                self.step(&key.ddl.count_orphans(), whole.max(1.0))?;
            }
        }
        self.stretch_to_all(&sampled);
        Ok(())
    }

    /// Counts the tables that are not in the sample as the others.
    fn stretch_to_all(&mut self, sampled: &HashMap<usize, u64>) {
        let tables = self.plan.tables.iter().enumerate();
        let (inside, outside): (Vec<_>, Vec<_>) =
            tables.partition(|(table, _)| sampled.contains_key(table));
        let bytes = |tables: &[(usize, &PlannedTable<ToPostgres>)]| -> u64 {
            tables.iter().map(|(_, table)| table.bytes).sum()
        };
        let (inside, outside) = (bytes(&inside), bytes(&outside));
        if inside > 0 && outside > 0 {
            let seconds: f64 = self.sampled.finish.iter().sum();
            // Many small steps, whatever their number.
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
            let what = format!("cannot try to read table {}", quote(&planned.name));
            let sql = format!("COPY {} TO STDOUT (FORMAT binary)", planned.qualified());
            timed(&mut sampled.back, || {
                let mut stream = transaction.copy_out(&sql).map_err(db_error(&what))?;
                io::copy(&mut stream, &mut io::sink())
                    .map_err(|error| Error::failed(&what).caused_by(error))
            })?;
        }
        Ok(())
    }
}

/// How the time to sort so many rows grows.
fn sorting(rows: u64) -> f64 {
    let rows = rows.max(2) as f64;
    rows * rows.log2()
}

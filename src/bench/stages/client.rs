//! The stages of this program alone: read; read and encode; hash. No server takes part.

use crate::bench::stages::blocks::{Blocks, ReadyBlock};
use crate::bench::stages::walk::{block_of, walk};
use crate::codec::block::HEADER;
use crate::codec::digest::Digest;
use crate::codec::tuple::{self, NextField};
use crate::control::cancel::CancelScope;
use crate::error::{Error, Result};
use crate::plan::model::Plan;
use crate::plan::to_postgres::model::ToPostgres;
use crate::sqlite::source::open::Source;
use bytes::BytesMut;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Reads all rows.
pub(crate) fn scan(
    subject: (&Plan<ToPostgres>, &Source),
    threads: usize,
    cancel: &CancelScope,
) -> Result<()> {
    walk(subject, threads, cancel, |_| Ok(()), |(), _, _, _| Ok(()))
}

/// Reads all rows and encodes blocks, which are discarded. Errors: as for [`walk`]; also a value
/// that does not fit.
pub(crate) fn encode(
    subject: (&Plan<ToPostgres>, &Source),
    threads: usize,
    cancel: &CancelScope,
) -> Result<()> {
    let new = |_| Ok(BytesMut::new());
    walk(subject, threads, cancel, new, |spare, table, chunk, rows| {
        let block = block_of(subject.0, table, chunk, rows, std::mem::take(spare))?;
        *spare = block.data.try_into_mut().unwrap_or_default();
        Ok(())
    })
}

/// Hashes every row of the encoded blocks. Errors: a block cannot be read or has changed, or
/// `cancel` was cancelled.
pub(crate) fn hash(
    plan: &Plan<ToPostgres>,
    blocks: &Blocks,
    threads: usize,
    cancel: &CancelScope,
) -> Result<()> {
    let (next, cancel) = (AtomicUsize::new(0), cancel.child());
    let work = || -> Result<()> {
        let (mut data, mut scratch) = (Vec::new(), BytesMut::new());
        while let Some(ready) = blocks.list().get(next.fetch_add(1, Ordering::Relaxed)) {
            if cancel.is_cancelled() {
                break;
            }
            blocks.read(ready, &mut data)?;
            if digest_of(plan, ready, &data, &mut scratch) != ready.digest {
                return Err(Error::failed("the temporary files have changed"));
            }
        }
        Ok(())
    };
    cancel.clone().run_threads(threads, "a hashing thread", work)
}

fn digest_of(
    plan: &Plan<ToPostgres>,
    ready: &ReadyBlock,
    data: &[u8],
    scratch: &mut BytesMut,
) -> Digest {
    let layout = &plan.tables[ready.table].read.layout;
    let mut digest = Digest::default();
    let mut rest = data.get(HEADER.len()..).unwrap_or_default();
    while let NextField::Tuple(length) = tuple::next(rest) {
        let (tuple, after) = rest.split_at(length);
        digest.add_row(layout.canonical(tuple, scratch));
        rest = after;
    }
    digest
}

//! Encoded blocks in temporary files, so that sending alone can be measured.

use crate::bench::stages::walk::{block_of, walk};
use crate::codec::digest::Digest;
use crate::control::cancel::CancelScope;
use crate::control::lock;
use crate::error::{Error, Result};
use crate::plan::model::Plan;
use crate::plan::to_postgres::model::ToPostgres;
use crate::sqlite::source::open::Source;
use bytes::BytesMut;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// All blocks of a plan. The files are unlinked and vanish with this value.
pub(crate) struct Blocks {
    files: Vec<File>,
    list: Vec<ReadyBlock>,
}

/// A block in a file.
#[derive(Debug, Clone)]
pub(crate) struct ReadyBlock {
    /// The index of the table in the plan.
    pub(crate) table: usize,
    /// Row count and sum of row hashes.
    pub(crate) digest: Digest,
    /// The index of the file.
    file: usize,
    /// The offset in the file.
    at: u64,
    /// The bytes of the block.
    length: usize,
}

/// A file that a thread writes blocks to.
struct OpenBlockFile {
    number: usize,
    file: File,
    at: u64,
    spare: BytesMut,
}

impl Blocks {
    /// Encodes all rows into files in `folder`, with `threads` threads. Errors: the source cannot
    /// be read, a file cannot be written, or `cancel` was cancelled.
    pub(crate) fn encode(
        subject: (&Plan<ToPostgres>, &Source),
        folder: &Path,
        threads: usize,
        cancel: &CancelScope,
    ) -> Result<Self> {
        let files: Vec<File> = (0..threads)
            .map(|_| tempfile::tempfile_in(folder).map_err(|error| write_error(folder, &error)))
            .collect::<Result<_>>()?;
        let list = Mutex::new(Vec::new());
        let open = |number: usize| {
            let file = files[number].try_clone().map_err(|error| write_error(folder, &error))?;
            Ok(OpenBlockFile { number, file, at: 0, spare: BytesMut::new() })
        };
        walk(subject, threads, cancel, open, |writing, table, chunk, rows| {
            let spare = std::mem::take(&mut writing.spare);
            let block = block_of(subject.0, table, chunk, rows, spare)?;
            writing.file.write_all(&block.data).map_err(|error| write_error(folder, &error))?;
            let (file, at, length) = (writing.number, writing.at, block.data.len());
            writing.at += length as u64;
            let ready = ReadyBlock { table, digest: block.digest, file, at, length };
            lock(&list).push(ready);
            writing.spare = block.data.try_into_mut().unwrap_or_default();
            Ok(())
        })?;
        for file in &files {
            // Pending writes would disturb the measurement.
            file.sync_data().map_err(|error| write_error(folder, &error))?;
        }
        Ok(Self { files, list: list.into_inner().unwrap_or_else(PoisonError::into_inner) })
    }

    /// All blocks, in no particular order.
    pub(crate) fn list(&self) -> &[ReadyBlock] {
        &self.list
    }

    /// The rows of all blocks.
    pub(crate) fn rows(&self) -> u64 {
        self.list.iter().map(|ready| ready.digest.rows).sum()
    }

    /// The bytes of all blocks.
    pub(crate) fn bytes(&self) -> u64 {
        self.list.iter().map(|ready| ready.length as u64).sum()
    }

    /// The bytes of the blocks of one table.
    pub(crate) fn bytes_of(&self, table: usize) -> u64 {
        let of_table = self.list.iter().filter(|ready| ready.table == table);
        of_table.map(|ready| ready.length as u64).sum()
    }

    /// Reads one block into `data`, replacing its content.
    pub(crate) fn read(&self, ready: &ReadyBlock, data: &mut Vec<u8>) -> Result<()> {
        data.resize(ready.length, 0);
        self.files[ready.file]
            .read_exact_at(data, ready.at)
            .map_err(|error| Error::failed("cannot read a temporary file").caused_by(error))
    }
}

fn write_error(folder: &Path, error: &io::Error) -> Error {
    Error::failed(format!("cannot write temporary files in {}", folder.display()))
        .caused_by(error)
        .hint("give another folder: --temp-dir DIR")
}

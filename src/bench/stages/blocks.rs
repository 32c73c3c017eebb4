//! Ready blocks: the rows as the copy would send them, in temporary files, so that sending alone
//! can be measured.

use crate::bench::stages::walk::{block_of, walk};
use crate::codec::digest::Digest;
use crate::control::cancel::CancelScope;
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

/// All blocks of a plan. The files have no names any more, and go with this.
pub(crate) struct Blocks {
    files: Vec<File>,
    list: Vec<ReadyBlock>,
}

/// One block in a file.
#[derive(Debug, Clone)]
pub(crate) struct ReadyBlock {
    /// The table's place in the plan.
    pub(crate) table: usize,
    /// Row count and sum of row hashes.
    pub(crate) digest: Digest,
    /// The file's place.
    file: usize,
    /// Where in the file it begins.
    at: u64,
    /// Its bytes.
    length: usize,
}

/// A file that a thread writes blocks to.
struct Writing {
    number: usize,
    file: File,
    at: u64,
    spare: BytesMut,
}

impl Blocks {
    /// Encodes everything into files in `folder`, with so many threads.
    ///
    /// # Errors
    /// The source cannot be read or the files not be written; or `cancel` was cancelled.
    pub(crate) fn encode(
        subject: (&Plan<ToPostgres>, &Source),
        folder: &Path,
        threads: usize,
        cancel: &CancelScope,
    ) -> Result<Self> {
        let files: Vec<File> = (0..threads)
            .map(|_| tempfile::tempfile_in(folder).map_err(|error| unwritten(folder, &error)))
            .collect::<Result<_>>()?;
        let list = Mutex::new(Vec::new());
        let open = |number: usize| {
            let file = files[number].try_clone().map_err(|error| unwritten(folder, &error))?;
            Ok(Writing { number, file, at: 0, spare: BytesMut::new() })
        };
        walk(subject, threads, cancel, open, |writing, table, chunk, rows| {
            let spare = std::mem::take(&mut writing.spare);
            let block = block_of(subject.0, table, chunk, rows, spare)?;
            writing.file.write_all(&block.data).map_err(|error| unwritten(folder, &error))?;
            let (file, at, length) = (writing.number, writing.at, block.data.len());
            writing.at += length as u64;
            let ready = ReadyBlock { table, digest: block.digest, file, at, length };
            list.lock().unwrap_or_else(PoisonError::into_inner).push(ready);
            writing.spare = block.data.try_into_mut().unwrap_or_default();
            Ok(())
        })?;
        for file in &files {
            // What the system still has to write would be in the way of what is measured.
            file.sync_data().map_err(|error| unwritten(folder, &error))?;
        }
        Ok(Self { files, list: list.into_inner().unwrap_or_else(PoisonError::into_inner) })
    }

    /// All of them, in no order.
    pub(crate) fn list(&self) -> &[ReadyBlock] {
        &self.list
    }

    /// Rows of all.
    pub(crate) fn rows(&self) -> u64 {
        self.list.iter().map(|ready| ready.digest.rows).sum()
    }

    /// Bytes of all.
    pub(crate) fn bytes(&self) -> u64 {
        self.list.iter().map(|ready| ready.length as u64).sum()
    }

    /// Bytes of the blocks of one table.
    pub(crate) fn bytes_of(&self, table: usize) -> u64 {
        let of_table = self.list.iter().filter(|ready| ready.table == table);
        of_table.map(|ready| ready.length as u64).sum()
    }

    /// Reads one block into `data`, in place of what is there.
    pub(crate) fn read(&self, ready: &ReadyBlock, data: &mut Vec<u8>) -> Result<()> {
        data.resize(ready.length, 0);
        self.files[ready.file]
            .read_exact_at(data, ready.at)
            .map_err(|error| Error::failed("cannot read a temporary file").caused_by(error))
    }
}

fn unwritten(folder: &Path, error: &io::Error) -> Error {
    Error::failed(format!("cannot write temporary files in {}", folder.display()))
        .caused_by(error)
        .hint("--temp-dir names another folder")
}

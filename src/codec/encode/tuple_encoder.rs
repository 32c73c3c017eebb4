//! The encoder of rows: a row batch to a block, encoded, validated and hashed in one pass.

use crate::codec::block::{Block, StreamBuilder};
use crate::codec::digest::Digest;
use crate::codec::encode::column_encoder::ColumnEncoder;
use crate::codec::encode::heap_page;
use crate::codec::fidelity::Misfit;
use crate::codec::row_batch::RowBatch;
use crate::codec::types::{self, Canonical};
use bytes::{BufMut, BytesMut};
use serde::{Deserialize, Serialize};

/// The encoders of a table's columns.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "Vec<ColumnEncoder>", into = "Vec<ColumnEncoder>")]
pub struct TupleLayout {
    encoders: Vec<ColumnEncoder>,
    /// The canonical form of each field, which is hashed; `None` if that is the field itself.
    canonical: Vec<Option<Canonical>>,
    /// Some field has a canonical form of its own.
    varies: bool,
}

impl From<Vec<ColumnEncoder>> for TupleLayout {
    fn from(encoders: Vec<ColumnEncoder>) -> Self {
        Self::new(encoders)
    }
}

impl From<TupleLayout> for Vec<ColumnEncoder> {
    fn from(layout: TupleLayout) -> Self {
        layout.encoders
    }
}

/// A row that cannot be encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodeError {
    /// The index of the row in its chunk.
    pub(crate) row: u64,
    /// The index of the field in the tuple; `None` if the row as a whole does not fit.
    pub(crate) field: Option<usize>,
    /// The reason.
    pub(crate) misfit: Misfit,
}

impl TupleLayout {
    /// The layout of tuples with these encoders, in the order of the COPY's column list.
    pub fn new(encoders: Vec<ColumnEncoder>) -> Self {
        let canonical: Vec<_> =
            encoders.iter().map(|encoder| types::canonical(encoder.encoding.column_type)).collect();
        let varies = canonical.iter().any(Option::is_some);
        Self { encoders, canonical, varies }
    }

    /// The encoders, in order.
    pub(crate) fn encoders(&self) -> &[ColumnEncoder] {
        &self.encoders
    }

    /// The bytes of the batch as a block, unless encoding makes its values longer: a value has up to
    /// three bytes more in a tuple than in a batch.
    pub(crate) fn block_bytes(&self, batch: &RowBatch) -> usize {
        batch.byte_len()
            + (2 + 3 * self.encoders.len()) * batch.rows() as usize
            + StreamBuilder::FRAME
    }

    /// Encodes the batch of a chunk into the memory of `spare`. With `skip_misfits`, rows that do not
    /// fit are skipped; the reject file already has them.
    ///
    /// # Errors
    /// The first row that does not fit, unless such rows are skipped.
    pub fn encode(
        &self,
        table: usize,
        chunk: u32,
        batch: &RowBatch,
        skip_misfits: bool,
        spare: BytesMut,
    ) -> Result<Block, EncodeError> {
        let per_row = 2 + 4 * self.encoders.len();
        let mut stream =
            StreamBuilder::new(spare, batch.byte_len() + per_row * batch.rows() as usize);
        let mut digest = Digest::default();
        let mut canonical = BytesMut::new();
        let mut values = batch.values();
        for row in 0..batch.rows() {
            let out = stream.tuples();
            let start = out.len();
            out.put_i16(self.encoders.len() as i16);
            let mut unfit = None;
            for (field, encoder) in self.encoders.iter().enumerate() {
                // A batch always holds whole rows: the reader ends a row after its last value.
                let Some(value) = values.next() else { break };
                if unfit.is_none()
                    && let Err(misfit) = encoder.encode(value, out)
                {
                    unfit = Some(EncodeError { row, field: Some(field), misfit });
                }
            }
            if unfit.is_none() && !heap_page::fits(&self.encoders, &out[start..]) {
                unfit = Some(EncodeError { row, field: None, misfit: Misfit::RowTooWide });
            }
            match unfit {
                None => _ = digest.add_row(self.canonical(&out[start..], &mut canonical)),
                Some(error) if !skip_misfits => return Err(error),
                Some(_) => out.truncate(start),
            }
        }
        Ok(Block { table, chunk, digest, data: stream.finish() })
    }

    /// The canonical form of a tuple: the tuple itself, unless a field has several binary forms.
    #[inline]
    pub(crate) fn canonical<'a>(&self, tuple: &'a [u8], scratch: &'a mut BytesMut) -> &'a [u8] {
        if !self.varies {
            return tuple;
        }
        scratch.clear();
        if canonicalize(&self.canonical, tuple, scratch).is_none() {
            // A malformed tuple is hashed unchanged, and so differs from every well-formed one.
            return tuple;
        }
        scratch
    }
}

fn canonicalize(forms: &[Option<Canonical>], tuple: &[u8], out: &mut BytesMut) -> Option<()> {
    let (count, mut rest) = tuple.split_first_chunk::<2>()?;
    out.put_slice(count);
    let mut canonical = Vec::new();
    for form in forms {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let length = i32::from_be_bytes(*length);
        let (bytes, after) = after.split_at_checked(usize::try_from(length).unwrap_or(0))?;
        rest = after;
        canonical.clear();
        match form {
            Some(write) if length >= 0 && write(bytes, &mut canonical).is_some() => {
                out.put_i32(canonical.len() as i32);
                out.put_slice(&canonical);
            }
            // A malformed field is kept unchanged, and so differs from every well-formed one.
            _ => {
                out.put_i32(length);
                out.put_slice(bytes);
            }
        }
    }
    rest.is_empty().then_some(())
}

//! Row batch to block: cast, validate, lay out and hash, in one pass.

use crate::codec::block::Block;
use crate::codec::block::StreamBuilder;
use crate::codec::digest::Digest;
use crate::codec::encode::column_encoder::{ColumnEncoder, Misfit};
use crate::codec::encode::heap_page;
use crate::codec::row_batch::RowBatch;
use crate::codec::types::{jsonb, numeric};
use crate::schema::column_type::ColumnType;
use bytes::{BufMut, BytesMut};
use serde::{Deserialize, Serialize};

/// What a table's tuples are made of.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "Vec<ColumnEncoder>", into = "Vec<ColumnEncoder>")]
pub struct TupleLayout {
    casts: Vec<ColumnEncoder>,
    /// How each field is brought to the form that is hashed.
    forms: Vec<Canonical>,
    /// Some field is not hashed as it stands.
    varies: bool,
}

/// How equal values of a type come to the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Canonical {
    /// They have them already.
    AsItIs,
    /// Numbers show more or fewer zeros behind the point.
    Numeric,
    /// The server writes a text of its own.
    Jsonb,
}

impl From<Vec<ColumnEncoder>> for TupleLayout {
    fn from(casts: Vec<ColumnEncoder>) -> Self {
        Self::new(casts)
    }
}

impl From<TupleLayout> for Vec<ColumnEncoder> {
    fn from(layout: TupleLayout) -> Self {
        layout.casts
    }
}

/// A row that cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodeError {
    /// The row's place in its chunk, from 0.
    pub(crate) row: u64,
    /// The field's place in the tuple; `None` where it is the row as a whole.
    pub(crate) field: Option<usize>,
    /// Why.
    pub(crate) misfit: Misfit,
}

impl TupleLayout {
    /// The layout of tuples with these casts, in the order of the COPY's column list.
    pub fn new(casts: Vec<ColumnEncoder>) -> Self {
        let form = |cast: &ColumnEncoder| match cast.form.column_type() {
            ColumnType::Numeric(_) => Canonical::Numeric,
            ColumnType::Jsonb => Canonical::Jsonb,
            _ => Canonical::AsItIs,
        };
        let forms: Vec<Canonical> = casts.iter().map(form).collect();
        let varies = forms.iter().any(|form| *form != Canonical::AsItIs);
        Self { casts, forms, varies }
    }

    /// The casts, in order.
    pub(crate) fn casts(&self) -> &[ColumnEncoder] {
        &self.casts
    }

    /// Bytes that the batch takes as a block, unless casts make its values longer: a value has up
    /// to three bytes more in a tuple than in a batch.
    pub(crate) fn room(&self, batch: &RowBatch) -> usize {
        batch.byte_len() + (2 + 3 * self.casts.len()) * batch.rows() as usize + StreamBuilder::FRAME
    }

    /// Encodes a chunk's batch, into the memory of `spare`. With `leave_out`, rows that cannot be sent are counted and left
    /// out (they stand in the reject file by then); without, the first of them is the error.
    ///
    /// # Errors
    /// The place and reason of the first value that does not fit.
    pub fn encode(
        &self,
        table: usize,
        chunk: u32,
        batch: &RowBatch,
        leave_out: bool,
        spare: BytesMut,
    ) -> Result<Block, EncodeError> {
        let per_row = 2 + 4 * self.casts.len();
        let mut stream =
            StreamBuilder::new(spare, batch.byte_len() + per_row * batch.rows() as usize);
        let mut digest = Digest::default();
        let mut canonical = BytesMut::new();
        let mut values = batch.values();
        for row in 0..batch.rows() {
            let out = stream.tuples();
            let start = out.len();
            out.put_i16(self.casts.len() as i16);
            let mut unfit = None;
            for (field, cast) in self.casts.iter().enumerate() {
                // A batch always holds whole rows: the reader ends a row after its last value.
                let Some(raw) = values.next() else { break };
                if unfit.is_none()
                    && let Err(misfit) = cast.encode(raw, out)
                {
                    unfit = Some(EncodeError { row, field: Some(field), misfit });
                }
            }
            if unfit.is_none() && !heap_page::fits(&self.casts, &out[start..]) {
                unfit = Some(EncodeError { row, field: None, misfit: Misfit::RowTooWide });
            }
            match unfit {
                None => _ = digest.add_row(self.canonical(&out[start..], &mut canonical)),
                Some(unsendable) if !leave_out => return Err(unsendable),
                Some(_) => {
                    out.truncate(start);
                }
            }
        }
        Ok(Block { table, chunk, digest, data: stream.finish() })
    }

    /// The canonical form of a tuple: itself, unless a field has several wire forms.
    #[inline]
    pub(crate) fn canonical<'a>(&self, tuple: &'a [u8], scratch: &'a mut BytesMut) -> &'a [u8] {
        if !self.varies {
            return tuple;
        }
        scratch.clear();
        if canonicalise(&self.forms, tuple, scratch).is_none() {
            // Not a tuple of ours: hashed as it is, which differs from anything well-formed.
            return tuple;
        }
        scratch
    }
}

fn canonicalise(forms: &[Canonical], tuple: &[u8], out: &mut BytesMut) -> Option<()> {
    let (count, mut rest) = tuple.split_first_chunk::<2>()?;
    out.put_slice(count);
    let mut field = Vec::new();
    for form in forms {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let length = i32::from_be_bytes(*length);
        let (bytes, after) = after.split_at_checked(usize::try_from(length).unwrap_or(0))?;
        rest = after;
        field.clear();
        let canonical = match form {
            _ if length < 0 => None,
            Canonical::AsItIs => None,
            Canonical::Numeric => numeric::canonical(bytes, &mut field),
            Canonical::Jsonb => jsonb::canonical(bytes, &mut field),
        };
        match canonical {
            Some(()) => {
                out.put_i32(field.len() as i32);
                out.put_slice(&field);
            }
            // Also what is not well-formed: as it is, it differs from all that is.
            None => {
                out.put_i32(length);
                out.put_slice(bytes);
            }
        }
    }
    rest.is_empty().then_some(())
}

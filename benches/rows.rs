//! What whole rows take: a batch into a block by the type of a column, a row as applications have
//! them, and its hash.
//!
//! `cargo bench --bench rows [FILTER]`.

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use migrate::internals::TupleLayout;
use migrate::internals::fields;
use migrate::internals::{Block, Digest, RowBatch, SqliteValue};
use migrate::internals::{ColumnEncoder, Encoding, Epoch, TemporalType};
use std::hint::black_box;

/// Rows of a batch.
const ROWS: u64 = 4096;

/// A stored value that owns its bytes.
enum Stored {
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

impl Stored {
    fn raw(&self) -> SqliteValue<'_> {
        match self {
            Self::Integer(integer) => SqliteValue::Integer(*integer),
            Self::Real(real) => SqliteValue::Real(*real),
            Self::Text(text) => SqliteValue::Text(text.as_bytes()),
            Self::Blob(blob) => SqliteValue::Blob(blob),
        }
    }
}

/// The values of a column: for each form what is sent in it, made from the row's number.
fn column(form: Encoding, row: u64) -> Stored {
    let mixed = row.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    match form {
        Encoding::Boolean => Stored::Integer((mixed % 2) as i64),
        Encoding::SmallInt => Stored::Integer((mixed % 30_000) as i64),
        Encoding::Integer | Encoding::Epoch { .. } => {
            Stored::Integer((mixed % 2_000_000_000) as i64)
        }
        Encoding::BigInt => Stored::Integer(mixed.cast_signed()),
        Encoding::BigIntText => Stored::Text(mixed.cast_signed().to_string()),
        Encoding::Real => Stored::Real((mixed % 4096) as f64 / 16.0),
        Encoding::Double => Stored::Real(mixed as f64 / 1e7),
        Encoding::Numeric | Encoding::Decimal { .. } => {
            Stored::Real((mixed % 1_000_000) as f64 / 100.0)
        }
        Encoding::Text if mixed.is_multiple_of(8) => Stored::Text(format!("señal número {mixed}")),
        Encoding::Text | Encoding::Varchar(_) => {
            Stored::Text(format!("shiny-app-{}", mixed % 100_000))
        }
        Encoding::Bytea => Stored::Blob(mixed.to_be_bytes().repeat(4)),
        Encoding::Date => {
            Stored::Text(format!("20{:02}-0{}-1{}", mixed % 100, mixed % 9 + 1, mixed % 10))
        }
        Encoding::Time => Stored::Text(format!("1{}:0{}:2{}", mixed % 10, mixed % 10, mixed % 10)),
        Encoding::Timestamp => Stored::Text(format!(
            "2024-0{}-17 08:1{}:42.{:06}",
            mixed % 9 + 1,
            mixed % 10,
            mixed % 1_000_000
        )),
        Encoding::TimestampTz => {
            Stored::Text(format!("2024-0{}-17T08:1{}:42Z", mixed % 9 + 1, mixed % 10))
        }
        Encoding::Uuid => {
            let bits = u128::from(mixed) << 64 | u128::from(mixed.rotate_left(31));
            let hex = format!("{bits:032x}");
            let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
            Stored::Text(parts.join("-"))
        }
        Encoding::Json | Encoding::Jsonb => Stored::Text(format!(
            r#"{{"id": {}, "event": "session.start", "ok": true}}"#,
            mixed % 1_000
        )),
    }
}

fn batch(forms: &[Encoding]) -> RowBatch {
    let mut batch = RowBatch::default();
    for row in 0..ROWS {
        forms.iter().for_each(|form| batch.push(column(*form, row).raw()));
        batch.end_row();
    }
    batch
}

fn layout(forms: &[Encoding]) -> TupleLayout {
    TupleLayout::new(
        forms
            .iter()
            .map(|&form| ColumnEncoder { form, affinity_restores_numbers: false })
            .collect(),
    )
}

/// Encodes a batch; its values fit.
fn encode(layout: &TupleLayout, batch: &RowBatch, spare: BytesMut) -> Option<Block> {
    layout.encode(0, 1, batch, false, spare).ok()
}

fn encode_by(criterion: &mut Criterion, name: &str, forms: &[Encoding]) {
    let (layout, batch) = (layout(forms), batch(forms));
    assert!(encode(&layout, &batch, BytesMut::new()).is_some(), "{name} does not fit");
    let mut group = criterion.benchmark_group(name);
    let (elements, bytes) = (ROWS, batch.byte_len() as u64);
    group.throughput(Throughput::ElementsAndBytes { elements, bytes });
    let mut spare = BytesMut::new();
    group.bench_function("rows", |bencher| {
        bencher.iter(|| {
            let block = encode(&layout, black_box(&batch), std::mem::take(&mut spare));
            // The memory is used again, as in a run.
            spare = block.and_then(|block| block.data.try_into_mut().ok()).unwrap_or_default();
        });
    });
    group.finish();
}

/// A row of a table of downloads: numbers, times and short texts.
const USUAL: [Encoding; 7] = [
    Encoding::BigInt,
    Encoding::BigInt,
    Encoding::Text,
    Encoding::Timestamp,
    Encoding::Text,
    Encoding::Double,
    Encoding::Boolean,
];

fn types(criterion: &mut Criterion) {
    let decimal = Encoding::Decimal { precision: 12, scale: 2 };
    let epoch = Encoding::Epoch { unit: Epoch::Seconds, to: TemporalType::Timestamp };
    let forms = [
        ("boolean", Encoding::Boolean),
        ("smallint", Encoding::SmallInt),
        ("integer", Encoding::Integer),
        ("bigint", Encoding::BigInt),
        ("bigint_of_text", Encoding::BigIntText),
        ("real", Encoding::Real),
        ("double", Encoding::Double),
        ("numeric", Encoding::Numeric),
        ("decimal", decimal),
        ("text", Encoding::Text),
        ("varchar", Encoding::Varchar(40)),
        ("bytea", Encoding::Bytea),
        ("date", Encoding::Date),
        ("time", Encoding::Time),
        ("timestamp", Encoding::Timestamp),
        ("timestamptz", Encoding::TimestampTz),
        ("epoch", epoch),
        ("uuid", Encoding::Uuid),
        ("json", Encoding::Json),
        ("jsonb", Encoding::Jsonb),
    ];
    for (name, form) in forms {
        encode_by(criterion, &format!("encode_{name}"), &[form]);
    }
}

fn rows(criterion: &mut Criterion) {
    encode_by(criterion, "encode_row", &USUAL);
    let batch = batch(&USUAL);
    let mut group = criterion.benchmark_group("read_batch");
    group.throughput(Throughput::Elements(ROWS));
    group.bench_function("rows", |bencher| {
        bencher.iter(|| black_box(&batch).values().filter(|raw| *raw != SqliteValue::Null).count());
    });
    group.finish();
}

fn hashes(criterion: &mut Criterion) {
    for length in [16, 100, 300, 10_000] {
        let tuple: Vec<u8> = (0..length).map(|index| (index * 31) as u8).collect();
        let mut group = criterion.benchmark_group(format!("hash_{length}"));
        group.throughput(Throughput::Bytes(length as u64));
        group.bench_function("rows", |bencher| {
            let mut digest = Digest::default();
            bencher.iter(|| digest.add_row(black_box(&tuple)));
        });
        group.finish();
    }
    let block = encode(&layout(&USUAL), &batch(&USUAL), BytesMut::new());
    let Some(block) = block else { return };
    let mut group = criterion.benchmark_group("read_tuple");
    group.throughput(Throughput::Elements(1));
    // The first tuple stands behind the stream's head.
    group.bench_function("rows", |bencher| {
        bencher.iter(|| fields(black_box(&block.data[19..])).take(USUAL.len()).count());
    });
    group.finish();
}

criterion_group!(all, types, rows, hashes);
criterion_main!(all);

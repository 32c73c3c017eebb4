//! The time of whole rows: a batch to a block for each column type, a typical row, and its hash.
//!
//! `cargo bench --bench rows [FILTER]`.

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use migrate::internals::TupleLayout;
use migrate::internals::fields;
use migrate::internals::{Block, Digest, RowBatch, SqliteValue};
use migrate::internals::{ColumnEncoder, ColumnType, Encoding, Epoch};
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

/// The values of a column: for each encoding the values that it takes, made from the row's number.
fn column(encoding: impl Into<Encoding>, row: u64) -> Stored {
    let mixed = row.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    let encoding: Encoding = encoding.into();
    if encoding == Encoding::INTEGER_TEXT {
        return Stored::Text(mixed.cast_signed().to_string());
    }
    if encoding != encoding.column_type.into() {
        return Stored::Integer((mixed % 2_000_000_000) as i64);
    }
    match encoding.column_type {
        ColumnType::Boolean => Stored::Integer((mixed % 2) as i64),
        ColumnType::SmallInt => Stored::Integer((mixed % 30_000) as i64),
        ColumnType::Integer => Stored::Integer((mixed % 2_000_000_000) as i64),
        ColumnType::BigInt => Stored::Integer(mixed.cast_signed()),
        ColumnType::Real => Stored::Real((mixed % 4096) as f64 / 16.0),
        ColumnType::Double => Stored::Real(mixed as f64 / 1e7),
        ColumnType::Numeric(_) => Stored::Real((mixed % 1_000_000) as f64 / 100.0),
        ColumnType::Text if mixed.is_multiple_of(8) => {
            Stored::Text(format!("señal número {mixed}"))
        }
        ColumnType::Text | ColumnType::Varchar(_) => {
            Stored::Text(format!("shiny-app-{}", mixed % 100_000))
        }
        ColumnType::Bytea => Stored::Blob(mixed.to_be_bytes().repeat(4)),
        ColumnType::Date => {
            Stored::Text(format!("20{:02}-0{}-1{}", mixed % 100, mixed % 9 + 1, mixed % 10))
        }
        ColumnType::Time => {
            Stored::Text(format!("1{}:0{}:2{}", mixed % 10, mixed % 10, mixed % 10))
        }
        ColumnType::Timestamp => Stored::Text(format!(
            "2024-0{}-17 08:1{}:42.{:06}",
            mixed % 9 + 1,
            mixed % 10,
            mixed % 1_000_000
        )),
        ColumnType::TimestampTz => {
            Stored::Text(format!("2024-0{}-17T08:1{}:42Z", mixed % 9 + 1, mixed % 10))
        }
        ColumnType::Interval => {
            Stored::Text(format!("{} days 0{}:1{}:42", mixed % 100 + 2, mixed % 10, mixed % 10))
        }
        ColumnType::Inet => Stored::Text(format!("10.{}.{}.1/24", mixed % 256, mixed % 100)),
        ColumnType::Uuid => {
            let bits = u128::from(mixed) << 64 | u128::from(mixed.rotate_left(31));
            let hex = format!("{bits:032x}");
            let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
            Stored::Text(parts.join("-"))
        }
        ColumnType::Json | ColumnType::Jsonb => Stored::Text(format!(
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
            .map(|&encoding| ColumnEncoder { encoding, affinity_restores_numbers: false })
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
const USUAL: [ColumnType; 7] = [
    ColumnType::BigInt,
    ColumnType::BigInt,
    ColumnType::Text,
    ColumnType::Timestamp,
    ColumnType::Text,
    ColumnType::Double,
    ColumnType::Boolean,
];

fn usual() -> [Encoding; 7] {
    USUAL.map(Encoding::from)
}

fn types(criterion: &mut Criterion) {
    let epoch = Encoding::from_epoch(Epoch::Seconds, ColumnType::Timestamp);
    let encodings: [(&str, Encoding); 22] = [
        ("boolean", ColumnType::Boolean.into()),
        ("smallint", ColumnType::SmallInt.into()),
        ("integer", ColumnType::Integer.into()),
        ("bigint", ColumnType::BigInt.into()),
        ("bigint_of_text", Encoding::INTEGER_TEXT),
        ("real", ColumnType::Real.into()),
        ("double", ColumnType::Double.into()),
        ("numeric", ColumnType::Numeric(None).into()),
        ("decimal", ColumnType::Numeric(Some((12, 2))).into()),
        ("text", ColumnType::Text.into()),
        ("varchar", ColumnType::Varchar(40).into()),
        ("bytea", ColumnType::Bytea.into()),
        ("date", ColumnType::Date.into()),
        ("time", ColumnType::Time.into()),
        ("timestamp", ColumnType::Timestamp.into()),
        ("timestamptz", ColumnType::TimestampTz.into()),
        ("epoch", epoch),
        ("interval", ColumnType::Interval.into()),
        ("inet", ColumnType::Inet.into()),
        ("uuid", ColumnType::Uuid.into()),
        ("json", ColumnType::Json.into()),
        ("jsonb", ColumnType::Jsonb.into()),
    ];
    for (name, encoding) in encodings {
        encode_by(criterion, &format!("encode_{name}"), &[encoding]);
    }
}

fn rows(criterion: &mut Criterion) {
    encode_by(criterion, "encode_row", &usual());
    let batch = batch(&usual());
    let mut group = criterion.benchmark_group("read_batch");
    group.throughput(Throughput::Elements(ROWS));
    group.bench_function("rows", |bencher| {
        bencher.iter(|| black_box(&batch).values().filter(|raw| *raw != SqliteValue::Null).count());
    });
    group.finish();
}

fn hashes(criterion: &mut Criterion) {
    for length in [16, 100, 300, 10_000] {
        let tuple: Vec<u8> = (0..length).map(|place| (place * 31) as u8).collect();
        let mut group = criterion.benchmark_group(format!("hash_{length}"));
        group.throughput(Throughput::Bytes(length as u64));
        group.bench_function("rows", |bencher| {
            let mut digest = Digest::default();
            bencher.iter(|| digest.add_row(black_box(&tuple)));
        });
        group.finish();
    }
    let block = encode(&layout(&usual()), &batch(&usual()), BytesMut::new());
    let Some(block) = block else { return };
    let mut group = criterion.benchmark_group("read_tuple");
    group.throughput(Throughput::Elements(1));
    // The first tuple follows the header of the stream.
    group.bench_function("rows", |bencher| {
        bencher.iter(|| fields(black_box(&block.data[19..])).take(USUAL.len()).count());
    });
    group.finish();
}

criterion_group!(all, types, rows, hashes);
criterion_main!(all);

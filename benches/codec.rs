//! The time of single conversions of the codec, per value and per byte.
//!
//! `cargo bench --bench codec [FILTER]`; every group processes the same few thousand values
//! in turn, so that branches are predicted no better than in a real column.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use migrate::internals::Epoch;
use migrate::internals::{iso, json, numeric, uuid};
use std::hint::black_box;

/// Values per measured round.
const VALUES: usize = 4096;

/// Pseudo-random numbers, the same in every run (splitmix64).
fn numbers() -> Vec<u64> {
    (1..=VALUES as u64)
        .map(|index| {
            let mut mixed = index.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            mixed ^ (mixed >> 31)
        })
        .collect()
}

/// Measures reading every text once.
fn read<T, R>(
    criterion: &mut Criterion,
    name: &str,
    texts: &[T],
    bytes: impl Fn(&T) -> usize,
    each: impl Fn(&T) -> R,
) {
    let mut group = criterion.benchmark_group(name);
    let size = texts.iter().map(bytes).sum::<usize>() as u64;
    group.throughput(Throughput::ElementsAndBytes { elements: texts.len() as u64, bytes: size });
    group.bench_function("values", |bencher| {
        bencher.iter(|| {
            for text in texts {
                black_box(each(black_box(text)));
            }
        });
    });
    group.finish();
}

/// Measures writing every value once into one buffer.
fn write<T>(criterion: &mut Criterion, name: &str, values: &[T], each: impl Fn(&T, &mut Vec<u8>)) {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(values.len() as u64));
    group.bench_function("values", |bencher| {
        let mut out = Vec::new();
        bencher.iter(|| {
            out.clear();
            for value in values {
                each(black_box(value), &mut out);
            }
            black_box(&out);
        });
    });
    group.finish();
}

fn dates(criterion: &mut Criterion) {
    // Microseconds within a century around 2000.
    let moments: Vec<i64> = numbers()
        .iter()
        .map(|n| (n % 3_155_760_000_000_000) as i64 - 1_577_880_000_000_000)
        .collect();
    let texts: Vec<Vec<u8>> = moments
        .iter()
        .map(|micros| {
            let mut text = Vec::new();
            let _ = iso::format_timestamp(*micros, true, &mut text);
            text
        })
        .collect();
    read(criterion, "parse_timestamp", &texts, Vec::len, |text| iso::parse_timestamp(text));
    read(criterion, "parse_date", &texts, |_| 10, |text| iso::parse_date(&text[..10]));
    write(criterion, "format_timestamp", &moments, |micros, out| {
        let _ = iso::format_timestamp(*micros, true, out);
    });
    let reals: Vec<f64> = moments.iter().map(|micros| Epoch::Seconds.to_real(*micros)).collect();
    let julian: Vec<f64> =
        moments.iter().map(|micros| Epoch::Julian.to_real(micros / 1_000 * 1_000)).collect();
    read(criterion, "epoch_nanos", &numbers(), |_| 8, |n| Epoch::Nanos.from_integer(*n as i64));
    read(criterion, "epoch_real_seconds", &reals, |_| 8, |real| Epoch::Seconds.from_real(*real));
    read(criterion, "epoch_julian", &julian, |_| 8, |real| Epoch::Julian.from_real(*real));
}

fn numerics(criterion: &mut Criterion) {
    let integers: Vec<i64> = numbers().iter().map(|n| (*n as i64) >> (n % 64)).collect();
    let prices: Vec<f64> = numbers().iter().map(|n| (n % 10_000_000) as f64 / 100.0).collect();
    let reals: Vec<f64> = numbers().iter().map(|n| *n as f64 / 1e15).collect();
    let texts: Vec<Vec<u8>> = reals.iter().map(|real| real.to_string().into_bytes()).collect();
    let binary: Vec<Vec<u8>> = texts
        .iter()
        .map(|text| {
            let mut bytes = Vec::new();
            let _ = numeric::encode_decimal(text, None, &mut bytes);
            bytes
        })
        .collect();
    write(criterion, "encode_integer", &integers, |value, out| {
        numeric::encode_integer(*value, None, out);
    });
    write(criterion, "encode_price", &prices, |value, out| {
        let _ = numeric::encode_real(*value, Some(2), out);
    });
    write(criterion, "encode_real", &reals, |value, out| {
        let _ = numeric::encode_real(*value, None, out);
    });
    write(criterion, "encode_decimal", &texts, |text, out| {
        let _ = numeric::encode_decimal(text, None, out);
    });
    write(criterion, "decode_numeric", &binary, |bytes, out| {
        let _ = numeric::decode(bytes, out);
    });
    write(criterion, "canonical_numeric", &binary, |bytes, out| {
        let _ = numeric::canonical(bytes, out);
    });
}

fn uuids(criterion: &mut Criterion) {
    let values: Vec<[u8; 16]> = numbers()
        .iter()
        .map(|n| (u128::from(*n) << 64 | u128::from(n.rotate_left(23))).to_be_bytes())
        .collect();
    let texts: Vec<Vec<u8>> = values
        .iter()
        .map(|value| {
            let mut text = Vec::new();
            uuid::format(*value, &mut text);
            text
        })
        .collect();
    read(criterion, "parse_uuid", &texts, Vec::len, |text| uuid::parse(text));
    write(criterion, "format_uuid", &values, |value, out| uuid::format(*value, out));
}

fn documents(criterion: &mut Criterion) {
    let small: Vec<Vec<u8>> = numbers()
        .iter()
        .map(|n| {
            let (a, b) = (n % 1_000, n >> 40);
            format!(r#"{{"id": {a}, "event": "session.start", "tags": ["a", "b{b}"], "ok": true}}"#)
                .into_bytes()
        })
        .collect();
    read(criterion, "json_small", &small, Vec::len, |text| json::validate(text));
    let long = vec![format!(r#"{{"log": "{}"}}"#, "a line of text\\n".repeat(1 << 16))];
    read(criterion, "json_long_string", &long, String::len, |text| json::validate(text.as_bytes()));
}

criterion_group!(leaves, dates, numerics, uuids, documents);
criterion_main!(leaves);

//! The time to read a product's configuration.
//!
//! `cargo bench --bench gcfg`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use migrate::internals::Gcfg;
use std::hint::black_box;
use std::path::Path;

fn parse(criterion: &mut Criterion) {
    let section = "; what this section is for\n[Database \"name\"]\nProvider = sqlite\nURL = \"a \\\"quoted\\\" value\"  ; why\nDebug\n\n";
    for sections in [3, 300] {
        let text = section.repeat(sections);
        assert!(Gcfg::parse(Path::new("a.gcfg"), text.as_bytes()).is_ok(), "the text is gcfg");
        let mut group = criterion.benchmark_group(format!("parse_{sections}_sections"));
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function("file", |bencher| {
            bencher.iter(|| {
                black_box(Gcfg::parse(Path::new("a.gcfg"), black_box(text.as_bytes())).is_ok())
            });
        });
        group.finish();
    }
}

criterion_group!(gcfg, parse);
criterion_main!(gcfg);

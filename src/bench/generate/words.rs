//! The words of the generated text.

/// The words of `text`, separated by `|`.
const fn split<const N: usize>(text: &'static str) -> [&'static str; N] {
    let (mut words, mut count) = ([""; N], 0);
    let (mut rest, mut at) = (text, 0);
    while at < rest.len() {
        if rest.as_bytes()[at] == b'|' {
            let (word, others) = rest.split_at(at);
            words[count] = word;
            (rest, at, count) = (others.split_at(1).1, 0, count + 1);
        } else {
            at += 1;
        }
    }
    words[count] = rest;
    assert!(count + 1 == N);
    words
}

pub(crate) const FIRST_NAMES: [&str; 24] = split(
    "Ada|Amélie|Björn|Chidi|Dmitrij|Дмитрий|Eva|Fatima|Gülşen|Hugo|Ines|José|Kaito|Łukasz|\
     Mary Ann|Nguyễn|O'Brien|Priya|Søren|Tomáš|Uma|Zoë|美咲|민준",
);

pub(crate) const LAST_NAMES: [&str; 24] = split(
    "Ångström|Bianchi|Chen|da Silva|Eriksson|Fischer|García|Håkansson|Ivanova|Иванов|Jones|\
     Kowalski|Lê|Müller|Nowak|Okafor|Patel|Quispe|Rossi|Smith-Jones|Tanaka|田中|Wójcik|Žižek",
);

/// Beginnings of package names; with [`PACKAGE_ENDS`] 64 each.
pub(crate) const PACKAGE_BEGINS: [&str; 64] = [
    "abc", "agri", "ana", "arrow", "auto", "bayes", "bio", "blog", "cli", "code", "crypto", "data",
    "date", "db", "deep", "dev", "dplyr", "eco", "econ", "fast", "file", "fin", "forge", "gene",
    "geo", "gg", "git", "graph", "health", "html", "http", "image", "json", "knit", "lab", "lang",
    "lite", "log", "map", "mark", "math", "meta", "micro", "model", "multi", "net", "open",
    "panel", "pkg", "plot", "poly", "purrr", "quant", "r", "rapid", "sas", "shiny", "spark",
    "stat", "survey", "text", "tidy", "time", "web",
];

pub(crate) const PACKAGE_ENDS: [&str; 64] = [
    "api", "art", "base", "boot", "box", "build", "cache", "calc", "check", "clust", "core", "cpp",
    "curve", "diff", "down", "ext", "flow", "form", "frame", "gen", "grid", "hash", "help", "info",
    "io", "kit", "learn", "lib", "link", "lm", "ly", "maker", "mix", "nest", "net", "pack",
    "parse", "path", "pipe", "plot", "plus", "prep", "r", "read", "safe", "scan", "sim", "sort",
    "sql", "stan", "stats", "str", "style", "sum", "table", "test", "tools", "tree", "ts", "utils",
    "verse", "view", "wrap", "xts",
];

pub(crate) const LICENSES: [&str; 6] =
    ["MIT + file LICENSE", "GPL-3", "GPL (>= 2)", "Apache License (>= 2)", "BSD_3_clause", "CC0"];

pub(crate) const SOURCES: [&str; 4] = ["CRAN", "Bioconductor", "PyPI", "local"];

pub(crate) const COUNTRIES: [&str; 16] = [
    "US", "DE", "GB", "FR", "JP", "CA", "CN", "IN", "BR", "AU", "NL", "CH", "SE", "ES", "PL", "KE",
];

pub(crate) const SYSTEMS: [&str; 6] = split(
    "x86_64-pc-linux-gnu|aarch64-apple-darwin20|x86_64-w64-mingw32|x86_64-apple-darwin20|\
     aarch64-linux-gnu|manylinux_2_28",
);

pub(crate) const TOPICS: [&str; 16] = split(
    "Sales|Übersicht|Churn|Forecast|Q3 – results|Prévisions|売上|Inventory|Отчёт|Clinical trial|\
     KPI 📊|Risk \"A/B\"|Budget 50%|Traffic|Qualität|Capacity\\planning",
);

pub(crate) const APP_MODES: [&str; 7] =
    split("shiny|rmd-static|quarto-static|python-dash|api|python-streamlit|jupyter-static");

pub(crate) const ACCESS: [&str; 3] = ["acl", "logged_in", "all"];

pub(crate) const PATHS: [&str; 8] = split(
    "/|/index.html|/report.html?lang=de|/__api__/v1/data|/assets/app.js|/dashboard/übersicht|\
     /_w_3f2a/session/|/favicon.ico",
);

pub(crate) const METRICS: [&str; 10] = split(
    "cpu.user|cpu.system|ram.used|ram.total|disk.read|disk.write|net.in|net.out|sessions.active|\
     queue.length",
);

pub(crate) const ACTIONS: [&str; 10] = split(
    "user_login|user_logout|deploy_application|view_application|add_user|update_setting|\
     remove_bundle|user_lock|api_key_created|sync_repository",
);

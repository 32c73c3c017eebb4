//! The content of the tables.

use crate::bench::generate::random::Random;
use crate::bench::generate::text::{Clock, push_number, push_uuid};
use crate::bench::generate::words;
use crate::bench::generate::writer::{Row, Writer};
use rusqlite::Result;

/// The share of each table in a thousand rows, parents before children; `downloads` gets the rest.
const SHARES: [(&str, u64); 9] = [
    ("settings", 0),
    ("users", 4),
    ("content", 3),
    ("bundles", 2),
    ("packages", 6),
    ("content_visits", 200),
    ("shiny_usage", 120),
    ("metrics", 140),
    ("audit_events", 70),
];

/// The number of settings, at any size.
const MAX_SETTINGS: u64 = 60;

/// The most addresses: visitors come back.
const ADDRESSES: u64 = 30_000;

/// The rows that later tables refer to.
#[derive(Default)]
struct World {
    users: Vec<i64>,
    content: Vec<i64>,
    packages: Vec<(i64, String, String)>,
    addresses: Vec<String>,
    agents: Vec<String>,
}

/// Fills all tables with `rows` rows. Returns the number of rows of each table.
pub(crate) fn fill(writer: &mut Writer<'_>, rows: u64) -> Result<Vec<(&'static str, u64)>> {
    let mut counts: Vec<(&str, u64)> =
        SHARES.iter().map(|(table, share)| (*table, (rows * share / 1000).max(1))).collect();
    counts[0].1 = (rows / 100).min(MAX_SETTINGS);
    let others: u64 = counts.iter().map(|(_, n)| n).sum();
    counts.insert(5, ("downloads", rows - others));

    let mut world = World::default();
    people_the_world(writer, &mut world);
    for (table, rows) in &counts {
        match *table {
            "settings" => settings(writer, *rows)?,
            "users" => users(writer, *rows, &mut world)?,
            "content" => content(writer, *rows, &mut world)?,
            "bundles" => bundles(writer, *rows, &world)?,
            "packages" => packages(writer, *rows, &mut world)?,
            "downloads" => downloads(writer, *rows, &world)?,
            "content_visits" => content_visits(writer, *rows, &world)?,
            "shiny_usage" => shiny_usage(writer, *rows, &world)?,
            "metrics" => metrics(writer, *rows, &world)?,
            _ => audit_events(writer, *rows, &world)?,
        }
    }
    writer.skip_ids("users", 3)?;
    writer.skip_ids("audit_events", 1_000)?;
    Ok(counts)
}

/// The addresses and programs of visitors.
fn people_the_world(writer: &mut Writer<'_>, world: &mut World) {
    let random = &mut writer.random;
    for n in 0..ADDRESSES {
        world.addresses.push(if n % 20 == 19 {
            format!("2001:db8:{:x}::{:x}", random.below(65_536), random.below(65_536))
        } else {
            let [a, b, c] = [random.below(223) + 1, random.below(256), random.below(256)];
            format!("{a}.{b}.{c}.{}", random.below(256))
        });
    }
    for minor in 0..6 {
        for system in words::SYSTEMS {
            let patch = random.below(4);
            world.agents.push(format!("R/4.{minor}.{patch} ({system})"));
            world.agents.push(format!("renv/1.{minor}.{patch} R/4.{minor}.{patch} ({system})"));
            world.agents.push(format!("pip/2{minor}.{patch} {{\"cpu\":\"{system}\"}}"));
        }
    }
}

fn settings(writer: &mut Writer<'_>, rows: u64) -> Result<()> {
    let (mut clock, mut time, mut number) = (Clock::new(rows), String::new(), 0);
    writer.insert("settings", 3, false, rows, |row, random| {
        clock.tick(random);
        number += 1;
        row.put(format!("Section{}.Key{number:03}", number % 7))?;
        match number % 5 {
            0 => row.put(None::<&str>)?,
            1 => row.put("true")?,
            2 => row.put(random.below(10_000).to_string())?,
            3 => row.put(format!("\"{}\"", words::FIRST_NAMES[number % 24]))?,
            _ => row.put(format!("{{\"enabled\": {}, \"items\": [1, 2.50, null]}}", number > 9))?,
        }
        clock.seconds(&mut time);
        row.put(&time)
    })
}

fn users(writer: &mut Writer<'_>, rows: u64, world: &mut World) -> Result<()> {
    let (mut clock, mut text) = (Clock::new(rows), String::new());
    writer.insert("users", 12, true, rows, |row, random| {
        world.users.push(row.id);
        clock.tick(random);
        let first = random.pick(&words::FIRST_NAMES);
        let last = random.pick(&words::LAST_NAMES);
        put_uuid(row, random, &mut text)?;
        let username = format!("{}{}", first.to_lowercase().replace([' ', '\''], ""), row.id);
        row.put(&username)?;
        let email = random.percent(90).then(|| format!("{username}@example.com"));
        row.put(email)?;
        row.put(first)?;
        row.put(random.percent(95).then_some(last))?;
        row.put(random.skewed(4) as i64)?;
        row.put(random.percent(80))?;
        row.put(random.percent(2))?;
        clock.micros(&mut text);
        row.put(&text)?;
        if random.percent(70) {
            clock.later(random.below(1 << 31) * 1000).micros(&mut text);
            row.put(&text)?;
        } else {
            row.put(None::<&str>)?;
        }
        let rows = 10 * (1 + random.below(10));
        let preferences = format!("{{\"theme\":\"dark\",\"rows\":{rows},\"name\":\"{first}\"}}");
        row.put(random.percent(60).then_some(preferences))
    })
}

fn content(writer: &mut Writer<'_>, rows: u64, world: &mut World) -> Result<()> {
    let (mut clock, mut text) = (Clock::new(rows), String::new());
    writer.insert("content", 10, true, rows, |row, random| {
        world.content.push(row.id);
        clock.tick(random);
        put_uuid(row, random, &mut text)?;
        row.put(random.popular(&world.users))?;
        let topic = random.pick(&words::TOPICS);
        row.put(format!("content-{:06}", row.id))?;
        row.put(random.percent(92).then(|| format!("{topic} {}", 2015 + row.id % 10)))?;
        row.put(random.popular(&words::APP_MODES))?;
        row.put(random.popular(&words::ACCESS))?;
        let quarters = random.below(33) as f64;
        row.put(random.percent(15).then_some(quarters / 4.0))?;
        clock.micros(&mut text);
        row.put(&text)?;
        let processes = 1 + random.below(8);
        let tag = words::TOPICS[row.id as usize % 5];
        let settings = format!("{{\"processes\": {processes}, \"tags\": [\"{tag}\", \"Q1\"]}}");
        row.put(random.percent(50).then_some(settings))
    })
}

fn bundles(writer: &mut Writer<'_>, rows: u64, world: &World) -> Result<()> {
    let (mut clock, mut time, mut bytes) = (Clock::new(rows), String::new(), Vec::new());
    writer.insert("bundles", 7, true, rows, |row, random| {
        clock.tick(random);
        row.put(random.popular(&world.content))?;
        row.put(random.percent(30))?;
        row.put(10_000 + random.skewed(1 << 31) as i64)?;
        fill_bytes(random, &mut bytes, 32);
        row.put(&bytes)?;
        if random.percent(90) {
            let length = random.skewed(4_000) as usize;
            fill_bytes(random, &mut bytes, length);
            row.put(&bytes)?;
        } else {
            row.put(None::<&[u8]>)?;
        }
        clock.seconds(&mut time);
        row.put(&time)
    })
}

fn packages(writer: &mut Writer<'_>, rows: u64, world: &mut World) -> Result<()> {
    let (mut clock, mut time) = (Clock::new(rows), String::new());
    let (mut name, mut named, mut version) = (String::new(), 0_usize, 0);
    writer.insert("packages", 8, true, rows, |row, random| {
        clock.tick(random);
        if name.is_empty() || random.percent(25) {
            // 4,096 names in shuffled order, then the same names with a number.
            let index = named * 2_731 % 4_096;
            let (begin, end) = (words::PACKAGE_BEGINS[index / 64], words::PACKAGE_ENDS[index % 64]);
            name = format!("{begin}{end}");
            if named >= 4_096 {
                push_number(&mut name, (named / 4_096) as u64 + 1);
            }
            (named, version) = (named + 1, 0);
        }
        version += 1;
        let release = format!("{}.{}.{}", version / 10, version % 10, random.below(10));
        row.put(&name)?;
        row.put(&release)?;
        row.put(random.popular(&words::SOURCES))?;
        row.put(random.percent(97).then(|| random.pick(&words::LICENSES)))?;
        clock.date(&mut time);
        row.put(&time)?;
        let (topic, last) = (random.pick(&words::TOPICS), random.pick(&words::LAST_NAMES));
        row.put(format!("Tools for '{topic}'.\nMethods as described by {last} (2019)."))?;
        let size = random.skewed(1 << 24);
        let metadata =
            format!("{{\"size\":{size},\"author\":\"{last}\",\"imports\":[\"{name}\"]}}");
        row.put(random.percent(80).then_some(metadata))?;
        world.packages.push((row.id, name.clone(), release));
        Ok(())
    })
}

fn downloads(writer: &mut Writer<'_>, rows: u64, world: &World) -> Result<()> {
    let (mut clock, mut time) = (Clock::new(rows), String::new());
    writer.insert("downloads", 10, true, rows, |row, random| {
        clock.tick(random);
        let (package, name, version) = random.popular(&world.packages);
        row.put(package)?;
        row.put(name)?;
        row.put(version)?;
        row.put(random.percent(65))?;
        put_address(row, random, world)?;
        if random.percent(96) {
            row.put(random.popular(&world.agents))?;
        } else {
            row.put(None::<&str>)?;
        }
        let country = random.percent(80).then(|| random.popular(&words::COUNTRIES));
        row.put(country)?;
        row.put(2_000 + random.skewed(1 << 27) as i64)?;
        clock.seconds(&mut time);
        row.put(&time)
    })
}

fn content_visits(writer: &mut Writer<'_>, rows: u64, world: &World) -> Result<()> {
    let (mut clock, mut time) = (Clock::new(rows), String::new());
    writer.insert("content_visits", 7, true, rows, |row, random| {
        clock.tick(random);
        row.put(random.popular(&world.content))?;
        put_user(row, random, world, 60)?;
        put_address(row, random, world)?;
        row.put(random.popular(&words::PATHS))?;
        row.put(random.below(4) as i64)?;
        clock.micros(&mut time);
        row.put(&time)
    })
}

fn shiny_usage(writer: &mut Writer<'_>, rows: u64, world: &World) -> Result<()> {
    let (mut clock, mut time) = (Clock::new(rows), String::new());
    let mut end = clock.later(0);
    writer.insert("shiny_usage", 6, true, rows, |row, random| {
        clock.tick(random);
        row.put(random.popular(&world.content))?;
        put_user(row, random, world, 75)?;
        clock.seconds(&mut time);
        row.put(&time)?;
        if random.percent(97) {
            end.set(&clock, random.skewed(1 << 31) * 5);
            end.seconds(&mut time);
            row.put(&time)?;
        } else {
            row.put(None::<&str>)?;
        }
        row.put(1 + random.below(3) as i64)
    })
}

fn metrics(writer: &mut Writer<'_>, rows: u64, world: &World) -> Result<()> {
    let (mut clock, mut text) = (Clock::new(rows), String::new());
    writer.insert("metrics", 6, true, rows, |row, random| {
        clock.tick(random);
        if random.percent(40) {
            row.put(random.popular(&world.content))?;
        } else {
            row.put(None::<i64>)?;
        }
        text.clear();
        text.push_str("node-");
        push_number(&mut text, random.skewed(12));
        row.put(&text)?;
        row.put(random.pick(&words::METRICS))?;
        // A division gives the same bits on every machine; a power function does not.
        let value = random.skewed(1 << 31) as f64 / 1_000.0;
        row.put(random.percent(98).then_some(value))?;
        clock.seconds(&mut text);
        row.put(&text)
    })
}

fn audit_events(writer: &mut Writer<'_>, rows: u64, world: &World) -> Result<()> {
    let (mut clock, mut text) = (Clock::new(rows), String::new());
    writer.insert("audit_events", 6, true, rows, |row, random| {
        clock.tick(random);
        put_user(row, random, world, 90)?;
        let action = *random.popular(&words::ACTIONS);
        row.put(action)?;
        if random.percent(85) {
            text.clear();
            text.push_str("{\"action\":\"");
            text.push_str(action);
            text.push_str("\",\"content\":");
            push_number(&mut text, random.popular(&world.content).unsigned_abs());
            text.push_str(",\"by\":\"");
            text.push_str(random.pick(&words::FIRST_NAMES));
            text.push_str("\",\"ok\":true}");
            row.put(&text)?;
        } else {
            row.put(None::<&str>)?;
        }
        put_address(row, random, world)?;
        clock.micros(&mut text);
        text.push_str("+00:00");
        row.put(&text)
    })
}

fn put_uuid(row: &mut Row<'_, '_>, random: &mut Random, text: &mut String) -> Result<()> {
    text.clear();
    push_uuid(text, random);
    row.put(&*text)
}

fn put_user(row: &mut Row<'_, '_>, random: &mut Random, world: &World, percent: u64) -> Result<()> {
    if random.percent(percent) {
        row.put(random.popular(&world.users))
    } else {
        row.put(None::<i64>)
    }
}

fn put_address(row: &mut Row<'_, '_>, random: &mut Random, world: &World) -> Result<()> {
    if random.percent(98) {
        row.put(random.popular(&world.addresses))
    } else {
        row.put(None::<&str>)
    }
}

fn fill_bytes(random: &mut Random, bytes: &mut Vec<u8>, length: usize) {
    bytes.clear();
    while bytes.len() < length {
        bytes.extend_from_slice(&random.bits().to_be_bytes());
    }
    bytes.truncate(length);
}

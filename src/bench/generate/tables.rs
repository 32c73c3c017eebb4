//! The content of the tables.

use crate::bench::generate::random::Random;
use crate::bench::generate::text::{Clock, uuid};
use crate::bench::generate::words;
use crate::bench::generate::writer::Writer;
use rusqlite::Result;

/// Fills a table with a number of rows.
type Fill = fn(&mut Writer<'_>, u64, &mut World) -> Result<()>;

/// The tables, parents before children, each with its share of a thousand rows.
const TABLES: [(&str, u64, Fill); 10] = [
    ("settings", 0, settings),
    ("users", 4, users),
    ("content", 3, content),
    ("bundles", 2, bundles),
    ("packages", 6, packages),
    ("downloads", 0, downloads),
    ("content_visits", 200, content_visits),
    ("shiny_usage", 120, shiny_usage),
    ("metrics", 140, metrics),
    ("audit_events", 70, audit_events),
];

/// The index of the table that gets the rows which the shares leave.
const DOWNLOADS: usize = 5;

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
    let mut counts = TABLES.map(|(table, share, _)| (table, (rows * share / 1000).max(1)));
    counts[0].1 = (rows / 100).min(MAX_SETTINGS);
    counts[DOWNLOADS].1 = 0;
    counts[DOWNLOADS].1 = rows - counts.iter().map(|(_, n)| n).sum::<u64>();

    let mut world = World::default();
    people_the_world(writer, &mut world);
    for ((_, rows), (.., fill)) in counts.iter().zip(TABLES) {
        fill(writer, *rows, &mut world)?;
    }
    writer.skip_ids("users", 3)?;
    writer.skip_ids("audit_events", 1_000)?;
    Ok(counts.to_vec())
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

fn settings(writer: &mut Writer<'_>, rows: u64, _: &mut World) -> Result<()> {
    let (mut clock, mut number) = (Clock::new(rows), 0);
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
        row.put(clock.seconds())
    })
}

fn users(writer: &mut Writer<'_>, rows: u64, world: &mut World) -> Result<()> {
    let mut clock = Clock::new(rows);
    writer.insert("users", 12, true, rows, |row, random| {
        world.users.push(row.id);
        clock.tick(random);
        let first = random.pick(&words::FIRST_NAMES);
        let last = random.pick(&words::LAST_NAMES);
        row.put(uuid(random))?;
        let username = format!("{}{}", first.to_lowercase().replace([' ', '\''], ""), row.id);
        row.put(&username)?;
        let email = random.percent(90).then(|| format!("{username}@example.com"));
        row.put(email)?;
        row.put(first)?;
        row.put(random.percent(95).then_some(last))?;
        row.put(random.skewed(4) as i64)?;
        row.put(random.percent(80))?;
        row.put(random.percent(2))?;
        row.put(clock.micros())?;
        let mut login = random.percent(70).then(|| clock.later(random.below(1 << 31) * 1000));
        row.put(login.as_mut().map(Clock::micros))?;
        let rows = 10 * (1 + random.below(10));
        let preferences = format!("{{\"theme\":\"dark\",\"rows\":{rows},\"name\":\"{first}\"}}");
        row.put(random.percent(60).then_some(preferences))
    })
}

fn content(writer: &mut Writer<'_>, rows: u64, world: &mut World) -> Result<()> {
    let mut clock = Clock::new(rows);
    writer.insert("content", 10, true, rows, |row, random| {
        world.content.push(row.id);
        clock.tick(random);
        row.put(uuid(random))?;
        row.put(random.popular(&world.users))?;
        let topic = random.pick(&words::TOPICS);
        row.put(format!("content-{:06}", row.id))?;
        row.put(random.percent(92).then(|| format!("{topic} {}", 2015 + row.id % 10)))?;
        row.put(random.popular(&words::APP_MODES))?;
        row.put(random.popular(&words::ACCESS))?;
        let quarters = random.below(33) as f64;
        row.put(random.percent(15).then_some(quarters / 4.0))?;
        row.put(clock.micros())?;
        let processes = 1 + random.below(8);
        let tag = words::TOPICS[row.id as usize % 5];
        let settings = format!("{{\"processes\": {processes}, \"tags\": [\"{tag}\", \"Q1\"]}}");
        row.put(random.percent(50).then_some(settings))
    })
}

fn bundles(writer: &mut Writer<'_>, rows: u64, world: &mut World) -> Result<()> {
    let mut clock = Clock::new(rows);
    writer.insert("bundles", 7, true, rows, |row, random| {
        clock.tick(random);
        row.put(random.popular(&world.content))?;
        row.put(random.percent(30))?;
        row.put(10_000 + random.skewed(1 << 31) as i64)?;
        row.put(bytes(random, 32))?;
        let length = random.percent(90).then(|| random.skewed(4_000) as usize);
        row.put(length.map(|length| bytes(random, length)))?;
        row.put(clock.seconds())
    })
}

fn packages(writer: &mut Writer<'_>, rows: u64, world: &mut World) -> Result<()> {
    let mut clock = Clock::new(rows);
    let (mut name, mut named, mut version) = (String::new(), 0_usize, 0);
    writer.insert("packages", 8, true, rows, |row, random| {
        clock.tick(random);
        if name.is_empty() || random.percent(25) {
            // 4,096 names in shuffled order, then the same names with a number.
            let index = named * 2_731 % 4_096;
            let (begin, end) = (words::PACKAGE_BEGINS[index / 64], words::PACKAGE_ENDS[index % 64]);
            name = format!("{begin}{end}");
            if named >= 4_096 {
                name.push_str(&(named / 4_096 + 1).to_string());
            }
            (named, version) = (named + 1, 0);
        }
        version += 1;
        let release = format!("{}.{}.{}", version / 10, version % 10, random.below(10));
        row.put(&name)?;
        row.put(&release)?;
        row.put(random.popular(&words::SOURCES))?;
        row.put(random.percent(97).then(|| random.pick(&words::LICENSES)))?;
        row.put(clock.date())?;
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

fn downloads(writer: &mut Writer<'_>, rows: u64, world: &mut World) -> Result<()> {
    let mut clock = Clock::new(rows);
    writer.insert("downloads", 10, true, rows, |row, random| {
        clock.tick(random);
        let (package, name, version) = random.popular(&world.packages);
        row.put(package)?;
        row.put(name)?;
        row.put(version)?;
        row.put(random.percent(65))?;
        row.put(random.percent(98).then(|| random.popular(&world.addresses)))?;
        row.put(random.percent(96).then(|| random.popular(&world.agents)))?;
        row.put(random.percent(80).then(|| random.popular(&words::COUNTRIES)))?;
        row.put(2_000 + random.skewed(1 << 27) as i64)?;
        row.put(clock.seconds())
    })
}

fn content_visits(writer: &mut Writer<'_>, rows: u64, world: &mut World) -> Result<()> {
    let mut clock = Clock::new(rows);
    writer.insert("content_visits", 7, true, rows, |row, random| {
        clock.tick(random);
        row.put(random.popular(&world.content))?;
        row.put(random.percent(60).then(|| random.popular(&world.users)))?;
        row.put(random.percent(98).then(|| random.popular(&world.addresses)))?;
        row.put(random.popular(&words::PATHS))?;
        row.put(random.below(4) as i64)?;
        row.put(clock.micros())
    })
}

fn shiny_usage(writer: &mut Writer<'_>, rows: u64, world: &mut World) -> Result<()> {
    let mut clock = Clock::new(rows);
    let mut end = clock.later(0);
    writer.insert("shiny_usage", 6, true, rows, |row, random| {
        clock.tick(random);
        row.put(random.popular(&world.content))?;
        row.put(random.percent(75).then(|| random.popular(&world.users)))?;
        row.put(clock.seconds())?;
        let has_ended = random.percent(97);
        row.put(has_ended.then(|| end.set(&clock, random.skewed(1 << 31) * 5).seconds()))?;
        row.put(1 + random.below(3) as i64)
    })
}

fn metrics(writer: &mut Writer<'_>, rows: u64, world: &mut World) -> Result<()> {
    let mut clock = Clock::new(rows);
    writer.insert("metrics", 6, true, rows, |row, random| {
        clock.tick(random);
        row.put(random.percent(40).then(|| random.popular(&world.content)))?;
        row.put(format!("node-{}", random.skewed(12)))?;
        row.put(random.pick(&words::METRICS))?;
        // A division gives the same bits on every machine; a power function does not.
        let value = random.skewed(1 << 31) as f64 / 1_000.0;
        row.put(random.percent(98).then_some(value))?;
        row.put(clock.seconds())
    })
}

fn audit_events(writer: &mut Writer<'_>, rows: u64, world: &mut World) -> Result<()> {
    let mut clock = Clock::new(rows);
    writer.insert("audit_events", 6, true, rows, |row, random| {
        clock.tick(random);
        row.put(random.percent(90).then(|| random.popular(&world.users)))?;
        let action = *random.popular(&words::ACTIONS);
        row.put(action)?;
        row.put(random.percent(85).then(|| {
            let (content, by) = (random.popular(&world.content), random.pick(&words::FIRST_NAMES));
            format!("{{\"action\":\"{action}\",\"content\":{content},\"by\":\"{by}\",\"ok\":true}}")
        }))?;
        row.put(random.percent(98).then(|| random.popular(&world.addresses)))?;
        row.put(format!("{}+00:00", clock.micros()))
    })
}

fn bytes(random: &mut Random, length: usize) -> Vec<u8> {
    std::iter::repeat_with(|| random.bits().to_be_bytes()).flatten().take(length).collect()
}

//! The watcher: a thread that looks at a run's counters and draws them, as bars or as lines.
//!
//! It only reads, so a slow terminal cannot hold up a row; and it ends with its guard, however
//! the run ends.

use crate::cli::progress::snapshot::{ProgressSnapshot, RateMeter};
use crate::cli::progress::term::{Stream, TermBuffer};
use crate::control::progress::Progress;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How often bars are drawn anew.
const TICK: Duration = Duration::from_millis(100);
/// How often a line is written where there are no bars.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// What ends sooner is not worth a flicker.
const UNSEEN: Duration = Duration::from_millis(500);
/// Narrower than this there is no room for a bar beside its numbers.
const MIN_WIDTH_FOR_BAR: u16 = 48;

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Bars, drawn over and over.
    Bars,
    /// A line from time to time.
    Lines,
}

/// The guard of a watcher: while it lives, progress is shown; dropping it clears the bars.
#[derive(Debug)]
pub(crate) struct Renderer {
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Renderer {
    /// Shows `progress` on `stream`. Where no thread can be had nothing is shown.
    pub(crate) fn start(progress: Arc<Progress>, style: Style, stream: Stream) -> Self {
        let (end, ended) = channel();
        let watch = move || match style {
            Style::Bars => bars(&progress, stream, &ended),
            Style::Lines => lines(&progress, stream, &ended, LINE_EVERY),
        };
        let thread = thread::Builder::new().name("watch".to_owned()).spawn(watch).ok();
        Self { end: Some(end), thread }
    }
}

impl Drop for Renderer {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // A watcher that panicked has no bearing on the run.
            let _ = thread.join();
        }
    }
}

/// Waits; false once the guard is gone.
fn wait(ended: &Receiver<()>, time: Duration) -> bool {
    matches!(ended.recv_timeout(time), Err(RecvTimeoutError::Timeout))
}

fn lines(progress: &Progress, mut stream: Stream, ended: &Receiver<()>, every: Duration) {
    let (start, mut gauge) = (Instant::now(), RateMeter::default());
    let mut next = every;
    while wait(ended, TICK) {
        let now = start.elapsed();
        let view = gauge.look(progress, now.as_secs_f64());
        if now >= next {
            next = now + every;
            // Nobody reads it: no reason to stop a run.
            let _ = writeln!(stream, "{}", view.line());
        }
    }
}

fn bars(progress: &Progress, stream: Stream, ended: &Receiver<()>) {
    let start = Instant::now();
    if !wait(ended, UNSEEN) {
        return;
    }
    let mut gauge = RateMeter::default();
    let mut drawing = Drawing::new(stream);
    loop {
        drawing.draw(&gauge.look(progress, start.elapsed().as_secs_f64()));
        if !wait(ended, TICK) {
            break;
        }
    }
}

/// The lines on the screen: the amounts, a bar where the total is known, the tables at work.
/// They are cleared when it is dropped.
struct Drawing {
    surface: TermBuffer,
    all: MultiProgress,
    lines: Vec<ProgressBar>,
    text_style: ProgressStyle,
    bar_style: ProgressStyle,
}

impl Drawing {
    fn new(stream: Stream) -> Self {
        let surface = TermBuffer::new(stream);
        // The library draws all lines anew for each that changes: its own limit makes that one
        // drawing a tick, in which a line may be a tick old.
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(surface.clone()), 10);
        let style = |template| {
            // The templates are constant; one that did not parse would only look different.
            ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("=> ")
        };
        Self {
            surface,
            all: MultiProgress::with_draw_target(target),
            lines: Vec::new(),
            text_style: style("{wide_msg}"),
            bar_style: style("[{wide_bar}] {msg}"),
        }
    }

    fn draw(&mut self, view: &ProgressSnapshot) {
        let bar = view.thousandths().zip(view.outlook());
        let bar = bar.filter(|_| self.surface.columns() >= MIN_WIDTH_FOR_BAR);
        let tables = view.tables.iter().map(|table| (None, format!("  {table}")));
        let amounts = match bar {
            Some(_) => view.amounts(),
            None => view.line(),
        };
        let bar = bar.map(|(thousandths, outlook)| (Some(thousandths), outlook));
        let wanted: Vec<_> = [(None, amounts)].into_iter().chain(bar).chain(tables).collect();
        while self.lines.len() > wanted.len() {
            if let Some(line) = self.lines.pop() {
                self.all.remove(&line);
            }
        }
        for (at, (thousandths, text)) in wanted.into_iter().enumerate() {
            if at == self.lines.len() {
                self.lines.push(self.all.add(ProgressBar::new(1000)));
            }
            let line = &self.lines[at];
            line.set_style(match thousandths {
                Some(_) => self.bar_style.clone(),
                None => self.text_style.clone(),
            });
            if let Some(thousandths) = thousandths {
                line.set_position(thousandths);
            }
            line.set_message(text);
        }
    }
}

impl Drop for Drawing {
    fn drop(&mut self) {
        for line in self.lines.drain(..) {
            line.finish_and_clear();
        }
        // A screen that cannot be cleared is nobody's error.
        let _ = self.all.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::progress::term::tests::Recorder;
    use crate::control::progress::{Phase, TableProgress};
    use std::sync::atomic::AtomicU64;
    use std::sync::atomic::Ordering::Relaxed;

    fn copying() -> Arc<Progress> {
        let progress = Progress::default();
        progress.enter(Phase::Copy);
        let counters = progress.phase(Phase::Copy);
        counters.total.store(4000, Relaxed);
        counters.done.store(1000, Relaxed);
        let table = |n: usize| TableProgress {
            name: format!("a rather long name of a table, number {n}\u{1b}[2J"),
            total: 2000,
            done: AtomicU64::new(500),
        };
        counters.set_tables((0..3).map(table).collect());
        Arc::new(progress)
    }

    #[test]
    fn bars_never_reach_beyond_the_screen_and_escape_names() {
        for columns in [10, 40, 80, 300] {
            let recorder = Recorder::default();
            let mut drawing = Drawing::new(recorder.stream(columns));
            drawing.draw(&RateMeter::default().look(&copying(), 0.0));
            let shown = recorder.text();
            let last = shown.rsplit("copy: ").next().unwrap_or_default();
            let longest = last.lines().map(|line| line.trim_end().chars().count()).max();
            assert!(longest.is_some_and(|longest| longest <= usize::from(columns)), "{shown}");
            assert!(!recorder.raw().contains("\u{1b}[2J"));
            assert!(shown.contains("copy: 1,00"), "{shown}");
            assert_eq!(last.lines().count(), if columns < 48 { 4 } else { 5 }, "{shown}");
        }
    }

    #[test]
    fn a_bar_shows_the_share_that_is_done() {
        let recorder = Recorder::default();
        let mut drawing = Drawing::new(recorder.stream(60));
        drawing.draw(&RateMeter::default().look(&copying(), 0.0));
        assert!(recorder.text().contains("[=============>"), "{}", recorder.text());
        assert!(recorder.text().contains("]  25 %"), "{}", recorder.text());
    }

    #[test]
    fn what_is_over_at_once_draws_nothing() {
        let recorder = Recorder::default();
        for style in [Style::Bars, Style::Lines] {
            drop(Renderer::start(copying(), style, recorder.stream(80)));
        }
        assert_eq!(recorder.raw(), "");
    }

    #[test]
    fn a_line_comes_every_so_often() {
        let recorder = Recorder::default();
        let (end, ended) = channel();
        let stream = recorder.stream(80);
        let watcher = thread::spawn(move || lines(&copying(), stream, &ended, TICK));
        while recorder.raw().lines().count() < 2 {
            thread::yield_now();
        }
        drop(end);
        watcher.join().unwrap();
        assert!(recorder.raw().starts_with("copy: 1,000 of 4,000 rows, 25 %\n"));
    }

    #[test]
    fn a_panic_in_the_run_ends_the_watcher() {
        let recorder = Recorder::default();
        let stream = recorder.stream(80);
        let run = thread::spawn(move || {
            let _watch = Renderer::start(copying(), Style::Bars, stream);
            panic!("as a run may");
        });
        assert!(run.join().is_err());
        assert_eq!(recorder.holders(), 1);
    }
}

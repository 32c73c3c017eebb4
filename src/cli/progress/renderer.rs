//! The renderer: a thread that reads a run's counters and draws them, as bars or lines.
//!
//! It only reads, so a slow terminal does not slow down the run. It ends when its guard is dropped.

use crate::cli::progress::snapshot::{ProgressSnapshot, RateMeter};
use crate::cli::progress::term::{Stream, TermBuffer};
use crate::control::progress::Progress;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The interval between two drawings.
const TICK: Duration = Duration::from_millis(100);
/// The interval between two lines.
const LINE_INTERVAL: Duration = Duration::from_secs(10);
/// Shorter work draws no bars.
const BAR_DELAY: Duration = Duration::from_millis(500);
/// Below this width a bar does not fit next to its numbers.
const MIN_WIDTH_FOR_BAR: u16 = 48;

/// The style of progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Bars, redrawn in place.
    Bars,
    /// A new line at each interval.
    Lines,
}

/// The guard of the thread. Progress is shown until it is dropped.
#[derive(Debug)]
pub(crate) struct Renderer {
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Renderer {
    /// Shows `progress` on `stream`; shows nothing if no thread can be started.
    pub(crate) fn start(progress: Arc<Progress>, style: Style, stream: Stream) -> Self {
        let (end, ended) = channel();
        let render = move || match style {
            Style::Bars => bars(&progress, stream, &ended),
            Style::Lines => lines(&progress, stream, &ended, LINE_INTERVAL),
        };
        let thread = thread::Builder::new().name("progress".to_owned()).spawn(render).ok();
        Self { end: Some(end), thread }
    }
}

impl Drop for Renderer {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // A panic of this thread does not affect the run.
            let _ = thread.join();
        }
    }
}

/// Waits; false if the guard was dropped.
fn wait(ended: &Receiver<()>, time: Duration) -> bool {
    matches!(ended.recv_timeout(time), Err(RecvTimeoutError::Timeout))
}

fn lines(progress: &Progress, mut stream: Stream, ended: &Receiver<()>, every: Duration) {
    let (start, mut meter) = (Instant::now(), RateMeter::default());
    let mut next = every;
    while wait(ended, TICK) {
        let now = start.elapsed();
        let snapshot = meter.sample(progress, now.as_secs_f64());
        if now >= next {
            next = now + every;
            // A closed standard error does not stop a run.
            let _ = writeln!(stream, "{}", snapshot.line());
        }
    }
}

fn bars(progress: &Progress, stream: Stream, ended: &Receiver<()>) {
    let start = Instant::now();
    if !wait(ended, BAR_DELAY) {
        return;
    }
    let mut meter = RateMeter::default();
    let mut drawing = Drawing::new(stream);
    loop {
        drawing.draw(&meter.sample(progress, start.elapsed().as_secs_f64()));
        if !wait(ended, TICK) {
            break;
        }
    }
}

/// The lines on the terminal: the amounts, a bar if the total is known, the active tables. They are
/// cleared on drop.
struct Drawing {
    buffer: TermBuffer,
    all: MultiProgress,
    lines: Vec<ProgressBar>,
    text_style: ProgressStyle,
    bar_style: ProgressStyle,
}

impl Drawing {
    fn new(stream: Stream) -> Self {
        let buffer = TermBuffer::new(stream);
        // The library redraws all lines for each change. Its own limit makes that one drawing per
        // tick.
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(buffer.clone()), 10);
        let style = |template| {
            // The templates are constants; a mistake in one only changes the style.
            ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("=> ")
        };
        Self {
            buffer,
            all: MultiProgress::with_draw_target(target),
            lines: Vec::new(),
            text_style: style("{wide_msg}"),
            bar_style: style("[{wide_bar}] {msg}"),
        }
    }

    fn draw(&mut self, snapshot: &ProgressSnapshot) {
        let bar = snapshot.thousandths().zip(snapshot.outlook());
        let bar = bar.filter(|_| self.buffer.columns() >= MIN_WIDTH_FOR_BAR);
        let tables = snapshot.tables.iter().map(|table| (None, format!("  {table}")));
        let amounts = if bar.is_some() { snapshot.format(None) } else { snapshot.line() };
        let bar = bar.map(|(thousandths, outlook)| (Some(thousandths), outlook));
        let wanted: Vec<_> = [(None, amounts)].into_iter().chain(bar).chain(tables).collect();
        while self.lines.len() > wanted.len() {
            if let Some(line) = self.lines.pop() {
                self.all.remove(&line);
            }
        }
        for (index, (thousandths, text)) in wanted.into_iter().enumerate() {
            if index == self.lines.len() {
                self.lines.push(self.all.add(ProgressBar::new(1000)));
            }
            let line = &self.lines[index];
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
        // A failure to clear the terminal does not matter.
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
    fn bars_fit_the_terminal_and_names_are_escaped() {
        for columns in [10, 40, 80, 300] {
            let recorder = Recorder::default();
            let mut drawing = Drawing::new(recorder.stream(columns));
            drawing.draw(&RateMeter::default().sample(&copying(), 0.0));
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
    fn a_bar_shows_the_share_of_finished_work() {
        let recorder = Recorder::default();
        let mut drawing = Drawing::new(recorder.stream(60));
        drawing.draw(&RateMeter::default().sample(&copying(), 0.0));
        assert!(recorder.text().contains("[=============>"), "{}", recorder.text());
        assert!(recorder.text().contains("]  25 %"), "{}", recorder.text());
    }

    #[test]
    fn short_work_draws_nothing() {
        let recorder = Recorder::default();
        for style in [Style::Bars, Style::Lines] {
            drop(Renderer::start(copying(), style, recorder.stream(80)));
        }
        assert_eq!(recorder.raw(), "");
    }

    #[test]
    fn a_line_is_written_at_each_interval() {
        let recorder = Recorder::default();
        let (end, ended) = channel();
        let stream = recorder.stream(80);
        let renderer = thread::spawn(move || lines(&copying(), stream, &ended, TICK));
        while recorder.raw().lines().count() < 2 {
            thread::yield_now();
        }
        drop(end);
        renderer.join().unwrap();
        assert!(recorder.raw().starts_with("copy: 1,000 of 4,000 rows, 25 %\n"));
    }

    #[test]
    fn a_panic_of_the_run_ends_the_renderer() {
        let recorder = Recorder::default();
        let stream = recorder.stream(80);
        let run = thread::spawn(move || {
            let _renderer = Renderer::start(copying(), Style::Bars, stream);
            panic!("a panic of the run");
        });
        assert!(run.join().is_err());
        assert_eq!(recorder.holders(), 1);
    }
}

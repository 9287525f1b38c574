//! What the demo shows while it runs, on standard error: living lines on a terminal, plain ones
//! elsewhere.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use midflight_runtime::{Handle, Instant, Task, spawn};
use parking_lot::Mutex;

use super::gauges::Gauges;
use crate::output::note;

/// How often a terminal is repainted.
const REPAINT: Duration = Duration::from_millis(125);
/// How often a plain line says how it goes.
const PLAIN_LINE: Duration = Duration::from_secs(2);

/// The demo's face.
#[derive(Debug, Clone)]
pub(crate) struct View {
    runtime: Handle,
    shared: Arc<Mutex<Shared>>,
    lines: Option<Lines>,
}

/// What is shown now.
#[derive(Debug, Default)]
struct Shared {
    versions: Vec<String>,
    phase: Option<(String, Instant)>,
    /// The phases that are over, with what they took.
    phases: Vec<(String, Duration)>,
}

/// The living lines.
#[derive(Debug, Clone)]
struct Lines {
    all: MultiProgress,
    pulse: ProgressBar,
    nodes: ProgressBar,
}

impl View {
    pub(crate) fn new(runtime: &Handle) -> Self {
        let lines = std::io::stderr().is_terminal().then(|| {
            let all = MultiProgress::new();
            let plain = ProgressStyle::with_template("{msg}");
            let plain = plain.unwrap_or_else(|_| ProgressStyle::default_spinner());
            let line = || all.add(ProgressBar::new_spinner().with_style(plain.clone()));
            let (pulse, nodes) = (line(), line());
            Lines { all, pulse, nodes }
        });
        Self { runtime: runtime.clone(), shared: Arc::default(), lines }
    }

    /// Begins a phase; the one before is over.
    pub(crate) fn phase(&self, name: &str, title: &str) {
        self.end_phase();
        self.shared.lock().phase = Some((name.to_owned(), self.runtime.now()));
        self.print(&format!("\n{}", self.bold(title)));
    }

    /// Ends the phase.
    pub(crate) fn end_phase(&self) {
        let now = self.runtime.now();
        let mut shared = self.shared.lock();
        if let Some((name, began)) = shared.phase.take() {
            shared.phases.push((name, now.since(began)));
        }
    }

    /// The phases so far, and how long each took.
    pub(crate) fn phases(&self) -> Vec<(String, Duration)> {
        self.shared.lock().phases.clone()
    }

    /// Says something that stays.
    pub(crate) fn say(&self, line: &str) {
        self.print(&format!("  {line}"));
    }

    /// Says that something is as it should be, or is not.
    pub(crate) fn check(&self, is_good: bool, line: &str) {
        let mark = match (is_good, self.lines.is_some()) {
            (true, true) => "\u{1b}[32m✓\u{1b}[0m",
            (true, false) => "✓",
            (false, true) => "\u{1b}[31m✗\u{1b}[0m",
            (false, false) => "✗",
        };
        self.print(&format!("  {mark} {line}"));
    }

    /// What each node runs now.
    pub(crate) fn versions(&self, versions: Vec<String>) {
        self.shared.lock().versions = versions;
    }

    /// Shows how the load goes until the task is aborted.
    pub(crate) fn watch(&self, gauges: Arc<Gauges>) -> Task {
        let view = self.clone();
        spawn(&self.runtime, "view", async move {
            let pause = if view.lines.is_some() { REPAINT } else { PLAIN_LINE };
            let (mut before, mut at) = (gauges.answers(), view.runtime.now());
            loop {
                view.runtime.sleep(pause).await;
                let (answers, now) = (gauges.answers(), view.runtime.now());
                let seconds = now.since(at).as_secs_f64().max(1e-9);
                let rate = (answers - before) as f64 / seconds;
                (before, at) = (answers, now);
                view.repaint(rate, answers, gauges.longest_gap());
            }
        })
    }

    fn repaint(&self, rate: f64, answers: u64, gap: Duration) {
        let versions = self.shared.lock().versions.join("   ");
        let pulse = format!(
            "{} calls/s   {} answered   longest gap {:.1} ms",
            grouped(rate as u64),
            grouped(answers),
            gap.as_secs_f64() * 1e3
        );
        match &self.lines {
            Some(lines) => {
                lines.pulse.set_message(format!("\n  \u{1b}[36m▸ {pulse}\u{1b}[0m"));
                lines.nodes.set_message(format!("  \u{1b}[36m▸ {versions}\u{1b}[0m"));
                lines.pulse.tick();
                lines.nodes.tick();
            }
            None => self.print(&format!("    · {pulse}   {versions}")),
        }
    }

    /// Takes the living lines away.
    pub(crate) fn clear(&self) {
        if let Some(lines) = &self.lines {
            lines.pulse.finish_and_clear();
            lines.nodes.finish_and_clear();
        }
    }

    fn bold(&self, text: &str) -> String {
        if self.lines.is_some() { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn print(&self, line: &str) {
        match &self.lines {
            // A terminal that is gone needs no lines.
            Some(lines) => drop(lines.all.println(line)),
            None => note(line),
        }
    }
}

/// `1234567` as `1 234 567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let pairs = [(0, "0"), (999, "999"), (1_000, "1 000"), (1_234_567, "1 234 567")];
        for (number, text) in pairs {
            assert_eq!(grouped(number), text);
        }
    }
}

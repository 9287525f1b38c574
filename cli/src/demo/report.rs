//! What came of a demo: the summary, for people and as JSON.

use serde::Serialize;

use super::ledger::Counts;
use super::view::grouped;

/// Calls that must be refused: the one `Reset` that version 1 does not know.
const REFUSALS_EXPECTED: u64 = 1;

/// The summary. Its fields are fixed for scripts.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) nodes: u64,
    pub(crate) processes: u64,
    pub(crate) transport: String,
    pub(crate) calls: u64,
    pub(crate) answered: u64,
    pub(crate) refused: u64,
    pub(crate) lost: u64,
    pub(crate) duplicated: u64,
    pub(crate) reordered: u64,
    /// Answers that no record explains.
    pub(crate) garbled: u64,
    pub(crate) states_kept: u64,
    pub(crate) longest_gap_ms: f64,
    pub(crate) refused_reset_before: bool,
    pub(crate) reset_after: bool,
    pub(crate) incompatible_refused: bool,
    pub(crate) refused_field: String,
    pub(crate) rolled_back: bool,
    pub(crate) phases: Vec<Phase>,
    pub(crate) ok: bool,
    /// Why the story did not come to its end.
    #[serde(skip)]
    pub(crate) broken_off: Option<String>,
}

/// How long a phase took.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Phase {
    pub(crate) name: String,
    pub(crate) ms: u64,
}

impl Report {
    /// Takes over what clients counted.
    pub(crate) const fn count(&mut self, counts: &Counts) {
        self.calls += counts.calls;
        self.answered += counts.answered;
        self.refused += counts.refused;
        self.lost += counts.lost;
        self.duplicated += counts.duplicated;
        self.reordered += counts.reordered;
        self.garbled += counts.garbled;
    }

    /// All that is not as it should be, in words. Sets `ok` when that is nothing.
    pub(crate) fn judge(&mut self) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut must = |is_good: bool, words: String| {
            if !is_good {
                wrong.push(words);
            }
        };
        if let Some(why) = &self.broken_off {
            must(false, format!("the demo broke off: {why}"));
        }
        let ended = self.answered + self.refused + self.lost;
        must(self.calls == ended, format!("{} calls, but {ended} ended", self.calls));
        must(self.lost == 0, format!("{} calls were lost", self.lost));
        must(self.duplicated == 0, format!("{} calls were handled twice", self.duplicated));
        must(self.reordered == 0, format!("{} calls were out of order", self.reordered));
        must(self.garbled == 0, format!("{} answers were wrong", self.garbled));
        must(
            self.refused == REFUSALS_EXPECTED,
            format!("{} calls were refused, not {REFUSALS_EXPECTED}", self.refused),
        );
        must(
            self.states_kept == self.processes,
            format!("{} of {} counters kept their state", self.states_kept, self.processes),
        );
        must(self.refused_reset_before, "version 1 did not refuse Reset".into());
        must(self.reset_after, "version 2 did not reset".into());
        must(self.incompatible_refused, "version 3 was not refused".into());
        must(self.rolled_back, "the cluster did not go back to version 1".into());
        self.ok = wrong.is_empty();
        wrong
    }

    /// The summary for people.
    pub(crate) fn text(&self, wrong: &[String]) -> String {
        let yes = |is: bool| if is { "yes" } else { "NO" };
        let field = match self.refused_field.as_str() {
            "" => String::new(),
            field => format!(" (at {field})"),
        };
        let mut text = format!(
            "\n\
             {} nodes · {} counters · {} · three updates under load\n\
             \n  \
               calls                 {}\n  \
               answered              {}\n  \
               refused               {}  (the Reset that version 1 does not know)\n  \
               lost                  {}\n  \
               duplicated            {}\n  \
               out of order          {}\n  \
               wrong answers         {}\n  \
               states kept           {} of {}\n  \
               longest gap           {:.1} ms between two answers of one counter\n\
             \n  \
               v1 refused Reset      {}\n  \
               v2 resets             {}\n  \
               v3 refused            {}{field}\n  \
               went back to v1       {}\n\n",
            self.nodes,
            grouped(self.processes),
            self.transport,
            grouped(self.calls),
            grouped(self.answered),
            self.refused,
            self.lost,
            self.duplicated,
            self.reordered,
            self.garbled,
            grouped(self.states_kept),
            grouped(self.processes),
            self.longest_gap_ms,
            yes(self.refused_reset_before),
            yes(self.reset_after),
            yes(self.incompatible_refused),
            yes(self.rolled_back),
        );
        if wrong.is_empty() {
            text.push_str("All good: not a message lost, not a state forgotten.\n");
        } else {
            text.push_str("WRONG:\n");
            for words in wrong {
                text.push_str(&format!("  {words}\n"));
            }
        }
        text
    }
}

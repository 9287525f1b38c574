//! Gates: whether a wave of a rollout lets the next one follow, by what the new version does beside the old one at the same
//! time (R3). Pure: numbers and times go in, a verdict comes out.
//!
//! A gate has three answers. It stops what is worse for sure, it lets through what is for sure no worse than is allowed, and
//! as long as neither is sure it waits. Where that lasts too long a person is to decide: not to know is never a yes.

#[cfg(test)]
mod tests;

use std::time::Duration;

use midflight_message::Schema;
use serde::{Deserialize, Serialize};

use crate::protocol::{GateStatus, Sides};
use crate::rollout::statistics::{Share, TO_GO, TO_STOP, difference, grows, ranks_higher};
use crate::rollout::steps::Looked;
use crate::versions::times;

/// Looks that are needed before it is said that something grows, or does not.
const LOOKS_MIN: usize = 10;
/// Looks of which the numbers are kept; the oldest goes first.
const LOOKS_MAX: usize = 256;
/// Samples below which ranks say nothing.
const RANKED_MIN: u64 = 20;
/// Messages by which the mailbox of a process must have grown to count, on the average.
const MAILBOX_GROWTH_MIN: f64 = 4.0;
/// Bytes by which a state must have grown with each message to count, on the average.
const STATE_GROWTH_MIN: f64 = 1.0;
/// How often a wave is looked at in the time that it is given, and how long it may be between two looks.
const LOOKS: u32 = 30;
const LOOK_EVERY: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(10)];

/// What is compared.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Schema,
)]
pub enum Gate {
    /// The share of messages that fail, processes that end by it included.
    Errors,
    /// The share of messages at which a process ends by its code's fault, or goes back.
    Panics,
    /// How long a message is handled.
    Latency,
    /// Whether mailboxes grow.
    Mailboxes,
    /// Whether states grow, by how much for each message.
    States,
}

impl Gate {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Errors, Self::Panics, Self::Latency, Self::Mailboxes, Self::States];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Errors => "errors",
            Self::Panics => "panics",
            Self::Latency => "latency",
            Self::Mailboxes => "mailboxes",
            Self::States => "states",
        }
    }
}

/// What stands between two waves.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Schema)]
pub struct Gates {
    /// What is compared.
    pub gates: Vec<Gate>,
    /// How long a wave is looked at, at the least, in milliseconds.
    pub millis: u64,
    /// How long it may take until it is sure, in milliseconds; then a person is to decide.
    pub within_millis: u64,
    /// So many messages either side must have handled before anything is let through.
    pub messages: u64,
    /// So many more of a thousand messages may fail.
    pub errors_permille: u32,
    /// So many percent longer a message may take.
    pub slower_percent: u32,
}

impl Default for Gates {
    /// All gates; 30 s, sure within 10 minutes; 500 messages; 10 of a thousand; 25 %.
    fn default() -> Self {
        Self {
            gates: Gate::ALL.to_vec(),
            millis: 30_000,
            within_millis: 600_000,
            messages: 500,
            errors_permille: 10,
            slower_percent: 25,
        }
    }
}

impl Gates {
    /// How long it is between two looks.
    pub(crate) fn every(&self) -> Duration {
        let [least, most] = LOOK_EVERY;
        (Duration::from_millis(self.millis) / LOOKS).clamp(least, most)
    }
}

/// One gate's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    Go,
    Stop,
    NotSure,
}

/// A wave that is looked at.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// For each look, messages that wait for a process, and bytes of its state, on the average: new and old.
    waiting: Row,
    bytes: Row,
    status: Vec<GateStatus>,
}

#[derive(Debug, Default)]
struct Row {
    new: Vec<f64>,
    old: Vec<f64>,
}

impl Row {
    fn push(&mut self, new: f64, old: f64) {
        for (row, number) in [(&mut self.new, new), (&mut self.old, old)] {
            if row.len() == LOOKS_MAX {
                row.remove(0);
            }
            row.push(number);
        }
    }

    fn growth(row: &[f64]) -> f64 {
        row.last().zip(row.first()).map_or(0.0, |(last, first)| last - first)
    }
}

impl Watch {
    /// The numbers of the last look, for operators.
    pub(crate) fn status(&self) -> &[GateStatus] {
        &self.status
    }

    /// Looks at what all nodes have counted since the first look, that long `after` it.
    pub(crate) fn look(&mut self, gates: &Gates, now: &Sides, after: Duration) -> Looked {
        let mean = |sum: u64, of: u64| number(sum) / number(of.max(1));
        self.waiting.push(
            mean(now.new.waiting, now.new.processes),
            mean(now.old.waiting, now.old.processes),
        );
        self.bytes.push(
            mean(now.new.state_bytes, now.new.states),
            mean(now.old.state_bytes, now.old.states),
        );
        let judged: Vec<_> = gates.gates.iter().map(|gate| self.judge(*gate, gates, now)).collect();
        self.status = judged.iter().map(|(_, status)| status.clone()).collect();
        let words = |which: Says| {
            let of = judged.iter().filter(|(says, _)| *says == which);
            of.map(|(_, status)| &*status.words).collect::<Vec<_>>().join("; ")
        };
        let are = |which: Says| judged.iter().any(|(says, _)| *says == which);
        if are(Says::Stop) {
            Looked::Stop(words(Says::Stop))
        } else if !are(Says::NotSure) && after >= Duration::from_millis(gates.millis) {
            Looked::Go(words(Says::Go))
        } else if after >= Duration::from_millis(gates.within_millis) {
            Looked::Unsure(words(Says::NotSure))
        } else {
            Looked::NotYet
        }
    }

    fn judge(&self, gate: Gate, gates: &Gates, since: &Sides) -> (Says, GateStatus) {
        let (new, old) = (&since.new, &since.old);
        match gate {
            Gate::Errors => {
                let shares =
                    [new, old].map(|it| Share { hits: it.errors + it.failed, of: it.all() });
                of_shares(gate, shares, gates, f64::from(gates.errors_permille) / 1_000.0)
            }
            Gate::Panics => {
                let shares = [new, old].map(|it| Share { hits: it.failed, of: it.all() });
                of_shares(gate, shares, gates, 0.0)
            }
            Gate::Latency => of_times(since, gates),
            Gate::Mailboxes => {
                let grown = Row::growth(&self.waiting.new);
                let allowed = 2.0 * Row::growth(&self.waiting.old).max(0.0) + MAILBOX_GROWTH_MIN;
                let numbers = [(new.waiting, new.processes), (old.waiting, old.processes)];
                of_rows(gate, &self.waiting, [grown, allowed], numbers, "messages a process")
            }
            Gate::States => {
                let of_each = |row: &[f64], processes: u64, messages: u64| {
                    Row::growth(row) * number(processes) / number(messages.max(1))
                };
                let grown = of_each(&self.bytes.new, new.states, new.all());
                let old_grown = of_each(&self.bytes.old, old.states, old.all());
                let allowed = 2.0 * old_grown.max(0.0) + STATE_GROWTH_MIN;
                let numbers = [(new.state_bytes, new.states), (old.state_bytes, old.states)];
                of_rows(gate, &self.bytes, [grown, allowed], numbers, "bytes a message")
            }
        }
    }
}

/// Stops where the difference is higher than is allowed for sure, lets through where it is not for sure. That nobody panics
/// more often than before no number of messages shows: there it is enough that nothing speaks against it.
fn of_shares(
    gate: Gate,
    [new, old]: [Share; 2],
    gates: &Gates,
    allowed: f64,
) -> (Says, GateStatus) {
    let (for_sure, _) = difference(new, old, TO_STOP);
    let (low, high) = difference(new, old, TO_GO);
    let are_enough = new.of.min(old.of) >= gates.messages;
    let says = match () {
        () if for_sure > allowed && old.of > 0 => Says::Stop,
        () if !are_enough => Says::NotSure,
        () if high <= allowed || gate == Gate::Panics => Says::Go,
        () => Says::NotSure,
    };
    let (name, least) = (gate.name(), gates.messages);
    let percent = |rate: f64| 100.0 * rate;
    let words = match says {
        Says::NotSure if !are_enough => format!(
            "{name}: new {} of {} messages, old {} of {}, which are too few: {least} are needed of each",
            new.hits, new.of, old.hits, old.of
        ),
        _ => format!(
            "{name}: new {} of {} messages, old {} of {}; that is between {:.2} and {:.2} % more, and {:.1} % more may be",
            new.hits,
            new.of,
            old.hits,
            old.of,
            percent(if says == Says::Stop { for_sure } else { low }),
            percent(high),
            percent(allowed)
        ),
    };
    (says, status(gate, says, [(new.hits, new.of), (old.hits, old.of)], words))
}

/// Compares how the times of the new version rank with those of the old one, each made longer by what is allowed.
fn of_times(since: &Sides, gates: &Gates) -> (Says, GateStatus) {
    let (new, old) = (&since.new.times, &since.old.times);
    let allowed = times::steps(gates.slower_percent);
    let longer = old.iter().map(|(time, count)| (time.saturating_add(allowed), *count)).collect();
    let z = ranks_higher(new, &longer);
    let count = |of: &crate::rollout::statistics::Seen| of.values().sum::<u64>();
    let (of_new, of_old) = (count(new), count(old));
    let least = of_new.min(of_old);
    let says = match () {
        () if z >= TO_STOP && least >= RANKED_MIN => Says::Stop,
        () if least < gates.messages.max(RANKED_MIN) => Says::NotSure,
        () if z <= -TO_GO => Says::Go,
        () => Says::NotSure,
    };
    let middles = [new, old].map(times::median);
    let [new_time, old_time] = middles.map(|nanos| format!("{:?}", Duration::from_nanos(nanos)));
    let percent = gates.slower_percent;
    let words = match says {
        Says::NotSure if least < gates.messages => format!(
            "latency: {of_new} messages new and {of_old} old, which are too few: {} are needed of each",
            gates.messages
        ),
        _ => format!(
            "latency: half of the messages within {new_time} new ({of_new}) and {old_time} old ({of_old}); beside the old times \
             and {percent} % more, the new ones rank {z:.1} deviations higher"
        ),
    };
    let [new_time, old_time] = middles;
    (says, status(Gate::Latency, says, [(new_time, of_new), (old_time, of_old)], words))
}

/// Stops where the numbers of the new version grow from look to look, and by more than is allowed.
fn of_rows(
    gate: Gate,
    row: &Row,
    [grown, allowed]: [f64; 2],
    numbers: [(u64, u64); 2],
    unit: &str,
) -> (Says, GateStatus) {
    let z = grows(&row.new);
    let says = match () {
        () if row.new.len() < LOOKS_MIN => Says::NotSure,
        () if z >= TO_STOP && grown > allowed => Says::Stop,
        () => Says::Go,
    };
    let words = format!(
        "{}: grown by {grown:.1} {unit} in {} looks (a trend of {z:.1} deviations), and {allowed:.1} may be",
        gate.name(),
        row.new.len()
    );
    (says, status(gate, says, numbers, words))
}

fn status(gate: Gate, says: Says, [new, old]: [(u64, u64); 2], words: String) -> GateStatus {
    let says = match says {
        Says::Go => "go",
        Says::Stop => "stop",
        Says::NotSure => "not sure",
    };
    GateStatus { gate: gate.name().into(), says: says.into(), new, old, words }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
const fn number(count: u64) -> f64 {
    count as f64
}

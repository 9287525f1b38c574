//! The flags that say in which order a rollout reaches the nodes, and what stands between two waves.

use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use midflight_dsu::protocol::Course;
use midflight_dsu::rollout::gates::{Gate, Gates};
use midflight_dsu::rollout::waves::Step;

/// What a person may take to say whether a wave that cannot be told may pass, for who waits with `--wait`.
const PERSON: Duration = Duration::from_secs(24 * 3_600);

/// Flags of `rollout start`.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct CourseFlags {
    /// The first wave: a number of nodes, such as 1; a share, such as 10%; or nodes by name, such as a+b. It is looked at before
    /// the others follow
    #[arg(long, value_name = "STEP")]
    canary: Option<Step>,
    /// The waves after it, with commas: how many nodes, or which share of them, have it after each; or which ones
    /// follow. What is left is the last wave
    #[arg(long, value_name = "STEPS", value_delimiter = ',')]
    waves: Vec<Step>,
    /// What is compared between two waves: some of errors, panics, latency, mailboxes and states, with commas
    /// [default: all, where there are waves]
    #[arg(long, value_name = "GATES", value_delimiter = ',', value_parser = gates(), conflicts_with = "no_gates")]
    gates: Vec<Gate>,
    /// Each wave follows as soon as the one before is there
    #[arg(long)]
    no_gates: bool,
    /// How long a wave is looked at, at the least
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=604_800))]
    gate_time: u64,
    /// How long it may take to be sure; after that the rollout stops for a person to say `resume` or `abort`
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=604_800))]
    gate_deadline: u64,
    /// So many messages the new version and the old one must have handled
    #[arg(long, value_name = "NUMBER", default_value_t = 500)]
    gate_messages: u64,
    /// So many more of a thousand messages may fail
    #[arg(long, value_name = "NUMBER", default_value_t = 10, value_parser = clap::value_parser!(u32).range(..=1_000))]
    gate_errors: u32,
    /// So many percent longer may a message take
    #[arg(long, value_name = "PERCENT", default_value_t = 25, value_parser = clap::value_parser!(u32).range(..=10_000))]
    gate_slower: u32,
}

fn gates() -> impl TypedValueParser<Value = Gate> {
    let named = PossibleValuesParser::new(Gate::ALL.map(Gate::name));
    named.try_map(|name| {
        let gate = Gate::ALL.into_iter().find(|gate| gate.name() == name);
        gate.ok_or_else(|| format!("`{name}` is no gate"))
    })
}

impl CourseFlags {
    /// What nodes are told.
    pub(crate) fn course(&self) -> Course {
        let steps: Vec<Step> = self.canary.iter().chain(&self.waves).cloned().collect();
        let are_some = !steps.is_empty() || !self.gates.is_empty();
        let gates = (are_some && !self.no_gates).then(|| Gates {
            gates: if self.gates.is_empty() { Gate::ALL.to_vec() } else { self.gates.clone() },
            millis: self.gate_time.saturating_mul(1_000),
            within_millis: self.gate_deadline.max(self.gate_time).saturating_mul(1_000),
            messages: self.gate_messages,
            errors_permille: self.gate_errors,
            slower_percent: self.gate_slower,
        });
        Course { steps, gates }
    }

    /// How much longer the rollout may take for it.
    pub(crate) fn longer(&self) -> Duration {
        if self.course().gates.is_some() { PERSON } else { Duration::ZERO }
    }
}

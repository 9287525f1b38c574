//! The flags that say how long, and by what, new code is judged.

use std::time::Duration;

use midflight_dsu::hosted::ProbationLimits;
use midflight_dsu::switch::SwitchLimits;

/// Flags of a node.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Probation {
    /// For so long after its activation a version of a bundle goes back by itself when too much of it fails; with
    /// 0 none does, nor does any process
    #[arg(long = "probation", value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(..=86_400))]
    seconds: u64,
    /// When so many of its processes on one node went back, or ended by its fault, or all where fewer run; with 0
    /// none do
    #[arg(long = "probation-processes", value_name = "NUMBER", default_value_t = 3)]
    processes: u32,
    /// When so many of a hundred messages on one node failed; above 100 none do
    #[arg(long = "probation-errors", value_name = "PERCENT", default_value_t = 20)]
    percent: u32,
    /// Of at least so many messages
    #[arg(long = "probation-messages", value_name = "NUMBER", default_value_t = 50)]
    of_messages: u64,
}

impl Probation {
    pub(crate) fn limits(self) -> SwitchLimits {
        let default = ProbationLimits::default();
        let probation = ProbationLimits {
            messages: if self.seconds == 0 { 0 } else { default.messages },
            time: Duration::from_secs(self.seconds),
            failed_processes: self.processes,
            error_percent: self.percent,
            error_messages: self.of_messages,
            ..default
        };
        SwitchLimits { probation, ..SwitchLimits::default() }
    }
}

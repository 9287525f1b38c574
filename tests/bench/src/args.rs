//! The command line, and what can be measured.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Parser, Subcommand, ValueEnum};

use crate::transport::{self, Shape, Wire};

/// Measures Midflight beside plain tokio and, with `--peers`, beside others. Prints
/// `<who> <metric> <value> <unit>` a line.
#[derive(Debug, Parser)]
#[command(name = "midflight-bench", args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    /// What to measure; everything when none is named.
    #[arg(value_name = "METRIC", value_parser = PossibleValuesParser::new(Workload::all_metrics()))]
    pub(crate) metrics: Vec<String>,
    /// Print one JSON value.
    #[arg(long)]
    pub(crate) json: bool,
    /// Fewer rounds, a tenth of the work: a first look.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Run those peers that are installed, too.
    #[arg(long)]
    pub(crate) peers: bool,
    #[command(subcommand)]
    pub(crate) role: Option<Role>,
}

/// What the bench executes itself as.
#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    /// Runs one workload once and prints what it measured.
    #[command(hide = true)]
    Sample {
        who: Own,
        workload: Workload,
        #[arg(long)]
        quick: bool,
    },
    /// The far side of a remote workload: of nodes, or of a transport alone. Is told on a line of its
    /// standard input what it needs for its transport; ends when that does.
    #[command(hide = true)]
    Serve { who: Own, wire: Option<Wire> },
    /// A bundle's library is tried; its path is read by the probe itself.
    #[command(hide = true)]
    Probe {
        #[arg(long)]
        library: PathBuf,
    },
}

/// Whoever is measured inside this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Own {
    Midflight,
    Raw,
}

impl Own {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Midflight => "midflight",
            Self::Raw => "raw",
        }
    }

    pub(crate) const fn runs(self, workload: Workload) -> bool {
        // Plain tokio has no code that could be replaced, and no monitors.
        let is_ours = workload.is_upgrade()
            || matches!(
                workload,
                Workload::DynamicStatic
                    | Workload::CodePush
                    | Workload::SpawnMonitorRate
                    | Workload::NodeDownDetection
                    | Workload::NodeHangDetection
            );
        matches!(self, Self::Midflight) || !is_ours
    }
}

/// What is run. Each is described in `README.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Workload {
    LocalPingpong,
    LocalCall,
    LocalFanin,
    Ring,
    SpawnRate,
    SpawnMonitorRate,
    ProcessMemory,
    RemotePingpong,
    #[value(name = "remote_stream_64B")]
    Stream64B,
    #[value(name = "remote_stream_64KiB")]
    Stream64KiB,
    #[value(name = "remote_stream_1MiB")]
    Stream1MiB,
    TlsRemotePingpong,
    #[value(name = "tls_remote_stream_64B")]
    TlsStream64B,
    #[value(name = "tls_remote_stream_64KiB")]
    TlsStream64KiB,
    #[value(name = "tls_remote_stream_1MiB")]
    TlsStream1MiB,
    NodeDownDetection,
    NodeHangDetection,
    #[value(name = "transport_stream_64B")]
    TransportStream64B,
    #[value(name = "transport_stream_64KiB")]
    TransportStream64KiB,
    #[value(name = "transport_stream_1MiB")]
    TransportStream1MiB,
    TransportRtt,
    TransportHol,
    TransportHol256,
    #[value(name = "transport_tls_stream_64B")]
    TransportTlsStream64B,
    #[value(name = "transport_tls_stream_64KiB")]
    TransportTlsStream64KiB,
    #[value(name = "transport_tls_stream_1MiB")]
    TransportTlsStream1MiB,
    TransportTlsRtt,
    TransportTlsHol,
    TransportTlsHol256,
    UpgradeOne,
    #[value(name = "upgrade_10k")]
    Upgrade10k,
    #[value(name = "upgrade_100k")]
    Upgrade100k,
    DynamicStatic,
    #[value(name = "code_push_4_nodes")]
    CodePush,
}

impl Workload {
    /// The word by which the program asks itself, or a peer's script, for it.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// What it measures.
    pub(crate) fn metrics(self) -> &'static [&'static str] {
        match self {
            Self::LocalPingpong => &["local_pingpong"],
            Self::LocalCall => &["local_call"],
            Self::LocalFanin => &["local_fanin"],
            Self::Ring => &["ring"],
            Self::SpawnRate => &["spawn_rate"],
            Self::SpawnMonitorRate => &["spawn_monitor_rate"],
            Self::ProcessMemory => &["process_memory"],
            Self::RemotePingpong => {
                &["remote_pingpong_rtt_median", "remote_pingpong_rtt_p99", "remote_pingpong_rate"]
            }
            Self::Stream64B => &["remote_stream_64B"],
            Self::Stream64KiB => &["remote_stream_64KiB"],
            Self::Stream1MiB => &["remote_stream_1MiB"],
            Self::TlsRemotePingpong => &[
                "tls_remote_pingpong_rtt_median",
                "tls_remote_pingpong_rtt_p99",
                "tls_remote_pingpong_rate",
            ],
            Self::TlsStream64B => &["tls_remote_stream_64B"],
            Self::TlsStream64KiB => &["tls_remote_stream_64KiB"],
            Self::TlsStream1MiB => &["tls_remote_stream_1MiB"],
            Self::NodeDownDetection => &["node_down_detection"],
            Self::NodeHangDetection => &["node_hang_detection"],
            Self::UpgradeOne => &[
                "upgrade_one_pause",
                "upgrade_one_client_gap",
                "upgrade_one_client_gap_baseline",
                "upgrade_one_code_load",
            ],
            Self::Upgrade10k => &[
                "upgrade_10k_rate",
                "upgrade_10k_client_gap",
                "upgrade_10k_client_gap_baseline",
                "upgrade_10k_lost",
            ],
            Self::Upgrade100k => &[
                "upgrade_100k_rate",
                "upgrade_100k_client_gap",
                "upgrade_100k_client_gap_baseline",
                "upgrade_100k_lost",
            ],
            Self::DynamicStatic => &[
                "dynamic_static_percent",
                "dynamic_stream",
                "static_stream",
                "dynamic_call",
                "static_call",
            ],
            Self::CodePush => {
                &["code_push_4_nodes", "code_push_4_nodes_probe", "code_push_4_nodes_bundle"]
            }
            other => other.transport().map_or(&[], |(wire, shape)| transport::metrics(wire, shape)),
        }
    }

    /// What is to be measured of a transport alone, if that is meant.
    pub(crate) const fn transport(self) -> Option<(Wire, Shape)> {
        Some(match self {
            Self::TransportStream64B => (Wire::Tcp, Shape::Stream64B),
            Self::TransportStream64KiB => (Wire::Tcp, Shape::Stream64KiB),
            Self::TransportStream1MiB => (Wire::Tcp, Shape::Stream1MiB),
            Self::TransportRtt => (Wire::Tcp, Shape::RoundTrips),
            Self::TransportHol => (Wire::Tcp, Shape::BesideStream),
            Self::TransportHol256 => (Wire::Tcp, Shape::BesideHuge),
            Self::TransportTlsStream64B => (Wire::Tls, Shape::Stream64B),
            Self::TransportTlsStream64KiB => (Wire::Tls, Shape::Stream64KiB),
            Self::TransportTlsStream1MiB => (Wire::Tls, Shape::Stream1MiB),
            Self::TransportTlsRtt => (Wire::Tls, Shape::RoundTrips),
            Self::TransportTlsHol => (Wire::Tls, Shape::BesideStream),
            Self::TransportTlsHol256 => (Wire::Tls, Shape::BesideHuge),
            _ => return None,
        })
    }

    /// What two nodes, each in an OS process of its own, do over what, if that is meant.
    pub(crate) const fn remote(self) -> Option<(Wire, Remote)> {
        Some(match self {
            Self::RemotePingpong => (Wire::Tcp, Remote::RoundTrips),
            Self::Stream64B => (Wire::Tcp, Remote::Stream64B),
            Self::Stream64KiB => (Wire::Tcp, Remote::Blocks(64 << 10)),
            Self::Stream1MiB => (Wire::Tcp, Remote::Blocks(1 << 20)),
            Self::TlsRemotePingpong => (Wire::Tls, Remote::RoundTrips),
            Self::TlsStream64B => (Wire::Tls, Remote::Stream64B),
            Self::TlsStream64KiB => (Wire::Tls, Remote::Blocks(64 << 10)),
            Self::TlsStream1MiB => (Wire::Tls, Remote::Blocks(1 << 20)),
            Self::NodeDownDetection => (Wire::Tcp, Remote::Killed),
            Self::NodeHangDetection => (Wire::Tcp, Remote::Stopped),
            _ => return None,
        })
    }

    /// Whether it replaces code.
    pub(crate) const fn is_upgrade(self) -> bool {
        matches!(self, Self::UpgradeOne | Self::Upgrade10k | Self::Upgrade100k)
    }

    fn all_metrics() -> impl Iterator<Item = &'static str> {
        Self::value_variants().iter().flat_map(|workload| workload.metrics()).copied()
    }

    /// The workloads that measure one of `metrics`; all when none is named.
    pub(crate) fn chosen(metrics: &[String]) -> Vec<Self> {
        let wanted = |workload: &&Self| {
            let mut own = workload.metrics().iter();
            metrics.is_empty() || own.any(|own| metrics.iter().any(|metric| metric == own))
        };
        Self::value_variants().iter().filter(wanted).copied().collect()
    }
}

/// What two nodes do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remote {
    RoundTrips,
    Stream64B,
    /// A stream of messages of so many bytes.
    Blocks(usize),
    /// One is killed, and the other notices.
    Killed,
    /// One stands still, and the other notices.
    Stopped,
}

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    quick: bool,
}

impl Size {
    pub(crate) const fn new(quick: bool) -> Self {
        Self { quick }
    }

    /// `full`, or a tenth of it.
    pub(crate) const fn of(self, full: usize) -> usize {
        if self.quick { full / 10 } else { full }
    }

    pub(crate) const fn rounds(self) -> usize {
        if self.quick { 3 } else { 5 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory as _;
        Args::command().debug_assert();
        let args = Args::parse_from(["bench", "ring", "remote_pingpong_rate", "--quick"]);
        let chosen = Workload::chosen(&args.metrics);
        assert_eq!(chosen, [Workload::Ring, Workload::RemotePingpong]);
    }
}

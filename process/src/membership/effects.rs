//! What the gossip crate wants done, collected. Pure.

use std::num::{NonZeroU8, NonZeroUsize};
use std::time::Duration;

use foca::{Config, Notification, PeriodicParams, Timer};

use super::card::Identity;
use super::packet::PACKET_MAX;
use crate::node::limits::Limits;

/// What one call of the crate has led to.
#[derive(Debug, Default)]
pub(super) struct Effects {
    pub(super) sends: Vec<(Identity, Vec<u8>)>,
    pub(super) timers: Vec<(Timer<Identity>, Duration)>,
    /// Whether a member has come, gone, or changed its card.
    pub(super) changed: bool,
    /// Peers whose name had an earlier life that claims to have begun later: when.
    pub(super) outranked: Vec<(midflight_message::NodeId, u64)>,
}

impl foca::Runtime<Identity> for Effects {
    fn notify(&mut self, _: Notification<'_, Identity>) {
        self.changed = true;
    }

    fn send_to(&mut self, to: Identity, data: &[u8]) {
        self.sends.push((to, data.to_vec()));
    }

    fn submit_after(&mut self, event: Timer<Identity>, after: Duration) {
        self.timers.push((event, after));
    }
}

/// How the protocol is run. Beside a node's limits these are its common values for a local network:
/// few messages, and news that has reached everybody within a second or two.
pub(super) fn config(limits: &Limits) -> Config {
    let every =
        |frequency, members| Some(PeriodicParams { frequency, num_members: at_least_one(members) });
    Config {
        probe_period: limits.probe_period,
        probe_rtt: limits.probe_timeout,
        num_indirect_probes: at_least_one(3),
        max_transmissions: NonZeroU8::new(15).unwrap_or(NonZeroU8::MIN),
        suspect_to_down_after: limits.suspect_timeout,
        remove_down_after: Some(limits.down_kept),
        max_packet_size: at_least_one(PACKET_MAX),
        // Who is taken for down and lives is told so, and comes back.
        notify_down_members: true,
        // Completes the picture of who has joined a large cluster.
        periodic_announce: every(limits.probe_period * 10, 1),
        // Heals a cluster that was cut in two.
        periodic_announce_to_down_members: every(limits.probe_period * 15, 2),
        periodic_gossip: every(limits.probe_period / 5, 3),
    }
}

pub(super) fn at_least_one(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).unwrap_or(NonZeroUsize::MIN)
}

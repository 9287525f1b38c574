//! When to ping and when a peer is silent. Pure; time is a [`Duration`] since any fixed point.

use std::time::Duration;

/// The heartbeat of one side of a link.
///
/// Each side says something at least every eighth of the *other's* bound, which it learned in the
/// handshake, and calls the other silent when its own bound has passed without a byte. Measured
/// from the moment the peer fell silent, that is between 0.87 and 1 of the bound, plus what the
/// machine is late.
#[derive(Debug)]
pub struct Heartbeat {
    bound: Duration,
    every: Duration,
    /// When it meant to look again.
    planned: Duration,
    /// A late look is no proof of silence: what the peer sent may be waiting for us as well.
    grace_until: Duration,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    /// Send a ping.
    pub ping: bool,
    /// Nothing was heard for the bound: see whether something waits to be read, else the peer is
    /// silent.
    pub silent: bool,
    /// Look again then.
    pub next: Duration,
}

impl Heartbeat {
    /// The shortest bound that works.
    pub const BOUND_MIN: Duration = Duration::from_millis(50);

    /// Calls the peer silent after `bound`; the peer calls us so after `peer_bound`.
    #[must_use]
    pub fn new(bound: Duration, peer_bound: Duration, now: Duration) -> Self {
        let every = peer_bound.max(Self::BOUND_MIN) / 8;
        let bound = bound.max(Self::BOUND_MIN);
        Self { bound, every, planned: now + every.min(bound / 8), grace_until: now }
    }

    /// What to do `now`, when the last byte was `heard` and the last one `sent` at these times.
    pub fn look(&mut self, now: Duration, heard: Duration, sent: Duration) -> Beat {
        // Whoever was asleep for longer than an eighth of the bound has heard nothing either.
        if now.saturating_sub(self.planned) > self.bound / 8 {
            self.grace_until = now + self.bound / 8;
        }
        let ping_at = sent + self.every;
        let ping = now >= ping_at;
        let silent_at = (heard + self.bound).max(self.grace_until);
        let silent = now >= silent_at;
        let next_ping = if ping { now + self.every } else { ping_at };
        // Often enough to see by its own lateness that the machine stood still.
        let next = next_ping.min(now + self.bound / 8);
        self.planned = if silent { next } else { next.min(silent_at) };
        Beat { ping, silent, next: self.planned }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    /// Runs until silence; the peer's last byte comes at `last`.
    fn silent_at(bound: u64, last: u64) -> u64 {
        let mut beat = Heartbeat::new(ms(bound), ms(bound), ms(0));
        let (mut now, mut sent) = (ms(0), ms(0));
        loop {
            let heard = if now < ms(last) { now } else { ms(last) };
            let action = beat.look(now, heard, sent);
            if action.silent {
                return now.as_millis() as u64;
            }
            if action.ping {
                sent = now;
            }
            assert!(action.next > now, "it never spins");
            now = action.next;
        }
    }

    #[test]
    fn silence_is_noticed_at_the_bound() {
        for bound in [200, 1000, 10_000] {
            let after = silent_at(bound, 5000) - 5000;
            assert!(after >= bound && after <= bound * 11 / 10, "{bound}: {after}");
        }
    }

    #[test]
    fn pings_go_out_eight_times_in_the_bound_of_the_peer() {
        let mut beat = Heartbeat::new(ms(10_000), ms(800), ms(0));
        assert!(!beat.look(ms(99), ms(99), ms(0)).ping);
        assert!(beat.look(ms(100), ms(100), ms(0)).ping);
    }

    #[test]
    fn a_machine_that_stood_still_gets_grace() {
        let mut beat = Heartbeat::new(ms(1000), ms(1000), ms(0));
        let _ = beat.look(ms(0), ms(0), ms(0));
        let late = beat.look(ms(5000), ms(0), ms(0));
        assert!(!late.silent, "it may only have been us");
        let next = beat.look(late.next, ms(0), ms(5000));
        assert!(next.silent, "and then it was not");
    }
}

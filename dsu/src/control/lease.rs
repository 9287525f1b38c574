//! One deployment at a time per bundle name (R5): who has claimed a name on this node. Pure.
//!
//! A coordinator claims the name on every member, in the order of their identities, before it asks
//! anything else of them; so of two that begin at once, one is refused before it has touched
//! anything. A claim ends with its deployment, with its coordinator's link, or with its deadline.

use std::collections::BTreeMap;
use std::time::Duration;

use midflight_process::NodeId;
use midflight_runtime::Instant;

/// The longest a deployment may take: beyond it its claim is void, and it may activate nothing.
const CLAIM_MAX: Duration = Duration::from_secs(900);

/// The claims on this node, by bundle name.
#[derive(Debug, Default)]
pub(super) struct Leases {
    claims: BTreeMap<String, Claim>,
}

#[derive(Debug)]
struct Claim {
    rollout: u64,
    coordinator: NodeId,
    coordinator_name: String,
    until: Instant,
}

impl Leases {
    /// Claims `name`. `Err`: the name of the node whose deployment has it. `linked` says whether a
    /// coordinator can still be heard.
    pub(super) fn claim(
        &mut self,
        name: &str,
        rollout: u64,
        (coordinator, coordinator_name): (NodeId, &str),
        now: Instant,
        linked: impl Fn(NodeId) -> bool,
    ) -> Result<(), String> {
        if let Some(held) = self.claims.get(name)
            && held.rollout != rollout
            && now < held.until
            && linked(held.coordinator)
        {
            return Err(held.coordinator_name.clone());
        }
        let coordinator_name = coordinator_name.to_owned();
        let until = now + CLAIM_MAX;
        self.claims
            .insert(name.to_owned(), Claim { rollout, coordinator, coordinator_name, until });
        Ok(())
    }

    /// Whether any deployment has the name, whose coordinator can be heard.
    pub(super) fn is_claimed(
        &self,
        name: &str,
        now: Instant,
        linked: impl Fn(NodeId) -> bool,
    ) -> bool {
        self.claims.get(name).is_some_and(|claim| now < claim.until && linked(claim.coordinator))
    }

    /// Whether a deployment has the name.
    pub(super) fn holds(&self, name: &str, rollout: u64, now: Instant) -> bool {
        self.claims.get(name).is_some_and(|claim| claim.rollout == rollout && now < claim.until)
    }

    /// Whether it was a deployment that claimed the name last, be the claim's time over or not.
    pub(super) fn is_held_by(&self, name: &str, rollout: u64) -> bool {
        self.claims.get(name).is_some_and(|claim| claim.rollout == rollout)
    }

    /// A deployment is over. Answers whether it had the name.
    pub(super) fn release(&mut self, name: &str, rollout: u64) -> bool {
        let had = self.is_held_by(name, rollout);
        if had {
            self.claims.remove(name);
        }
        had
    }

    /// Takes away the claims whose deadline has passed, and answers them: of these deployments nobody will
    /// say that they are over.
    pub(super) fn take_void(&mut self, now: Instant) -> Vec<(String, u64)> {
        let void = self.claims.extract_if(.., |_, claim| now >= claim.until);
        void.map(|(name, claim)| (name, claim.rollout)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_nanos(0);
    const A: (NodeId, &str) = (NodeId(1), "a");
    const B: (NodeId, &str) = (NodeId(2), "b");

    #[test]
    fn the_second_is_told_who_was_first() {
        let mut leases = Leases::default();
        assert_eq!(leases.claim("x", 1, A, NOW, |_| true), Ok(()));
        assert_eq!(leases.claim("x", 2, B, NOW, |_| true), Err("a".to_owned()));
        assert_eq!(leases.claim("y", 2, B, NOW, |_| true), Ok(()), "another name is free");
        assert!(leases.holds("x", 1, NOW) && !leases.holds("x", 2, NOW));
        assert!(!leases.release("x", 2));
        assert!(leases.holds("x", 1, NOW), "only its own deployment ends a claim");
        assert!(leases.release("x", 1));
        assert_eq!(leases.claim("x", 2, B, NOW, |_| true), Ok(()));
    }

    #[test]
    fn a_claim_ends_with_its_coordinator_or_its_deadline() {
        let mut leases = Leases::default();
        assert_eq!(leases.claim("x", 1, A, NOW, |_| true), Ok(()));
        assert_eq!(leases.claim("x", 2, B, NOW, |node| node != A.0), Ok(()));
        assert!(!leases.holds("x", 1, NOW), "what was void may activate nothing");
        let late = NOW + CLAIM_MAX;
        assert!(!leases.holds("x", 2, late));
        assert_eq!(leases.take_void(NOW), []);
        assert_eq!(leases.take_void(late), [("x".to_owned(), 2)]);
        assert_eq!(leases.take_void(late), []);
        assert_eq!(leases.claim("x", 3, A, late, |_| true), Ok(()));
    }
}

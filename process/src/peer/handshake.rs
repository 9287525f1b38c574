//! Two nodes meet: a kernel. Pure: signals in, actions out.
//!
//! Both say `Hello`; both prove that they know the secret by a keyed BLAKE3 hash over the prover,
//! the verifier and both nonces (the prover comes first, so that a proof cannot be sent back);
//! both say `Welcome` when the other's proof is good. A node speaks only once it is welcome, and
//! listens only to what it has verified.
//!
//! The secret authenticates the beginning of a link. It does not encrypt: on a network that others
//! can write to, use TLS.

use midflight_message::NodeId;
use midflight_transport_api::Address;

use crate::membership::member::Member;
use crate::peer::wire::{Hello, Signal, common};

/// What all nodes of a cluster know.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl Secret {
    /// A secret of any bytes, such as a file's content. White space around it does not count.
    ///
    /// # Errors
    /// When fewer than 16 bytes are left: such a secret can be guessed.
    pub fn new(bytes: &[u8]) -> Result<Self, WeakSecret> {
        let bytes = bytes.trim_ascii();
        if bytes.len() < 16 {
            return Err(WeakSecret { len: bytes.len() });
        }
        Ok(Self(blake3::derive_key("midflight node secret v1", bytes)))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The secret is too short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the secret has {len} bytes; give at least 16, such as `head -c 32 /dev/urandom | base64`")]
pub struct WeakSecret {
    len: usize,
}

/// Why there is no link between two nodes, in words; with the versions, where these are why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) reason: String,
    pub(crate) versions: Option<Versions>,
}

/// The lowest and highest version of the nodes' protocol that each of two speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Versions {
    pub(crate) ours: (u16, u16),
    pub(crate) theirs: (u16, u16),
}

impl<T: Into<String>> From<T> for Refused {
    fn from(reason: T) -> Self {
        Self { reason: reason.into(), versions: None }
    }
}

/// What the shell does next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Send(Signal),
    /// The peer is who it says, and speaks this version of the protocol: listen to it.
    Verified(Hello, u16),
    /// And it listens to us: speak.
    Welcome,
    /// Tell the peer why, then cut the link.
    Refuse(Refused),
}

/// One link's handshake, seen from one side.
#[derive(Debug)]
pub(crate) struct Handshake {
    own: Hello,
    secret: Option<Secret>,
    peer: Option<Hello>,
    verified: bool,
    welcome: bool,
}

impl Handshake {
    pub(crate) const fn new(own: Hello, secret: Option<Secret>) -> Self {
        Self { own, secret, peer: None, verified: false, welcome: false }
    }

    pub(crate) fn begin(&self) -> Signal {
        Signal::Hello(self.own.clone())
    }

    pub(crate) const fn is_done(&self) -> bool {
        self.verified && self.welcome
    }

    /// Takes a signal that belongs to the handshake. `None`: it does not.
    pub(crate) fn take(&mut self, signal: &Signal) -> Option<Vec<Action>> {
        match signal {
            Signal::Hello(hello) => Some(self.hello(hello)),
            Signal::Proof { mac } => Some(self.proof(*mac)),
            Signal::Welcome => {
                // Only after our proof was good, which the peer knows and we do not: harmless.
                let first = !std::mem::replace(&mut self.welcome, true);
                Some(if first && self.verified { vec![Action::Welcome] } else { Vec::new() })
            }
            _ => None,
        }
    }

    /// A verified peer speaks only once it has been told that it is welcome, and it says so
    /// itself before: its first message stands for a `Welcome` that another lane has overtaken.
    pub(crate) fn message(&mut self) -> Option<Action> {
        let first = self.verified && !std::mem::replace(&mut self.welcome, true);
        first.then_some(Action::Welcome)
    }

    fn hello(&mut self, hello: &Hello) -> Vec<Action> {
        if let Some(refused) = self.objection(hello) {
            return vec![Action::Refuse(refused)];
        }
        self.peer = Some(hello.clone());
        match &self.secret {
            Some(secret) => {
                let mac = proof(secret, &self.own, hello);
                vec![Action::Send(Signal::Proof { mac: *mac.as_bytes() })]
            }
            None => self.verify(hello.clone()),
        }
    }

    fn proof(&mut self, mac: [u8; 32]) -> Vec<Action> {
        let Some(peer) = self.peer.clone() else {
            return vec![Action::Refuse("a proof came before the hello".into())];
        };
        if self.verified {
            return vec![Action::Refuse("a second proof".into())];
        }
        // Comparing hashes takes the same time wherever they differ.
        let good = self.secret.as_ref().is_some_and(|s| proof(s, &peer, &self.own) == mac);
        if good {
            self.verify(peer)
        } else {
            let (own, theirs) = (&self.own.member.name, &peer.member.name);
            let reason = format!("{own} and {theirs} do not have the same secret");
            vec![Action::Refuse(reason.into())]
        }
    }

    fn verify(&mut self, peer: Hello) -> Vec<Action> {
        let Some(version) = common(self.own.protocol, peer.protocol) else {
            return vec![Action::Refuse(no_common_protocol(&self.own, &peer))];
        };
        self.verified = true;
        let mut actions = vec![Action::Verified(peer, version), Action::Send(Signal::Welcome)];
        if self.welcome {
            actions.push(Action::Welcome);
        }
        actions
    }

    fn objection(&self, hello: &Hello) -> Option<Refused> {
        let own = &self.own;
        if self.peer.is_some() {
            return Some("a second hello".into());
        }
        if common(own.protocol, hello.protocol).is_none() {
            return Some(no_common_protocol(own, hello));
        }
        if !Member::is_name(&hello.member.name) {
            return Some("the node's name is not 1 to 64 letters, digits, -, _ or .".into());
        }
        if hello.member.address.as_ref().is_some_and(|a| a.parse::<Address>().is_err()) {
            return Some("the node's address is none".into());
        }
        if hello.member.id == own.member.id || hello.member.id == NodeId(0) {
            return Some("the node's identity is ours, or none".into());
        }
        if hello.cluster != own.cluster {
            let theirs = shortened(&hello.cluster);
            let (name, ours) = (&own.member.name, &own.cluster);
            return Some(format!("node {name} is in cluster `{ours}`, not in `{theirs}`").into());
        }
        match (own.authenticated, hello.authenticated) {
            (true, false) => Some("demands the cluster's secret and the other has none"),
            (false, true) => Some("has no secret and the other demands one"),
            _ => None,
        }
        .map(|what| format!("node {} {what} (--secret-file)", own.member.name).into())
    }
}

fn no_common_protocol(own: &Hello, peer: &Hello) -> Refused {
    let (ours, theirs) = (own.protocol, peer.protocol);
    let behind = if ours.1 < theirs.0 { own } else { peer };
    let reason = format!(
        "no common node protocol: {} speaks {} to {}, {} speaks {} to {}: update {}",
        own.member.name,
        ours.0,
        ours.1,
        shortened(&peer.member.name),
        theirs.0,
        theirs.1,
        shortened(&behind.member.name),
    );
    Refused { reason, versions: Some(Versions { ours, theirs }) }
}

/// The beginning of what a peer says, for logs and for those who wait: it may say as much as it likes.
pub(crate) fn shortened(text: &str) -> &str {
    const LEN_MAX: usize = 1_024;
    text.get(..text.floor_char_boundary(LEN_MAX)).unwrap_or_default()
}

fn proof(secret: &Secret, prover: &Hello, verifier: &Hello) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new_keyed(&secret.0);
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    for side in [prover, verifier] {
        part(&side.member.id.0.to_le_bytes());
        part(side.member.name.as_bytes());
        part(side.member.address.as_deref().unwrap_or_default().as_bytes());
        part(&side.member.started.to_le_bytes());
        part(side.cluster.as_bytes());
        // Nobody in between has the two speak an older version than they can.
        part(&[side.protocol.0.to_le_bytes(), side.protocol.1.to_le_bytes()].concat());
        part(&side.features.to_le_bytes());
        part(&side.nonce);
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::wire::PROTOCOL;

    fn hello(id: u64, name: &str, authenticated: bool) -> Hello {
        Hello {
            protocol: PROTOCOL,
            features: 0,
            cluster: "c".into(),
            member: crate::membership::Card {
                name: name.into(),
                id: NodeId(id),
                address: None,
                started: 0,
                revision: 0,
                catalogue: [0; 32],
                leaves: false,
            },
            authenticated,
            nonce: [u8::try_from(id).unwrap(); 32],
            window: crate::send::account::Window { messages: 1, bytes: 1, together: 1 },
        }
    }

    fn secret(text: &str) -> Option<Secret> {
        Some(Secret::new(text.as_bytes()).unwrap())
    }

    /// Runs both sides to the end; answers what each came to.
    fn meet(mut a: Handshake, mut b: Handshake) -> (Vec<Action>, Vec<Action>) {
        let (mut to_a, mut to_b) = (vec![b.begin()], vec![a.begin()]);
        let (mut of_a, mut of_b) = (Vec::new(), Vec::new());
        while !to_a.is_empty() || !to_b.is_empty() {
            hear(&mut a, &mut to_a, &mut to_b, &mut of_a);
            hear(&mut b, &mut to_b, &mut to_a, &mut of_b);
        }
        (of_a, of_b)
    }

    fn hear(
        side: &mut Handshake,
        heard: &mut Vec<Signal>,
        said: &mut Vec<Signal>,
        came_to: &mut Vec<Action>,
    ) {
        for signal in std::mem::take(heard) {
            for action in side.take(&signal).unwrap() {
                match action {
                    Action::Send(signal) => said.push(signal),
                    action => came_to.push(action),
                }
            }
        }
    }

    fn refusal(actions: &[Action]) -> &str {
        match actions {
            [Action::Refuse(refused)] => &refused.reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_same_secret_meets() {
        let own = "a secret of the cluster";
        let (a, b) = meet(
            Handshake::new(hello(1, "a", true), secret(own)),
            Handshake::new(hello(2, "b", true), secret(own)),
        );
        assert_eq!(a, [Action::Verified(hello(2, "b", true), 1), Action::Welcome]);
        assert_eq!(b, [Action::Verified(hello(1, "a", true), 1), Action::Welcome]);
    }

    #[test]
    fn no_secret_on_both_sides_meets() {
        let (a, b) = meet(
            Handshake::new(hello(1, "a", false), None),
            Handshake::new(hello(2, "b", false), None),
        );
        assert!(a.contains(&Action::Welcome) && b.contains(&Action::Welcome));
    }

    #[test]
    fn another_secret_or_none_is_refused_with_the_reason() {
        let (a, b) = meet(
            Handshake::new(hello(1, "a", true), secret("a secret of the cluster")),
            Handshake::new(hello(2, "b", true), secret("a secret of another one")),
        );
        assert!(refusal(&a).contains("secret") && refusal(&b).contains("secret"));
        let (a, _) = meet(
            Handshake::new(hello(1, "a", true), secret("a secret of the cluster")),
            Handshake::new(hello(2, "b", false), None),
        );
        assert!(refusal(&a).contains("--secret-file"));
    }

    #[test]
    fn two_of_different_versions_speak_the_highest_that_both_do() {
        for (ours, theirs, version) in [
            ((1, 3), (2, 9), Some(3)),
            ((1, 1), (1, 4), Some(1)),
            ((2, 2), (1, 2), Some(2)),
            ((1, 1), (2, 4), None),
            ((5, 6), (2, 4), None),
        ] {
            let own = "a secret of the cluster";
            let a = Hello { protocol: ours, ..hello(1, "a", true) };
            let b = Hello { protocol: theirs, ..hello(2, "b", true) };
            let (of_a, of_b) = meet(
                Handshake::new(a.clone(), secret(own)),
                Handshake::new(b.clone(), secret(own)),
            );
            let Some(version) = version else {
                for (actions, versions) in [
                    (of_a, Versions { ours, theirs }),
                    (of_b, Versions { ours: theirs, theirs: ours }),
                ] {
                    assert!(
                        matches!(&actions[..], [Action::Refuse(refused)]
                            if refused.versions == Some(versions)),
                        "{actions:?}"
                    );
                    let behind = if ours.1 < theirs.0 { "update a" } else { "update b" };
                    assert!(refusal(&actions).ends_with(behind), "{actions:?}");
                }
                continue;
            };
            assert_eq!(of_a, [Action::Verified(b, version), Action::Welcome]);
            assert_eq!(of_b, [Action::Verified(a, version), Action::Welcome]);
        }
    }

    /// Who is in between cannot make them speak an older one.
    #[test]
    fn a_proof_is_for_the_versions_that_were_said() {
        let own = "a secret of the cluster";
        let (a, b) = (hello(1, "a", true), hello(2, "b", true));
        let newer = Hello { protocol: (1, 2), ..b.clone() };
        let mac = *proof(&secret(own).unwrap(), &newer, &a).as_bytes();
        let mut a = Handshake::new(a, secret(own));
        a.take(&Signal::Hello(b)).unwrap();
        let told = a.take(&Signal::Proof { mac }).unwrap();
        assert!(refusal(&told).contains("secret"), "{told:?}");
    }

    #[test]
    fn a_proof_sent_back_proves_nothing() {
        let own = secret("a secret of the cluster");
        let mut a = Handshake::new(hello(1, "a", true), own);
        let proof = match &a.take(&Signal::Hello(hello(2, "b", true))).unwrap()[..] {
            [Action::Send(proof)] => proof.clone(),
            other => panic!("{other:?}"),
        };
        assert!(matches!(&a.take(&proof).unwrap()[..], [Action::Refuse(_)]));
    }

    /// A proof that is good is good once: another would make another peer of the same link.
    #[test]
    fn a_second_proof_is_refused() {
        let own = "a secret of the cluster";
        let mut a = Handshake::new(hello(1, "a", true), secret(own));
        let b = hello(2, "b", true);
        let mac = *proof(&secret(own).unwrap(), &b, &hello(1, "a", true)).as_bytes();
        a.take(&Signal::Hello(b)).unwrap();
        let first = a.take(&Signal::Proof { mac }).unwrap();
        assert!(matches!(&first[..], [Action::Verified(..), Action::Send(Signal::Welcome)]));
        let second = a.take(&Signal::Proof { mac }).unwrap();
        assert_eq!(refusal(&second), "a second proof");
    }
}

//! What a target is, and the list of them.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher as _};

use crate::targets::{
    driven, extensions, frame, gossip, handshake, incoming, message, node, records, schema,
};

/// A function over bytes and what may be asked of it.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// What it is called.
    pub name: &'static str,
    /// Panics when something is wrong about the bytes' treatment.
    pub run: fn(&[u8], &mut Trail),
    /// The longest input that is of interest.
    pub longest: usize,
    /// How many bytes it may hold at once, whatever the input, and for each byte of it beside that.
    pub memory: (usize, usize),
    /// What inputs are made of, where that is more than bytes.
    pub words: &'static [&'static str],
}

/// Two frames of the longest.
const FRAMES: usize = 130 << 10;

/// All targets.
pub const TARGETS: [Target; 10] = [
    Target { name: "frame", run: frame::frame, longest: FRAMES, memory: (64 << 10, 4), words: &[] },
    Target {
        name: "incoming",
        run: incoming::incoming,
        longest: FRAMES,
        // Two tables of connections, and two of the longest messages for each.
        memory: (5 << 20, 64),
        words: &[],
    },
    Target {
        name: "handshake",
        run: handshake::handshake,
        longest: 4 << 10,
        memory: (64 << 10, 8),
        words: &[],
    },
    Target {
        name: "extensions",
        run: extensions::extensions,
        longest: 8 << 10,
        memory: (64 << 10, 8),
        words: &[],
    },
    Target {
        name: "schema",
        run: schema::schema,
        longest: 70 << 10,
        memory: (4 << 20, 256),
        words: schema::WORDS,
    },
    Target {
        name: "driven",
        run: driven::driven,
        longest: 8 << 10,
        memory: (4 << 20, 512),
        words: schema::WORDS,
    },
    Target {
        name: "message",
        run: message::message,
        longest: 4 << 10,
        memory: (4 << 20, 512),
        words: &[],
    },
    Target {
        name: "node",
        run: node::node,
        longest: 8 << 10,
        // A list reserves some room by the length it claims, up to serde's bound of 1 MiB.
        memory: (4 << 20, 256),
        words: schema::WORDS,
    },
    Target {
        name: "gossip",
        run: gossip::gossip,
        longest: 10 << 10,
        memory: (4 << 20, 256),
        words: &[],
    },
    Target {
        name: "records",
        run: records::records,
        longest: 70 << 10,
        // A buffer for each way of cutting; three bytes are a record of twenty-two at the least.
        memory: (256 << 10, 64),
        words: &[],
    },
];

/// The target of that name.
#[must_use]
pub fn target(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}

/// What a target came by: which thing followed which.
#[derive(Debug, Default)]
pub struct Trail {
    last: u64,
    steps: BTreeSet<u64>,
}

impl Trail {
    /// The target came by this.
    pub fn note(&mut self, what: impl Hash) {
        let here = hash(what);
        self.steps.insert(hash((self.last, here)));
        self.last = here;
    }

    /// All steps from one thing to another.
    pub(crate) fn into_steps(self) -> BTreeSet<u64> {
        self.steps
    }
}

/// The same in every run.
pub(crate) fn hash(what: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

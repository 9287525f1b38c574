//! What the probe's two processes say to each other: one JSON value each way, and before the answer a byte for each
//! state that was begun with.

use midflight_abi::Description;
use midflight_message::TypeInfo;
use serde::{Deserialize, Serialize};

use crate::code::Stays;

/// What to try besides loading.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeRequest {
    /// Copies of states, to be converted.
    pub states: Vec<ProbeState>,
    /// The largest state that a conversion may make, in bytes, as for a switch; none: any.
    #[serde(default)]
    pub state_bytes_max: Option<u64>,
    /// Whether to load and unload the library, instead of all else.
    #[serde(default)]
    pub unload: bool,
}

/// A state of a living process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeState {
    /// The behaviour's name.
    pub behaviour: String,
    /// The form it was saved in.
    pub form: TypeInfo,
    /// Its bytes.
    #[serde(with = "hex")]
    pub bytes: Vec<u8>,
}

/// What a library does when it is tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeReport {
    /// What it says of itself.
    pub description: Description,
    /// The compiler that made it.
    pub rustc: String,
    /// What became of each state, in the order of the request.
    pub states: Vec<StateVerdict>,
    /// Why the library's file says that it cannot be unloaded.
    pub stays: Option<Stays>,
}

/// What became of a state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StateVerdict {
    /// It became a state of the new version and, where there is a way back, the same bytes again or
    /// others (what the new version has no place for is lost on the way back).
    Converts {
        /// Whether there is a way back, and whether it gave the very bytes.
        back: Option<bool>,
    },
    /// There is no behaviour or no conversion for it.
    Unknown {
        /// Which.
        why: String,
    },
    /// The conversion to the new version fails.
    FailsForward {
        /// Why.
        why: String,
    },
    /// The conversion back fails.
    FailsBack {
        /// Why.
        why: String,
    },
}

/// Printed before each state is tried.
pub(super) const TRIED: u8 = b'.';

/// What the child prints in the end.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Answer {
    Ok(ProbeReport),
    Failed(String),
}

//! T8: peers that do not keep to the protocol. Each costs itself its link, the log says why, and
//! nobody else notices anything.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../shared/certificates.rs"]
mod certificates;
#[path = "../shared/clock.rs"]
mod clock;
#[path = "../shared/decent.rs"]
mod decent;
#[path = "../shared/log.rs"]
mod log;
#[path = "../shared/raw_tls.rs"]
mod raw_tls;
#[path = "../shared/speech.rs"]
mod speech;

mod deaf;
mod dialled;
mod floods;
mod frames;
mod ground;
mod handshakes;
mod host;
mod links;
#[macro_use]
mod list;
mod names;
mod raw;
mod records;

use ground::{Under, attack};

macro_rules! on_both {
    ($($group:ident: $($case:ident),*;)*) => {
        mod tcp {
            use super::*;
            $($(#[test] fn $case() { attack(Under::Tcp, $group::$case); })*)*
        }
        mod tls {
            use super::*;
            $($(#[test] fn $case() { attack(Under::Tls, $group::$case); })*)*
        }
    };
}

macro_rules! on_tls {
    ($($group:ident: $($case:ident),*;)*) => {
        mod tls_alone {
            use super::*;
            $($(#[test] fn $case() { attack(Under::Tls, $group::$case); })*)*
        }
    };
}

macro_rules! on_both_alone {
    ($($group:ident: $($case:ident),*;)*) => {
        mod alone {
            use super::*;
            mod tcp {
                use super::*;
                $($(#[test] fn $case() { attack(Under::Tcp, $group::$case); })*)*
            }
            mod tls {
                use super::*;
                $($(#[test] fn $case() { attack(Under::Tls, $group::$case); })*)*
            }
        }
    };
}

cases!(on_both);
cases_of_tls!(on_tls);
cases_alone!(on_both_alone);

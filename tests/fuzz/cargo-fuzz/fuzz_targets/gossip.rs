//! The target `gossip` under libFuzzer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midflight_fuzz::Trail;
use midflight_fuzz::targets::gossip::gossip;

fuzz_target!(|bytes: &[u8]| gossip(bytes, &mut Trail::default()));

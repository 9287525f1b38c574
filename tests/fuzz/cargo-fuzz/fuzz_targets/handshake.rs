//! The target `handshake` under libFuzzer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midflight_fuzz::Trail;
use midflight_fuzz::targets::handshake::handshake;

fuzz_target!(|bytes: &[u8]| handshake(bytes, &mut Trail::default()));

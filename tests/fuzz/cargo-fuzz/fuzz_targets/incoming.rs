//! The target `incoming` under libFuzzer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midflight_fuzz::Trail;
use midflight_fuzz::targets::incoming::incoming;

fuzz_target!(|bytes: &[u8]| incoming(bytes, &mut Trail::default()));

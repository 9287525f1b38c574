//! The target `node` under libFuzzer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midflight_fuzz::Trail;
use midflight_fuzz::targets::node::node;

fuzz_target!(|bytes: &[u8]| node(bytes, &mut Trail::default()));

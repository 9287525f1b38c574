//! The target `driven` under libFuzzer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midflight_fuzz::Trail;
use midflight_fuzz::targets::driven::driven;

fuzz_target!(|bytes: &[u8]| driven(bytes, &mut Trail::default()));

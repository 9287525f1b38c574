//! The target `records` under libFuzzer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midflight_fuzz::Trail;
use midflight_fuzz::targets::records::records;

fuzz_target!(|bytes: &[u8]| records(bytes, &mut Trail::default()));

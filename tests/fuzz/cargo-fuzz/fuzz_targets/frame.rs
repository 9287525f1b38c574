//! The target `frame` under libFuzzer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midflight_fuzz::Trail;
use midflight_fuzz::targets::frame::frame;

fuzz_target!(|bytes: &[u8]| frame(bytes, &mut Trail::default()));

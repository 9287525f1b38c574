//! The target `extensions` under libFuzzer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midflight_fuzz::Trail;
use midflight_fuzz::targets::extensions::extensions;

fuzz_target!(|bytes: &[u8]| extensions(bytes, &mut Trail::default()));

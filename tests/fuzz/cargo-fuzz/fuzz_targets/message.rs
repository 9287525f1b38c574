//! The target `message` under libFuzzer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midflight_fuzz::Trail;
use midflight_fuzz::targets::message::message;

fuzz_target!(|bytes: &[u8]| message(bytes, &mut Trail::default()));

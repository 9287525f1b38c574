//! The target `schema` under libFuzzer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midflight_fuzz::Trail;
use midflight_fuzz::targets::schema::schema;

fuzz_target!(|bytes: &[u8]| schema(bytes, &mut Trail::default()));

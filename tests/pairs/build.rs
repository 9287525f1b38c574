//! Writes some hundred pairs of Rust types, the second made from the first by a few edits.
//!
//! `MIDFLIGHT_PAIRS_SEED` draws others. The same seed always writes the same.

#[path = "../../process/message/src/prediction/chance.rs"]
#[allow(unreachable_pub, dead_code, reason = "shared with the property test of the messages")]
mod chance;
#[path = "build/edit.rs"]
mod edit;
#[path = "build/model.rs"]
mod model;
#[path = "build/rust.rs"]
mod rust;

use std::path::PathBuf;

use chance::Chance;

const PAIRS: usize = 320;
const VARIABLE: &str = "MIDFLIGHT_PAIRS_SEED";

fn main() {
    for path in ["build.rs", "build", "../../process/message/src/prediction/chance.rs"] {
        println!("cargo::rerun-if-changed={path}");
    }
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    let seed = std::env::var(VARIABLE).map_or(1, |seed| seed.parse().expect("a number"));
    let mut out = String::new();
    for number in 0..PAIRS {
        let mut chance = Chance(seed << 32 | number as u64);
        let theirs = model::side(&mut chance);
        let mut ours = theirs.clone();
        for _ in 0..=chance.below(3) {
            edit::edited(&mut ours, &mut chance);
        }
        let versions = match chance.below(12) {
            0 => rust::Versions::From,
            1 => rust::Versions::TryFrom,
            _ => rust::Versions::Equal,
        };
        rust::pair(&mut out, number, [&theirs, &ours], versions);
    }
    rust::list(&mut out, PAIRS);
    let folder = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    std::fs::write(folder.join("pairs.rs"), out).expect("the folder is there");
}

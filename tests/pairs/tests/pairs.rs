//! Some hundred pairs of Rust types, compiled, and what is predicted of them.
#![allow(
    warnings,
    clippy::all,
    clippy::pedantic,
    reason = "the types are written by the build script"
)]

use std::collections::BTreeMap;

use midflight_pairs::{Class, Sure, check};

include!(concat!(env!("OUT_DIR"), "/pairs.rs"));

#[test]
fn three_hundred_pairs_do_what_is_predicted() {
    let pairs = all();
    let mut classes = BTreeMap::<Class, usize>::new();
    let mut wrong = Vec::new();
    for (number, pair) in pairs.iter().enumerate() {
        match check(pair) {
            Ok(class) => *classes.entry(class).or_default() += 1,
            Err(error) => wrong.push(format!("p{number}: {error}\n{pair:?}")),
        }
    }
    println!("{classes:?}");
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(pairs.len() >= 300);
    use Class::*;
    for class in
        [Incompatible, Structural(Sure::Always), Structural(Sure::MayFail), Chain(Sure::Always)]
    {
        let count = classes.get(&class).copied().unwrap_or_default();
        assert!(count >= 5, "{class:?} is hardly met: {classes:?}");
    }
}

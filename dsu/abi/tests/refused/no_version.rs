//! A state has a version, a behaviour a name and a version.
use midflight_abi::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, State)]
struct Player {}

#[derive(Serialize, Deserialize, State)]
#[state(version = 0)]
struct Other {}

#[behaviour(name = "player")]
impl Player {}

fn main() {}

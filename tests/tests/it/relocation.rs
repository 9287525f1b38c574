//! Processes that move between nodes: as they are, and with whatever is tied to them.

mod around;
mod called_off;
mod handed_on;
mod moves;
mod order;
mod real;
mod rights;
mod storm;

use std::time::Duration;

use midflight_dsu::code_server::CodeServer;
use midflight_process::{Context, Pid};
use midflight_tests::world::World;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Two nodes or more that know each other; the first has the others' code.
async fn nodes<const N: usize>(world: &World) -> [CodeServer; N] {
    let mut nodes = Vec::new();
    for number in 0..N {
        let name = format!("n{number}");
        nodes.push(world.node(&name, (number > 0).then_some("n0")).await);
    }
    world.have_met(&nodes).await;
    nodes.try_into().unwrap_or_else(|_| unreachable!("there are as many"))
}

/// Adds one to a counter.
async fn add(cx: &Context, counter: Pid, seq: u64) -> counter_v1::Total {
    cx.call(counter, counter_v1::Add { seq, amount: 1 }, MINUTE).await.unwrap()
}

//! What several cases begin with.

use std::future::Future;

use midflight_process::{Context, Node};

use super::world::simulate;

/// Runs a scenario in a process on a node, with another node beside it.
pub(crate) fn scenario<F>(run: impl Fn(Context, Node) -> F + Clone + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    simulate(move |world| {
        let run = run.clone();
        async move {
            let (a, b) = world.pair().await;
            a.run("scenario", move |cx| run(cx, b)).await.unwrap();
        }
    });
}

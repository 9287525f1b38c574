//! A bundle goes from an operator to four nodes, until each runs it.

use std::sync::Arc;
use std::time::Duration;

use midflight_dsu::builder::Built;
use midflight_dsu::policy::Policy;
use midflight_dsu::protocol::{
    CHUNK_BYTES, CONTROL, Chunk, Deploy, Deployed, Offer, Progress, Wanted,
};
use midflight_process::{Context, Node, Pid};
use midflight_runtime::timeout;

use crate::local::{run, text};
use crate::nodes;
use crate::report::{Figure, Unit};
use crate::upgrade::Bundles;

/// How many nodes there are.
const NODES: usize = 4;
/// What takes longer has failed.
const STEP_MAX: Duration = Duration::from_secs(60);

/// Pushes version 1 and then, as what is measured, version 2.
pub(crate) async fn sample() -> Result<Vec<Figure>, String> {
    let operator = nodes::operator().await?;
    let mut all = Vec::with_capacity(NODES);
    for number in 1..=NODES {
        let node = nodes::start(&format!("node-{number}"), None).await?;
        let bundles = Bundles::new(&node).await?;
        bundles.server.serve().map_err(text)?;
        if let Some((first, _)) = all.first() {
            let first: &Node = first;
            let seed = first.address().ok_or("the first node listens nowhere")?;
            node.connect(&seed).await.map_err(text)?;
        }
        all.push((node, bundles));
    }
    let (first, bundles) = all.first().ok_or("there is no node")?;
    let at = first.address().ok_or("the first node listens nowhere")?;
    let reached = operator.connect(&at).await.map_err(text)?;
    let control = operator.whereis_on(reached, CONTROL).await.map_err(text)?;
    let control = control.ok_or("the first node has no control process")?;
    let met = async {
        while first.members().len() < NODES {
            first.runtime().sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(&**first.runtime(), STEP_MAX, met).await.map_err(|_elapsed| "they do not meet")?;
    let push = async |built: &Built| {
        let file: Arc<[u8]> = std::fs::read(&built.path).map_err(text)?.into();
        let address = built.bundle.address().to_string();
        run(&operator, async move |cx| push(cx, control, address, file).await).await
    };
    push(&bundles.v1).await?;
    let pushed = push(&bundles.v2).await?;
    let (took, probed) = (millis(pushed.took), millis(pushed.probed));
    Ok(vec![
        Figure::new("code_push_4_nodes", took - probed, Unit::Milliseconds),
        Figure::new("code_push_4_nodes_probe", probed, Unit::Milliseconds),
        Figure::new("code_push_4_nodes_bundle", size(pushed.bytes), Unit::Bytes),
    ])
}

/// How a push went.
struct Pushed {
    took: Duration,
    /// What trying it in a child process took, on the node where that took longest.
    probed: Duration,
    bytes: usize,
}

async fn push(
    cx: Context,
    control: Pid,
    address: String,
    file: Arc<[u8]>,
) -> Result<Pushed, String> {
    let began = cx.now();
    let offer = Offer { address: address.clone(), size: file.len() as u64 };
    let mut wanted: Wanted = cx.call(control, offer, STEP_MAX).await.map_err(text)?;
    while let Wanted::From(offset) = wanted {
        let begin = usize::try_from(offset).map_err(text)?;
        let end = file.len().min(begin + CHUNK_BYTES);
        let bytes = file.get(begin..end).ok_or("it wants what is not there")?.to_vec();
        let chunk = Chunk { address: address.clone(), offset, bytes };
        wanted = cx.call(control, chunk, STEP_MAX).await.map_err(text)?;
    }
    if let Wanted::Refused(why) = wanted {
        return Err(why);
    }
    let (watcher, policy) = (Some(cx.me()), Policy::default());
    let deploy = Deploy { address, watcher, policy, course: <_>::default() };
    let deployed: Deployed = cx.call(control, deploy, STEP_MAX).await.map_err(text)?;
    let took = cx.now().since(began);
    match deployed {
        Deployed::Everywhere { nodes, .. } if nodes.len() == NODES => {}
        other => return Err(format!("not everywhere: {other:?}")),
    }
    let mut probed = Duration::ZERO;
    while let Some(step) = cx.expect_timeout::<Progress>(Duration::ZERO).await {
        // `fetched in 1 ms, checked in 5 ms, probed in 81 ms, loaded in 3 ms`
        let after = step.detail.split("probed in ").nth(1);
        let millis = after.and_then(|rest| rest.split(' ').next()?.parse().ok()).unwrap_or(0);
        probed = probed.max(Duration::from_millis(millis));
    }
    Ok(Pushed { took, probed, bytes: file.len() })
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[expect(clippy::cast_precision_loss, reason = "a bundle is far below 2^52 bytes")]
fn size(bytes: usize) -> f64 {
    bytes as f64
}

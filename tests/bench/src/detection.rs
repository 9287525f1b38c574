//! How soon a node learns that another is gone: killed, or standing still.

use midflight_process::{Down, Node, Pid};
use rustix::process::Signal;

use crate::args::Workload;
use crate::far_side::FarSide;
use crate::local::run;
use crate::report::{Figure, Unit};

/// From the signal until the monitor of a process on the far side fires.
pub(crate) async fn sample(
    node: &Node,
    watched: Pid,
    far_side: &FarSide,
    workload: Workload,
    signal: Signal,
) -> Result<Vec<Figure>, String> {
    let (tell, told) = tokio::sync::oneshot::channel();
    let watching = run(node, async move |cx| {
        let monitor = cx.monitor(watched).await;
        // Nobody waits for it any more only when the run has failed.
        let _ = tell.send(());
        let down: Down = cx.expect().await;
        let at = cx.now();
        if down.monitor == monitor { Ok(at) } else { Err("another monitor fired".into()) }
    });
    let signalled = async {
        told.await.map_err(|_ended| "the watcher ended early".to_owned())?;
        // The far side is idle by then, as a peer that dies at night.
        node.runtime().sleep(std::time::Duration::from_millis(300)).await;
        let at = node.runtime().now();
        far_side.signal(signal)?;
        Ok::<_, String>(at)
    };
    let (noticed, signalled) = tokio::join!(watching, signalled);
    let took = noticed?.since(signalled?);
    Ok(vec![Figure::new(&workload.name(), took.as_secs_f64() * 1e3, Unit::Milliseconds)])
}

//! What it costs that code can be replaced: the same behaviour loaded from a bundle and compiled in.

use std::sync::Arc;

use midflight_dsu::code::Code;
use midflight_dsu::compiled::compiled;
use midflight_dsu::versions::{Version, Versions};
use midflight_process::{Context, Node, Pid};
use record_v2::Bump;

use crate::args::Size;
use crate::local::{run, text};
use crate::report::{Figure, Unit};
use crate::upgrade::{Bundles, count, start};

/// The two are measured in turns, so many times each.
const TURNS: usize = 10;

/// Measures both once.
pub(crate) async fn sample(node: &Node, size: Size) -> Result<Vec<Figure>, String> {
    let bundles = Bundles::new(node).await?;
    let (address, _) = bundles.stage(&bundles.v2).await?;
    let staged = bundles.server.versions().get(address).ok_or("what was staged is not there")?;
    let process = |code: Arc<dyn Code>| {
        let versions = Arc::new(Versions::default());
        let version = Version::new(node, &staged.name, staged.version, address, code);
        versions.make_current(&versions.add(version));
        start(node, &versions)
    };
    let linked = compiled::<(record_v2::Record,)>().map_err(text)?;
    let pids = [process(staged.code.clone())?, process(linked)?];
    let messages = size.of(200_000);
    let calls = size.of(50_000);
    let ([loaded, linked], share) = run(node, async move |cx| {
        for pid in pids {
            turn(&cx, pid, messages, calls).await?;
        }
        let (mut sums, mut shares) = ([(0.0, 0.0); 2], Vec::with_capacity(TURNS));
        for number in 0..TURNS {
            let mut both = [0.0; 2];
            for at in [number % 2, 1 - number % 2] {
                let (streamed, called) = turn(&cx, pids[at], messages, calls).await?;
                sums[at] = (sums[at].0 + streamed, sums[at].1 + called);
                both[at] = streamed;
            }
            shares.push(both[1] / both[0]);
        }
        // What else the machine does falls on one turn or the other: the one in the middle counts.
        shares.sort_by(f64::total_cmp);
        Ok((sums, shares[TURNS / 2]))
    })
    .await?;
    let rate = |name: &str, count, seconds| Figure::rate(name, TURNS * count, seconds);
    Ok(vec![
        rate("dynamic_stream", messages, loaded.0),
        rate("static_stream", messages, linked.0),
        Figure::new("dynamic_static_percent", share * 100.0, Unit::Percent),
        rate("dynamic_call", calls, loaded.1),
        rate("static_call", calls, linked.1),
    ])
}

/// Seconds that so many messages and so many calls take.
async fn turn(cx: &Context, pid: Pid, messages: usize, calls: usize) -> Result<(f64, f64), String> {
    let began = cx.now();
    for _ in 0..messages {
        cx.send(pid, Bump {}).await.map_err(text)?;
    }
    count(cx, pid).await?;
    let streamed = cx.now();
    for _ in 0..calls {
        count(cx, pid).await?;
    }
    let called = cx.now();
    Ok((streamed.since(began).as_secs_f64(), called.since(streamed).as_secs_f64()))
}

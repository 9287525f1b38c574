//! Living processes go to another version, with their state converted, while others use them.

mod bundles;
mod clients;

use std::sync::Arc;
use std::time::Duration;

use midflight_dsu::code_server::CodeServer;
use midflight_dsu::hash::ContentAddress;
use midflight_process::{Context, Node, Pid};

use crate::args::{Size, Workload};
use crate::local::{run, text};
use crate::report::{Figure, Unit};
pub(crate) use bundles::{Bundles, start};
pub(crate) use clients::count;
use clients::{Watch, caller, caster};

/// How long the clients run before anything is measured.
const WARM_UP: Duration = Duration::from_millis(500);
/// The shortest window in which gaps are looked for.
const WINDOW: Duration = Duration::from_millis(500);
/// What a window has left when the update is done: a call it held up has its reply by then.
const AFTERMATH: Duration = Duration::from_millis(100);

/// Runs an upgrade once.
pub(crate) async fn sample(
    node: &Node,
    workload: Workload,
    size: Size,
) -> Result<Vec<Figure>, String> {
    let processes = match workload {
        Workload::UpgradeOne => 1,
        Workload::Upgrade10k => size.of(10_000),
        Workload::Upgrade100k => size.of(100_000),
        other => return Err(format!("{other:?} upgrades nothing")),
    };
    let bundles = Bundles::new(node).await?;
    let (v1, _) = bundles.stage(&bundles.v1).await?;
    bundles.server.activate(v1).await.map_err(text)?;
    let start = |_| start(node, bundles.server.versions());
    let pids: Arc<[Pid]> = (0..processes).map(start).collect::<Result<_, _>>()?;
    let (v2, times) = bundles.stage(&bundles.v2).await?;

    let watch = Arc::new(Watch::default());
    let (server, coming) = (bundles.server.clone(), watch.clone());
    let update = run(node, async move |cx| update(cx, server, v2, processes, coming).await);
    let (calling, calls) = (pids.clone(), watch.clone());
    let calls = run(node, async move |cx| caller(cx, calling, calls).await);
    let (casting, casts) = (pids.clone(), watch.clone());
    let casts = async {
        if workload == Workload::UpgradeOne {
            return Ok(0);
        }
        run(node, async move |cx| caster(cx, casting, casts).await).await
    };
    let (update, calls, casts) = tokio::join!(update, calls, casts);
    let (update, made) = (update?, calls? + casts?);

    let counted = run(node, async move |cx| counted(cx, pids).await).await?;
    let lost = made.abs_diff(counted);
    let name = workload.name();
    let gaps = [
        Figure::new(&format!("{name}_client_gap"), micros(update.gap), Unit::Microseconds),
        Figure::new(
            &format!("{name}_client_gap_baseline"),
            micros(update.baseline),
            Unit::Microseconds,
        ),
    ];
    let figures = if workload == Workload::UpgradeOne {
        let pause = micros(nanos(update.took));
        let load = micros(nanos(times.load));
        vec![
            Figure::new("upgrade_one_pause", pause, Unit::Microseconds),
            Figure::new("upgrade_one_code_load", load, Unit::Microseconds),
        ]
    } else {
        let seconds = update.took.as_secs_f64();
        vec![
            Figure::rate(&format!("{name}_rate"), processes, seconds),
            Figure::new(&format!("{name}_lost"), count_of(lost), Unit::Messages),
        ]
    };
    if lost > 0 {
        eprintln!("{made} messages were sent, and {counted} counted");
    }
    Ok(figures.into_iter().chain(gaps).collect())
}

/// How an update went.
struct Update {
    took: Duration,
    /// The longest gap the caller saw in a window around it.
    gap: u64,
    /// The same in a window of the same length, without an update.
    baseline: u64,
}

async fn update(
    cx: Context,
    server: CodeServer,
    to: ContentAddress,
    processes: usize,
    watch: Arc<Watch>,
) -> Result<Update, String> {
    let measured = async {
        cx.sleep(WARM_UP).await;
        watch.take_gap();
        let began = cx.now();
        let switched = server.activate(to).await.map_err(text)?;
        let took = cx.now().since(began);
        if switched != processes {
            return Err(format!("{switched} of {processes} run in the new version"));
        }
        let window = (took + AFTERMATH).max(WINDOW);
        cx.sleep(window - took).await;
        let gap = watch.take_gap();
        cx.sleep(window).await;
        Ok(Update { took, gap, baseline: watch.take_gap() })
    }
    .await;
    watch.end();
    measured
}

/// What all processes have counted, all of them in version 2.
async fn counted(cx: Context, pids: Arc<[Pid]>) -> Result<u64, String> {
    let mut sum = 0;
    for pid in &*pids {
        let counted = count(&cx, *pid).await?;
        if counted.code_version != 2 {
            return Err(format!("{pid} runs in version {}", counted.code_version));
        }
        // This very call counts, too.
        sum += counted.count - 1;
    }
    Ok(sum)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "nanoseconds of a few minutes")]
fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1e3
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
const fn count_of(count: u64) -> f64 {
    count as f64
}

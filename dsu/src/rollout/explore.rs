//! Every order of events in a small cluster: three nodes, one rollout, one crash, and a driver that is taken for dead though it
//! lives. The log, the driver and the promises of nodes are the real ones; between them are messages that take any time and, of
//! different senders, any order. In the end all that live run what the log decided (R4).

mod cluster;
mod wishes;

use std::collections::HashSet;

use super::steps::Phase;
use cluster::{Bounds, Cluster, Event};

/// Tries every order of events. Answers how many states there are, and how many ends of either kind.
fn explore(waves: &[&[usize]], bounds: Bounds) -> Result<(usize, [usize; 2]), String> {
    let mut seen = HashSet::new();
    let mut ends = [0, 0];
    let mut open = vec![(Cluster::new(waves, bounds), Vec::<Event>::new())];
    while let Some((cluster, way)) = open.pop() {
        if !seen.insert(cluster.fingerprint()) {
            continue;
        }
        let events = cluster.events();
        let must = events.iter().any(|event| {
            !matches!(
                event,
                Event::Crash(_) | Event::TakeOver(_) | Event::Aborts { .. } | Event::Pauses(true)
            )
        });
        if !must {
            // A driver that lives and has nothing to do is done; one that is gone is taken over from.
            let waits = events.iter().any(|event| matches!(event, Event::TakeOver(_)));
            if !waits {
                let committed = cluster.judge().map_err(|why| format!("{why}, after {way:#?}"))?;
                ends[usize::from(committed)] += 1;
            }
        }
        for event in events {
            let mut next = cluster.clone();
            next.happen(event);
            let mut way = way.clone();
            way.push(event);
            open.push((next, way));
        }
    }
    Ok((seen.len(), ends))
}

fn explored(waves: &[&[usize]], bounds: Bounds) {
    let explored = explore(waves, bounds);
    let (states, [old, new]) = explored.unwrap_or_else(|why| panic!("{why}"));
    println!("{} waves, {bounds:?}: {states} states, {old} ends old, {new} ends new", waves.len());
    assert!(old > 0 && new > 0 && states > 1_000, "{states} {old} {new}");
}

#[test]
fn whoever_dies_and_whenever_all_end_new_or_all_old() {
    let one = &[&[0_usize, 1, 2][..]][..];
    explored(one, Bounds { crashes: 1, ..Bounds::NONE });
    explored(one, Bounds { refusals: 1, crashes: 1, ..Bounds::NONE });
    explored(&[&[1], &[2, 0]], Bounds { crashes: 1, ..Bounds::NONE });
}

/// A look may show anything at any time, an operator may want anything, and anybody may die meanwhile.
#[test]
fn with_gates_whoever_dies_and_whatever_is_wanted_all_end_new_or_all_old() {
    let gated = Bounds { gates: true, ..Bounds::NONE };
    explored(&[&[1], &[2, 0]], Bounds { refusals: 1, crashes: 1, ..gated });
    explored(&[&[1], &[2, 0]], Bounds { crashes: 1, wishes: 1, ..gated });
    explored(&[&[1], &[2], &[0]], Bounds { refusals: 1, wishes: 2, ..gated });
}

/// Who was taken for dead goes on asking; what it asks is of an earlier epoch.
#[test]
fn a_driver_that_is_taken_for_dead_and_lives_harms_nobody() {
    explored(&[&[1], &[2, 0]], Bounds { suspicions: 1, ..Bounds::NONE });
    if std::env::var_os("MIDFLIGHT_EXPLORE_ALL").is_some() {
        let all = Bounds { refusals: 1, crashes: 1, suspicions: 1, ..Bounds::NONE };
        explored(&[&[0, 1, 2]], all);
        explored(&[&[1], &[2, 0]], all);
        explored(&[&[1], &[2, 0]], Bounds { gates: true, ..all });
    }
}

#[test]
fn a_phase_is_before_the_decision_or_behind_it() {
    let waves = [Phase::Wave(9), Phase::Gate(9), Phase::Held(9), Phase::Paused(9)];
    let before = [Phase::Claim(9), Phase::Stage].into_iter().chain(waves);
    assert!(before.clone().all(|phase| phase < Phase::Decide { commit: false }));
    assert!(Phase::Decide { commit: true } < Phase::Back && Phase::Back < Phase::Over);
}

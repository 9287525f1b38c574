//! Circles among who waits for whom: a walk in depth, with what is being walked on a list (Tarjan 1972, without the
//! components: one circle of each is enough to be told). Pure.

use std::collections::{BTreeMap, BTreeSet};

use midflight_message::Pid;

/// Circles that are named at the most.
const CYCLES_MAX: usize = 64;

/// Some circle through everything that is in one, in order of their first members; none twice.
pub(super) fn find(edges: &[(Pid, Pid)]) -> Vec<Vec<Pid>> {
    let mut on: BTreeMap<Pid, Vec<Pid>> = BTreeMap::new();
    for (from, to) in edges {
        on.entry(*from).or_default().push(*to);
    }
    let (mut done, mut found) = (BTreeSet::new(), Vec::new());
    for start in on.keys() {
        walk(*start, &on, &mut done, &mut found);
    }
    found.sort_unstable();
    found.dedup();
    found.truncate(CYCLES_MAX);
    found
}

/// Walks from `start` over what was not walked before.
fn walk(
    start: Pid,
    on: &BTreeMap<Pid, Vec<Pid>>,
    done: &mut BTreeSet<Pid>,
    found: &mut Vec<Vec<Pid>>,
) {
    // Where the walk stands, how many of each one's ways were taken, and where each is on the path.
    let (mut path, mut taken, mut place) = (vec![start], vec![0], BTreeMap::from([(start, 0)]));
    if !done.insert(start) {
        return;
    }
    while let (Some(here), Some(way)) = (path.last(), taken.last_mut()) {
        let next = on.get(here).and_then(|ways| ways.get(*way)).copied();
        *way += 1;
        match next {
            None => {
                place.remove(here);
                path.pop();
                taken.pop();
            }
            Some(next) => match place.get(&next) {
                Some(at) if found.len() < CYCLES_MAX => found.push(least_first(&path[*at..])),
                Some(_) => {}
                None if done.insert(next) => {
                    place.insert(next, path.len());
                    path.push(next);
                    taken.push(0);
                }
                None => {}
            },
        }
    }
}

/// The same circle, from its least member on.
fn least_first(circle: &[Pid]) -> Vec<Pid> {
    let mut circle = circle.to_vec();
    let least = circle.iter().enumerate().min_by_key(|(_, pid)| **pid).map_or(0, |(at, _)| at);
    circle.rotate_left(least);
    circle
}

#[cfg(test)]
mod tests {
    use midflight_message::NodeId;
    use proptest::prelude::*;

    use super::*;

    fn pid(index: u32) -> Pid {
        Pid { node: NodeId(1), index, generation: 1 }
    }

    fn circles(edges: &[(u32, u32)]) -> Vec<Vec<u32>> {
        let edges: Vec<_> = edges.iter().map(|(from, to)| (pid(*from), pid(*to))).collect();
        let found = find(&edges).into_iter();
        found.map(|circle| circle.iter().map(|pid| pid.index).collect()).collect()
    }

    #[test]
    fn circles_are_found_once_and_chains_are_none() {
        assert!(circles(&[]).is_empty());
        assert!(circles(&[(1, 2), (2, 3), (1, 3)]).is_empty());
        assert_eq!(circles(&[(1, 2), (2, 1)]), [[1, 2]]);
        assert_eq!(circles(&[(3, 3)]), [[3]]);
        // The walk comes to it from outside.
        assert_eq!(circles(&[(1, 4), (4, 3), (3, 2), (2, 4), (2, 9)]), [[2, 4, 3]]);
        assert_eq!(circles(&[(5, 6), (6, 5), (1, 2), (2, 1)]), [[1, 2], [5, 6]]);
        // A long chain is walked without recursion.
        let chain: Vec<_> = (0..200_000).map(|n| (n, n + 1)).chain([(200_000, 199_999)]).collect();
        assert_eq!(circles(&chain), [[199_999, 200_000]]);
        let many: Vec<_> = (0..1_000).map(|n| (n, n)).collect();
        assert_eq!(circles(&many).len(), CYCLES_MAX);
    }

    proptest! {
        /// What is found is a circle, and there is one whenever something can be reached from itself.
        #[test]
        fn there_is_one_exactly_when_something_waits_for_itself(
            edges in proptest::collection::vec((0_u32..8, 0_u32..8), 0..16)
        ) {
            let found = circles(&edges);
            for circle in &found {
                let after = circle.iter().cycle().skip(1);
                for (from, to) in circle.iter().zip(after) {
                    prop_assert!(edges.contains(&(*from, *to)));
                }
            }
            let mut reached: BTreeSet<_> = edges.iter().copied().collect();
            for _ in 0..8 {
                let further: Vec<_> = reached
                    .iter()
                    .flat_map(|(from, over)| {
                        let next = edges.iter().filter(move |(at, _)| at == over);
                        next.map(|(_, to)| (*from, *to))
                    })
                    .collect();
                reached.extend(further);
            }
            let waits_for_itself = (0..8).any(|at| reached.contains(&(at, at)));
            prop_assert_eq!(waits_for_itself, !found.is_empty());
        }
    }
}

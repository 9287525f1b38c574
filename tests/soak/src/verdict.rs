//! What the nodes have said, and what is wrong with it.

use std::collections::BTreeMap;

use crate::report::Report;

/// By so much may the memory of the node that was never killed grow, from a fifth of the load to its end:
/// an allocator keeps some of what a burst has needed.
const GROWTH_MAX: f64 = 0.10;
const GROWTH_FREE: u64 = 16 << 20;

#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// The last that each node said, in each of its lives.
    last: BTreeMap<(u16, u32), Report>,
    /// Resident bytes of the first node, second by second, under load.
    resident: Vec<u64>,
    is_over: bool,
}

impl Verdict {
    pub(crate) fn take(&mut self, number: u16, life: u32, report: Report) {
        if number == 0 && !self.is_over {
            self.resident.push(report.resident);
        }
        self.last.insert((number, life), report);
    }

    pub(crate) const fn load_is_over(&mut self) {
        self.is_over = true;
    }

    fn total(&self, of: impl Fn(&Report) -> u64) -> u64 {
        self.last.values().map(of).sum()
    }

    /// Prints where it is.
    pub(crate) fn show(&self) {
        let first = self.last.get(&(0, 0)).cloned().unwrap_or_default();
        println!(
            "{:>5} s   rounds {:>8}   failed {:>6}   broken {}   node 0: {:>4} MB, {} processes, {} peers",
            self.resident.len(),
            self.total(|report| report.done),
            self.total(|report| report.failed),
            self.total(|report| report.broken),
            first.resident >> 20,
            first.processes,
            first.peers,
        );
    }

    /// Says what is wrong.
    pub(crate) fn judge(&self, nodes: u16) -> Result<(), String> {
        self.show();
        let mut wrong = Vec::new();
        if self.total(|report| report.broken) > 0 {
            wrong.push("promises were broken".to_owned());
        }
        for number in 0..nodes {
            let last = self.last.iter().rfind(|((n, _), _)| *n == number);
            let Some((_, report)) = last else {
                wrong.push(format!("node {number} never said anything"));
                continue;
            };
            if report.done == 0 {
                wrong.push(format!("node {number} did nothing"));
            }
            let left = [
                ("processes", report.processes as u64),
                ("links and monitors", report.relations as u64),
                ("names", report.names as u64),
                ("members of groups", report.in_groups as u64),
                ("messages", report.mailboxes),
            ];
            for (what, count) in left.into_iter().filter(|(_, count)| *count > 0) {
                wrong.push(format!("node {number} has {count} {what} left"));
            }
            if report.peers != usize::from(nodes) - 1 {
                wrong.push(format!("node {number} has {} peers", report.peers));
            }
        }
        wrong.extend(self.growth());
        if wrong.is_empty() {
            println!("all good");
            return Ok(());
        }
        Err(wrong.join("; "))
    }

    /// Whether the first node's memory grew: medians of a tenth of the time each.
    fn growth(&self) -> Option<String> {
        let tenth = (self.resident.len() / 10).max(1);
        let median = |from: usize| {
            let mut some: Vec<_> = self.resident.iter().skip(from).take(tenth).copied().collect();
            some.sort_unstable();
            some.get(some.len() / 2).copied().unwrap_or_default()
        };
        let (before, after) =
            (median(2 * tenth), median(self.resident.len().saturating_sub(tenth)));
        println!("memory of node 0: {} MB, and {} MB in the end", before >> 20, after >> 20);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "bytes of memory"
        )]
        let allowed = before + (before as f64 * GROWTH_MAX) as u64 + GROWTH_FREE;
        (after > allowed).then(|| format!("its memory grew from {before} to {after} bytes"))
    }
}

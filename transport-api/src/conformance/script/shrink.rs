//! Looks for a script that fails, and makes it short.

use std::fmt;
use std::ops::Range;

use proptest::strategy::{Strategy as _, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::step::Trouble;
use super::{Step, run, step};
use crate::conformance::Fixture;

/// How many scripts are tried to make one shorter.
const RUNS_MAX: u32 = 1000;

/// A script that fails, shrunk.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its seed.
    pub seed: u64,
    /// How many endpoints it has.
    pub endpoints: usize,
    /// How long it was at first.
    pub steps_at_first: usize,
    /// What is left of it.
    pub script: Vec<Step>,
    /// What is wrong.
    pub why: String,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, endpoints, steps_at_first, script, why } = self;
        writeln!(f, "the script of seed {seed} for {endpoints} endpoints fails: {why}")?;
        writeln!(f, "{} of {steps_at_first} steps are enough:", script.len())?;
        script.iter().try_for_each(|step| writeln!(f, "    {step:?},"))
    }
}

/// The first script that fails, shrunk. Every other seed breaks nothing on purpose: there, nothing
/// may be lost.
pub async fn search(f: &Fixture, endpoints: usize, seeds: Range<u64>) -> Option<Found> {
    for seed in seeds {
        let breaks = seed % 2 > 0;
        let trouble = Trouble { breaks, cuts: breaks && f.cut.is_ok() };
        let mut tree = step::scripts(endpoints, trouble)
            .new_tree(&mut runner(seed))
            .expect("a script can always be drawn");
        let script = tree.current();
        if let Err(why) = run::run(f, &format!("s{seed}"), endpoints, &script).await {
            // Should making it shorter not end, this is there.
            println!("seed {seed}: {why}: {script:?}");
            let steps_at_first = script.len();
            let mut found = Found { seed, endpoints, steps_at_first, script, why };
            shrink(f, &mut tree, &mut found).await;
            return Some(found);
        }
    }
    None
}

/// Always draws the same.
fn runner(seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    TestRunner::new_with_rng(Config::default(), random)
}

async fn shrink(
    f: &Fixture,
    tree: &mut (impl ValueTree<Value = Vec<Step>> + Send),
    found: &mut Found,
) {
    let mut runs = 0;
    let mut shorter = tree.simplify();
    while shorter && runs < RUNS_MAX {
        shorter = match still_fails(f, tree.current(), &mut runs, found).await {
            true => tree.simplify(),
            false => tree.complicate(),
        };
    }
    // The tree tries each step once. When one is left out, others may have become needless.
    let mut before = usize::MAX;
    while found.script.len() < before && runs < RUNS_MAX {
        before = found.script.len();
        for place in (0..before).rev() {
            let mut script = found.script.clone();
            script.remove(place);
            still_fails(f, script, &mut runs, found).await;
        }
    }
}

/// Whether `script` fails; then it is what was found.
async fn still_fails(f: &Fixture, script: Vec<Step>, runs: &mut u32, found: &mut Found) -> bool {
    // What depends on who is quicker need not fail every time.
    for _ in 0..3 {
        *runs += 1;
        let name = format!("s{}r{runs}", found.seed);
        if let Err(why) = run::run(f, &name, found.endpoints, &script).await {
            (found.script, found.why) = (script, why);
            return true;
        }
    }
    false
}

//! In which order a rollout reaches the nodes: wave by wave, the first of which is the canary (R3). Pure.

use std::fmt;
use std::str::FromStr;

use midflight_message::Schema;
use serde::{Deserialize, Serialize};

use super::ledger::Party;

/// The longest list of steps, and of names in one.
const STEPS_MAX: usize = 64;

/// How far a rollout is when a wave has followed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Schema)]
pub enum Step {
    /// So many nodes.
    Nodes(u32),
    /// So many of a hundred nodes, rounded up.
    Percent(u32),
    /// These nodes more, by name.
    Named(Vec<String>),
}

/// What is no step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no step of a rollout: a number of nodes, such as 2; a share, such as 25%; or nodes by name, such as a+b"
)]
pub struct BadStep(String);

impl FromStr for Step {
    type Err = BadStep;

    fn from_str(text: &str) -> Result<Self, BadStep> {
        let bad = || BadStep(text.to_owned());
        if let Some(percent) = text.strip_suffix('%') {
            let percent = percent.parse().ok().filter(|percent| (1..=100).contains(percent));
            return percent.map(Self::Percent).ok_or_else(bad);
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            let nodes = text.parse().ok().filter(|nodes| *nodes > 0);
            return nodes.map(Self::Nodes).ok_or_else(bad);
        }
        let names: Vec<String> = text.split('+').map(ToOwned::to_owned).collect();
        let are_good = names.len() <= STEPS_MAX && names.iter().all(|name| !name.is_empty());
        if are_good { Ok(Self::Named(names)) } else { Err(bad()) }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nodes(nodes) => write!(f, "{nodes}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::Named(names) => f.write_str(&names.join("+")),
        }
    }
}

/// The steps are none that these nodes can take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WavesError {
    /// There are more steps than a rollout may have.
    #[error("a rollout has at most {STEPS_MAX} steps")]
    TooMany,
    /// No such node is a member.
    #[error("no node called `{0}` is a member now")]
    NoNode(String),
    /// A gate has nothing to compare with.
    #[error(
        "gates compare new with old, and after the first wave none of the {0} nodes would run what is old: leave some to a \
         later wave"
    )]
    NothingOld(usize),
}

/// The waves. Nodes go by name; `own` goes last wherever no step names it, so that a canary which takes its node down does not
/// take down who watches it. What no step reaches is the last wave.
///
/// # Errors
/// [`WavesError`].
pub fn waves(
    mut nodes: Vec<Party>,
    own: &Party,
    steps: &[Step],
    has_gates: bool,
) -> Result<Vec<Vec<Party>>, WavesError> {
    if steps.len() > STEPS_MAX {
        return Err(WavesError::TooMany);
    }
    nodes.sort_by(|one, other| {
        let key = |node: &Party| (node == own, node.name.clone());
        key(one).cmp(&key(other))
    });
    let all = nodes.len();
    let mut waves = Vec::new();
    for step in steps {
        let done = all - nodes.len();
        match step {
            Step::Nodes(count) => {
                waves.push(first(&mut nodes, (*count as usize).saturating_sub(done)));
            }
            Step::Percent(percent) => {
                let count = (all * *percent as usize).div_ceil(100);
                waves.push(first(&mut nodes, count.saturating_sub(done)));
            }
            Step::Named(names) => {
                let is = |node: &Party, name: &String| node.name == *name;
                let missing = names.iter().find(|name| !nodes.iter().any(|node| is(node, name)));
                if let Some(missing) = missing {
                    return Err(WavesError::NoNode(missing.clone()));
                }
                waves.push(those(&mut nodes, |node| names.contains(&node.name)));
            }
        }
    }
    waves.push(those(&mut nodes, |_| true));
    waves.retain(|wave| !wave.is_empty());
    if has_gates && waves.len() < 2 {
        return Err(WavesError::NothingOld(all));
    }
    Ok(waves)
}

fn first(nodes: &mut Vec<Party>, count: usize) -> Vec<Party> {
    let count = count.min(nodes.len());
    nodes.drain(..count).collect()
}

fn those(nodes: &mut Vec<Party>, which: impl Fn(&Party) -> bool) -> Vec<Party> {
    let (wave, left) = std::mem::take(nodes).into_iter().partition(|node| which(node));
    *nodes = left;
    wave
}

#[cfg(test)]
mod tests {
    use midflight_message::NodeId;

    use super::*;

    fn party(name: &str) -> Party {
        Party { name: name.into(), id: NodeId(u64::from(name.as_bytes()[0])) }
    }

    /// Six nodes, of which `a` drives.
    fn of(steps: &str, has_gates: bool) -> Result<String, WavesError> {
        let nodes = ["f", "e", "d", "c", "b", "a"].map(party).to_vec();
        let steps: Vec<Step> = steps.split_whitespace().map(|it| it.parse().unwrap()).collect();
        let waves = waves(nodes, &party("a"), &steps, has_gates)?;
        let names = |wave: &Vec<Party>| wave.iter().map(|it| &*it.name).collect::<String>();
        Ok(waves.iter().map(names).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn each_step_says_how_far_it_is_then_and_who_drives_is_last() {
        assert_eq!(of("", false).unwrap(), "bcdefa");
        assert_eq!(of("1 50% 100%", true).unwrap(), "b cd efa");
        assert_eq!(of("2 1 3", true).unwrap(), "bc d efa", "one that is reached already is none");
        assert_eq!(of("a+d 10% 5", true).unwrap(), "da bce f", "unless it is named");
    }

    #[test]
    fn what_cannot_be_is_told() {
        assert_eq!(of("z", true), Err(WavesError::NoNode("z".into())));
        assert_eq!(of("", true), Err(WavesError::NothingOld(6)));
        assert_eq!(of("100%", true), Err(WavesError::NothingOld(6)));
        assert_eq!(of(&"1 ".repeat(65), false), Err(WavesError::TooMany));
        for bad in ["", "0", "0%", "101%", "a++b", "99999999999"] {
            assert!(bad.parse::<Step>().is_err(), "{bad}");
        }
        for good in ["1", "25%", "a+b"] {
            assert_eq!(good.parse::<Step>().unwrap().to_string(), good);
        }
    }
}

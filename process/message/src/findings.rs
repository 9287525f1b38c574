//! What a comparison finds on its way: conditions under which reading fails, and conversions.

use std::ops::Range;

use crate::path::{Path, Step};
use crate::{Converted, Risk};

/// The most risks that are listed, and the most conversions.
const MAX_FOUND: usize = 64;

/// What was found, each with the way to it.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    all: Vec<(Vec<Step>, Finding)>,
    risks: usize,
    converted: usize,
}

#[derive(Clone, Debug)]
enum Finding {
    Risk(String),
    Converted { name: String, versions: (u32, u32) },
}

/// What was found within one pair of types.
#[derive(Clone, Debug)]
pub(crate) struct Met {
    found: Range<usize>,
    /// How many steps lead to the pair.
    steps: usize,
}

impl Findings {
    pub(crate) fn risk(&mut self, steps: &[Step], condition: String) {
        self.add(steps, Finding::Risk(condition));
    }

    pub(crate) fn convert(&mut self, steps: &[Step], name: &str, versions: (u32, u32)) {
        self.add(steps, Finding::Converted { name: name.to_owned(), versions });
    }

    fn add(&mut self, steps: &[Step], finding: Finding) {
        if self.has_room(&finding) {
            match finding {
                Finding::Risk(_) => self.risks += 1,
                Finding::Converted { .. } => self.converted += 1,
            }
            self.all.push((steps.to_vec(), finding));
        }
    }

    const fn has_room(&self, finding: &Finding) -> bool {
        match finding {
            Finding::Risk(_) => self.risks < MAX_FOUND,
            Finding::Converted { .. } => self.converted < MAX_FOUND,
        }
    }

    /// A mark for [`since`](Self::since).
    pub(crate) const fn mark(&self) -> usize {
        self.all.len()
    }

    /// What was found since the mark, within a pair that so many steps lead to.
    pub(crate) const fn since(&self, mark: usize, steps: usize) -> Met {
        Met { found: mark..self.all.len(), steps }
    }

    /// The same pair is met at another place: all that was found in it holds there, too. Of a pair
    /// within itself there is no end, and nothing is added.
    pub(crate) fn again(&mut self, met: Option<&Met>, steps: &[Step]) {
        let Some(Met { found, steps: before }) = met else { return };
        for index in found.clone() {
            let (way, finding) = &self.all[index];
            if self.has_room(finding) {
                let way: Vec<_> = steps.iter().chain(&way[*before..]).cloned().collect();
                self.add(&way, finding.clone());
            }
        }
    }

    pub(crate) fn risks(&self) -> Vec<Risk> {
        let risk = |(way, finding): &(Vec<Step>, Finding)| match finding {
            Finding::Risk(condition) => {
                Some(Risk { path: Path(way).text(), condition: condition.clone() })
            }
            Finding::Converted { .. } => None,
        };
        self.all.iter().filter_map(risk).collect()
    }

    pub(crate) fn converted(&self) -> Vec<Converted> {
        let converted = |(way, finding): &(Vec<Step>, Finding)| match finding {
            Finding::Converted { name, versions: (from, to) } => {
                Some(Converted { path: Path(way).text(), name: name.clone(), from: *from, to: *to })
            }
            Finding::Risk(_) => None,
        };
        self.all.iter().filter_map(converted).collect()
    }
}

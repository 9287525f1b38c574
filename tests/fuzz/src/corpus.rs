//! Inputs in files: one folder for each target.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::target::hash;
use crate::{Target, Trail, judge};

/// So many are kept at the most: a corpus is to be looked at.
const DISTILLED_MAX: usize = 24;

/// The inputs of a target, in the order of their names.
///
/// # Errors
/// When there is no such folder, or a file cannot be read.
pub fn load(corpus: &Path, target: &str) -> io::Result<Vec<Vec<u8>>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(corpus.join(target))? {
        paths.push(entry?.path());
    }
    paths.sort();
    paths.into_iter().filter(|path| path.is_file()).map(fs::read).collect()
}

/// A few of `new` that together lead to all that is new beyond `known`: the short ones first.
#[must_use]
pub fn distil<'a>(target: &Target, known: &[Vec<u8>], new: &'a [Vec<u8>]) -> Vec<&'a [u8]> {
    let mut steps = BTreeSet::new();
    let mut adds = |input: &[u8]| {
        let (before, mut trail) = (steps.len(), Trail::default());
        let good = judge(target, input, &mut trail).is_ok();
        steps.extend(trail.into_steps());
        good && steps.len() > before
    };
    for input in known {
        adds(input);
    }
    let mut new: Vec<_> = new.iter().map(Vec::as_slice).collect();
    new.sort_by_key(|input| input.len());
    new.retain(|input| adds(input));
    new.truncate(DISTILLED_MAX);
    new
}

/// Writes an input to a file named after what is in it, and says where.
///
/// # Errors
/// When it cannot be written.
pub fn save(folder: &Path, target: &str, input: &[u8]) -> io::Result<PathBuf> {
    let folder = folder.join(target);
    fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{:016x}", hash(input)));
    fs::write(&path, input)?;
    Ok(path)
}

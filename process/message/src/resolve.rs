//! Deciding whether, and how, a writer's type can be read as the reader's.
//!
//! The rules are serde's own, as derived code applies them to a self-describing format: fields and
//! variants go by name, unknown fields are passed over, absent ones need a default or an `Option`.
//! A named type of another version needs the author's conversions, wherever it is. Where serde would lose something without a word (a fraction, a duplicate), this says no instead.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::chain::{Chain, Chains, Claim, Place, gap};
use crate::conversion::route;
use crate::findings::{Findings, Met};
use crate::limits::MAX_VALUE_DEPTH;
use crate::mismatch::version_text;
use crate::path::{MAX_TEXT_BYTES, Path, Step, shorten};
use crate::shape::Definition;
use crate::tree::{Scalar, SchemaTree, Type};
use crate::{Mismatch, MismatchReason, Plan, Resolution, TypeInfo};

/// The most pairs of parts that are compared.
const MAX_PAIRS: usize = 100_000;

/// Compares a writer's type with a reader's.
#[must_use]
pub fn resolve(writer: &TypeInfo, reader: &TypeInfo) -> Resolution {
    let whole = |theirs: String, ours: String, why| {
        let mismatch = Mismatch::new(reader.name(), String::new(), theirs, ours, why);
        Resolution::Incompatible(mismatch)
    };
    if writer.name() != reader.name() {
        return whole(writer.name().into(), reader.name().into(), MismatchReason::Name);
    }
    if writer.version() != reader.version() && !is_converted(writer, reader) {
        let [theirs, ours] = [writer.version(), reader.version()].map(version_text);
        return whole(theirs, ours, MismatchReason::Version);
    }
    if writer.version() == reader.version() && writer.fingerprint() == reader.fingerprint() {
        return Resolution::Same;
    }
    let mut comparison = Comparison::new(writer.tree(), reader);
    if let Err(mismatch) = comparison.compare(&writer.tree().root, &reader.tree().root) {
        return Resolution::Incompatible(mismatch);
    }
    let plan = Arc::new(Plan {
        writer: Arc::clone(writer.tree()),
        reader: reader.fingerprint(),
        verbatim: comparison.verbatim,
        risks: comparison.findings.risks(),
        converted: comparison.findings.converted(),
        chains: comparison.chains,
    });
    if plan.chains.is_empty() { Resolution::Structural(plan) } else { Resolution::Chain(plan) }
}

/// Whether the two versions are those of the outermost named types, which conversions connect.
fn is_converted(writer: &TypeInfo, reader: &TypeInfo) -> bool {
    let [their, our] = [writer, reader].map(|info| {
        let claim = info.tree().claims(&info.tree().root).next();
        claim.filter(|claim| (claim.name, claim.version) == (info.name(), info.version()))
    });
    their
        .zip(our)
        .is_some_and(|(their, our)| route(reader.conversions(our.number), their.version).is_some())
}

/// A walk over both schemas at once.
pub(crate) struct Comparison<'a> {
    type_name: &'a str,
    pub(crate) theirs: &'a SchemaTree,
    pub(crate) ours: &'a SchemaTree,
    /// Which of the readers in `chains` is `ours`.
    reader: usize,
    /// Pairs of named types that are being compared, and those that were, with what was found in
    /// them: a difference ends the walk, so meeting a pair again adds only that.
    seen: BTreeMap<Place, Option<Met>>,
    /// Pairs that were met since the last step into the writer's type. One that comes again is a
    /// wrapper without end.
    standing: Vec<Place>,
    steps: Vec<Step>,
    depth: usize,
    pairs: usize,
    findings: Findings,
    pub(crate) verbatim: bool,
    chains: Chains,
}

impl<'a> Comparison<'a> {
    fn new(theirs: &'a SchemaTree, reader: &'a TypeInfo) -> Self {
        Self {
            type_name: reader.name(),
            theirs,
            ours: reader.tree(),
            reader: 0,
            seen: BTreeMap::new(),
            standing: Vec::new(),
            steps: Vec::new(),
            depth: 0,
            pairs: 0,
            findings: Findings::default(),
            verbatim: true,
            chains: Chains::new(reader),
        }
    }

    pub(crate) fn mismatch(
        &self,
        theirs: String,
        ours: String,
        why: MismatchReason,
    ) -> Result<(), Mismatch> {
        let path = Path(&self.steps).text();
        Err(Mismatch::new(self.type_name, path, theirs, ours, why))
    }

    pub(crate) fn risk(&mut self, condition: String) {
        self.findings.risk(&self.steps, shorten(condition, MAX_TEXT_BYTES));
    }

    /// Runs a comparison one step further in.
    pub(crate) fn within<R>(&mut self, step: Step, compare: impl FnOnce(&mut Self) -> R) -> R {
        self.steps.push(step);
        let result = compare(self);
        self.steps.pop();
        result
    }

    /// Compares two types.
    pub(crate) fn compare(&mut self, theirs: &'a Type, ours: &'a Type) -> Result<(), Mismatch> {
        let before = std::mem::take(&mut self.standing);
        let result = self.compare_standing(theirs, ours);
        self.standing = before;
        result
    }

    /// Compares two types without having gone a step further into the writer's.
    fn compare_standing(&mut self, theirs: &'a Type, ours: &'a Type) -> Result<(), Mismatch> {
        self.pairs += 1;
        let pair = match (theirs, ours) {
            (Type::Named(their), Type::Named(our)) => Some((*their, self.reader, *our)),
            _ => None,
        };
        let endless = pair.is_some_and(|pair| self.standing.contains(&pair));
        if endless || self.depth > MAX_VALUE_DEPTH || self.pairs > MAX_PAIRS {
            let [theirs, ours] = [self.theirs.brief(theirs), self.ours.brief(ours)];
            return self.mismatch(theirs, ours, MismatchReason::TooComplex);
        }
        if let Some(pair) = pair {
            self.standing.push(pair);
            if let Some(met) = self.seen.get(&pair) {
                self.findings.again(met.as_ref(), &self.steps);
                return Ok(());
            }
            self.seen.insert(pair, None);
        }
        let start = self.findings.mark();
        self.depth += 1;
        if self.ours.is_checked(ours) {
            self.risk("the type itself refuses the value".to_owned());
        }
        let result = self.references(theirs, ours).and_then(|()| {
            match gap((self.theirs, theirs), (self.ours, ours)) {
                Some((their, our)) => self.chain(their, our),
                None => self.names(theirs, ours).and_then(|()| self.unwrapped(theirs, ours)),
            }
        });
        self.depth -= 1;
        if let Some(pair) = pair {
            self.seen.insert(pair, Some(self.findings.since(start, self.steps.len())));
        }
        result
    }

    /// Compares whom two pids belong to.
    fn references(&self, theirs: &Type, ours: &Type) -> Result<(), Mismatch> {
        let Some(ours) = self.ours.reference(ours) else { return Ok(()) };
        let of = |name| format!("the pid of a process that takes {name}");
        match self.theirs.reference(theirs) {
            None => self.mismatch("a plain pid".to_owned(), of(ours), MismatchReason::Kind),
            // Whichever version it takes: what is sent there is compared when it is sent.
            Some(theirs) if theirs != ours => {
                self.mismatch(of(theirs), of(ours), MismatchReason::Name)
            }
            Some(_) => Ok(()),
        }
    }

    /// Compares what the authors call two types, where both have said something.
    fn names(&self, theirs: &Type, ours: &Type) -> Result<(), Mismatch> {
        let [their, our] = [(self.theirs, theirs), (self.ours, ours)];
        let said = |(tree, ty): (&'a SchemaTree, _)| {
            tree.claims(ty).map(|claim| (claim.name, claim.version))
        };
        let silent = said(their).next().is_none() || said(our).next().is_none();
        if silent || said(their).eq(said(our)) {
            return Ok(());
        }
        let [theirs, ours] = [their, our].map(|(tree, ty)| {
            tree.claims(ty).map(|claim| claim.to_string()).collect::<Vec<_>>().join(" of ")
        });
        self.mismatch(theirs, ours, MismatchReason::Name)
    }

    /// Finds the conversions from one named type to another, and compares the writer's with the old
    /// type from which they start.
    fn chain(&mut self, their: Claim<'a>, our: Claim<'a>) -> Result<(), Mismatch> {
        let conversions = self.chains.reader(self.reader).conversions(our.number);
        let Some(steps) = route(conversions, their.version) else {
            let [theirs, ours] = [their, our].map(|claim| claim.to_string());
            return self.mismatch(theirs, ours, MismatchReason::Version);
        };
        self.verbatim = false;
        for step in steps.iter().filter(|step| step.may_fail) {
            self.risk(format!("the conversion from {} to {} refuses it", step.from, step.to));
        }
        self.findings.convert(&self.steps, our.name, (their.version, our.version));
        let reader = self.chains.number(&steps[0].from);
        let old = self.chains.reader(reader).tree().clone();
        self.chains.insert((their.number, self.reader, our.number), Chain { steps, reader });
        // The same walk goes on, with the old type in the place of ours.
        let mut older = Comparison {
            type_name: self.type_name,
            theirs: self.theirs,
            ours: &old,
            reader,
            seen: std::mem::take(&mut self.seen),
            standing: std::mem::take(&mut self.standing),
            steps: std::mem::take(&mut self.steps),
            depth: self.depth,
            pairs: self.pairs,
            findings: std::mem::take(&mut self.findings),
            verbatim: self.verbatim,
            chains: std::mem::take(&mut self.chains),
        };
        let result = older.compare_standing(their.ty, &old.root);
        self.pairs = older.pairs;
        (self.seen, self.standing, self.steps) = (older.seen, older.standing, older.steps);
        (self.findings, self.chains) = (older.findings, older.chains);
        result
    }

    /// Compares two types, once their wrappers have been looked at.
    fn unwrapped(&mut self, theirs: &'a Type, ours: &'a Type) -> Result<(), Mismatch> {
        match (self.theirs.unwrapped(theirs), self.ours.unwrapped(ours)) {
            (Type::Option(theirs), Type::Option(ours)) => self.compare(theirs, ours),
            (_, Type::Option(ours)) => {
                self.verbatim = false;
                self.compare_standing(theirs, ours)
            }
            (Type::Option(theirs), _) => {
                self.verbatim = false;
                self.risk("the value is absent".to_owned());
                self.compare(theirs, ours)
            }
            (Type::Scalar(their), Type::Scalar(our)) => self.scalars(*their, *our),
            (Type::Seq(their), Type::Seq(our))
            | (Type::Set(their), Type::Set(our) | Type::Seq(our)) => {
                self.within(Step::Element, |inner| inner.compare(their, our))
            }
            (Type::Map(their_key, their_value), Type::Map(our_key, our_value)) => {
                self.within(Step::Key, |inner| inner.compare(their_key, our_key))?;
                self.within(Step::Value, |inner| inner.compare(their_value, our_value))
            }
            (theirs, ours) => self.compounds(theirs, ours),
        }
    }

    fn scalars(&mut self, theirs: Scalar, ours: Scalar) -> Result<(), Mismatch> {
        if theirs == ours {
            return Ok(());
        }
        self.verbatim = false;
        if let (Some(their), Some(our)) = (theirs.range(), ours.range()) {
            if !(our.0 <= their.0 && their.1 <= our.1) {
                self.risk(format!("the number does not fit into {}", ours.name()));
            }
            return Ok(());
        }
        if (theirs, ours) == (Scalar::F32, Scalar::F64) {
            return Ok(());
        }
        self.mismatch(theirs.name().to_owned(), ours.name().to_owned(), MismatchReason::Kind)
    }
}

impl Definition<Type> {
    /// Its name, with the version where it has one.
    pub(crate) fn called(&self) -> String {
        match self.version {
            Some(version) => format!("{}@{version}", self.name),
            None => self.name.clone(),
        }
    }
}

impl SchemaTree {
    /// A type in a few words: named types by their names.
    pub(crate) fn brief(&self, ty: &Type) -> String {
        match ty {
            Type::Scalar(scalar) => scalar.name().to_owned(),
            Type::Option(item) => format!("option<{}>", self.brief(item)),
            Type::Seq(item) => format!("seq<{}>", self.brief(item)),
            Type::Set(item) => format!("set<{}>", self.brief(item)),
            Type::Array(item, length) => format!("array<{}, {length}>", self.brief(item)),
            Type::Map(key, value) => format!("map<{}, {}>", self.brief(key), self.brief(value)),
            Type::Tuple(items) => {
                let each: Vec<_> = items.iter().map(|item| self.brief(item)).collect();
                format!("tuple({})", each.join(", "))
            }
            Type::Named(number) => self.definition(*number).called(),
        }
    }
}

impl Scalar {
    /// An integer's range; the top of `u128` stands beyond that of `i128`.
    const fn range(self) -> Option<(i128, u128)> {
        Some(match self {
            Self::I8 => (i8::MIN as i128, i8::MAX as u128),
            Self::I16 => (i16::MIN as i128, i16::MAX as u128),
            Self::I32 => (i32::MIN as i128, i32::MAX as u128),
            Self::I64 => (i64::MIN as i128, i64::MAX as u128),
            Self::I128 => (i128::MIN, i128::MAX as u128),
            Self::U8 => (0, u8::MAX as u128),
            Self::U16 => (0, u16::MAX as u128),
            Self::U32 => (0, u32::MAX as u128),
            Self::U64 => (0, u64::MAX as u128),
            Self::U128 => (0, u128::MAX),
            _ => return None,
        })
    }
}

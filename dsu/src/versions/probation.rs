//! Probation of a version: for a while after its activation it goes back by itself when too much of what it does
//! fails (U6). Processes go back one by one besides (`hosted/probation.rs`); this brings back the others.
//!
//! What decides is [`judge`], which is pure. Around it a version counts.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use midflight_runtime::Instant;
use parking_lot::Mutex;

use super::Version;
use crate::hash::ContentAddress;
use crate::hosted::ProbationLimits;

/// What a version has done on a node since its activation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    /// Messages that were handled well.
    handled: u64,
    /// Messages that its code could not read, or whose handlers failed and left the process.
    errors: u64,
    /// Processes that it failed and that went back.
    returned: u64,
    /// Processes that ended by its fault, or could not begin.
    ended: u64,
    /// Processes that run in it, and say that they are not well.
    unhealthy: u64,
}

/// Something that failed in a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A message: the process goes on.
    Message,
    /// A process went back to the version before.
    Returned,
    /// A process ended, or could not begin.
    Ended,
    /// A process says that it is not well, and goes on.
    Unhealthy,
}

/// Why a version goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Processes { returned: u64, ended: u64, unhealthy: u64 },
    Errors { errors: u64, messages: u64 },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Processes { returned, ended, unhealthy: 0 } => {
                write!(f, "{returned} of its processes went back and {ended} ended by its fault")
            }
            Self::Processes { returned, ended, unhealthy } => write!(
                f,
                "{returned} of its processes went back, {ended} ended by its fault and {unhealthy} are not well"
            ),
            Self::Errors { errors, messages } => {
                write!(f, "{errors} of {messages} messages failed")
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    GoesOn,
    GoesBack(Fault),
    /// The while is over.
    Over,
}

/// Whether a version goes on, by what it has done so far. `left` processes run in it; none is
/// said while those that are being switched to it are not all there.
fn judge(
    limits: &ProbationLimits,
    counts: Counts,
    left: Option<u64>,
    until: Instant,
    now: Instant,
) -> Verdict {
    if now >= until {
        return Verdict::Over;
    }
    let Counts { handled, errors, returned, ended, unhealthy } = counts;
    let failed = returned + ended + unhealthy;
    let max = u64::from(limits.failed_processes);
    // One that is not well runs all the same.
    let well = left.map(|left| left.saturating_sub(unhealthy));
    let enough = well.map_or(max, |well| max.min(failed + well));
    if limits.failed_processes > 0 && failed > 0 && failed >= enough {
        return Verdict::GoesBack(Fault::Processes { returned, ended, unhealthy });
    }
    let errors = errors + returned + ended;
    let messages = handled + errors;
    let many = errors.saturating_mul(100) >= messages.saturating_mul(limits.error_percent.into());
    if errors > 0 && many && messages >= limits.error_messages {
        return Verdict::GoesBack(Fault::Errors { errors, messages });
    }
    Verdict::GoesOn
}

/// That a version is to go back, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GoBack {
    pub(crate) bundle: String,
    pub(crate) from: ContentAddress,
    /// What was current before.
    pub(crate) to: ContentAddress,
    pub(crate) why: String,
}

/// A version's probation, and what is known of the last.
#[derive(Debug, Default)]
pub(super) struct Probation {
    /// Whether it is on; looked at after each turn of a process.
    on: AtomicBool,
    handled: AtomicU64,
    /// All that have failed in it, whichever probation it was.
    failures: AtomicU64,
    course: Mutex<Course>,
}

#[derive(Debug, Default)]
struct Course {
    running: Option<Running>,
    /// Why it goes back.
    fault: Option<String>,
}

#[derive(Debug)]
struct Running {
    limits: ProbationLimits,
    before: ContentAddress,
    until: Instant,
    counts: Counts,
    /// Whether all processes that are switched to it at its activation are there.
    all_there: bool,
    /// What the first that was not well has said.
    why_unhealthy: Option<String>,
}

impl Version {
    /// It has taken the place of `before`; what is switched to it is yet to come.
    pub(crate) fn begin_probation(
        &self,
        limits: ProbationLimits,
        before: ContentAddress,
        now: Instant,
    ) {
        if limits.messages == 0 {
            return;
        }
        let until = now + limits.time;
        let (counts, all_there) = (Counts::default(), false);
        let why_unhealthy = None;
        let running = Running { limits, before, until, counts, all_there, why_unhealthy };
        let mut course = self.probation.course.lock();
        *course = Course { running: Some(running), fault: None };
        self.probation.handled.store(0, Ordering::Relaxed);
        self.probation.on.store(true, Ordering::Release);
    }

    /// Whatever it does from here on, it stays.
    pub(crate) fn end_probation(&self) {
        self.probation.on.store(false, Ordering::Release);
        self.probation.course.lock().running = None;
    }

    /// Ends its probation, if the while is over.
    pub(crate) fn look_at_probation(&self, now: Instant) {
        let on = self.probation.on.load(Ordering::Acquire);
        if on && self.probation_until().is_none_or(|until| now >= until) {
            self.end_probation();
        }
    }

    fn probation_until(&self) -> Option<Instant> {
        Some(self.probation.course.lock().running.as_ref()?.until)
    }

    /// Whether it may go back by itself.
    #[must_use]
    pub fn is_on_probation(&self) -> bool {
        self.probation.on.load(Ordering::Acquire)
    }

    /// Messages and processes that it has failed while it was on probation.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.probation.failures.load(Ordering::Relaxed)
    }

    /// Why it goes back by itself, or should and could not.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        self.probation.course.lock().fault.clone()
    }

    /// It should go back, and cannot.
    pub(crate) fn cannot_go_back(&self, why: &str) {
        if let Some(fault) = &mut self.probation.course.lock().fault {
            fault.push_str("; it could not go back: ");
            fault.push_str(why);
        }
    }

    /// So many messages were handled well.
    pub(crate) fn handled(&self, messages: u32) {
        self.count_handled(messages);
        if self.probation.on.load(Ordering::Relaxed) {
            self.probation.handled.fetch_add(messages.into(), Ordering::Relaxed);
        }
    }

    /// Something has failed in it; `left` processes run in it besides. Answers, once, that it is to go back.
    pub(crate) fn failed(&self, failure: Failure, left: usize, now: Instant) -> Option<GoBack> {
        self.count_failed(failure);
        if !self.probation.on.load(Ordering::Acquire) {
            return None;
        }
        let mut course = self.probation.course.lock();
        let running = course.running.as_mut()?;
        let counts = &mut running.counts;
        match failure {
            Failure::Message => counts.errors += 1,
            Failure::Returned => counts.returned += 1,
            Failure::Ended => counts.ended += 1,
            Failure::Unhealthy => counts.unhealthy += 1,
        }
        if now < running.until {
            self.probation.failures.fetch_add(1, Ordering::Relaxed);
        }
        self.decide(&mut course, left, now)
    }

    /// One of its processes has said why it is not well; the first is told of.
    pub(crate) fn is_not_well(&self, why: &str) {
        if let Some(running) = &mut self.probation.course.lock().running {
            running.why_unhealthy.get_or_insert_with(|| why.to_owned());
        }
    }

    /// A process that was not well went back or has ended.
    pub(crate) fn leaves_unwell(&self, failure: Failure) {
        let leaves = matches!(failure, Failure::Returned | Failure::Ended);
        if let Some(running) = self.probation.course.lock().running.as_mut().filter(|_| leaves) {
            running.counts.unhealthy = running.counts.unhealthy.saturating_sub(1);
        }
    }

    /// All processes that were to be switched to it are there, or stay elsewhere; `left` run in it now. Answers, once,
    /// that it is to go back: what failed before may have been all that was to run in it.
    pub(crate) fn all_are_there(&self, left: usize, now: Instant) -> Option<GoBack> {
        let mut course = self.probation.course.lock();
        if std::mem::replace(&mut course.running.as_mut()?.all_there, true) {
            return None;
        }
        self.decide(&mut course, left, now)
    }

    fn decide(&self, course: &mut Course, left: usize, now: Instant) -> Option<GoBack> {
        let running = course.running.as_mut()?;
        running.counts.handled = self.probation.handled.load(Ordering::Relaxed);
        let left = running.all_there.then_some(left as u64);
        let verdict = judge(&running.limits, running.counts, left, running.until, now);
        if verdict == Verdict::GoesOn {
            return None;
        }
        let (before, said) = (running.before, running.why_unhealthy.take());
        course.running = None;
        self.probation.on.store(false, Ordering::Release);
        let Verdict::GoesBack(fault) = verdict else { return None };
        let why = match said {
            Some(said) => format!("{fault}: {said}"),
            None => fault.to_string(),
        };
        course.fault = Some(why.clone());
        Some(GoBack { bundle: self.name.clone(), from: self.address, to: before, why })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const BEGAN: Instant = Instant::from_nanos(0);

    fn limits() -> ProbationLimits {
        ProbationLimits {
            failed_processes: 3,
            error_percent: 20,
            error_messages: 50,
            ..ProbationLimits::default()
        }
    }

    fn verdict((handled, errors, returned, ended): (u64, u64, u64, u64), left: u64) -> Verdict {
        let counts = Counts { handled, errors, returned, ended, unhealthy: 0 };
        judge(&limits(), counts, Some(left), BEGAN + Duration::from_secs(30), BEGAN)
    }

    fn goes_back(counts: (u64, u64, u64, u64), left: u64) -> bool {
        matches!(verdict(counts, left), Verdict::GoesBack(_))
    }

    #[test]
    fn so_many_processes_bring_it_back_however_they_failed() {
        assert!(!goes_back((1_000, 0, 2, 0), 100));
        assert!(goes_back((1_000, 0, 3, 0), 100));
        assert!(goes_back((1_000, 0, 1, 2), 100));
        assert!(goes_back((1_000, 0, 0, 3), 100));
    }

    #[test]
    fn where_fewer_run_all_of_them_do() {
        assert!(goes_back((10, 0, 1, 0), 0));
        assert!(!goes_back((10, 0, 1, 0), 1));
        assert!(goes_back((10, 0, 1, 1), 0));
        assert!(!goes_back((10, 0, 0, 0), 0), "nobody has failed");
    }

    #[test]
    fn one_that_is_not_well_counts_and_runs_all_the_same() {
        let unhealthy = |unhealthy, left| {
            let counts = Counts { unhealthy, ..Counts::default() };
            judge(&limits(), counts, Some(left), BEGAN + Duration::from_secs(30), BEGAN)
        };
        assert_eq!(unhealthy(1, 2), Verdict::GoesOn, "the other is well");
        assert!(matches!(unhealthy(2, 2), Verdict::GoesBack(_)), "all of them");
        assert_eq!(unhealthy(2, 100), Verdict::GoesOn);
        let Verdict::GoesBack(fault) = unhealthy(3, 100) else { panic!("it stays") };
        assert!(fault.to_string().ends_with("and 3 are not well"), "{fault}");
    }

    #[test]
    fn while_processes_are_on_their_way_nobody_knows_whether_fewer_run() {
        let until = BEGAN + Duration::from_secs(30);
        let verdict = |ended| {
            let counts = Counts { ended, ..Counts::default() };
            judge(&limits(), counts, None, until, BEGAN)
        };
        assert_eq!(verdict(2), Verdict::GoesOn);
        assert!(matches!(verdict(3), Verdict::GoesBack(_)));
    }

    #[test]
    fn a_rate_counts_once_there_were_enough_messages() {
        assert!(!goes_back((0, 49, 0, 0), 100), "too few to say");
        assert!(goes_back((0, 50, 0, 0), 100));
        assert!(goes_back((40, 10, 0, 0), 100));
        assert!(!goes_back((41, 10, 0, 0), 100));
        assert!(goes_back((40, 8, 2, 0), 100), "a process that went back failed at a message");
        assert!(!goes_back((1_000, 0, 0, 0), 100));
    }

    #[test]
    fn after_the_while_it_stays() {
        let counts = Counts { errors: 1_000, returned: 1_000, ..Counts::default() };
        let until = BEGAN + Duration::from_secs(30);
        assert_eq!(judge(&limits(), counts, Some(0), until, until), Verdict::Over);
    }

    #[test]
    fn each_limit_can_be_taken_off() {
        let until = BEGAN + Duration::from_secs(30);
        let counts = Counts { errors: 1_000, returned: 1_000, ..Counts::default() };
        let off = ProbationLimits { failed_processes: 0, error_percent: 101, ..limits() };
        assert_eq!(judge(&off, counts, Some(0), until, BEGAN), Verdict::GoesOn);
        let errors = ProbationLimits { failed_processes: 0, ..limits() };
        assert!(matches!(
            judge(&errors, counts, Some(0), until, BEGAN),
            Verdict::GoesBack(Fault::Errors { .. })
        ));
    }
}

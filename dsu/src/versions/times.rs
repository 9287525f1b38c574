//! Times in steps of about a tenth, as counting them needs: eight steps for each doubling, from a nanosecond up. (That is how
//! HdrHistogram does it, with three bits.)

use std::collections::BTreeMap;
use std::time::Duration;

/// Bits of a time that are kept below its highest.
const BITS: u32 = 3;
/// Steps for each doubling.
const EACH: u32 = 1 << BITS;
/// Steps that there are.
const STEPS: u32 = (u64::BITS - BITS + 1) * EACH;

/// The step that a time is in.
pub(crate) fn step(time: Duration) -> u16 {
    let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let high = (u64::BITS - nanos.leading_zeros()).saturating_sub(BITS + 1);
    let step = u64::from(high * EACH) + (nanos >> high);
    u16::try_from(step).unwrap_or(u16::MAX)
}

/// Where a step begins, in nanoseconds.
fn begin(step: u16) -> u64 {
    // Others may say what is none.
    let step = u32::from(step).min(STEPS - 1);
    let high = (step / EACH).saturating_sub(1);
    u64::from(step - high * EACH).checked_shl(high).unwrap_or(u64::MAX)
}

/// How many steps longer something is that takes so many percent longer; at least one.
pub(crate) fn steps(percent: u32) -> u16 {
    let steps = f64::from(EACH) * (1.0 + f64::from(percent) / 100.0).log2();
    // At the most some two hundred.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is between 1 and 300"
    )]
    let steps = steps.round().max(1.0) as u16;
    steps
}

/// The time within which half of them are, in nanoseconds.
pub(crate) fn median(times: &BTreeMap<u16, u64>) -> u64 {
    let half = times.values().sum::<u64>().div_ceil(2);
    let mut below = 0;
    let middle = times.iter().find(|(_, count)| {
        below += **count;
        below >= half
    });
    middle.map_or(0, |(step, _)| begin(*step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_is_in_its_step_and_steps_are_an_eighth_at_the_most() {
        let mut before = 0;
        for nanos in (0..2_000).chain([u64::MAX / 3, u64::MAX / 2, u64::MAX]) {
            let at = step(Duration::from_nanos(nanos));
            assert!(at >= before && u32::from(at) < STEPS, "{nanos}: {at}");
            let width = begin(at + 1).saturating_sub(begin(at));
            assert!(
                begin(at) <= nanos && width <= (begin(at) / 8).max(1),
                "{nanos}: {at}, {width}"
            );
            before = at;
        }
    }

    #[test]
    fn half_as_long_again_is_more_than_a_quarter() {
        assert_eq!((steps(0), steps(25), steps(100)), (1, 3, 8));
        for nanos in [1_000, 123_456, 10_000_000] {
            let longer =
                step(Duration::from_nanos(nanos * 3 / 2)) - step(Duration::from_nanos(nanos));
            assert!(longer > steps(25), "{nanos}: {longer}");
        }
        assert_eq!(median(&BTreeMap::from([(8, 2), (16, 2)])), 8);
        assert_eq!(median(&BTreeMap::new()), 0);
    }
}

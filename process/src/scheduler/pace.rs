//! How often the clock is looked at where that costs more than what is timed, and how long a turn may last by it.
//! Pure.

use std::time::Duration;

use midflight_runtime::Instant;

/// Steps between two looks at the clock, where steps are short. Where they are not, it is looked at more often, so
/// that nothing lasts many times as long as it should.
const STEPS_PER_LOOK_MAX: u32 = 32;
/// The same for a process of which nothing is known yet.
const STEPS_PER_LOOK_FIRST: u32 = 4;

/// How many steps there are between two looks at the clock: fewer when they are long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    steps_per_look: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { steps_per_look: STEPS_PER_LOOK_FIRST }
    }
}

impl Pace {
    pub(crate) const fn steps_per_look(self) -> u32 {
        self.steps_per_look
    }

    /// The last steps took so long, of a slice of time.
    pub(crate) fn took(&mut self, took: Duration, slice: Duration) {
        let steps = self.steps_per_look;
        self.steps_per_look = match took {
            long if long > slice / 4 => (steps / 2).max(1),
            short if short < slice / 16 => (steps * 2).min(STEPS_PER_LOOK_MAX),
            _ => steps,
        };
    }
}

/// What one turn has lasted.
#[derive(Debug, Default)]
pub(crate) struct Spent {
    messages: usize,
    /// When the clock is looked at next, in messages.
    next_look: usize,
    /// When it was looked at first, and last.
    looked: Option<(Instant, Instant)>,
}

impl Spent {
    /// Whether one more message may be handled, of so many at the most, in a slice of time. The first look only
    /// says when it was: a turn of few messages costs none.
    pub(crate) fn goes_on(
        &mut self,
        pace: &mut Pace,
        (messages_max, slice): (usize, Duration),
        now: impl FnOnce() -> Instant,
    ) -> bool {
        if self.messages >= messages_max {
            return false;
        }
        if self.messages == self.next_look {
            if self.messages > 0 && self.is_over(pace, slice, now()) {
                return false;
            }
            self.next_look += pace.steps_per_look() as usize;
        }
        self.messages += 1;
        true
    }

    fn is_over(&mut self, pace: &mut Pace, slice: Duration, now: Instant) -> bool {
        let Some((first, last)) = self.looked else {
            self.looked = Some((now, now));
            return false;
        };
        pace.took(now.since(last), slice);
        self.looked = Some((first, now));
        now.since(first) >= slice
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const SLICE: Duration = Duration::from_micros(150);
    const MESSAGES_MAX: usize = 256;

    /// A process whose messages take so long each; the clock counts who looks at it.
    struct Clock {
        now: Cell<Instant>,
        looks: Cell<usize>,
    }

    impl Clock {
        /// Gives a turn in which `there` messages lie. Answers how many were handled.
        fn turn(&self, pace: &mut Pace, there: usize, each: Duration) -> usize {
            let mut spent = Spent::default();
            let look = || {
                self.looks.set(self.looks.get() + 1);
                self.now.get()
            };
            (0..there)
                .take_while(|_| {
                    let goes_on = spent.goes_on(pace, (MESSAGES_MAX, SLICE), look);
                    self.now.set(self.now.get() + if goes_on { each } else { Duration::ZERO });
                    goes_on
                })
                .count()
        }
    }

    fn clock() -> Clock {
        Clock { now: Cell::default(), looks: Cell::default() }
    }

    #[test]
    fn slow_handlers_end_a_turn_soon_and_fast_ones_by_their_number() {
        let (clock, mut pace) = (clock(), Pace::default());
        let (slow, fast) = (Duration::from_millis(1), Duration::from_nanos(200));
        assert_eq!(clock.turn(&mut pace, 1_000, slow), 8, "nothing was known of it");
        for _ in 0..2 {
            clock.turn(&mut pace, 1_000, slow);
        }
        assert_eq!(clock.turn(&mut pace, 1_000, slow), 2);
        for _ in 0..3 {
            clock.turn(&mut pace, 1_000, fast);
        }
        assert_eq!(clock.turn(&mut pace, 1_000, fast), MESSAGES_MAX);
        assert_eq!(clock.turn(&mut pace, 1_000, slow), 64, "it had been fast");
        // Neither: the slice is all it gets.
        for _ in 0..8 {
            clock.turn(&mut pace, 1_000, SLICE / 10);
        }
        assert!((10..16).contains(&clock.turn(&mut pace, 1_000, SLICE / 10)));
    }

    #[test]
    fn the_clock_is_looked_at_seldom_where_handlers_are_fast() {
        let (clock, mut pace) = (clock(), Pace::default());
        let fast = Duration::from_nanos(200);
        for _ in 0..100 {
            assert_eq!(clock.turn(&mut pace, 3, fast), 3);
        }
        assert_eq!(clock.looks.get(), 0, "few messages cost no look");
        clock.turn(&mut pace, 1_000, fast);
        clock.looks.set(0);
        assert_eq!(clock.turn(&mut pace, 1_000, fast), MESSAGES_MAX);
        assert!(clock.looks.get() < MESSAGES_MAX / 32, "{}", clock.looks.get());
    }
}

//! How often to say in the log that somebody got no link, or has lost one. Pure.
//!
//! The first few reasons in a while are said, the others are counted: a peer that fails a thousand
//! times a second must not fill a disk, and must not hide what else is said.

use std::time::Duration;

/// So many are said within a [`WHILE`].
const SAID_MAX: u32 = 16;
const WHILE: Duration = Duration::from_secs(10);

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    began: Option<Duration>,
    said: u32,
    unsaid: u64,
}

impl Complaints {
    /// Whether to say one more, and if so how many have not been said since the last.
    pub(crate) fn say(&mut self, now: Duration) -> Option<u64> {
        if self.began.is_none_or(|began| now.saturating_sub(began) >= WHILE) {
            self.began = Some(now);
            self.said = 0;
        }
        if self.said >= SAID_MAX {
            self.unsaid += 1;
            return None;
        }
        self.said += 1;
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_the_count_is_said() {
        let mut complaints = Complaints::default();
        let now = Duration::from_secs(100);
        for _ in 0..SAID_MAX {
            assert_eq!(complaints.say(now), Some(0));
        }
        for _ in 0..1000 {
            assert_eq!(complaints.say(now + WHILE / 2), None);
        }
        assert_eq!(complaints.say(now + WHILE), Some(1000));
        assert_eq!(complaints.say(now + WHILE), Some(0));
    }
}

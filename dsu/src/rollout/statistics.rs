//! Comparing what is new with what is old by numbers alone. Each is a known method under its name, and says how sure one
//! may be; what follows from that is with the [`gates`](super::gates).

use std::collections::BTreeMap;

/// One error in a thousand: how sure to be before something is stopped, since it is looked at again and again.
pub(crate) const TO_STOP: f64 = 3.09;
/// One in a hundred: how sure to be before something is let through.
pub(crate) const TO_GO: f64 = 2.33;

/// So many of so many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) hits: u64,
    pub(crate) of: u64,
}

impl Share {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    fn rate(self) -> f64 {
        if self.of == 0 { 0.0 } else { self.hits as f64 / self.of as f64 }
    }

    /// Wilson's score interval (1927): where the true share lies. It holds for few hits and for none, where the usual
    /// one does not.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    fn interval(self, z: f64) -> (f64, f64) {
        if self.of == 0 {
            return (0.0, 1.0);
        }
        let (p, n, z2) = (self.rate(), self.of as f64, z * z);
        let middle = p + z2 / (2.0 * n);
        let half = z * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
        let scale = 1.0 + z2 / n;
        (((middle - half) / scale).max(0.0), ((middle + half) / scale).min(1.0))
    }
}

/// By how much the share of `new` is higher than that of `old`: the bounds of the difference. Newcombe's hybrid of two score
/// intervals (Statistics in Medicine 17, 1998, method 10).
pub(crate) fn difference(new: Share, old: Share, z: f64) -> (f64, f64) {
    let (p1, p2) = (new.rate(), old.rate());
    let ((low1, high1), (low2, high2)) = (new.interval(z), old.interval(z));
    let below = ((p1 - low1).powi(2) + (high2 - p2).powi(2)).sqrt();
    let above = ((high1 - p1).powi(2) + (p2 - low2).powi(2)).sqrt();
    (p1 - p2 - below, p1 - p2 + above)
}

/// How often each value was seen.
pub(crate) type Seen = BTreeMap<u16, u64>;

/// By how many standard deviations the values of `new` rank above those of `old`: the test of Mann and Whitney (1947), with
/// its correction for equal values. It asks for no shape of either, and one long pause counts as one.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) fn ranks_higher(new: &Seen, old: &Seen) -> f64 {
    let (n, m) = (new.values().sum::<u64>() as f64, old.values().sum::<u64>() as f64);
    let all = n + m;
    if n == 0.0 || m == 0.0 {
        return 0.0;
    }
    let values: std::collections::BTreeSet<u16> = new.keys().chain(old.keys()).copied().collect();
    let (mut below, mut u, mut ties) = (0.0, 0.0, 0.0);
    for value in values {
        let count = |of: &Seen| of.get(&value).copied().unwrap_or(0) as f64;
        let (of_new, of_old) = (count(new), count(old));
        u += of_new * (below + of_old / 2.0);
        below += of_old;
        let equal = of_new + of_old;
        ties += equal * (equal * equal - 1.0);
    }
    let variance = n * m / 12.0 * (all + 1.0 - ties / (all * (all - 1.0)));
    // All are equal: neither ranks higher.
    if variance <= 0.0 { 0.0 } else { (u - n * m / 2.0) / variance.sqrt() }
}

/// By how many standard deviations a row of numbers grows: the test for a trend of Mann (1945) and Kendall.
#[expect(clippy::cast_precision_loss, reason = "rows are short")]
pub(crate) fn grows(row: &[f64]) -> f64 {
    let mut s = 0.0_f64;
    for (at, later) in row.iter().enumerate() {
        for earlier in &row[..at] {
            s += if later > earlier {
                1.0
            } else if later < earlier {
                -1.0
            } else {
                0.0
            };
        }
    }
    let n = row.len() as f64;
    let mut sorted = row.to_vec();
    sorted.sort_by(f64::total_cmp);
    let ties = sorted.chunk_by(|one, other| one == other).map(|equal| {
        let t = equal.len() as f64;
        t * (t - 1.0) * (2.0 * t + 5.0)
    });
    let variance = (n * (n - 1.0) * (2.0 * n + 5.0) - ties.sum::<f64>()) / 18.0;
    if variance <= 0.0 || s == 0.0 { 0.0 } else { (s - s.signum()) / variance.sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn share(hits: u64, of: u64) -> Share {
        Share { hits, of }
    }

    fn near(one: f64, other: f64) -> bool {
        (one - other).abs() < 5e-4
    }

    /// The first two examples of Newcombe's table II, by his method 10.
    #[test]
    fn the_difference_of_two_shares_is_that_of_the_paper() {
        let (low, high) = difference(share(56, 70), share(48, 80), 1.96);
        assert!(near(low, 0.0524) && near(high, 0.3339), "{low} {high}");
        let (low, high) = difference(share(9, 10), share(3, 10), 1.96);
        assert!(near(low, 0.1705) && near(high, 0.8090), "{low} {high}");
        let (low, high) = difference(share(0, 10), share(0, 10), 1.96);
        assert!(near(low, -0.2775) && near(high, 0.2775), "{low} {high}");
    }

    #[test]
    fn of_nothing_nothing_is_known() {
        assert_eq!(difference(share(0, 0), share(0, 0), TO_GO), (-1.0, 1.0));
        assert!(ranks_higher(&Seen::new(), &Seen::from([(3, 7)])).abs() < f64::EPSILON);
        assert!(grows(&[]).abs() < f64::EPSILON && grows(&[1.0; 20]).abs() < f64::EPSILON);
    }

    /// By hand: of 1, 2, 4 and 3, 5, 6 the second rank higher in 8 of 9 pairs; 4.5 would be equal, and the variance is 5.25.
    #[test]
    fn ranks_are_those_of_the_book() {
        let of = |values: &[u16]| values.iter().map(|value| (*value, 1)).collect::<Seen>();
        let z = ranks_higher(&of(&[3, 5, 6]), &of(&[1, 2, 4]));
        assert!(near(z, 3.5 / 5.25_f64.sqrt()), "{z}");
        let same = Seen::from([(4, 100)]);
        assert!(ranks_higher(&same, &same).abs() < f64::EPSILON);
        // Of 1, 2, 2 and 1, 1, 2: six of nine pairs, equal ones for a half; equal values make the variance smaller.
        let z = ranks_higher(&Seen::from([(1, 1), (2, 2)]), &Seen::from([(1, 2), (2, 1)]));
        assert!(near(z, 1.5 / 4.05_f64.sqrt()), "{z}");
    }

    #[test]
    fn a_row_that_only_grows_does_so_and_one_that_swings_does_not() {
        let row: Vec<f64> = (0..10).map(f64::from).collect();
        // S is 45, and the variance 125.
        assert!(near(grows(&row), 44.0 / 125.0_f64.sqrt()), "{}", grows(&row));
        let swings: Vec<f64> = (0..10).map(|n| f64::from(n % 2)).collect();
        assert!(grows(&swings) < 1.0);
        let shrinks: Vec<f64> = row.iter().rev().copied().collect();
        assert!(grows(&shrinks) < -TO_STOP);
    }
}

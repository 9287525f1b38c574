//! What is measured of a transport, how much of it, and what the figures are called.

use std::time::Duration;

use clap::ValueEnum;

use crate::args::Size;
use crate::payload::SMALL;
use crate::report::{Figure, Unit};

/// What the bytes travel over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Wire {
    Tcp,
    Tls,
}

/// What is done. Each is described in `README.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Stream64B,
    Stream64KiB,
    Stream1MiB,
    RoundTrips,
    /// Round trips beside a stream of 1 MiB messages without pause.
    BesideStream,
    /// Round trips for as long as one huge message takes.
    BesideHuge,
}

/// Bytes of a message of the stream beside round trips.
pub(super) const BESIDE: usize = 1 << 20;
/// Bytes of the huge message.
pub(super) const HUGE: usize = 256 << 20;
/// Bytes of a message that is sent back.
pub(super) const PING: usize = SMALL;

impl Shape {
    /// How many messages of how many bytes, if it is a stream.
    pub(super) const fn stream(self, size: Size) -> Option<(usize, usize)> {
        let len = match self {
            // Enough for a second of the fastest: two million are over before a core has woken up.
            Self::Stream64B => return Some((size.of(10_000_000), SMALL)),
            Self::Stream64KiB => 64 << 10,
            Self::Stream1MiB => 1 << 20,
            _ => return None,
        };
        Some((size.of(2 << 30) / len, len))
    }
}

/// Round trips before those that are measured.
pub(super) const fn warm_up(size: Size) -> usize {
    size.of(10_000)
}

/// Round trips that are measured, one after another.
pub(super) const fn round_trips(size: Size) -> usize {
    size.of(100_000)
}

/// How long round trips are measured beside a stream.
pub(super) const fn beside_time(size: Size) -> Duration {
    Duration::from_millis(size.of(3_000) as u64)
}

macro_rules! metrics {
    ($prefix:literal, $shape:expr) => {
        match $shape {
            Shape::Stream64B => {
                &[concat!($prefix, "stream_64B"), concat!($prefix, "stream_64B_cpu")]
            }
            Shape::Stream64KiB => {
                &[concat!($prefix, "stream_64KiB"), concat!($prefix, "stream_64KiB_cpu")]
            }
            Shape::Stream1MiB => {
                &[concat!($prefix, "stream_1MiB"), concat!($prefix, "stream_1MiB_cpu")]
            }
            Shape::RoundTrips => &[concat!($prefix, "rtt_median"), concat!($prefix, "rtt_p99")],
            Shape::BesideStream => &[
                concat!($prefix, "hol_rtt_median"),
                concat!($prefix, "hol_rtt_p99"),
                concat!($prefix, "hol_stream"),
            ],
            Shape::BesideHuge => {
                &[concat!($prefix, "hol256_rtt_median"), concat!($prefix, "hol256_rtt_max")]
            }
        }
    };
}

/// The names of the figures of a workload, in the order in which [`Measured::figures`] has them.
pub(crate) const fn metrics(wire: Wire, shape: Shape) -> &'static [&'static str] {
    match wire {
        Wire::Tcp => metrics!("transport_", shape),
        Wire::Tls => metrics!("transport_tls_", shape),
    }
}

/// What one run of a workload gave.
pub(super) enum Measured {
    Stream {
        count: usize,
        len: usize,
        seconds: f64,
        /// Of both OS processes.
        cpu: Duration,
    },
    /// Nanoseconds of round trips.
    RoundTrips(Vec<u64>),
    /// Nanoseconds of round trips, and bytes per second that went on beside them.
    BesideStream(Vec<u64>, f64),
    BesideHuge(Vec<u64>),
}

impl Measured {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub(super) fn figures(self, metrics: &[&str]) -> Vec<Figure> {
        const MEGA: f64 = 1e6;
        let micros = |nanos: u64| (nanos as f64 / 1e3, Unit::Microseconds);
        let at = |nanos: &[u64], share: usize| {
            let place = (nanos.len() * share / 100).min(nanos.len().saturating_sub(1));
            micros(nanos.get(place).copied().unwrap_or_default())
        };
        let figures = match self {
            Self::Stream { count, len, seconds, cpu } => {
                let rate = if len <= SMALL {
                    (count as f64 / seconds, Unit::PerSecond)
                } else {
                    ((count * len) as f64 / MEGA / seconds, Unit::MegabytesPerSecond)
                };
                vec![rate, (cpu.as_secs_f64() * MEGA / count as f64, Unit::CpuPerMillion)]
            }
            Self::RoundTrips(mut nanos) => {
                nanos.sort_unstable();
                vec![at(&nanos, 50), at(&nanos, 99)]
            }
            Self::BesideStream(mut nanos, beside) => {
                nanos.sort_unstable();
                let beside = (beside / MEGA, Unit::MegabytesPerSecond);
                vec![at(&nanos, 50), at(&nanos, 99), beside]
            }
            Self::BesideHuge(mut nanos) => {
                nanos.sort_unstable();
                vec![at(&nanos, 50), at(&nanos, 100)]
            }
        };
        let named = metrics.iter().zip(figures);
        named.map(|(metric, (value, unit))| Figure::new(metric, value, unit)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_has_a_name() {
        let nanos = || (1..=200_000).collect();
        let cpu = Duration::from_millis(500);
        let stream = Measured::Stream { count: 1_000_000, len: 64, seconds: 0.5, cpu };
        let all = [
            (Shape::Stream64B, stream, vec![2e6, 0.5]),
            (Shape::RoundTrips, Measured::RoundTrips(nanos()), vec![100.001, 198.001]),
            (
                Shape::BesideStream,
                Measured::BesideStream(nanos(), 5e6),
                vec![100.001, 198.001, 5.0],
            ),
            (Shape::BesideHuge, Measured::BesideHuge(nanos()), vec![100.001, 200.0]),
        ];
        for (shape, measured, values) in all {
            let metrics = metrics(Wire::Tls, shape);
            let figures = measured.figures(metrics);
            assert!(metrics.iter().all(|metric| metric.starts_with("transport_tls_")));
            assert_eq!(metrics.len(), values.len());
            assert_eq!(figures.iter().map(|figure| figure.value).collect::<Vec<_>>(), values);
        }
    }
}

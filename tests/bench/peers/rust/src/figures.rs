//! What is printed.

use std::time::{Duration, Instant};

/// `count` things since `began`.
pub(crate) fn rate(metric: &str, count: usize, began: Instant) {
    print(metric, count as f64 / began.elapsed().as_secs_f64(), "per_s");
}

/// So many bytes since `began`, in MB of 10^6.
pub(crate) fn throughput(metric: &str, bytes: usize, began: Instant) {
    print(metric, bytes as f64 / 1e6 / began.elapsed().as_secs_f64(), "MB_per_s");
}

/// Median, 99th percentile and rate of sequential round trips.
pub(crate) fn round_trips(mut times: Vec<Duration>) {
    let sum: Duration = times.iter().sum();
    times.sort_unstable();
    let at = |share: usize| times[times.len() * share / 100].as_nanos() as f64 / 1e3;
    print("remote_pingpong_rtt_median", at(50), "us");
    print("remote_pingpong_rtt_p99", at(99), "us");
    print("remote_pingpong_rate", times.len() as f64 / sum.as_secs_f64(), "per_s");
}

/// Growth of resident memory since `before`, a process.
pub(crate) fn memory(before: usize, processes: usize) -> Result<(), String> {
    let growth = resident()?.saturating_sub(before);
    print("process_memory", growth as f64 / processes as f64, "B");
    Ok(())
}

/// Resident bytes of this OS process.
pub(crate) fn resident() -> Result<usize, String> {
    let status = std::fs::read_to_string("/proc/self/status").map_err(|error| error.to_string())?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<usize>().ok());
    Ok(kib.ok_or("/proc/self/status has no VmRSS")? * 1_024)
}

fn print(metric: &str, value: f64, unit: &str) {
    println!("{metric} {value:.3} {unit}");
}

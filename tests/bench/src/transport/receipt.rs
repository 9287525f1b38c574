//! How the far side counts a stream, and what it says when the last message is there.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// What a stream was, as the far side saw it.
pub(crate) struct Receipt {
    /// Bytes of all messages.
    pub(crate) bytes: u64,
    /// What the far side's OS process has taken of the processor meanwhile.
    pub(crate) cpu: Duration,
}

impl Receipt {
    /// Its length on the wire; no message that is sent back has the same.
    pub(crate) const LEN: usize = 16;

    pub(crate) fn encode(&self) -> [u8; Self::LEN] {
        let cpu = u64::try_from(self.cpu.as_nanos()).unwrap_or(u64::MAX);
        let mut message = [0; Self::LEN];
        message[..8].copy_from_slice(&self.bytes.to_le_bytes());
        message[8..].copy_from_slice(&cpu.to_le_bytes());
        message
    }

    pub(crate) fn decode(message: &[u8]) -> Option<Self> {
        let (bytes, cpu) = message.split_first_chunk()?;
        let cpu = u64::from_le_bytes(cpu.try_into().ok()?);
        Some(Self { bytes: u64::from_le_bytes(*bytes), cpu: Duration::from_nanos(cpu) })
    }
}

/// Counts the messages of a stream.
pub(crate) struct Counter {
    left: u64,
    bytes: u64,
    cpu_before: Duration,
}

impl Counter {
    /// So many are to come.
    pub(crate) fn new(count: u64) -> Self {
        Self { left: count, bytes: 0, cpu_before: cpu() }
    }

    /// One more has come. The receipt, if it was the last.
    #[inline]
    pub(crate) fn add(&mut self, len: usize) -> Option<Receipt> {
        self.left = self.left.saturating_sub(1);
        self.bytes += len as u64;
        (self.left == 0).then(|| self.receipt())
    }

    #[cold]
    fn receipt(&self) -> Receipt {
        Receipt { bytes: self.bytes, cpu: cpu().saturating_sub(self.cpu_before) }
    }
}

/// What this OS process has taken of the processor, user and system.
pub(crate) fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_a_stream_gives_a_receipt_of_all() {
        let mut counter = Counter::new(3);
        assert!(counter.add(5).is_none());
        assert!(counter.add(6).is_none());
        let receipt = counter.add(7).map(|receipt| receipt.encode());
        let receipt = receipt.and_then(|message| Receipt::decode(&message));
        assert_eq!(receipt.map(|receipt| receipt.bytes), Some(18));
    }
}

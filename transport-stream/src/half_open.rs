//! Streams in their handshake: so many at once, and the one that has taken longest goes first.

use std::collections::VecDeque;

use midflight_runtime::Task;
use parking_lot::Mutex;

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct HalfOpen {
    tasks: Mutex<VecDeque<(String, Task)>>,
}

impl HalfOpen {
    /// Takes one more handshake in; answers whose had to end for it.
    pub(crate) fn add(&self, from: String, handshake: Task, max: usize) -> Option<String> {
        let mut tasks = self.tasks.lock();
        if tasks.len() >= max {
            tasks.retain(|(_, task)| !task.is_ended());
        }
        let oldest = if tasks.len() >= max { tasks.pop_front() } else { None };
        tasks.push_back((from, handshake));
        drop(tasks);
        let (from, oldest) = oldest?;
        oldest.abort();
        Some(from)
    }

    /// Ends them all.
    pub(crate) fn end(&self) {
        let tasks = std::mem::take(&mut *self.tasks.lock());
        tasks.iter().for_each(|(_, task)| task.abort());
    }
}

//! Streams in their handshake: so many at once, and the one that has taken longest goes first.

use std::collections::VecDeque;

use midflight_runtime::Task;
use parking_lot::Mutex;

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct HalfOpen {
    tasks: Mutex<VecDeque<Task>>,
}

impl HalfOpen {
    /// Takes one more handshake in; answers whether another had to end for it.
    pub(crate) fn add(&self, handshake: Task, max: usize) -> bool {
        let mut tasks = self.tasks.lock();
        if tasks.len() >= max {
            tasks.retain(|task| !task.is_ended());
        }
        let oldest = if tasks.len() >= max { tasks.pop_front() } else { None };
        tasks.push_back(handshake);
        drop(tasks);
        oldest.inspect(Task::abort).is_some()
    }

    /// Ends them all.
    pub(crate) fn end(&self) {
        let tasks = std::mem::take(&mut *self.tasks.lock());
        tasks.iter().for_each(Task::abort);
    }
}

//! Calling into code on a thread apart, for a while: code that never ends keeps no task.

use std::sync::atomic::Ordering;

use midflight_runtime::timeout;
use tokio::sync::oneshot;

use crate::code_server::CodeServer;

impl CodeServer {
    /// What `work` answers, if it ends within the limit for conversions. A thread that does not end cannot be
    /// stopped: it is abandoned, and counts with those of conversions.
    pub(crate) async fn on_a_thread<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (tell, mut told) = oneshot::channel();
        let abandoned = self.abandoned().clone();
        let run = move || {
            // Given up by who waited, it counts until here.
            if tell.send(work()).is_err() {
                abandoned.fetch_sub(1, Ordering::AcqRel);
            }
        };
        let runtime = self.node().runtime();
        runtime.spawn_blocking(name, Box::new(run));
        match timeout(&**runtime, self.switch_limits().convert_timeout, &mut told).await {
            Ok(Ok(answer)) => return Some(answer),
            // It panicked.
            Ok(Err(_gone)) => return None,
            Err(_elapsed) => {}
        }
        // Counted first: the thread takes itself off the count when it finds nobody waiting.
        self.abandoned().fetch_add(1, Ordering::AcqRel);
        told.close();
        let answer = told.try_recv().ok();
        if answer.is_some() {
            self.abandoned().fetch_sub(1, Ordering::AcqRel);
        }
        answer
    }
}

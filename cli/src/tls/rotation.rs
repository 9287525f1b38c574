//! Other credentials while the node runs: its files are looked at every few seconds, and at once on
//! SIGHUP.

use midflight_runtime::{Handle, spawn};
use midflight_transport_tcp::TlsTransport;
use tokio::signal::unix::Signal;

use super::{Content, Files, Identified, ending};
use crate::certs::{Parsed, now};
use crate::signals::{Watch, time_to_look};

impl Identified {
    /// Says what is shown now, and replaces it whenever the files have changed. What is no good is
    /// told once, and what was there before stays.
    pub(crate) fn watch(self, runtime: &Handle, hangup: Signal) -> Watch {
        let Self { transport, files, content, parsed } = self;
        tell(&files, &parsed);
        let runtime = runtime.clone();
        let looker = Looker {
            has_warned: ending(parsed.until, &files.name, now(&runtime)).is_some(),
            runtime: runtime.clone(),
            transport,
            files,
            seen: Ok(content),
            shown: parsed,
        };
        Watch(spawn(&runtime, "certificates", looker.look_on(hangup)))
    }
}

struct Looker {
    runtime: Handle,
    transport: TlsTransport,
    files: Files,
    /// What was found last: what is in the files, or why that is not known.
    seen: Result<Content, String>,
    /// What the peers see.
    shown: Parsed,
    /// That it ends soon has been said.
    has_warned: bool,
}

impl Looker {
    async fn look_on(mut self, mut hangup: Signal) {
        loop {
            let is_asked = time_to_look(&self.runtime, &mut hangup).await;
            self.look(is_asked).await;
            self.warn_in_time();
        }
    }

    async fn look(&mut self, is_asked: bool) {
        let found = self.files.read(&self.runtime).await;
        let found = found.map_err(|error| match std::error::Error::source(&error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        });
        if found == self.seen {
            if is_asked {
                tracing::info!("the certificate of {} is as it was", self.files.name);
            }
            return;
        }
        let replaced = found.as_ref().map_err(Clone::clone).and_then(|content| {
            let (credentials, parsed) = content.credentials(&self.files.name)?;
            self.transport.replace(credentials).map_err(|error| error.to_string())?;
            Ok(parsed)
        });
        self.seen = found;
        match replaced {
            Ok(parsed) => {
                tell(&self.files, &parsed);
                (self.shown, self.has_warned) = (parsed, false);
            }
            Err(why) => tracing::warn!(
                "the files of {} have changed and are not taken: {why}; the certificate valid \
                 until {} stays in use",
                self.files.name,
                self.shown.until.date(),
            ),
        }
    }

    fn warn_in_time(&mut self) {
        if self.has_warned {
            return;
        }
        if let Some(warning) = ending(self.shown.until, &self.files.name, now(&self.runtime)) {
            tracing::warn!("{warning}");
            self.has_warned = true;
        }
    }
}

fn tell(files: &Files, shown: &Parsed) {
    tracing::info!(
        "links begin with the certificate {} of {}, valid until {}",
        files.certificate.display(),
        files.name,
        shown.until_in_words(),
    );
}

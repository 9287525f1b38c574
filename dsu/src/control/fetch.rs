//! Nodes serve each other: a node that lacks a bundle fetches it from one that has it.

use std::time::Duration;

use midflight_process::{Context, Pid};

use super::Control;
use crate::hash::ContentAddress;
use crate::incoming::Took;
use crate::protocol::{CHUNK_BYTES, Fetch, Part, Wanted};

/// How long one part may take.
const PART_TIMEOUT: Duration = Duration::from_secs(10);

impl Control {
    /// A part of a bundle that is here.
    pub(super) async fn part(&self, fetch: &Fetch) -> Part {
        let nothing = Part { size: 0, bytes: Vec::new() };
        let Ok(address) = fetch.address.parse() else { return nothing };
        let Ok(file) = self.server.file(address).await else { return nothing };
        let begin = usize::try_from(fetch.offset).unwrap_or(usize::MAX).min(file.len());
        let end = begin.saturating_add(CHUNK_BYTES).min(file.len());
        Part { size: file.len() as u64, bytes: file[begin..end].to_vec() }
    }

    /// Fetches a bundle's file from another node's control process, unless it is here; each part is
    /// bounded as one that is sent is.
    pub(crate) async fn fetch(
        &self,
        cx: &Context,
        address: ContentAddress,
        from: Pid,
    ) -> Result<Option<Vec<u8>>, String> {
        if self.server.has(address).await {
            return Ok(None);
        }
        let now = || self.server.node().runtime().now();
        let mut offset = 0;
        let mut offered = false;
        loop {
            let fetch = Fetch { address: address.to_string(), offset };
            let part: Part = cx.call(from, fetch, PART_TIMEOUT).await.map_err(|e| e.to_string())?;
            if part.size == 0 {
                return Err(format!("{from} does not have the bundle"));
            }
            if !std::mem::replace(&mut offered, true) {
                match self.incoming.lock().offer(address, part.size, now()) {
                    // An earlier transfer goes on where it stopped.
                    Wanted::From(at) if at > 0 => {
                        offset = at;
                        continue;
                    }
                    Wanted::Refused(why) => return Err(why),
                    _ => {}
                }
            }
            let took = self.incoming.lock().chunk(address, offset, &part.bytes, now());
            match took {
                Took::Wanted(Wanted::From(next)) => offset = next,
                Took::Wanted(Wanted::Refused(why)) => return Err(why),
                Took::Wanted(Wanted::No) => return Ok(None),
                Took::Whole(file) => return Ok(Some(file)),
            }
        }
    }
}

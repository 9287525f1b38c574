//! Nodes serve each other: a node that lacks a bundle fetches it from one that has it.

use std::time::Duration;

use midflight_process::{Context, Pid};

use super::Control;
use super::others::control_of;
use crate::code_server::with_sources;
use crate::hash::ContentAddress;
use crate::incoming::Took;
use crate::protocol::{CHUNK_BYTES, Fetch, Part, Wanted};

/// How many others are asked where the one that is known to have it fails: staging has a deadline.
const OTHERS_MAX: usize = 8;
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

    /// Has a bundle here: fetches it from `from`, unless it is, and takes it. `Err`: at which step not, and why.
    pub(crate) async fn obtain(
        &self,
        cx: &Context,
        address: ContentAddress,
        from: Pid,
    ) -> Result<(), (&'static str, String)> {
        let Some(file) = self.fetch(cx, address, from).await.map_err(|why| ("fetch", why))? else {
            return Ok(());
        };
        self.accept(address, &file).await.map_err(|error| ("check", with_sources(&error)))
    }

    /// Fetches a bundle's file from `from`, another node's control process, unless it is here. When that one has it not,
    /// or is lost in the middle, other members are asked; what has come is not asked for again.
    async fn fetch(
        &self,
        cx: &Context,
        address: ContentAddress,
        from: Pid,
    ) -> Result<Option<Vec<u8>>, String> {
        if self.server.has(address).await {
            return Ok(None);
        }
        let why = match self.fetch_from(cx, address, from).await {
            Ok(file) => return Ok(file),
            Err(Missed::Refused(why)) => return Err(why),
            Err(Missed::NotThere(why)) => why,
        };
        let node = self.server.node();
        let mut others = node.living_members().await;
        others.retain(|member| member.id != node.id() && member.id != from.node);
        for member in others.iter().take(OTHERS_MAX) {
            let Ok(other) = control_of(node, member.id).await else { continue };
            match self.fetch_from(cx, address, other).await {
                Ok(file) => {
                    tracing::info!(%address, from = member.name, why, "fetched from another node");
                    return Ok(file);
                }
                Err(Missed::Refused(why)) => return Err(why),
                Err(Missed::NotThere(_)) => {}
            }
        }
        Err(why)
    }

    /// Goes on where an earlier transfer stopped. Each part is bounded as one that is sent is.
    async fn fetch_from(
        &self,
        cx: &Context,
        address: ContentAddress,
        from: Pid,
    ) -> Result<Option<Vec<u8>>, Missed> {
        let now = || self.server.node().runtime().now();
        let mut offset = 0;
        let mut offered = false;
        loop {
            let fetch = Fetch { address: address.to_string(), offset };
            let part: Result<Part, _> = cx.call(from, fetch, PART_TIMEOUT).await;
            let part = part.map_err(|error| Missed::NotThere(error.to_string()))?;
            if part.size == 0 {
                return Err(Missed::NotThere(format!("{from} does not have the bundle")));
            }
            if !std::mem::replace(&mut offered, true) {
                match self.incoming.lock().offer(address, part.size, now()) {
                    Wanted::From(at) if at > 0 => {
                        offset = at;
                        continue;
                    }
                    Wanted::Refused(why) => return Err(Missed::Refused(why)),
                    _ => {}
                }
            }
            let took = self.incoming.lock().chunk(address, offset, &part.bytes, now());
            match took {
                Took::Wanted(Wanted::From(next)) => offset = next,
                Took::Wanted(Wanted::Refused(why)) => return Err(Missed::Refused(why)),
                Took::Wanted(Wanted::No) => return Ok(None),
                Took::Whole(file) => return Ok(Some(file)),
            }
        }
    }
}

/// Why a bundle was not fetched.
enum Missed {
    /// That node has it not, or does not answer.
    NotThere(String),
    /// This node does not take it.
    Refused(String),
}

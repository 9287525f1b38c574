//! Nodes serve each other: a node that lacks a bundle fetches it from one that has it.

use std::time::Duration;

use midflight_process::{Context, Pid};

use super::Control;
use super::others::control_of;
use crate::code_server::{AcceptError, with_sources};
use crate::hash::ContentAddress;
use crate::incoming::Took;
use crate::protocol::{CHUNK_BYTES, Fetch, Part, Wanted};

/// How many others are asked where the one that is known to have it fails: staging has a deadline.
const OTHERS_MAX: usize = 8;
/// How long one part may take.
const PART_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one node may take for the whole, beside what its size adds.
const WHOLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How slow it may be.
const BYTES_PER_SECOND_MIN: u64 = 256 * 1_024;

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

    /// Has a bundle here: unless it is, fetches it from `from`, another node's control process, and takes it. When that one has
    /// it not, is lost in the middle, too slow, or sends something else, other members are asked; what has come is not asked for again.
    /// `Err`: at which step not, and why.
    pub(crate) async fn obtain(
        &self,
        cx: &Context,
        address: ContentAddress,
        from: Pid,
    ) -> Result<(), (&'static str, String)> {
        if self.server.has(address).await {
            return Ok(());
        }
        let why = match self.obtain_from(cx, address, from).await {
            Ok(()) => return Ok(()),
            Err(Missed::Refused(why)) => return Err(("check", why)),
            Err(Missed::NotThere(why)) => why,
        };
        let node = self.server.node();
        let mut others = node.living_members().await;
        others.retain(|member| member.id != node.id() && member.id != from.node);
        for member in others.iter().take(OTHERS_MAX) {
            let Ok(other) = control_of(node, member.id).await else { continue };
            match self.obtain_from(cx, address, other).await {
                Ok(()) => {
                    tracing::info!(%address, from = member.name, why, "fetched from another node");
                    return Ok(());
                }
                Err(Missed::Refused(why)) => return Err(("check", why)),
                Err(Missed::NotThere(_)) => {}
            }
        }
        Err(("fetch", why))
    }

    async fn obtain_from(
        &self,
        cx: &Context,
        address: ContentAddress,
        from: Pid,
    ) -> Result<(), Missed> {
        loop {
            let Some((file, goes_on)) = self.fetch_from(cx, address, from).await? else {
                return Ok(());
            };
            return match self.accept(address, &file).await {
                Ok(()) => Ok(()),
                Err(error @ (AcceptError::Check(_) | AcceptError::Store(_))) => {
                    Err(Missed::Refused(with_sources(&error)))
                }
                // What another node had sent before it may have been wrong.
                Err(_) if goes_on => continue,
                Err(error) => {
                    Err(Missed::NotThere(format!("{from} has sent something else: {error}")))
                }
            };
        }
    }

    /// Goes on where an earlier transfer stopped, and then says so. `None`: it has come from elsewhere meanwhile. Each part is
    /// bounded as one that is sent is, and the whole has its time.
    async fn fetch_from(
        &self,
        cx: &Context,
        address: ContentAddress,
        from: Pid,
    ) -> Result<Option<(Vec<u8>, bool)>, Missed> {
        let now = || self.server.node().runtime().now();
        let began = now();
        let first = self.ask_part(cx, address, 0, from).await?;
        let size = first.size;
        let goes_on = match self.incoming.lock().offer(address, size, now()) {
            Wanted::From(at) => at > 0,
            Wanted::No => return Ok(None),
            Wanted::Refused(why) => return Err(Missed::NotThere(why)),
        };
        let until = began + WHOLE_TIMEOUT + Duration::from_secs(size / BYTES_PER_SECOND_MIN);
        let (mut offset, mut part) = (0, first);
        loop {
            let took = self.incoming.lock().chunk(address, offset, &part.bytes, now());
            offset = match took {
                Took::Wanted(Wanted::From(next)) => next,
                Took::Wanted(Wanted::No) => return Ok(None),
                Took::Whole(file) => return Ok(Some((file, goes_on))),
                // Somebody else may have brought it to its end.
                Took::Wanted(Wanted::Refused(_)) if self.server.has(address).await => {
                    return Ok(None);
                }
                Took::Wanted(Wanted::Refused(why)) => return Err(Missed::NotThere(why)),
            };
            if now() > until {
                return Err(Missed::NotThere(format!("{from} sends it too slowly")));
            }
            part = self.ask_part(cx, address, offset, from).await?;
        }
    }

    async fn ask_part(
        &self,
        cx: &Context,
        address: ContentAddress,
        offset: u64,
        from: Pid,
    ) -> Result<Part, Missed> {
        let fetch = Fetch { address: address.to_string(), offset };
        let part: Result<Part, _> = cx.call(from, fetch, PART_TIMEOUT).await;
        let part = part.map_err(|error| Missed::NotThere(error.to_string()))?;
        if part.size == 0 {
            return Err(Missed::NotThere(format!("{from} does not have the bundle")));
        }
        Ok(part)
    }
}

/// Why a bundle did not come from a node.
enum Missed {
    /// That node has it not, does not answer, or sends something else.
    NotThere(String),
    /// This node does not take it, whoever sends it.
    Refused(String),
}

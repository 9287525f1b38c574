//! What a peer gossips is looked at before the gossip crate sees it. Pure.
//!
//! A packet is a header, a count and as many members; the crate would believe whatever they say. Here
//! the sender is the peer the packet came from, and of the members only those are left that can be
//! some and that there is room for.

use foca::{Header, Message, State};

use super::card::{Card, Identity};

/// The longest packet, in bytes: some sixty members.
pub(crate) const PACKET_MAX: usize = 8 * 1_024;

pub(super) type Told = foca::Member<Identity>;

/// A packet that may be handed on.
pub(super) struct Screened {
    pub(super) from: Identity,
    /// How many members it tells of.
    pub(super) members: usize,
    /// How many were taken out.
    pub(super) refused: usize,
    pub(super) packet: Vec<u8>,
}

/// The packet cannot be one, or is not its sender's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadPacket(pub(super) &'static str);

/// Reads a packet of `peer` to `own`; keeps the members that `admit` lets in, and word that the node
/// itself is down if it `may_come_back`.
pub(super) fn screen(
    bytes: &[u8],
    peer: &Card,
    own: &Identity,
    may_come_back: bool,
    mut admit: impl FnMut(&Identity) -> bool,
) -> Result<Screened, BadPacket> {
    if bytes.len() > PACKET_MAX {
        return Err(BadPacket("it is longer than any"));
    }
    let undecodable = |_postcards_reason_says_less| BadPacket("it does not decode");
    let (mut header, rest) =
        postcard::take_from_bytes::<Header<Identity>>(bytes).map_err(undecodable)?;
    let from = header.src.card();
    let is_peer = from.id == peer.id && from.name == peer.name && from.address == peer.address;
    if !is_peer || !admit(&header.src) {
        return Err(BadPacket("its sender is not the peer, or no member"));
    }
    if header.message == Message::TurnUndead && !may_come_back {
        return Err(BadPacket("it has just come back"));
    }
    readdress(&mut header, own);
    let (members, refused) = members(rest, |told| {
        // What is told of the node itself is for the crate to refute.
        if told.id() == own {
            may_come_back || told.state() != State::Down
        } else {
            admit(told.id())
        }
    })?;
    let packet = encoded(&header, &members, rest.is_empty());
    Ok(Screened {
        from: header.src,
        members: members.len(),
        refused,
        packet: packet.ok_or(BadPacket("it does not encode"))?,
    })
}

/// A probe is for the node, whichever revision of its card the prober knows. Word that the node is
/// down is for the revision it names.
fn readdress(header: &mut Header<Identity>, own: &Identity) {
    let probe = matches!(
        header.message,
        Message::Ping(_) | Message::IndirectPing { .. } | Message::Announce
    );
    if probe && header.dst.card().id == own.card().id {
        header.dst = own.clone();
    }
}

fn members(
    bytes: &[u8],
    mut admit: impl FnMut(&Told) -> bool,
) -> Result<(Vec<Told>, usize), BadPacket> {
    let Some((count, mut bytes)) = bytes.split_first_chunk() else {
        return if bytes.is_empty() {
            Ok((Vec::new(), 0))
        } else {
            Err(BadPacket("a byte behind its end"))
        };
    };
    let (mut members, mut refused) = (Vec::new(), 0);
    for _ in 0..u16::from_be_bytes(*count) {
        let taken = postcard::take_from_bytes::<Told>(bytes);
        let (member, rest) =
            taken.map_err(|_postcards_reason_says_less| BadPacket("it does not decode"))?;
        bytes = rest;
        if admit(&member) {
            members.push(member);
        } else {
            refused += 1;
        }
    }
    if bytes.is_empty() { Ok((members, refused)) } else { Err(BadPacket("bytes behind its end")) }
}

fn encoded(header: &Header<Identity>, members: &[Told], bare: bool) -> Option<Vec<u8>> {
    let mut packet = postcard::to_extend(header, Vec::new()).ok()?;
    if !bare {
        packet.extend_from_slice(&u16::try_from(members.len()).ok()?.to_be_bytes());
        for member in members {
            packet = postcard::to_extend(member, packet).ok()?;
        }
    }
    // Another spelling of the same may be shorter or longer.
    (packet.len() <= PACKET_MAX).then_some(packet)
}

//! The entries that frames carry beside their payload.

use midflight_transport_api::ConnectionId;
use midflight_transport_api::frame::{
    self, CRITICAL, EXTENSIONS_MAX, FRAGMENT_MAX, Kind, Violation, push_extension, refuse_critical,
};

use crate::Trail;

/// Entries are walked over to their end or the first that is not whole, what was walked over can be
/// written again, and a frame carries them exactly if they are all whole and not too many.
pub fn extensions(bytes: &[u8], trail: &mut Trail) {
    let (mut again, mut critical) = (Vec::new(), None);
    for entry in frame::extensions(bytes) {
        push_extension(&mut again, entry.kind, entry.value);
        trail.note((entry.kind & CRITICAL, entry.kind % 4, entry.value.len() / 64));
        if entry.kind & CRITICAL != 0 {
            critical = critical.or(Some(entry.kind));
        }
    }
    assert_eq!(again, bytes[..again.len()]);
    assert_eq!(refuse_critical(bytes, |_| false).err(), critical.map(Violation::Critical));
    assert_eq!(refuse_critical(bytes, |_| true), Ok(()));

    let well_formed = again.len() == bytes.len();
    let fits = bytes.len() <= EXTENSIONS_MAX;
    trail.note((well_formed, fits));
    let Ok(len) = u16::try_from(bytes.len()) else { return };
    let body = [&len.to_le_bytes(), bytes, b"payload"].concat();
    if body.len() > FRAGMENT_MAX {
        return;
    }
    let head = frame::header(Kind::Data, false, true, ConnectionId(3), body.len());
    let whole = [&head[..], &body].concat();
    match frame::decode(&whole) {
        Ok(Some((frame, _))) => {
            assert!(well_formed && fits);
            assert_eq!((frame.extensions, frame.payload), (bytes, &b"payload"[..]));
        }
        Ok(None) => panic!("the frame is whole"),
        Err(violation) => assert!(!(well_formed && fits), "{violation}"),
    }
}

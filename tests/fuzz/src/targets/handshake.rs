//! The messages of a handshake.

use std::mem::discriminant;

use midflight_transport_stream::handshake::{
    Heard, MESSAGE_MAX, Message, VERSIONS, common, decode, encode,
};

use crate::Trail;

/// What is spoken here, today and perhaps one day.
const OURS: [(u16, u16); 5] = [VERSIONS, (1, 3), (2, 9), (0, u16::MAX), (7, 7)];

/// What was heard can be said again; what is wrong stays wrong whatever follows; and so much is
/// always enough to know.
pub fn handshake(bytes: &[u8], trail: &mut Trail) {
    for ours in OURS {
        match decode(bytes, ours) {
            Ok(Some(heard)) => understood(bytes, ours, &heard, trail),
            Ok(None) => {
                assert!(bytes.len() < MESSAGE_MAX, "a message of any length is whole");
                trail.note(("more to come", bytes.len().min(16)));
            }
            Err(malformed) => {
                let longer = [bytes, &[0; 40]].concat();
                assert_eq!(decode(&longer, ours), Err(malformed.clone()));
                trail.note(discriminant(&malformed));
            }
        }
    }
}

fn understood(bytes: &[u8], ours: (u16, u16), heard: &Heard, trail: &mut Trail) {
    let Heard { message, versions, len } = heard;
    assert!(*len <= bytes.len() && *len <= MESSAGE_MAX);
    assert_eq!(
        decode(&bytes[..*len], ours).as_ref(),
        Ok(&Some(heard.clone())),
        "no more is needed"
    );
    assert_eq!(decode(&bytes[..*len - 1], ours), Ok(None), "a byte is missing");
    assert_eq!(message.is_some(), common(ours, *versions).is_some());
    trail.note(message.as_ref().map(|message| match message {
        Message::Refusal(refusal, _) => (discriminant(message), Some(discriminant(refusal))),
        _ => (discriminant(message), None),
    }));
    if let Some(message) = message {
        let again = encode(message, *versions);
        // What a later version says beyond what is known is not said again.
        assert!(again.len() <= *len);
        let heard = decode(&again, ours).expect("it is well-formed").expect("it is whole");
        assert_eq!((heard.message.as_ref(), heard.versions), (Some(message), *versions));
        if again.len() == *len {
            assert_eq!(again, bytes[..*len]);
        }
    }
}

//! Records, without sockets: what is opened, and what is refused.

use rustls::{AlertDescription, ContentType, Error, InvalidMessage, PeerMisbehaved};

use super::super::open::{Opener, Step};
use super::super::seal::Sealer;
use super::{limited, pattern, sealed, sessions, usual};

/// Gives `bytes` in pieces; answers what was opened, and whether the end was.
fn given(opener: &mut Opener, mut bytes: &[u8], piece: usize) -> Result<(Vec<u8>, bool), Error> {
    let mut opened = Vec::new();
    loop {
        match opener.step()? {
            Step::Take => {
                let some = opener.bytes().len().min(piece);
                opened.extend_from_slice(&opener.bytes()[..some]);
                opener.took(some);
            }
            Step::Closed => return Ok((opened, true)),
            Step::Read if bytes.is_empty() => return Ok((opened, false)),
            Step::Read => {
                let room = opener.room();
                let count = piece.min(bytes.len()).min(room.len());
                assert!(count > 0, "there is always room");
                room[..count].copy_from_slice(&bytes[..count]);
                opener.came(count);
                bytes = &bytes[count..];
            }
        }
    }
}

/// One that seals and one that opens that.
async fn one_way() -> (Sealer, Opener) {
    let (client, server) = sessions(&usual()).await;
    (client.sealer, server.opener)
}

#[tokio::test]
async fn what_was_sealed_in_any_slices_is_opened_in_any_pieces() {
    let (mut sealer, mut opener) = one_way().await;
    let bytes = pattern(150_001);
    for (slice, piece) in
        [(1000, 1), (4, 3), (70_000, 5), (16_384, 7), (9, 16_401), (1 << 20, 1 << 20)]
    {
        let records = sealed(&mut sealer, &bytes, slice);
        assert!(given(&mut opener, &records, piece).unwrap() == (bytes.clone(), false), "{slice}");
    }
    let mut records = std::collections::VecDeque::new();
    sealer.close(&mut records).unwrap();
    // What comes behind the end is nothing.
    records.push_back(vec![1, 2, 3, 4, 5, 6]);
    let end = given(&mut opener, &records.make_contiguous().concat(), 100).unwrap();
    assert_eq!(end, (vec![], true));
}

#[tokio::test]
async fn what_was_changed_in_any_place_is_not_opened() {
    for at in 0..40 {
        let (mut sealer, mut opener) = one_way().await;
        let mut record = sealed(&mut sealer, b"eighteen bytes it is", 100);
        assert_eq!(record.len(), 5 + 20 + 1 + 16);
        record[at] ^= 0x11;
        match given(&mut opener, &record, 100) {
            // The version's second half means nothing, and is not protected.
            Ok((opened, _)) if at == 2 => assert_eq!(opened.len(), 20),
            // A longer one is waited for.
            Ok((opened, end)) => assert!(opened.is_empty() && !end && (3..5).contains(&at), "{at}"),
            Err(_) => assert!(opener.keys().untold().is_some()),
        }
    }
}

#[tokio::test]
async fn what_comes_again_or_too_early_is_not_opened() {
    let (mut sealer, mut opener) = one_way().await;
    let first = sealed(&mut sealer, b"first", 100);
    given(&mut opener, &first, 100).unwrap();
    assert_eq!(given(&mut opener, &first, 100), Err(Error::DecryptError));

    let (mut sealer, mut opener) = one_way().await;
    let _lost = sealed(&mut sealer, b"first", 100);
    let second = sealed(&mut sealer, b"second", 100);
    assert_eq!(given(&mut opener, &second, 100), Err(Error::DecryptError));
}

type Content<'a> = (ContentType, &'a [u8]);

/// Records that are well protected, and of which the content may not be.
#[tokio::test]
async fn what_may_not_be_said_ends_the_session() {
    use AlertDescription::{DecodeError, UnexpectedMessage};
    use ContentType::{Alert, ChangeCipherSpec, Handshake};
    let cases: [(&[Content], AlertDescription); 11] = [
        (&[(Handshake, &[24, 0, 0, 1, 2])], DecodeError),
        (&[(Handshake, &[24, 0, 0, 0])], DecodeError),
        (&[(Handshake, &[])], DecodeError),
        // Something behind new keys, in a record of the old ones.
        (&[(Handshake, &[24, 0, 0, 1, 0, 24])], UnexpectedMessage),
        // A ticket from who dialled, another hello, a wish for a certificate.
        (&[(Handshake, &[4, 0, 0, 1, 7])], UnexpectedMessage),
        (&[(Handshake, &[1, 0, 0, 0])], UnexpectedMessage),
        (&[(Handshake, &[13, 0, 0, 0])], UnexpectedMessage),
        // Longer than any, before it has come.
        (&[(Handshake, &[24, 1, 0, 0])], DecodeError),
        // In the middle of a message.
        (&[(Handshake, &[24, 0]), (ContentType::ApplicationData, b"data")], UnexpectedMessage),
        (&[(Alert, &[1])], DecodeError),
        (&[(ChangeCipherSpec, &[1])], UnexpectedMessage),
    ];
    for (records, alert) in cases {
        let (mut sealer, mut opener) = one_way().await;
        let mut bytes = Vec::new();
        for (kind, content) in records {
            bytes.extend(sealer.record(*kind, (*content).into()).unwrap());
        }
        given(&mut opener, &bytes, 1000).expect_err("it may not be said");
        assert_eq!(opener.keys().untold(), Some(alert), "{records:?}");
    }
}

#[tokio::test]
async fn an_alert_ends_the_session_and_is_not_answered() {
    let (mut sealer, mut opener) = one_way().await;
    let said = sealer.record(ContentType::Alert, (&[1, 80][..]).into()).unwrap();
    let told = Err(Error::AlertReceived(AlertDescription::InternalError));
    assert_eq!(given(&mut opener, &said, 1000), told);
    assert_eq!(opener.keys().untold(), None);
}

#[tokio::test]
async fn what_is_not_protected_is_refused() {
    for head in
        [[22, 3, 3, 0, 1], [21, 3, 3, 0, 2], [20, 3, 3, 0, 1], [99, 3, 3, 0, 1], [23, 4, 3, 0, 1]]
    {
        let (_, mut opener) = one_way().await;
        given(&mut opener, &head, 5).expect_err("by its head alone");
    }
    let (_, mut opener) = one_way().await;
    let longest = given(&mut opener, &[23, 3, 3, 0xff, 0xff], 5);
    assert_eq!(longest, Err(Error::PeerSentOversizedRecord));
}

#[tokio::test]
async fn only_so_many_records_without_data_may_come() {
    let (mut sealer, mut opener) = one_way().await;
    let mut empty = |count: usize| -> Vec<u8> {
        let record = || sealer.record(ContentType::ApplicationData, (&[][..]).into()).unwrap();
        std::iter::repeat_with(record).take(count).flatten().collect()
    };
    let (many, more) = (empty(32), empty(1));
    assert_eq!(given(&mut opener, &many, 1000), Ok((vec![], false)));
    let too_many = Err(PeerMisbehaved::TooManyEmptyFragments.into());
    assert_eq!(given(&mut opener, &more, 1000), too_many);
}

/// In pieces, and several in a row: a peer may send them so.
#[tokio::test]
async fn tickets_are_taken_by_who_dialled_and_not_made_use_of() {
    let (mut client, mut server) = sessions(&usual()).await;
    let ticket = [&[4, 0, 0, 200][..], &[7; 200]].concat();
    let tickets = [&ticket[..], &ticket, &ticket].concat();
    let mut bytes = Vec::new();
    for piece in tickets.chunks(77) {
        bytes.extend(server.sealer.record(ContentType::Handshake, piece.into()).unwrap());
    }
    bytes.extend(sealed(&mut server.sealer, b"data", 10));
    assert_eq!(given(&mut client.opener, &bytes, 50), Ok((b"data".to_vec(), false)));
}

#[tokio::test]
async fn keys_that_are_spent_are_renewed_before() {
    const RECORDS: usize = 50;
    let (mut client, mut server) = sessions(&limited(4)).await;
    let bytes = pattern(RECORDS * 16_384);
    let records = sealed(&mut client.sealer, &bytes, 100_000);
    // Three with data and one that says so, for every key.
    let updates = RECORDS.div_ceil(3) - 1;
    assert_eq!(records.len(), bytes.len() + RECORDS * 22 + updates * (5 + 5 + 1 + 16));
    assert!(given(&mut server.opener, &records, 10_000).unwrap() == (bytes, false));
}

#[tokio::test]
async fn who_is_asked_for_new_keys_takes_them_with_the_next_data() {
    let (mut client, mut server) = sessions(&usual()).await;
    let asks = client.sealer.record(ContentType::Handshake, (&[24, 0, 0, 1, 1][..]).into());
    given(&mut server.opener, &asks.unwrap(), 100).unwrap();
    let old = server.sealer.record(ContentType::ApplicationData, (&[1][..]).into()).unwrap();
    let new = sealed(&mut server.sealer, b"new", 100);
    // One record says so, under the old key; the next one has the new one.
    assert_eq!(new.len(), 5 + 5 + 17 + 5 + 3 + 17);
    let both = [old, new].concat();
    assert_eq!(given(&mut client.opener, &both, 100), Ok((b"\x01new".to_vec(), false)));
    assert_eq!(sealed(&mut server.sealer, b"once", 100).len(), 5 + 4 + 17);
}

#[test]
fn errors_are_rustls_own() {
    // What the program says of a refusal is found by these words.
    assert!(Error::DecryptError.to_string().starts_with("cannot decrypt"));
    assert!(Error::from(InvalidMessage::UnknownProtocolVersion).to_string().contains("corrupt"));
}

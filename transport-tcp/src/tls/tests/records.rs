//! Records, without sockets: what is opened, and what is refused.

use std::collections::VecDeque;
use std::io::IoSlice;

use rustls::{ContentType, Error, InvalidMessage};

use super::{given, limited, one_way, pattern, sealed, sessions, usual};

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
    let mut records = VecDeque::new();
    sealer.close(&mut records).unwrap();
    // What comes behind the end is nothing.
    records.push_back(vec![1, 2, 3, 4, 5, 6]);
    let end = given(&mut opener, &records.make_contiguous().concat(), 100).unwrap();
    assert_eq!(end, (vec![], true));
}

/// A writer that says nothing was written would be taken for one that can write no more.
#[tokio::test]
async fn empty_slices_are_passed_over() {
    let (mut sealer, mut opener) = one_way().await;
    let mut slices = vec![IoSlice::new(&[]); 200];
    slices.push(IoSlice::new(b"data"));
    let mut records = VecDeque::new();
    assert_eq!(sealer.data(&slices, &mut records), Ok(4));
    let opened = given(&mut opener, &records.make_contiguous().concat(), 100);
    assert_eq!(opened, Ok((b"data".to_vec(), false)));
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

/// Zeros behind the type of what is in the record.
#[tokio::test]
async fn padding_is_taken_away() {
    let (mut sealer, mut opener) = one_way().await;
    let mut padded = |content: &[u8]| sealer.record(ContentType::Unknown(0), content.into());
    let records = [padded(b"data\x17\0\0"), padded(b"\x17\0"), padded(b"\0more\0\x17")];
    let records = records.map(Result::unwrap).concat();
    assert_eq!(given(&mut opener, &records, 100), Ok((b"data\0more\0".to_vec(), false)));
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

/// The key is spent, and the peer wants another: that is one and the same.
#[tokio::test]
async fn who_is_asked_for_new_keys_when_they_are_spent_takes_them_once() {
    let (mut client, mut server) = sessions(&limited(4)).await;
    let mut records = sealed(&mut server.sealer, &[1; 3 * 16_384], 1 << 20);
    let asks = client.sealer.record(ContentType::Handshake, (&[24, 0, 0, 1, 1][..]).into());
    given(&mut server.opener, &asks.unwrap(), 100).unwrap();
    let new = sealed(&mut server.sealer, b"new", 100);
    assert_eq!(new.len(), 5 + 5 + 17 + 5 + 3 + 17);
    records.extend(new);
    records.extend(sealed(&mut server.sealer, &[2; 2 * 16_384], 1 << 20));
    let bytes = [&[1; 3 * 16_384][..], b"new", &[2; 2 * 16_384]].concat();
    assert!(given(&mut client.opener, &records, 10_000).unwrap() == (bytes, false));
}

#[test]
fn errors_are_rustls_own() {
    // What the program says of a refusal is found by these words.
    assert!(Error::DecryptError.to_string().starts_with("cannot decrypt"));
    assert!(Error::from(InvalidMessage::UnknownProtocolVersion).to_string().contains("corrupt"));
}

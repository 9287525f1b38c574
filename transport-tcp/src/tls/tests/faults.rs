//! What a peer may not say, and what it is told of it.

use rustls::{AlertDescription, ContentType, Error, PeerMisbehaved};

use super::super::open::Opener;
use super::super::seal::Sealer;
use super::{given, one_way, sealed, sessions, usual};

type Content<'a> = (ContentType, &'a [u8]);

/// These records, well protected.
fn records(sealer: &mut Sealer, contents: &[Content]) -> Vec<u8> {
    let record = |(kind, content): &Content| sealer.record(*kind, (*content).into()).unwrap();
    contents.iter().flat_map(record).collect()
}

fn is_refused(opener: &mut Opener, bytes: &[u8], alert: AlertDescription) {
    let error = given(opener, bytes, 1000).expect_err("it may not be said");
    assert_eq!(opener.keys().untold(), Some(alert), "{error}");
}

#[tokio::test]
async fn what_may_not_be_said_ends_the_session() {
    use AlertDescription::{DecodeError, IllegalParameter, RecordOverflow, UnexpectedMessage};
    use ContentType::{Alert, ApplicationData, ChangeCipherSpec, Handshake, Unknown};
    let cases: &[(&[Content], AlertDescription)] = &[
        (&[(Handshake, &[24, 0, 0, 1, 2])], IllegalParameter),
        (&[(Handshake, &[24, 0, 0, 0])], DecodeError),
        (&[(Handshake, &[24, 0, 0, 2])], DecodeError),
        (&[(Handshake, &[])], UnexpectedMessage),
        // Something behind new keys, in a record of the old ones.
        (&[(Handshake, &[24, 0, 0, 1, 0, 24])], UnexpectedMessage),
        // A ticket from who dialled, another hello, a wish for a certificate: by their heads alone.
        (&[(Handshake, &[4, 0, 0, 200])], UnexpectedMessage),
        (&[(Handshake, &[1, 0, 0, 200])], UnexpectedMessage),
        (&[(Handshake, &[13, 0, 0, 0])], UnexpectedMessage),
        // In the middle of a message.
        (&[(Handshake, &[24, 0]), (ApplicationData, b"data")], UnexpectedMessage),
        (&[(Handshake, &[24, 0, 0, 1]), (ApplicationData, b"data")], UnexpectedMessage),
        (&[(Alert, &[])], UnexpectedMessage),
        (&[(Alert, &[1])], DecodeError),
        (&[(Alert, &[1, 0, 0])], DecodeError),
        (&[(ChangeCipherSpec, &[1])], UnexpectedMessage),
        (&[(Unknown(99), b"?")], UnexpectedMessage),
        // Nothing but padding.
        (&[(Unknown(0), &[])], UnexpectedMessage),
        (&[(Unknown(0), &[0; 20])], UnexpectedMessage),
        (&[(ApplicationData, &[7; 16_385])], RecordOverflow),
        // Too long by its padding.
        (&[(Unknown(0), &[23; 16_385])], RecordOverflow),
    ];
    for (contents, alert) in cases {
        let (mut sealer, mut opener) = one_way().await;
        let bytes = records(&mut sealer, contents);
        is_refused(&mut opener, &bytes, *alert);
    }
}

#[tokio::test]
async fn tickets_that_are_none() {
    let long = [&[4, 0, 0, 13][..], &[0; 13]].concat();
    for ticket in [&[4, 0, 0, 0][..], &long, &[4, 1, 0, 0]] {
        let (mut client, mut server) = sessions(&usual()).await;
        let bytes = records(&mut server.sealer, &[(ContentType::Handshake, ticket)]);
        is_refused(&mut client.opener, &bytes, AlertDescription::DecodeError);
    }
}

#[tokio::test]
async fn an_alert_ends_the_session_and_is_not_answered() {
    let (mut sealer, mut opener) = one_way().await;
    let said = records(&mut sealer, &[(ContentType::Alert, &[1, 80])]);
    let told = Err(Error::AlertReceived(AlertDescription::InternalError));
    assert_eq!(given(&mut opener, &said, 1000), told);
    assert_eq!(opener.keys().untold(), None);
}

/// What could be opened behind it would come with a gap before it.
#[tokio::test]
async fn an_error_is_the_end() {
    let (mut sealer, mut opener) = one_way().await;
    let mut changed = sealed(&mut sealer, b"first", 100);
    changed[7] ^= 1;
    let second = sealed(&mut sealer, b"second", 100);
    assert_eq!(given(&mut opener, &[changed, second].concat(), 1000), Err(Error::DecryptError));
    assert_eq!(given(&mut opener, &[], 1000), Err(Error::DecryptError));
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

/// Each is counted, wherever it begins.
#[tokio::test]
async fn only_so_many_tickets_may_come_in_one_record() {
    let ticket = [&[4, 0, 0, 14][..], &[7; 14]].concat();
    let (mut client, mut server) = sessions(&usual()).await;
    let many = records(&mut server.sealer, &[(ContentType::Handshake, &ticket.repeat(32))]);
    assert_eq!(given(&mut client.opener, &many, 1000), Ok((vec![], false)));
    let data = sealed(&mut server.sealer, b"data", 10);
    assert_eq!(given(&mut client.opener, &data, 1000), Ok((b"data".to_vec(), false)));
    let too_many = records(&mut server.sealer, &[(ContentType::Handshake, &ticket.repeat(33))]);
    is_refused(&mut client.opener, &too_many, AlertDescription::UnexpectedMessage);
}

#[tokio::test]
async fn a_goodbye_that_is_announced_may_take_its_time() {
    let announced: Content = (ContentType::Alert, &[1, 90]);
    let (mut sealer, mut opener) = one_way().await;
    let bytes = records(&mut sealer, &[announced, (ContentType::ApplicationData, b"data")]);
    assert_eq!(given(&mut opener, &bytes, 1000), Ok((b"data".to_vec(), false)));
    let bytes = records(&mut sealer, &[announced; 32]);
    assert_eq!(given(&mut opener, &bytes, 1000), Ok((vec![], false)));
    let bytes = records(&mut sealer, &[announced]);
    let too_many = Err(PeerMisbehaved::TooManyEmptyFragments.into());
    assert_eq!(given(&mut opener, &bytes, 1000), too_many);
}

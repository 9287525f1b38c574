//! Plain encoding and decoding, and its bounds.

use std::collections::HashMap;

use midflight_message::{DecodeReason, Message, NodeId, Pid, ProcessRef, TypeInfo, decode, encode};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Message, PartialEq, Debug, Clone)]
struct Sample {
    text: String,
    list: Vec<u32>,
    from: Pid,
    reply_to: ProcessRef<Sample>,
}

#[derive(Serialize, Deserialize, Message, PartialEq, Debug)]
struct Chain(Option<Box<Chain>>);

#[derive(Serialize, Deserialize, Message, PartialEq, Debug)]
enum Tree {
    Leaf,
    Branch(Vec<Tree>),
}

#[derive(Serialize, Deserialize, Message, PartialEq, Debug)]
struct Nothings(Vec<()>);

#[derive(Serialize, Deserialize, Message, PartialEq, Debug)]
struct Maps(HashMap<u8, HashMap<u8, Vec<[u64; 8]>>>);

fn encoded<M: Message>(message: &M) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(message, &mut bytes).unwrap();
    bytes
}

fn sample() -> Sample {
    let from = Pid { node: NodeId(7), index: 1, generation: 9 };
    let (text, list) = ("hello".to_owned(), vec![1, 2, 300]);
    Sample { text, list, from, reply_to: ProcessRef::new(from) }
}

fn chain(length: usize) -> Chain {
    (0..length).fold(Chain(None), |rest, _| Chain(Some(Box::new(rest))))
}

#[test]
fn there_and_back_into_a_buffer_in_use() {
    let mut bytes = vec![0xff];
    encode(&sample(), &mut bytes).unwrap();
    assert_eq!(bytes[0], 0xff);
    assert_eq!(decode::<Sample>(&bytes[1..]).unwrap(), sample());
    assert_eq!(bytes[1..], postcard::to_stdvec(&sample()).unwrap());
}

#[test]
fn every_byte_must_be_used() {
    let mut bytes = encoded(&sample());
    bytes.push(0);
    let error = decode::<Sample>(&bytes).unwrap_err();
    assert_eq!(error.reason, DecodeReason::LeftOver(1));
    assert_eq!(
        error.to_string(),
        "midflight-message.Sample@1 cannot be decoded: 1 bytes are left over"
    );
    for end in 0..bytes.len() - 1 {
        assert!(decode::<Sample>(&bytes[..end]).is_err(), "{end}");
    }
}

#[test]
fn a_length_that_lies_reserves_nothing() {
    // Each is a list of 2^62 elements and nothing after it.
    let length = postcard::to_stdvec(&(1_u64 << 62)).unwrap();
    assert!(decode::<Vec<u8>>(&length).is_err());
    assert!(decode::<String>(&length).is_err());
    assert!(decode::<Maps>(&length).is_err());
    let nested = [&[1, 0][..], &length].concat();
    assert!(decode::<Maps>(&nested).is_err());
    let error = decode::<Nothings>(&length).unwrap_err();
    assert_eq!(error.reason, DecodeReason::TooManyValues);
}

#[test]
fn short_lists_of_nothings_pass() {
    let nothings = Nothings(vec![(); 60_000]);
    assert_eq!(decode::<Nothings>(&encoded(&nothings)).unwrap(), nothings);
}

#[test]
fn depth_is_bounded_both_ways() {
    let deep = chain(100);
    assert_eq!(decode::<Chain>(&encoded(&deep)).unwrap(), deep);

    let mut bytes = vec![42];
    let error = encode(&chain(500), &mut bytes).unwrap_err();
    assert_eq!(bytes, [42]);
    assert!(error.to_string().contains("nests deeper than 256"), "{error}");

    let error = decode::<Chain>(&[1; 1_000_000]).unwrap_err();
    assert_eq!(error.reason, DecodeReason::TooDeep);
    let error = decode::<Tree>(&[1; 1_000_000]).unwrap_err();
    assert_eq!(error.reason, DecodeReason::TooDeep);
}

#[test]
fn plain_values_are_messages() {
    assert_eq!(decode::<u64>(&encoded(&300_u64)).unwrap(), 300);
    assert_eq!(decode::<i64>(&encoded(&-3_i64)).unwrap(), -3);
    assert_eq!(decode::<u32>(&encoded(&3_u32)).unwrap(), 3);
    assert!(decode::<bool>(&encoded(&true)).unwrap());
    assert_eq!(decode::<String>(&encoded(&"é".to_owned())).unwrap(), "é");
    assert_eq!(decode::<Vec<u8>>(&encoded(&vec![1_u8, 2])).unwrap(), [1, 2]);
    decode::<()>(&encoded(&())).unwrap();
}

#[test]
fn a_process_ref_is_its_pid_on_the_wire() {
    let pid = sample().from;
    let bytes = postcard::to_stdvec(&ProcessRef::<Sample>::new(pid)).unwrap();
    assert_eq!(bytes, postcard::to_stdvec(&pid).unwrap());
    assert_eq!(ProcessRef::<Sample>::new(pid).to_string(), "<0000000000000007.1.9>");
}

#[test]
fn type_information_travels_and_is_checked() {
    let info = Sample::type_info();
    let bytes = postcard::to_stdvec(info).unwrap();
    let back: TypeInfo = postcard::from_bytes(&bytes).unwrap();
    assert_eq!(&back, info);
    assert_eq!(back.tree(), info.tree());

    let parts = |name: &str, schema: &str| {
        postcard::to_stdvec(&(name, 1_u32, info.fingerprint(), schema)).unwrap()
    };
    let refused = |bytes: &[u8]| postcard::from_bytes::<TypeInfo>(bytes).is_err();
    assert!(!refused(&parts("a", info.schema())));
    assert!(refused(&parts("", info.schema())));
    assert!(refused(&parts(&"n".repeat(201), info.schema())));
    assert!(refused(&parts("a\nb", info.schema())));
    assert!(refused(&parts("a", "u64\n")), "the fingerprint is another's");
    assert!(refused(&parts("a", &format!("{}\n", info.schema()))));
    assert!(refused(&parts("a", &" ".repeat(65_537))));
}

//! Changes to inputs: some blind, some that know that formats have lengths.

use crate::Target;
use crate::chance::Chance;

/// Where something may go wrong.
const EDGES: [u32; 18] = [
    0,
    1,
    2,
    7,
    8,
    127,
    128,
    255,
    256,
    1024,
    4095,
    4096,
    4097,
    65_535,
    65_536,
    65_537,
    0x00ff_ffff,
    u32::MAX,
];

/// A changed copy of one of `pool`.
pub(crate) fn mutate(pool: &[Vec<u8>], target: &Target, chance: &mut Chance) -> Vec<u8> {
    let mut input = pick(pool, chance).to_vec();
    loop {
        change(&mut input, pool, target.words, chance);
        input.truncate(target.longest);
        // One change, often two, seldom many.
        if chance.below(2) == 0 {
            return input;
        }
    }
}

/// One of them; of two the shorter, since many short ones are tried in the time of a long one.
fn pick<'a>(pool: &'a [Vec<u8>], chance: &mut Chance) -> &'a [u8] {
    let two = [0; 2].map(|_| pool.get(chance.below(pool.len())).map_or(&[][..], Vec::as_slice));
    two.into_iter().min_by_key(|input| input.len()).unwrap_or_default()
}

fn change(input: &mut Vec<u8>, pool: &[Vec<u8>], words: &[&str], chance: &mut Chance) {
    let at = chance.below(input.len());
    match chance.below(if words.is_empty() { 11 } else { 15 }) {
        0 | 1 => flip(input, at, chance),
        2 => {
            if let Some(byte) = input.get_mut(at) {
                *byte = chance.draw() as u8;
            }
        }
        3 => set_number(input, at, chance),
        4 => input.truncate(at),
        5 => {
            let end = at + chance.below((input.len() - at).min(64) + 1);
            input.drain(at..end);
        }
        6 => {
            // A piece again, here or at the end.
            let piece = range(input, at, chance);
            let to = if chance.below(2) == 0 { at } else { input.len() };
            input.splice(to..to, piece);
        }
        7 => {
            let bytes = (0..=chance.below(8)).map(|_| chance.draw() as u8).collect::<Vec<_>>();
            input.splice(at..at, bytes);
        }
        8 => {
            // The beginning of this and the end of another.
            let other = pick(pool, chance);
            let from = chance.below(other.len());
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
        9 => input.extend_from_slice(pick(pool, chance)),
        10 => {
            // So much that lengths run out.
            let fill = [256, 4096, 9000, 65_536].get(chance.below(4)).copied().unwrap_or(1);
            input.splice(at..at, std::iter::repeat_n(chance.draw() as u8, fill));
        }
        11 | 12 => {
            let word = chance.one_of(words).unwrap_or_default().bytes();
            input.splice(at..at, word);
        }
        _ => {
            let word = chance.one_of(words).unwrap_or_default().bytes();
            let end = (at + word.len()).min(input.len());
            input.splice(at..end, word);
        }
    }
}

fn flip(input: &mut [u8], at: usize, chance: &mut Chance) {
    if let Some(byte) = input.get_mut(at) {
        *byte ^= 1 << chance.below(8);
    }
}

/// A number of one to four bytes becomes an edge, one more or less, or what is left behind it.
fn set_number(input: &mut [u8], at: usize, chance: &mut Chance) {
    let width = (1 + chance.below(4)).min(input.len() - at);
    let behind = u32::try_from(input.len() - at - width).unwrap_or(u32::MAX);
    let mut bytes = [0; 4];
    bytes[..width].copy_from_slice(&input[at..at + width]);
    let old = u32::from_le_bytes(bytes);
    let new = match chance.below(5) {
        0 => old.wrapping_add(1),
        1 => old.wrapping_sub(1),
        2 => behind,
        3 => behind.wrapping_add(chance.below(9) as u32).wrapping_sub(4),
        _ => chance.one_of(&EDGES).unwrap_or_default(),
    };
    input[at..at + width].copy_from_slice(&new.to_le_bytes()[..width]);
}

fn range(input: &[u8], at: usize, chance: &mut Chance) -> Vec<u8> {
    let len = chance.below((input.len() - at).min(300) + 1);
    input[at..at + len].to_vec()
}

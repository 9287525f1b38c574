//! Values of another form than the library's own: the writer's type is compared with the reader's once, and
//! what came of it is kept, within a bound.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use midflight_message::{Fingerprint, Message, Resolution, TypeInfo, resolve};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::behaviour::{Behaviour, State};
use crate::error::Failure;
use crate::list::sealed::List;
use crate::raw::RawWritten;
use crate::status::Status;
use crate::table::reader;

/// Comparisons that are kept; beyond it all are forgotten and made anew.
const KEPT_MAX: usize = 128;

static KEPT: RwLock<BTreeMap<Key, Arc<Compared>>> = RwLock::new(BTreeMap::new());

/// The list of behaviours (code that is compiled in shares this static), what is asked of it, and the writer's
/// version and schema.
type Key = (TypeId, Asked, u32, Fingerprint);

/// Which of a library's types reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    pub behaviour: u32,
    pub reader: u32,
    pub index: u32,
}

/// A type of a library that reads, whose Rust type is forgotten.
#[derive(Debug)]
pub struct Reader {
    info: TypeInfo,
    translate: TranslateFn,
}

/// From what was written to the reader's own form.
type TranslateFn = fn(&TypeInfo, &[u8], &Resolution) -> Result<Vec<u8>, Failure>;

/// Makes a reader; the macros name one for each type. Told the behaviour's name.
pub type ReaderFn = fn(&str) -> Result<Reader, Failure>;

/// Reads as the message `M`.
///
/// # Errors
/// None.
pub fn message_reader<M: Message>(_behaviour: &str) -> Result<Reader, Failure> {
    Ok(Reader { info: M::type_info().clone(), translate: translate_as::<M> })
}

/// Reads as the state `S`.
///
/// # Errors
/// [`Failure`] when the schema is beyond its bounds.
pub fn state_reader<S: State>(behaviour: &str) -> Result<Reader, Failure> {
    let info = crate::description::state_info::<S>(behaviour)?;
    Ok(Reader { info, translate: translate_as::<S> })
}

fn translate_as<T: Serialize + DeserializeOwned + 'static>(
    reader: &TypeInfo,
    value: &[u8],
    resolution: &Resolution,
) -> Result<Vec<u8>, Failure> {
    let translated = midflight_message::translate::<T>(reader, value, resolution);
    translated.map_err(|error| Failure::new(Status::DECODE, error.to_string()))
}

/// The reader asked for, among those of a behaviour.
pub(crate) fn reader_of<B: Behaviour>(reader: u32, index: u32) -> Result<Reader, Failure> {
    let at = index as usize;
    let make: Option<ReaderFn> = match reader {
        reader::START => Some(message_reader::<B::Start>),
        reader::MESSAGE => B::ACCEPTS.get(at).map(|accept| accept.reader),
        reader::REPLY => B::CALLS.get(at).map(|call| call.reader),
        reader::STATE if index == B::VERSION => Some(state_reader::<B>),
        reader::STATE => {
            let mut conversions = B::CONVERSIONS.iter();
            conversions.find(|it| it.version == index && it.from.is_some()).map(|it| it.reader)
        }
        _ => None,
    };
    let make = make.ok_or_else(|| {
        let text = format!("{} reads nothing of kind {reader} and index {index}", B::NAME);
        Failure::new(Status::UNKNOWN, text)
    })?;
    make(B::NAME)
}

/// A writer's type, lent.
pub(crate) struct Written<'a> {
    name: &'a str,
    version: u32,
    fingerprint: Fingerprint,
    schema: &'a [u8],
}

impl<'a> Written<'a> {
    /// # Safety
    /// What it lends is lent for as long as this.
    pub(crate) unsafe fn of(raw: &RawWritten<'a>) -> Result<Self, Failure> {
        // SAFETY: the caller promises it.
        let (name, schema) = unsafe { (raw.name.as_slice(), raw.schema.as_slice()) };
        let name = std::str::from_utf8(name).map_err(Failure::refused)?;
        let fingerprint = Fingerprint(raw.fingerprint);
        Ok(Self { name, version: raw.version, fingerprint, schema })
    }

    /// The whole type, which is not more than its schema's bounds allow.
    fn parse(&self) -> Result<TypeInfo, Failure> {
        let schema = std::str::from_utf8(self.schema).map_err(Failure::refused)?;
        let info = TypeInfo::parse(self.name, self.version, schema).map_err(Failure::refused)?;
        if info.fingerprint() == self.fingerprint {
            Ok(info)
        } else {
            Err(Failure::refused("the writer's schema has another fingerprint"))
        }
    }
}

/// A reader and a writer's type.
#[derive(Debug)]
struct Compared {
    reader: Reader,
    resolution: Resolution,
}

/// From the bytes that were written to those that the reader asked for would write.
pub(crate) fn translate<L: List>(
    asked: Asked,
    written: &Written<'_>,
    value: &[u8],
    mut spare: Vec<u8>,
) -> Result<Vec<u8>, Failure> {
    let key = (TypeId::of::<L>(), asked, written.version, written.fingerprint);
    let kept = KEPT.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
    let compared = match kept.filter(|kept| kept.reader.info.name() == written.name) {
        Some(compared) => compared,
        None => {
            let reader = L::reader(asked)?;
            let resolution = resolve(&written.parse()?, &reader.info);
            let compared = Arc::new(Compared { reader, resolution });
            keep(key, compared.clone());
            compared
        }
    };
    let Compared { reader, resolution } = &*compared;
    let translated = (reader.translate)(&reader.info, value, resolution)?;
    spare.clear();
    spare.extend_from_slice(&translated);
    Ok(spare)
}

fn keep(key: Key, compared: Arc<Compared>) {
    let mut kept = KEPT.write().unwrap_or_else(PoisonError::into_inner);
    // Dropped once the lock is not held any more.
    let forgotten =
        if kept.len() >= KEPT_MAX { std::mem::take(&mut *kept) } else { BTreeMap::new() };
    kept.insert(key, compared);
    drop(kept);
    drop(forgotten);
}

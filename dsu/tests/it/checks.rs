//! What is refused from the file's bytes, before any of its code runs.

use std::path::Path;

use midflight_abi::table::{ABI_MAJOR, MAGIC, TARGET};
use midflight_dsu::builder::BuildError;
use midflight_dsu::check::{CheckError, check_library};
use midflight_dsu::code::CodeFormat as _;
use midflight_dsu::library::LoadError;
use midflight_dsu::probe::ProbeRequest;

use crate::fixtures::{build_crate, bundle, library_of, native, stored};

const MARKS: &str = "tests/fixtures/marks-on-load";

/// Where in a library's bytes the table begins: nothing else looks like its first two fields.
fn table_at(library: &[u8]) -> usize {
    let head = [MAGIC.to_le_bytes().as_slice(), &ABI_MAJOR.to_le_bytes()].concat();
    let mut found = library.windows(head.len()).enumerate().filter(|(_, window)| *window == head);
    let (at, _) = found.next().unwrap();
    assert!(found.next().is_none());
    at
}

pub(crate) fn patched(library: &[u8], field: usize, value: u32) -> Vec<u8> {
    let mut library = library.to_vec();
    let at = table_at(&library) + field;
    library[at..at + 4].copy_from_slice(&value.to_le_bytes());
    library
}

fn ran(library: &Path) -> bool {
    let mut mark = library.as_os_str().to_owned();
    mark.push(".ran");
    Path::new(&mark).exists()
}

#[tokio::test]
async fn each_misfit_has_its_own_error() {
    let good = bundle("examples/counter-v1").await;
    let good = library_of(&good);
    let facts = check_library(good, TARGET).unwrap();
    assert_eq!((facts.abi_major, facts.abi_minor), (1, 4));
    assert_eq!(
        check_library(&patched(good, 8, 7), TARGET),
        Err(CheckError::WrongAbi { ours: 1, theirs: 7 })
    );
    assert_eq!(
        check_library(&patched(good, 12, 5), TARGET),
        Err(CheckError::NewerAbi { ours: 4, theirs: 5 })
    );
    assert!(check_library(&patched(good, 12, 0), TARGET).is_ok(), "what was there stays");
    assert!(matches!(
        check_library(&patched(good, 0, 7), TARGET),
        Err(CheckError::WrongMagic { .. })
    ));
    assert_eq!(
        check_library(&patched(good, 16, 40), TARGET),
        Err(CheckError::ShortTable { ours: 168, theirs: 40 })
    );
    let short = patched(good, 16, 144);
    let refused = Err(CheckError::ShortTable { ours: 168, theirs: 144 });
    assert_eq!(check_library(&short, TARGET), refused);
    assert!(check_library(&patched(&short, 12, 1), TARGET).is_ok(), "so it was in minor 1");
    let of_minor_3 = patched(&patched(good, 16, 160), 12, 3);
    assert!(check_library(&of_minor_3, TARGET).is_ok(), "and so in minor 3");
    // 2 is abort; what nobody has heard of is no better.
    for strategy in [2, 0, 99] {
        let abort = patched(good, 20, strategy);
        assert_eq!(check_library(&abort, TARGET), Err(CheckError::PanicAbort));
    }
    assert!(matches!(
        check_library(good, "aarch64-unknown-linux-gnu"),
        Err(CheckError::WrongTarget { .. })
    ));
    assert!(matches!(check_library(b"no ELF", TARGET), Err(CheckError::NotALibrary { .. })));
    assert!(matches!(check_library(b"", TARGET), Err(CheckError::NotALibrary { .. })));
    let program = std::fs::read(env!("CARGO_BIN_EXE_midflight-probe")).unwrap();
    assert_eq!(check_library(&program, TARGET), Err(CheckError::MissingSymbol));
}

#[tokio::test]
async fn a_library_cut_or_garbled_anywhere_never_panics() {
    let good = bundle("examples/counter-v1").await;
    let good = library_of(&good);
    for cut in (0..good.len()).step_by(1_999) {
        assert!(check_library(&good[..cut], TARGET).is_err(), "cut at {cut}");
    }
    for at in (0..1_024).chain((1_024..good.len()).step_by(4_999)) {
        let mut garbled = good.to_vec();
        garbled[at] = !garbled[at];
        // Most are refused; those that are not differ where a hash would show it.
        let _ = check_library(&garbled, TARGET);
    }
}

#[tokio::test]
async fn nothing_runs_of_a_library_with_a_wrong_abi_or_panic_strategy() {
    let folder = tempfile::tempdir().unwrap();
    let marks = bundle(MARKS).await;
    let format = native();
    let description = marks.manifest().description();
    for (field, value) in [(8, 2), (20, 2), (0, 0), (16, 1)] {
        let library = stored(folder.path(), &patched(library_of(&marks), field, value));
        // Not even by those who forget to check: loading and probing check by themselves.
        assert!(format.check(&std::fs::read(&library.path).unwrap()).is_err());
        let loaded = format.load(&library, &description).await;
        assert!(matches!(loaded, Err(LoadError::Check(_))), "{loaded:?}");
        let probed = format.probe(&library, &ProbeRequest::default()).await;
        assert!(probed.is_err(), "{probed:?}");
        assert!(!ran(&library.path), "its constructor ran");
    }
    // The marks are no accident: a good one leaves its mark.
    let library = stored(folder.path(), library_of(&marks));
    assert!(!ran(&library.path));
    format.probe(&library, &ProbeRequest::default()).await.unwrap();
    assert!(ran(&library.path));
}

#[tokio::test]
async fn a_library_without_a_table_is_refused() {
    let error = build_crate("tests/fixtures/no-table").await.unwrap_err();
    assert!(matches!(error, BuildError::Check(CheckError::MissingSymbol)), "{error:?}");
}

#[tokio::test]
async fn a_library_changed_after_it_was_checked_is_not_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let marks = bundle(MARKS).await;
    let library = stored(folder.path(), library_of(&marks));
    let mut other = library_of(&marks).to_vec();
    other.push(0);
    std::fs::write(&library.path, other).unwrap();
    let format = native();
    let loaded = format.load(&library, &marks.manifest().description()).await;
    assert!(matches!(loaded, Err(LoadError::Changed { .. })), "{loaded:?}");
    assert!(!ran(&library.path));
}

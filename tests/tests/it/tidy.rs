//! House rules that a compiler does not know; CONTRIBUTING.md says why each is there.
//!
//! Where a rule has exceptions, the list is here with the reason, and an exception that is not
//! needed any more fails the test: lists only get shorter by themselves.

use std::path::{Path, PathBuf};

/// Lines of a file under `src`.
const LINES_MAX: usize = 450;
/// Files that may be longer, up to so many lines, and why.
const LONGER: [(&str, usize, &str); 0] = [];

/// Where `unsafe` may stand, and why.
const UNSAFE: [(&str, &str); 6] = [
    ("dsu/abi/src/", "the border itself: C tables and raw buffers"),
    ("dsu/src/library.rs", "the system's loader"),
    ("dsu/src/native.rs", "calls through the C table"),
    ("dsu/src/native/", "the host's side of the C table"),
    ("dsu/src/compiled.rs", "compiled-in code goes through the same table"),
    ("tests/fixtures/", "libraries that misbehave on purpose"),
];

/// Tests that sleep, and why that is no waiting in real time, or why it must be.
const SLEEPS: [(&str, &str); 21] = [
    ("cli/tests/it/tools.rs", "looks again at other operating system processes, until a deadline"),
    ("dsu/abi/src/effect/tests.rs", "an effect of that name, not a wait"),
    ("dsu/abi/tests/refused/plain_handler_waits.rs", "does not compile, which is the test"),
    ("dsu/tests/it/async_handlers.rs", "an operation of a handler that the test itself ends"),
    (
        "examples/unix-transport/tests/shared/folder.rs",
        "the suite's clock: heartbeats are about real time",
    ),
    ("process/src/receive/tests.rs", "virtual time"),
    ("process/src/timers/tests.rs", "virtual time"),
    ("process/tests/it/", "virtual time; over sockets, to look again or to let a while pass"),
    ("process/tests/programs/", "virtual time"),
    ("tests/tests/it/canary.rs", "virtual time"),
    ("tests/tests/it/catching_up.rs", "virtual time"),
    ("tests/tests/it/committed.rs", "virtual time"),
    ("tests/tests/it/deploy.rs", "virtual time"),
    ("tests/tests/it/rollouts.rs", "virtual time"),
    ("tests/tests/it/hosted/", "virtual time"),
    ("tests/tests/it/relocation", "virtual time"),
    ("transport-inmem/tests/", "virtual time"),
    ("transport-tcp/tests/shared/", "the suite's clock: heartbeats are about real time"),
    ("tests/tests/it/spreading.rs", "virtual time"),
    ("tests/tests/it/sweeping.rs", "virtual time"),
    ("tests/tests/it/tidy.rs", "the word for which this test looks"),
];

/// The folder of the workspace.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Every file of the repository with that ending, by its path from there, with its text.
pub(crate) fn files(ending: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![repository().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == ending) {
                let text = std::fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(repository()).unwrap();
                found.push((path.to_str().unwrap().to_owned(), text));
            }
        }
    }
    assert!(!found.is_empty(), "no .{ending} files: the repository was not found");
    found.sort();
    found
}

fn is_source(path: &str) -> bool {
    path.starts_with("src/") || path.contains("/src/")
}

fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// The text without its comments and what follows `#[cfg(test)]` on a module of its own.
fn code(text: &str) -> Vec<(usize, &str)> {
    let tests = text.find("\n#[cfg(test)]\nmod ").filter(|at| {
        let line = text[*at..].lines().nth(2).unwrap_or_default();
        line.ends_with('{')
    });
    let text = &text[..tests.unwrap_or(text.len())];
    let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line.trim()));
    lines.filter(|(_, line)| !line.starts_with("//")).collect()
}

/// Whether a file is a module under `#[cfg(test)]` or a part of one.
fn is_for_tests(path: &str, all: &[(String, String)]) -> bool {
    let mut module = PathBuf::from(path.strip_suffix(".rs").unwrap_or(path));
    loop {
        let Some(name) = module.file_name().map(|name| name.to_string_lossy().into_owned()) else {
            return false;
        };
        let Some(parent) = module.parent().map(Path::to_owned) else { return false };
        let parents = [parent.with_extension("rs"), parent.join("lib.rs"), parent.join("main.rs")];
        let declares = format!("#[cfg(test)]\nmod {name};");
        let declared = all
            .iter()
            .filter(|(path, _)| parents.iter().any(|parent| parent == Path::new(path)))
            .any(|(_, text)| text.contains(&declares));
        if declared {
            return true;
        }
        if name == "src" {
            return false;
        }
        module = parent;
    }
}

/// Fails for what is wrong, and for exceptions that nothing needs any more.
fn judge(mut wrong: Vec<String>, exceptions: &[&str], needed: &[String]) {
    for exception in exceptions {
        if !needed.iter().any(|path| path.starts_with(exception)) {
            wrong.push(format!("{exception} needs no exception any more: take it off the list"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_file_is_called_mod_rs() {
    let all = files("rs").into_iter().map(|(path, _)| path);
    let wrong: Vec<_> = all.filter(|path| path.ends_with("mod.rs")).collect();
    assert!(wrong.is_empty(), "name the file after its module: {wrong:#?}");
}

#[test]
fn every_source_file_says_what_it_is_for() {
    let all = files("rs").into_iter().filter(|(path, _)| is_source(path));
    let wrong: Vec<_> = all.filter(|(_, text)| !text.starts_with("//!")).map(|(p, _)| p).collect();
    assert!(wrong.is_empty(), "these do not open with `//!`: {wrong:#?}");
}

#[test]
fn no_source_file_grows_long() {
    let (mut wrong, mut needed) = (Vec::new(), Vec::new());
    for (path, text) in files("rs").into_iter().filter(|(path, _)| is_source(path)) {
        let lines = text.lines().count();
        let exception = LONGER.iter().find(|(longer, ..)| *longer == path);
        let max = exception.map_or(LINES_MAX, |(_, max, _)| *max);
        if lines > LINES_MAX {
            needed.push(path.clone());
        }
        if lines > max {
            wrong.push(format!("{path} has {lines} lines, and may have {max}"));
        }
    }
    judge(wrong, &LONGER.map(|(path, ..)| path), &needed);
}

#[test]
fn nothing_unwraps_outside_tests() {
    let all = files("rs");
    let mut wrong = Vec::new();
    for (path, text) in all.iter().filter(|(path, _)| is_source(path) && !is_test(path)) {
        if is_for_tests(path, &all) {
            continue;
        }
        for (number, line) in code(text) {
            if line.contains(".unwrap()") {
                wrong.push(format!("{path}:{number}: {line}"));
            }
        }
    }
    assert!(wrong.is_empty(), "say with `expect` why it cannot fail, or answer it: {wrong:#?}");
}

#[test]
fn unsafe_stays_at_the_border() {
    let word = ["uns", "afe"].concat();
    let forms = [" {", " fn ", " impl ", " extern ", "("].map(|form| format!("{word}{form}"));
    let (mut wrong, mut needed) = (Vec::new(), Vec::new());
    for (path, text) in files("rs") {
        let lines = code(&text).into_iter();
        let mut lines = lines.filter(|(_, line)| forms.iter().any(|form| line.contains(form)));
        let Some((number, line)) = lines.next() else { continue };
        if UNSAFE.iter().any(|(allowed, _)| path.starts_with(allowed)) {
            needed.push(path);
        } else {
            wrong.push(format!("{path}:{number}: {line}"));
        }
    }
    judge(wrong, &UNSAFE.map(|(path, _)| path), &needed);
}

#[test]
fn tests_do_not_wait_by_the_clock() {
    let (mut wrong, mut needed) = (Vec::new(), Vec::new());
    let all = files("rs").into_iter();
    for (path, text) in all.filter(|(path, _)| is_test(path) && !is_source_of_tests(path)) {
        let mut lines = code(&text).into_iter().filter(|(_, line)| line.contains("sleep("));
        let Some((number, line)) = lines.next() else { continue };
        if SLEEPS.iter().any(|(allowed, _)| path.starts_with(allowed)) {
            needed.push(path);
        } else {
            wrong.push(format!("{path}:{number}: {line}"));
        }
    }
    judge(wrong, &SLEEPS.map(|(path, _)| path), &needed);
}

/// The bench and the fixtures lie under `tests/` and are programs and libraries.
fn is_source_of_tests(path: &str) -> bool {
    path.starts_with("tests/bench/") || path.starts_with("tests/fixtures/")
}

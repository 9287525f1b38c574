//! The program goes on ticking while its code is changed, broken and mended.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use midflight_runtime::{TokioRuntime, timeout};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader, Lines};
use tokio::process::Command;

/// Longer than a build takes on a busy machine.
const LONG: Duration = Duration::from_secs(240);

/// A copy of the ticker, which can be changed.
fn copy_of_the_ticker(to: &Path) -> (PathBuf, String) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let abi = here.join("../../dsu/abi").canonicalize().unwrap();
    let manifest = format!(
        "[package]\nname = \"ticker-copy\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n\
         midflight-abi = {{ path = {abi:?} }}\nserde = {{ version = \"1\", features = [\"derive\"] }}\n"
    );
    let source = std::fs::read_to_string(here.join("ticker/src/lib.rs")).unwrap();
    std::fs::create_dir_all(to.join("src")).unwrap();
    std::fs::write(to.join("Cargo.toml"), manifest).unwrap();
    // The versions that this workspace has, so that nothing needs to be fetched.
    std::fs::copy(here.join("../../Cargo.lock"), to.join("Cargo.lock")).unwrap();
    std::fs::write(to.join("src/lib.rs"), &source).unwrap();
    (to.join("src/lib.rs"), source)
}

/// Reads until a line begins with `words`; answers what follows them.
async fn until<R: AsyncRead + Unpin>(lines: &mut Lines<BufReader<R>>, words: &str) -> String {
    let reading = async {
        loop {
            let line = lines.next_line().await.unwrap().expect("it goes on printing");
            if let Some(rest) = line.strip_prefix(words) {
                return rest.trim().to_owned();
            }
        }
    };
    timeout(&*TokioRuntime::current(), LONG, reading).await.expect("in time")
}

#[tokio::test]
async fn it_goes_on_while_its_code_is_changed() {
    // The same folders in every run, so that only what changed is compiled.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("thesis-live-ticker");
    let (file, source) = copy_of_the_ticker(&folder);
    let data = Path::new(env!("CARGO_TARGET_TMPDIR")).join("thesis-live-data");
    let mut command = Command::new(env!("CARGO_BIN_EXE_thesis-live"));
    command.arg(&folder).arg(&data);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut news = BufReader::new(child.stderr.take().unwrap()).lines();
    let number = |text: String| text.parse::<u64>().unwrap();

    let before = number(until(&mut lines, "tick ").await);
    let changed = source.replace("\"tick {}\"", "\"still ticking {}\"");
    assert_ne!(changed, source);
    std::fs::write(&file, &changed).unwrap();
    assert_eq!(until(&mut news, "-- 1 process").await, "runs the new code");
    let mut last = number(until(&mut lines, "still ticking ").await);
    assert!(last > before, "{last} comes after {before}");

    // Neither what does not compile nor another state under the same version changes anything.
    let other_state = changed.replace("ticks: u64", "ticks: Vec<u64>");
    let other_state = other_state.replace("ticks: 0", "ticks: Vec::new()");
    let other_state = other_state.replace("self.ticks += 1", "self.ticks.push(1)");
    let other_state = other_state.replace(", self.ticks)", ", self.ticks.len())");
    for (bad, why) in [("this is no Rust", "does not compile"), (&other_state, "ticks")] {
        std::fs::write(&file, bad).unwrap();
        let words = until(&mut news, "-- all goes on as it was:").await;
        assert!(words.contains(why), "{words}");
        let next = number(until(&mut lines, "still ticking ").await);
        assert!(next > last, "{next} comes after {last}");
        last = next;
    }

    std::fs::write(&file, &source).unwrap();
    assert_eq!(until(&mut news, "-- 1 process").await, "runs the new code");
    assert!(number(until(&mut lines, "tick ").await) > last);
}

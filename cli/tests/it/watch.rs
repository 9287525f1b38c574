//! `midflight watch`: saved source runs, with the state kept; what is no good changes nothing.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use midflight_process::Node;
use midflight_process::message::Message;
use midflight_runtime::timeout;
use midflight_transport_tcp::{TcpConfig, TcpTransport};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use crate::tools::{LONG, NodeProcess, build_data, end, midflight, run, runtime, trusted_key};

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "greeter.Hello", version = 1)]
struct Hello {
    name: String,
}

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "greeter.Greeting", version = 1)]
struct Greeting {
    text: String,
}

/// A new crate in the same folder as in every run, so that only what changed is compiled.
async fn new_crate(folder: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let mut new = midflight(["new", "greeter"]);
    new.current_dir(&folder).arg("--data").arg(build_data());
    end(new).await.expect(0, &[]);
    folder.join("greeter")
}

/// The program, watching.
struct Watch {
    child: Child,
    events: Lines<BufReader<ChildStdout>>,
    log: tempfile::NamedTempFile,
}

impl Watch {
    fn start(folder: &Path, node: &NodeProcess) -> Self {
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut watch = midflight(["watch", "--json", "--node", &node.address, "--data"]);
        watch.arg(build_data()).arg(folder).stdout(Stdio::piped()).stderr(log.reopen().unwrap());
        let mut child = watch.spawn().unwrap();
        let events = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, events, log }
    }

    /// Waits for the next event that is not the beginning of a build.
    async fn news(&mut self) -> Value {
        loop {
            let line = timeout(&*runtime(), 2 * LONG, self.events.next_line()).await;
            let line = line.expect("in time").unwrap();
            let line = line.unwrap_or_else(|| panic!("it ended: {}", self.log()));
            let event: Value = serde_json::from_str(&line).unwrap();
            if event["event"] != "building" {
                return event;
            }
        }
    }

    /// Waits until what was saved runs. Cargo saves as well, its lock file, which changes nothing.
    async fn switched(&mut self) -> Value {
        loop {
            let event = self.news().await;
            if event["event"] != "same" {
                assert_eq!(event["event"], "switched", "{event:#} {}", self.log());
                return event;
            }
        }
    }

    /// Waits until a greeting begins like this. Cargo's own saves, and those in between, are news as well.
    async fn until_greeted(&mut self, greeter: &Greeter, beginning: &str) {
        let mut greeting = String::new();
        while !greeting.starts_with(beginning) {
            let event = self.news().await;
            assert!(["same", "switched"].contains(&event["event"].as_str().unwrap()), "{event:#}");
            greeting = greeter.greet().await;
        }
    }

    /// Waits until nothing is built any more: a build for an older save would take in the next one, too.
    async fn quiet(&mut self) {
        let quiet = Duration::from_secs(2);
        while timeout(&*runtime(), quiet, self.events.next_line()).await.is_ok() {}
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap()
    }
}

/// Who greets, and a node to ask from.
struct Greeter {
    from: Node,
    pid: midflight_process::Pid,
}

impl Greeter {
    async fn start(node: &NodeProcess) -> Self {
        let started = run(&["start", "greeter", "--json", "--node", &node.address]).await;
        let started = started.expect(0, &[]).json();
        let transport = TcpTransport::new(TcpConfig::default(), runtime());
        let from = Node::builder("asker").start(&transport, runtime()).await.unwrap();
        from.connect(&format!("tcp:{}", node.address).parse().unwrap()).await.unwrap();
        let pid = started["started"][0].as_str().unwrap().parse().unwrap();
        Self { from, pid }
    }

    async fn greet(&self) -> String {
        let hello = Hello { name: "Ada".into() };
        self.from.call::<_, Greeting>(self.pid, hello, LONG).await.unwrap().text
    }
}

#[tokio::test]
async fn what_is_saved_runs_and_what_is_no_good_changes_nothing() {
    let folder = new_crate("watched-crate").await;
    let file = folder.join("src/lib.rs");
    let source = std::fs::read_to_string(&file).unwrap();
    let node = NodeProcess::start_with("a", &["--trust", &trusted_key()]).await;
    let mut watch = Watch::start(&folder, &node);
    let first = watch.switched().await;
    let greeter = Greeter::start(&node).await;
    assert_eq!(greeter.greet().await, "hello Ada, you are number 1");

    // The version stays; the content tells them apart.
    let edited = source.replace("hello {name}", "good day {name}");
    std::fs::write(&file, &edited).unwrap();
    let second = watch.switched().await;
    assert_eq!((&second["version"], &second["switched"]), (&1.into(), &1.into()));
    assert_ne!(first["address"], second["address"]);
    assert_eq!(greeter.greet().await, "good day Ada, you are number 2");

    // The same source once more is no news, unless something else runs by now.
    std::fs::write(&file, &edited).unwrap();
    let same = watch.news().await;
    assert_eq!((&same["event"], &same["address"]), (&"same".into(), &second["address"]));
    let rollback = ["rollback", "greeter", "--wait", "--node", &node.address];
    run(&rollback).await.expect(0, &[]);
    assert_eq!(greeter.greet().await, "hello Ada, you are number 3");
    std::fs::write(&file, &edited).unwrap();
    assert_eq!(watch.switched().await["address"], second["address"]);

    // The compiler's own words, and nothing else happens.
    std::fs::write(&file, edited.replace("format!(", "no_such_macro!(")).unwrap();
    let failed = watch.news().await;
    assert_eq!((&failed["event"], &failed["step"]), (&"failed".into(), &"build".into()));
    assert!(watch.log().contains("cannot find macro `no_such_macro`"), "{}", watch.log());
    assert_eq!(greeter.greet().await, "good day Ada, you are number 4");

    // Another state under the same version is refused, and what to do is said.
    let other = edited.replace("greeted: u64,", "greeted: u64,\n    last: String,");
    let other = other.replace("greeted: 0 }", "greeted: 0, last: String::new() }");
    assert_ne!(other, edited);
    std::fs::write(&file, &other).unwrap();
    let refused = watch.news().await;
    assert_eq!(refused["event"], "refused", "{refused:#} {}", watch.log());
    let help = refused["help"].as_str().unwrap();
    assert!(
        help.contains("#[state(version = 2)]") && help.contains("#[convert_from(1)]"),
        "{help}"
    );
    assert_eq!(greeter.greet().await, "good day Ada, you are number 5");

    // Raised, and said how.
    let raised = other.replace("#[state(version = 1)]", "#[state(version = 2)]");
    let raised = raised.replace(
        "    #[handle]",
        "    #[convert_from(1)]\n    fn from_v1(old: GreeterV1) -> Self {\n        \
         Greeter { greeted: old.greeted, last: String::new() }\n    }\n\n    #[handle]",
    );
    let before = "#[derive(Serialize, Deserialize, State)]\n#[state(version = 1)]\n\
                  pub struct GreeterV1 { greeted: u64 }\n";
    let raised = format!("{raised}\n{before}");
    std::fs::write(&file, &raised).unwrap();
    assert_eq!(watch.switched().await["switched"], 1);
    assert_eq!(greeter.greet().await, "good day Ada, you are number 6");

    // What it has from another folder is its source, too, from the save on that brings it in.
    let words = new_dependency(&folder, "good evening");
    let told = raised.replace("good day {name}", "{} {name}");
    let told = told.replace("{}\", self.greeted)", "{}\", words::HELLO, self.greeted)");
    std::fs::write(&file, &told).unwrap();
    watch.until_greeted(&greeter, "good evening Ada").await;
    watch.quiet().await;
    std::fs::write(&words, words_of("good night")).unwrap();
    watch.until_greeted(&greeter, "good night Ada").await;

    watch_ends_when_asked(watch).await;
}

fn words_of(hello: &str) -> String {
    format!("pub const HELLO: &str = \"{hello}\";\n")
}

/// A crate beside that in `folder`, which has it from its path from now on. Answers its source file.
fn new_dependency(folder: &Path, hello: &str) -> PathBuf {
    let words = folder.with_file_name("words");
    std::fs::create_dir_all(words.join("src")).unwrap();
    let manifest = "[package]\nname = \"words\"\nedition = \"2024\"\n\n[workspace]\n";
    std::fs::write(words.join("Cargo.toml"), manifest).unwrap();
    let file = words.join("src/lib.rs");
    std::fs::write(&file, words_of(hello)).unwrap();
    let manifest = folder.join("Cargo.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let text =
        text.replace("[dependencies]\n", "[dependencies]\nwords = { path = \"../words\" }\n");
    std::fs::write(&manifest, text).unwrap();
    file
}

async fn watch_ends_when_asked(mut watch: Watch) {
    let id = i32::try_from(watch.child.id().unwrap()).unwrap();
    let id = rustix::process::Pid::from_raw(id).unwrap();
    rustix::process::kill_process(id, Signal::INT).unwrap();
    let ended = timeout(&*runtime(), LONG, watch.child.wait()).await.unwrap().unwrap();
    assert!(ended.success(), "{ended:?} {}", watch.log());
}

#[tokio::test]
async fn what_cannot_be_watched_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().to_str().unwrap();
    run(&["watch", empty, "--data", empty]).await.expect(5, &["it has no Cargo.toml"]);
    let folder = crate::tools::examples().join("counter-v1");
    let nobody = ["watch", folder.to_str().unwrap(), "--data", empty, "--node", "127.0.0.1:1"];
    run(&nobody).await.expect(3, &["cannot be reached"]);
}

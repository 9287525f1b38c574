//! What is in `deploy/` is what the program has: every flag, variable, port and path.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use midflight_runtime::timeout;
use rustix::process::Signal;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::tools::{
    LONG, ask_http, bundle, end, midflight, run, runtime, signal, trusted_key, until,
};

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn file(path: &str) -> String {
    let path = project().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn manifest(name: &str) -> Value {
    serde_saphyr::from_str(&file(&format!("deploy/kubernetes/{name}.yaml"))).unwrap()
}

/// The flags and the variables that a command's help names.
async fn known(command: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let help = run(&[command, "--help"]).await.expect(0, &[]).stdout;
    let word = |c: char| !(c.is_ascii_alphanumeric() || "-_".contains(c));
    let flags = help.split(word).filter(|it| it.starts_with("--")).map(str::to_owned).collect();
    let variables = help.split("[env: ").skip(1).filter_map(|rest| rest.split(['=', ']']).next());
    (flags, variables.map(str::to_owned).collect())
}

/// Asserts that the words of a command line are those of the program.
async fn is_command(words: &[&str], from: &str) {
    let (flags, _) = known(words[0]).await;
    for word in words.iter().filter(|word| word.starts_with("--")) {
        let flag = word.split('=').next().unwrap();
        assert!(flags.contains(flag), "{from}: `midflight {}` has no {flag}", words[0]);
    }
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

fn by<'a>(list: &'a Value, key: &str, name: &str) -> &'a Value {
    let mut found = list.as_array().unwrap().iter().filter(|item| item[key] == name);
    found.next().unwrap_or_else(|| panic!("no {key} `{name}` in {list}"))
}

fn container(set: &Value) -> &Value {
    &set["spec"]["template"]["spec"]["containers"][0]
}

/// The variables of the StatefulSet's container that say something by themselves.
fn variables(set: &Value) -> BTreeMap<&str, &str> {
    let all = container(set)["env"].as_array().unwrap().iter();
    all.filter_map(|it| Some((it["name"].as_str()?, it["value"].as_str()?))).collect()
}

/// The number at the end of `--FLAG=HOST:PORT`.
fn port(args: &[&str], flag: &str) -> u64 {
    let arg = args.iter().find_map(|arg| arg.strip_prefix(flag)).unwrap();
    arg.rsplit(':').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn manifests_name_what_there_is() {
    let (set, service) = (manifest("statefulset"), manifest("service"));
    let container = container(&set);
    let args = texts(&container["args"]);
    is_command(&args, "statefulset.yaml").await;
    let (_, known) = known("node").await;
    for name in variables(&set).keys() {
        assert!(known.contains(*name), "`midflight node` does not look at {name}: {known:?}");
    }
    for name in args.iter().filter_map(|arg| arg.split("$(").nth(1)?.split(')').next()) {
        by(&container["env"], "name", name);
    }
    // Ports.
    let ports = &container["ports"];
    for (name, flag) in [("midflight", "--listen="), ("metrics", "--metrics=")] {
        let number = port(&args, flag);
        assert_eq!(by(ports, "name", name)["containerPort"], number);
        let served = by(&service["spec"]["ports"], "name", name);
        assert_eq!((&served["port"], served["targetPort"].as_str()), (&number.into(), Some(name)));
    }
    assert_eq!(container["readinessProbe"]["httpGet"]["port"], "metrics");
    assert_eq!(port(&args, "--advertise="), port(&args, "--listen="));
    // Who is selected.
    let labels = &set["spec"]["template"]["metadata"]["labels"];
    for selector in [
        &set["spec"]["selector"]["matchLabels"],
        &service["spec"]["selector"],
        &manifest("disruption")["spec"]["selector"]["matchLabels"],
    ] {
        assert_eq!(selector, labels);
    }
    let service_name = service["metadata"]["name"].as_str().unwrap();
    assert_eq!(set["spec"]["serviceName"], service_name);
    assert!(args.iter().any(|arg| arg.ends_with(&format!("$(POD_NAME).{service_name}:7400"))));
    assert_eq!(service["spec"]["publishNotReadyAddresses"], true, "nobody would find anybody");
}

#[tokio::test]
async fn what_is_mounted_is_what_is_read() {
    let set = manifest("statefulset");
    let pod = &set["spec"]["template"]["spec"];
    let mounts = &container(&set)["volumeMounts"];
    let mounted: Vec<_> = texts_of(mounts, "mountPath");
    let settings: toml::Table = file("deploy/kubernetes/node.toml").parse().unwrap();
    let paths = variables(&set)
        .into_values()
        .chain(settings["trust"].as_array().into_iter().flatten().map(|it| it.as_str().unwrap()));
    for path in paths.filter(|it| it.starts_with('/')) {
        assert!(
            mounted.iter().any(|mount| Path::new(path).starts_with(mount)),
            "{path}: {mounted:?}"
        );
    }
    for name in texts_of(mounts, "name") {
        let claims = set["spec"]["volumeClaimTemplates"].as_array().unwrap();
        let claimed = claims.iter().any(|claim| claim["metadata"]["name"] == name);
        assert!(
            claimed || pod["volumes"].as_array().unwrap().iter().any(|it| it["name"] == name),
            "{name}"
        );
    }
    let kustomization = manifest("kustomization");
    for resource in texts(&kustomization["resources"]) {
        file(&format!("deploy/kubernetes/{resource}"));
    }
    let generated = &kustomization["configMapGenerator"][0];
    assert_eq!(by(&pod["volumes"], "name", "config")["configMap"]["name"], generated["name"]);
    let configured = Path::new(variables(&set)["MIDFLIGHT_CONFIG"]).file_name().unwrap();
    assert_eq!(texts(&generated["files"]), [configured.to_str().unwrap()]);
    // Who made the certificates and the key, in the guide.
    let guide = file("docs/deploying.md");
    for (volume, kind, key) in [("certs", "secret", "secretName"), ("trust", "configMap", "name")] {
        let name = by(&pod["volumes"], "name", volume)[kind][key].as_str().unwrap();
        assert!(guide.contains(&format!(" {name} ")), "the guide makes no {name}");
    }
    // Time to end in.
    let drain = settings["drain"].as_integer().unwrap();
    let grace = pod["terminationGracePeriodSeconds"].as_i64().unwrap();
    assert!(grace > drain + 8, "killed after {grace} s, with {drain} s to drain");
}

fn texts_of<'a>(list: &'a Value, key: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|item| item[key].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_image_the_unit_and_the_guide_use_flags_that_there_are() {
    let image = file("deploy/Containerfile");
    let line = |start: &str| {
        image.lines().find_map(|line| line.strip_prefix(start)).unwrap_or_else(|| panic!("{start}"))
    };
    let command: Vec<String> = serde_json::from_str(line("CMD ")).unwrap();
    let command: Vec<_> = command.iter().map(String::as_str).collect();
    is_command(&command, "Containerfile").await;
    for port in line("EXPOSE ").split(' ') {
        assert!(command.iter().any(|word| word.ends_with(&format!(":{port}"))), "{port}");
    }
    let unit = file("deploy/systemd/midflight@.service");
    let (_, known) = known("node").await;
    for text in [&image, &unit] {
        let words = text.split(|c: char| !(c.is_ascii_uppercase() || c == '_'));
        for name in words.filter(|word| word.starts_with("MIDFLIGHT_")) {
            assert!(known.contains(name), "`midflight node` does not look at {name}");
        }
    }
    let exec = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    is_command(&exec.split(' ').skip(1).collect::<Vec<_>>(), "midflight@.service").await;

    let guide = file("docs/deploying.md");
    let commands = guide.lines().map(str::trim).filter_map(|line| line.strip_prefix("midflight "));
    let mut count = 0;
    for command in commands {
        is_command(&command.split(' ').collect::<Vec<_>>(), "docs/deploying.md").await;
        count += 1;
    }
    assert!(count >= 3, "the guide's commands were not found");
}

/// The StatefulSet's first pod, as far as one machine goes: the same arguments, variables and files, with other
/// paths and ports.
#[tokio::test]
async fn a_node_starts_as_the_manifest_says() {
    bundle("counter-v1").await;
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| root.path().join(path.trim_start_matches('/'));
    let set = manifest("statefulset");
    for mount in texts_of(&container(&set)["volumeMounts"], "mountPath") {
        fs::create_dir_all(at(mount)).unwrap();
    }
    // As the guide has it, and this machine, on which there is no such name.
    let certs = at("/etc/midflight/certs");
    let mut make = midflight([
        "certs",
        "--node",
        "midflight-0",
        "--host",
        "midflight",
        "midflight-0.midflight",
        "--out",
    ]);
    make.arg(&certs);
    end(make).await.expect(0, &[]);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let settings = file("deploy/kubernetes/node.toml");
    let key = at("/etc/midflight/trust/release.pub");
    fs::copy(trusted_key(), &key).unwrap();
    let settings = settings
        .replace("midflight:7400", &format!("localhost:{}", free.port()))
        .replace("/etc/midflight/trust/release.pub", key.to_str().unwrap());
    fs::write(at("/etc/midflight/config/node.toml"), settings).unwrap();

    let mut command = midflight(texts(&container(&set)["args"]).into_iter().map(|arg| {
        arg.replace("$(POD_NAME)", "midflight-0")
            .replace("--listen=0.0.0.0:7400", &format!("--listen={free}"))
            .replace("--metrics=0.0.0.0:7480", "--metrics=127.0.0.1:0")
    }));
    for (name, value) in variables(&set) {
        let path = at(value);
        command.env(name, if value.starts_with('/') { path.as_os_str() } else { value.as_ref() });
    }
    let log = root.path().join("log");
    command.stdout(Stdio::piped()).stderr(fs::File::create(&log).unwrap());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    timeout(&*runtime(), LONG, stdout.read_line(&mut line)).await.unwrap().unwrap();
    let log = || fs::read_to_string(&log).unwrap();
    assert!(line.starts_with("ready midflight-0 "), "{line}{}", log());
    let said = log();
    let page = said.split("http://").nth(1).unwrap().split("/metrics").next().unwrap().to_owned();
    let probe = container(&set)["readinessProbe"]["httpGet"]["path"].as_str().unwrap();
    let request = format!("GET {probe} HTTP/1.1\r\n\r\n");
    until("it is ready", async || {
        ask_http(&page, request.as_bytes()).await.starts_with("HTTP/1.1 200 ")
    })
    .await;
    let node = free.to_string();
    let status = ["status", "--json", "--node", &node, "--transport", "tls", "--certs"];
    run(&[&status[..], &[certs.to_str().unwrap()]].concat()).await.expect(0, &[]);
    signal(&child, Signal::TERM);
    assert!(
        timeout(&*runtime(), LONG, child.wait()).await.unwrap().unwrap().success(),
        "{}",
        log()
    );
}

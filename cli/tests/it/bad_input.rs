//! Whatever is wrong with what the program is given, it says what, and ends with the code for it.

use std::net::TcpListener;

use crate::tools::{NodeProcess, build_data, bundle, end, examples, midflight, run};

#[tokio::test]
async fn usage_is_2() {
    run(&[]).await.expect(2, &["Usage"]);
    run(&["fly"]).await.expect(2, &["fly"]);
    run(&["status", "--node", "nowhere"]).await.expect(2, &["HOST:PORT"]);
    run(&["node", "--transport", "inmem"]).await.expect(2, &["inmem", "tcp", "tls"]);
    run(&["node", "--transport", "tls"]).await.expect(2, &["--name NAME"]);
    run(&["demo", "--processes", "0"]).await.expect(2, &["processes"]);
    run(&["demo", "--sabotage", "burn"]).await.expect(2, &["forget-state"]);
    run(&["node", "--trust", "me"]).await.expect(2, &["64 hexadecimal digits"]);
    let folder = tempfile::tempdir().unwrap();
    let mut command = midflight(["node", "--listen", "127.0.0.1:0", "--name", "not a name"]);
    command.arg("--data").arg(folder.path());
    end(command).await.expect(2, &["not a name"]);
}

#[tokio::test]
async fn help_and_version_are_0() {
    let help = run(&["--help"]).await.expect(0, &[]);
    for command in ["demo", "node", "build", "inspect", "check", "push", "ps", "status", "certs"] {
        assert!(help.stdout.contains(command), "{command}");
    }
    assert!(!help.stdout.contains("probe"), "it is nodes' own");
    assert!(run(&["--version"]).await.expect(0, &[]).stdout.contains("midflight"));
}

#[tokio::test]
async fn nobody_there_is_3() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    for command in ["status", "ps"] {
        run(&[command, "--node", &free]).await.expect(3, &[&free, "cannot be reached", "--node"]);
    }
    let mut command = midflight(["push"]);
    command.arg(bundle("counter-v1").await).env("MIDFLIGHT_NODE", &free);
    end(command).await.expect(3, &[&free]);
}

#[tokio::test]
async fn somebody_else_there_is_3() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answering = tokio::join!(end(midflight(["status", "--node", &address])), async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let words = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
        // It may have gone by now.
        let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, words).await;
        stream
    });
    answering.0.expect(3, &[&address]);
}

#[tokio::test]
async fn a_file_that_is_no_bundle_is_said_to_be_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    run(&["inspect", &path("missing.mfb")]).await.expect(5, &["missing.mfb"]);
    run(&["push", &path("missing.mfb")]).await.expect(5, &["missing.mfb"]);

    let good = std::fs::read(bundle("counter-v1").await).unwrap();
    let mut garbled = good.clone();
    let middle = garbled.len() / 2;
    garbled[middle] ^= 1;
    let oversized = path("oversized.mfb");
    std::fs::File::create(&oversized).unwrap().set_len(300 << 20).unwrap();
    for (name, bytes) in [
        ("text.mfb", b"no bundle at all".to_vec()),
        ("empty.mfb", Vec::new()),
        ("truncated.mfb", good[..good.len() / 2].to_vec()),
        ("garbled.mfb", garbled),
    ] {
        let path = path(name);
        std::fs::write(&path, bytes).unwrap();
        run(&["inspect", &path]).await.expect(1, &[name, "is no bundle"]);
        // Nobody needs to be reached for that.
        run(&["push", &path, "--node", "127.0.0.1:1"]).await.expect(4, &[name, "is no bundle"]);
    }
    run(&["inspect", &oversized]).await.expect(1, &["oversized.mfb", "at most"]);
}

#[tokio::test]
async fn what_cannot_be_built_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let build = |crate_folder: &std::path::Path| {
        let mut command = midflight(["build"]);
        command.arg(crate_folder).arg("--data").arg(build_data());
        command.arg("-o").arg(folder.path().join("out.mfb"));
        command
    };
    end(build(folder.path())).await.expect(5, &["Cargo.toml"]);

    let counter = examples().join("counter-v1");
    let mut without_cargo = build(&counter);
    without_cargo.env("CARGO", "/nowhere/cargo");
    end(without_cargo).await.expect(5, &["/nowhere/cargo", "rustup.rs"]);

    let mut other_target = build(&counter);
    other_target.args(["--target", "riscv64gc-unknown-none-elf"]);
    end(other_target).await.expect(2, &["riscv64gc-unknown-none-elf"]);

    let broken = folder.path().join("broken");
    std::fs::create_dir_all(broken.join("src")).unwrap();
    let manifest = "[package]\nname = \"broken\"\nedition = \"2024\"\n[workspace]\n";
    std::fs::write(broken.join("Cargo.toml"), manifest).unwrap();
    std::fs::write(broken.join("src/lib.rs"), "this is no Rust").unwrap();
    end(build(&broken)).await.expect(1, &["expected", "does not compile"]);

    let data_in_a_file = folder.path().join("file");
    std::fs::write(&data_in_a_file, "").unwrap();
    let mut command = midflight(["build"]);
    command.arg(&counter).arg("--data").arg(data_in_a_file.join("data"));
    end(command).await.expect(5, &["file"]);
}

#[tokio::test]
async fn a_node_that_cannot_start_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let node = |listen: &str| {
        let mut command = midflight(["node", "--name", "a", "--listen", listen]);
        command.arg("--data").arg(folder.path().join("data"));
        command
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    end(node(&taken)).await.expect(5, &[&taken, "in use", "another port"]);
    end(node("0.0.0.0:0")).await.expect(4, &["without a secret", "--secret-file"]);
    // Where everybody may listen nobody can be dialled.
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "0123456789abcdef0123456789abcdef").unwrap();
    let mut command = node("0.0.0.0:0");
    command.arg("--secret-file").arg(&secret);
    end(command).await.expect(4, &["0.0.0.0:0", "--advertise"]);
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let mut command = midflight(["node", "--listen", "127.0.0.1:0", "--data"]);
    command.arg(file.join("data"));
    end(command).await.expect(5, &["data folder"]);
}

#[tokio::test]
async fn a_data_folder_is_one_nodes_alone() {
    let first = NodeProcess::start_with("first", &[]).await;
    let data = first.data();
    let data = data.to_str().unwrap();
    let second = ["node", "--name", "second", "--listen", "127.0.0.1:0", "--data", data];
    run(&second).await.expect(5, &["another node's", "--data"]);
}

#[tokio::test]
async fn a_bad_name_is_refused_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["../evil", ".hidden", "a b", ""] {
        let mut command = midflight(["node", "--name", name]);
        command.env("HOME", folder.path()).env("XDG_DATA_HOME", folder.path());
        end(command).await.expect(2, &["name"]);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was made");
}

#[tokio::test]
async fn a_bundle_is_built_into_the_current_folder() {
    let folder = tempfile::tempdir().unwrap();
    for output in [&[][..], &["-o", "bare.mfb"]] {
        let mut command = midflight(["build"]);
        command.arg(examples().join("counter-v1").canonicalize().unwrap());
        command.arg("--data").arg(build_data());
        command.args(output).current_dir(folder.path());
        end(command).await.expect(0, &[]);
    }
    for name in ["counter-1.mfb", "bare.mfb"] {
        assert!(folder.path().join(name).exists(), "{name}");
    }
}

#[tokio::test]
async fn a_settings_file_that_is_wrong_is_refused_with_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("node.toml");
    let file = file.to_str().unwrap();
    let node = ["node", "--data", folder.path().to_str().unwrap(), "--config", file];
    run(&node).await.expect(5, &[file]);
    for (text, words) in [
        ("nmae = 'a'", &["`nmae` is no setting", "midflight node"][..]),
        ("name = ", &[file]),
        ("listen = 'nowhere'", &["with what is in", "--listen", "nowhere"]),
        ("trust-loopback = 'yes'", &["`trust-loopback` is set by true or false"]),
    ] {
        std::fs::write(file, text).unwrap();
        run(&node).await.expect(2, words);
    }
    std::fs::write(file, vec![b'#'; 100_000]).unwrap();
    run(&node).await.expect(5, &[file]);
}

#[tokio::test]
async fn shells_are_told_the_commands() {
    let script = run(&["completions", "bash"]).await.expect(0, &[]).stdout;
    assert!(script.contains("midflight") && script.contains("dead-letters"), "{script}");
    run(&["completions", "dos"]).await.expect(2, &["bash", "zsh"]);
}

//! `midflight certs`: what it makes, what it keeps, and what it refuses.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use rcgen::{KeyPair, PublicKeyData as _};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tempfile::TempDir;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;
use x509_parser::prelude::X509Certificate;

use crate::tools::{Ended, end, midflight, run};

async fn certs(folder: &Path, more: &[&str]) -> Ended {
    let mut command = midflight(["certs", "--out"]);
    command.arg(folder).args(more);
    end(command).await
}

fn der(folder: &Path, name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(folder.join(format!("{name}.pem"))).unwrap()
}

fn parse(der: &[u8]) -> X509Certificate<'_> {
    parse_x509_certificate(der).unwrap().1
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let names = certificate.subject_alternative_name().unwrap().unwrap();
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => (*name).to_owned(),
        GeneralName::IPAddress(bytes) => format!("{bytes:?}"),
        other => panic!("{other:?}"),
    };
    names.value.general_names.iter().map(text).collect()
}

type Files = BTreeMap<String, (Vec<u8>, u64)>;

/// Every file with its bytes and where it lies: one that is written anew lies elsewhere.
fn files(folder: &Path) -> Files {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let file = |entry: fs::DirEntry| {
        let bytes = fs::read(entry.path()).unwrap();
        (entry.file_name().into_string().unwrap(), (bytes, entry.metadata().unwrap().ino()))
    };
    entries.map(file).collect()
}

fn changed(before: &Files, folder: &Path) -> Vec<String> {
    let after = files(folder);
    after
        .iter()
        .filter(|(name, file)| before.get(*name) != Some(file))
        .map(|f| f.0.clone())
        .collect()
}

#[tokio::test]
async fn a_ca_and_certificates_are_made() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("new/certs");
    let hosts = ["--host", "Node.example.org", "--host", "192.0.2.7"];
    let args = [&["--node", "a", "--node", "b", "--days", "7"], &hosts[..]].concat();
    let ended = certs(&folder, &args).await.expect(0, &[]);
    for name in ["a", "b"] {
        let command = format!("--certs {} --name {name}", folder.display());
        assert!(ended.stdout.contains(&command), "{}", ended.stdout);
    }

    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    let found: Vec<_> = files(&folder).into_keys().collect();
    let expected =
        ["a.key", "a.pem", "b.key", "b.pem", "ca.key", "ca.pem", "operator.key", "operator.pem"];
    assert_eq!(found, expected);
    for name in found.iter().filter(|name| name.ends_with(".key")) {
        assert_eq!(mode(&folder.join(name)), 0o600, "{name}");
    }

    let ca_der = der(&folder, "ca");
    let ca = parse(&ca_der);
    let constraints = ca.basic_constraints().unwrap().unwrap();
    assert!(constraints.critical && constraints.value.ca);
    assert_eq!(constraints.value.path_len_constraint, Some(0));
    let usage = ca.key_usage().unwrap().unwrap().value;
    assert!(usage.key_cert_sign() && usage.crl_sign() && !usage.digital_signature());

    for name in ["a", "b", "operator"] {
        let der = der(&folder, name);
        let certificate = parse(&der);
        certificate.verify_signature(Some(ca.public_key())).unwrap();
        assert_eq!(certificate.issuer(), ca.subject());
        assert!(!certificate.is_ca());
        let usage = certificate.extended_key_usage().unwrap().unwrap().value;
        assert!(usage.server_auth && usage.client_auth && !usage.any);
        let key = fs::read_to_string(folder.join(format!("{name}.key"))).unwrap();
        let key = KeyPair::from_pem(&key).unwrap();
        assert!(key.is_compatible(&rcgen::PKCS_ECDSA_P256_SHA256));
        assert_eq!(key.der_bytes(), &*certificate.public_key().subject_public_key.data);
        let mut expected = vec![name, "localhost", "[127, 0, 0, 1]"];
        expected.push("[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]");
        if name != "operator" {
            expected.extend(["node.example.org", "[192, 0, 2, 7]"]);
        }
        assert_eq!(names(&certificate), expected, "the node's own name first");
        let validity = certificate.validity();
        assert!(validity.is_valid());
        let days = validity.time_to_expiration().unwrap().whole_days();
        assert!((6..=7).contains(&days), "{days}");
    }
}

#[tokio::test]
async fn what_is_there_is_used_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    certs(folder, &["--node", "a"]).await.expect(0, &[]);
    let before = files(folder);
    let ended = certs(folder, &["--node", "a", "b", "--json"]).await.expect(0, &[]);
    let value = ended.json();
    assert_eq!(value["authority"]["outcome"], "kept");
    let outcomes = value["certificates"].as_array().unwrap().iter();
    let outcomes: Vec<_> =
        outcomes.map(|made| (made["name"].as_str().unwrap(), &made["outcome"])).collect();
    let (kept, made) = ("kept".into(), "made".into());
    assert_eq!(outcomes, [("a", &kept), ("b", &made), ("operator", &kept)]);
    assert_eq!(changed(&before, folder), ["b.key", "b.pem"]);
    let ca = der(folder, "ca");
    parse(&der(folder, "b")).verify_signature(Some(parse(&ca).public_key())).unwrap();

    let other_host = ["--node", "a", "--host", "elsewhere"];
    let kept = certs(folder, &other_host).await.expect(0, &["elsewhere", "--renew --node a"]);
    assert!(kept.stdout.contains("kept"), "{}", kept.stdout);
}

#[tokio::test]
async fn renewal_makes_another_key_and_keeps_the_ca() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    certs(folder, &["--node", "a", "b", "--host", "old.example.org"]).await.expect(0, &[]);
    let before = files(folder);
    let renewed =
        certs(folder, &["--node", "a", "--host", "new", "--renew", "--json"]).await.expect(0, &[]);
    assert_eq!(renewed.json()["certificates"][0]["outcome"], "renewed");
    assert_eq!(changed(&before, folder), ["a.key", "a.pem"]);
    let (ca, a) = (der(folder, "ca"), der(folder, "a"));
    let certificate = parse(&a);
    certificate.verify_signature(Some(parse(&ca).public_key())).unwrap();
    let names = names(&certificate);
    assert_eq!(names[0], "a");
    assert_eq!(names[4..], ["old.example.org", "new"], "the old hosts are kept");
    let mode = fs::metadata(folder.join("a.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let before = files(folder);
    certs(folder, &["--renew"]).await.expect(0, &[]);
    assert_eq!(changed(&before, folder), ["operator.key", "operator.pem"]);
}

#[tokio::test]
async fn names_that_no_certificate_can_hold_are_refused() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("certs");
    for (name, why) in [
        ("a b", "1 to 64 letters"),
        ("../a", "1 to 64 letters"),
        ("a-", "DNS name"),
        ("127.0.0.1", "DNS name"),
        ("ca", "the authority's"),
        ("localhost", "every certificate"),
    ] {
        certs(&folder, &["--node", name]).await.expect(2, &[name, why]);
    }
    for host in ["a:7400", "*.example.org", ""] {
        certs(&folder, &["--node", "a", "--host", host]).await.expect(2, &["without a port"]);
    }
    certs(&folder, &["--days", "0"]).await.expect(2, &["--days"]);
    assert!(!folder.exists(), "nothing was made");
}

fn copied(folder: &Path, from: &str, to: &str) {
    fs::copy(folder.join(from), folder.join(to)).unwrap();
}

/// A folder with certificates, one thing in it put wrong.
async fn spoilt(spoil: impl FnOnce(&Path)) -> (TempDir, Files) {
    let folder = tempfile::tempdir().unwrap();
    certs(folder.path(), &["--node", "a", "b"]).await.expect(0, &[]);
    spoil(folder.path());
    let before = files(folder.path());
    (folder, before)
}

#[tokio::test]
async fn a_spoilt_ca_is_not_replaced() {
    let remove =
        |name: &'static str| move |folder: &Path| fs::remove_file(folder.join(name)).unwrap();
    let copy = |from: &'static str, to: &'static str| move |folder: &Path| copied(folder, from, to);
    type Spoil = Box<dyn FnOnce(&Path)>;
    let cases: [(Spoil, &[&str]); 5] = [
        (Box::new(remove("ca.key")), &["ca.key is not", "--out DIR"]),
        (Box::new(remove("ca.pem")), &["ca.pem is not", "--out DIR"]),
        (Box::new(copy("a.key", "ca.key")), &["ca.key is not its key"]),
        (Box::new(copy("a.pem", "ca.pem")), &["no authority's certificate"]),
        (
            Box::new(|folder| fs::write(folder.join("ca.pem"), "no PEM").unwrap()),
            &["ca.pem", "there is no certificate in it"],
        ),
    ];
    for (spoil, words) in cases {
        let (folder, before) = spoilt(spoil).await;
        for more in [&["--node", "c"][..], &["--node", "a", "--renew"]] {
            certs(folder.path(), more).await.expect(5, words);
            assert_eq!(changed(&before, folder.path()), Vec::<String>::new(), "{words:?}");
        }
    }
}

#[tokio::test]
async fn a_spoilt_certificate_is_replaced_when_asked_to() {
    type Spoil = fn(&Path);
    let cases: [(Spoil, &[&str]); 3] = [
        (|folder| fs::remove_file(folder.join("a.key")).unwrap(), &["a.key is not", "--renew"]),
        (
            |folder| copied(folder, "b.key", "a.key"),
            &["a.key", "not the key of the certificate", "--renew"],
        ),
        (|folder| fs::write(folder.join("a.pem"), "").unwrap(), &["a.pem", "no certificate in it"]),
    ];
    for (spoil, words) in cases {
        let (folder, before) = spoilt(spoil).await;
        certs(folder.path(), &["--node", "a"]).await.expect(5, words);
        assert_eq!(changed(&before, folder.path()), Vec::<String>::new(), "{words:?}");
        certs(folder.path(), &["--node", "a", "--renew"]).await.expect(0, &[]);
        assert_eq!(changed(&before, folder.path()), ["a.key", "a.pem"]);
        certs(folder.path(), &["--node", "a"]).await.expect(0, &[]);
    }
}

#[tokio::test]
async fn a_certificate_of_another_ca_is_told_of() {
    let other = tempfile::tempdir().unwrap();
    certs(other.path(), &["--node", "a"]).await.expect(0, &[]);
    let (folder, before) = spoilt(|folder| {
        for name in ["a.pem", "a.key"] {
            fs::copy(other.path().join(name), folder.join(name)).unwrap();
        }
    })
    .await;
    let words = ["a.pem", "another authority", "--renew --node a"];
    let ended = certs(folder.path(), &["--node", "a", "b", "--json"]).await.expect(0, &words);
    let value = ended.json();
    let warnings = |at: usize| value["certificates"][at]["warnings"].as_array().unwrap().len();
    assert_eq!((warnings(0), warnings(1)), (1, 0), "{value:#}");
    assert_eq!(changed(&before, folder.path()), Vec::<String>::new());
}

#[tokio::test]
async fn one_run_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let held = fs::File::open(folder.path()).unwrap();
    held.try_lock().unwrap();
    certs(folder.path(), &[]).await.expect(5, &["another run"]);
    assert_eq!(files(folder.path()).len(), 0);
    drop(held);
    certs(folder.path(), &[]).await.expect(0, &[]);
}

#[tokio::test]
async fn the_folder_is_the_users_own_or_the_one_named() {
    let home = tempfile::tempdir().unwrap();
    let mut command = midflight(["certs", "--json"]);
    command.env("XDG_DATA_HOME", home.path());
    let value = end(command).await.expect(0, &[]).json();
    let folder = home.path().join("midflight/certs").canonicalize().unwrap();
    assert_eq!(value["folder"], folder.to_str().unwrap());

    let named = tempfile::tempdir().unwrap();
    let mut command = midflight(["certs"]);
    command.env("MIDFLIGHT_CERTS", named.path());
    end(command).await.expect(0, &[]);
    assert!(named.path().join("ca.pem").exists());

    let file = named.path().join("ca.pem");
    run(&["certs", "--out", file.to_str().unwrap()]).await.expect(5, &["ca.pem"]);
    fs::set_permissions(named.path(), fs::Permissions::from_mode(0o777)).unwrap();
    certs(named.path(), &[]).await.expect(0, &["others", "chmod go-w"]);
}

//! What the user of a peer proves, and what is a path.

use super::*;

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

/// The file's owner may say that it is there, and nobody else.
#[tokio::test]
async fn a_user_may_be_at_its_own_socket() {
    let folder = tempfile::tempdir().unwrap();
    let there = address(&format!("unix:{}/there", folder.path().display()));
    let (listening, _) = Unix.listen(&there).await.unwrap();
    let owner = fs::metadata(there.rest()).unwrap().uid();
    assert!(covers(owner, &there));
    assert!(!covers(owner + 1, &there), "another's socket");
    let other_scheme = there.as_str().replace("unix:", "xinu:");
    assert!(!covers(owner, &address(&other_scheme)));
    drop(listening);
    assert!(!covers(owner, &there), "nobody is there");
    fs::write(there.rest(), "").unwrap();
    assert!(!covers(owner, &there), "it is no socket");
    assert!(covers(owner, &address("unix:~0a")), "a made-up name is nobody's");
}

#[test]
fn paths_are_absolute_and_have_one_form() {
    for good in ["/a", "/run/midflight/a.sock", "/a/..b/.c"] {
        assert!(Unix.is_well_formed(good), "{good}");
    }
    for bad in ["", "a", "./a", "/", "//a", "/a//b", "/a/", "/a/./b", "/a/../b", "/.."] {
        assert!(!Unix.is_well_formed(bad), "{bad}");
    }
}

/// The limit is the system's: a path of that length works, one more byte does not.
#[tokio::test]
async fn a_path_has_room_in_the_system() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().display().to_string();
    for (length, fits) in [(PATH_MAX, true), (PATH_MAX + 1, false)] {
        let name = "x".repeat(length - folder.len() - 1);
        let at = address(&format!("unix:{folder}/{name}"));
        match Unix.listen(&at).await {
            Ok(_) => assert!(fits, "{length}"),
            Err(error) => {
                assert!(!fits && *error.kind() == OpenErrorKind::BadAddress, "{error}");
                assert!(error.to_string().contains(&format!("this one {length}")), "{error}");
                assert_eq!(
                    UnixStream::connect(at.rest()).await.unwrap_err().kind(),
                    io::ErrorKind::InvalidInput
                );
                let error = Unix.dial(&at, &at).await.unwrap_err();
                assert_eq!(*error.kind(), ConnectErrorKind::BadAddress, "{error}");
            }
        }
    }
}

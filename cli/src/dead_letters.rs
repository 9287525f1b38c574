//! `midflight dead-letters`: the messages that nobody on a node could take.

use std::time::Duration;

use clap::ValueEnum;
use midflight_dsu::protocol::{LetterStatus, Letters, LettersReply, LettersRequest, Shown};
use midflight_process::Pid;
use midflight_runtime::Handle;
use serde_json::{Value, json};

use crate::args::Reach;
use crate::error::Error;
use crate::{control, output};

/// Flags of `dead-letters`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to do
    #[arg(value_enum, default_value_t = Action::List)]
    action: Action,
    /// The letter's number, for all but `list` and `clear`
    #[arg(value_name = "ID")]
    letter: Option<u64>,
    /// Sends the letter to this process, on whatever node, rather than to its receiver
    #[arg(long, value_name = "PID")]
    to: Option<Pid>,
    /// Lists at most so many, the newest
    #[arg(long, default_value_t = 100, value_name = "NUMBER")]
    limit: u32,
    #[command(flatten)]
    reach: Reach,
    /// Prints one JSON value
    #[arg(long)]
    json: bool,
}

/// What can be done with dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Action {
    /// Lists them, and counts what was not taken
    List,
    /// Shows one, field by field
    Show,
    /// Sends one again, marked as such
    Redeliver,
    /// Throws one away
    Drop,
    /// Throws all away
    Clear,
}

pub(crate) async fn run(runtime: Handle, args: Args) -> Result<(), Error> {
    let request = request(&args)?;
    let now = runtime.unix_time();
    let reply: LettersReply = control::ask(&runtime, &args.reach, request).await?;
    if let LettersReply::Refused(why) = reply {
        return Err(Error::Refused(why));
    }
    output::either(args.json, &as_json(&reply), || for_people(&reply, now))
}

fn request(args: &Args) -> Result<LettersRequest, Error> {
    let letter = || {
        let missing = || Error::Usage("which letter? `midflight dead-letters` lists them".into());
        args.letter.ok_or_else(missing)
    };
    if args.to.is_some() && args.action != Action::Redeliver {
        return Err(Error::Usage("--to is for `redeliver`".into()));
    }
    if args.letter.is_some() && matches!(args.action, Action::List | Action::Clear) {
        return Err(Error::Usage("`list` and `clear` are about all letters, not one".into()));
    }
    Ok(match args.action {
        Action::List => LettersRequest::List { limit: args.limit },
        Action::Show => LettersRequest::Show { letter: letter()? },
        Action::Redeliver => LettersRequest::Redeliver { letter: letter()?, to: args.to },
        Action::Drop => LettersRequest::Drop { letter: letter()? },
        Action::Clear => LettersRequest::Clear,
    })
}

fn as_json(reply: &LettersReply) -> Value {
    match reply {
        LettersReply::Listed(letters) => {
            let refused = letters.refused.iter().map(|count| {
                json!({
                    "type": count.type_name, "from_version": count.from_version,
                    "to_version": count.to_version, "reason": count.kind,
                    "at_send": count.at_send, "count": count.times,
                })
            });
            json!({
                "total": letters.total, "bytes": letters.bytes, "lost": letters.lost,
                "letters": letters.letters.iter().map(letter_as_json).collect::<Vec<_>>(),
                "refused": refused.collect::<Vec<_>>(),
            })
        }
        LettersReply::Shown(Shown { letter, text, encoded }) => {
            let mut value = letter_as_json(letter);
            value["text"] = json!(text);
            value["encoded"] = json!(hex(encoded));
            value
        }
        LettersReply::Sent { to } => json!({ "sent_to": to.to_string() }),
        LettersReply::Dropped(count) => json!({ "dropped": count }),
        LettersReply::Refused(why) => json!({ "refused": why }),
    }
}

fn letter_as_json(letter: &LetterStatus) -> Value {
    json!({
        "id": letter.id, "unix_millis": letter.unix_millis,
        "from": letter.from.map(|from| from.to_string()), "to": letter.to.to_string(),
        "type": letter.type_name, "version": letter.version, "fingerprint": letter.fingerprint,
        "kind": letter.kind, "reason": letter.reason, "bytes": letter.bytes, "call": letter.call,
        "again": letter.again,
    })
}

fn for_people(reply: &LettersReply, now: Duration) -> String {
    match reply {
        LettersReply::Listed(letters) => list(letters, now),
        LettersReply::Shown(shown) => show(shown, now),
        LettersReply::Sent { to } => format!("sent to {to}\n"),
        LettersReply::Dropped(1) => "1 letter dropped\n".to_owned(),
        LettersReply::Dropped(count) => format!("{count} letters dropped\n"),
        LettersReply::Refused(why) => format!("{why}\n"),
    }
}

fn list(letters: &Letters, now: Duration) -> String {
    let mut text = if letters.total == 0 {
        "no dead letters\n".to_owned()
    } else {
        let head = ["ID", "AGE", "MESSAGE", "FROM", "TO", "REASON"].map(str::to_owned).to_vec();
        let rows = letters.letters.iter().map(|letter| {
            vec![
                letter.id.to_string(),
                output::since(letter.unix_millis, now),
                message(letter),
                from(letter),
                letter.to.to_string(),
                output::cut(&letter.reason, 80),
            ]
        });
        output::table(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
    };
    let (shown, total) = (letters.letters.len() as u64, letters.total);
    if shown < total {
        text.push_str(&format!("the newest {shown} of {total}; --limit shows more\n"));
    }
    if letters.lost > 0 {
        text.push_str(&format!("{} more were not kept: the node keeps so many\n", letters.lost));
    }
    for count in &letters.refused {
        let to = count.to_version.map(|to| format!(" at version {to}")).unwrap_or_default();
        let place = if count.at_send { "not sent" } else { "not taken" };
        text.push_str(&format!(
            "{place}: {} version {}{to}, {}, {} times\n",
            count.type_name, count.from_version, count.kind, count.times
        ));
    }
    text
}

fn show(Shown { letter, text, encoded }: &Shown, now: Duration) -> String {
    let mut out = format!(
        "letter {} · {} · {} bytes · {} ago\nfrom {} to {}\n{}\n",
        letter.id,
        message(letter),
        letter.bytes,
        output::since(letter.unix_millis, now),
        from(letter),
        letter.to,
        letter.reason,
    );
    if letter.call {
        out.push_str("a call: its caller was told\n");
    }
    if let Some(again) = letter.again {
        out.push_str(&format!("sent again by an operator: it was letter {again}\n"));
    }
    match text {
        Some(text) => out.push_str(&format!("\n{text}\n")),
        None => {
            let cut = if (encoded.len() as u64) < letter.bytes { "…" } else { "" };
            let bytes = hex(encoded);
            out.push_str(&format!(
                "\nits schema ({}) is not known\n{bytes}{cut}\n",
                letter.fingerprint
            ));
        }
    }
    out
}

fn message(letter: &LetterStatus) -> String {
    format!("{}@{}", letter.type_name, letter.version)
}

fn from(letter: &LetterStatus) -> String {
    match (letter.from, letter.again) {
        (Some(from), _) => from.to_string(),
        (None, Some(_)) => "an operator".to_owned(),
        (None, None) => "no process".to_owned(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter() -> LetterStatus {
        let pid = |index| Pid { node: midflight_process::NodeId(1), index, generation: 2 };
        LetterStatus {
            id: 7,
            unix_millis: 1_000,
            from: Some(pid(3)),
            to: pid(4),
            type_name: "shop.Order".into(),
            version: 1,
            fingerprint: "ab".into(),
            kind: "incompatible".into(),
            reason: "theirs is a string, ours is u64".into(),
            bytes: 3,
            call: true,
            again: Some(5),
        }
    }

    #[test]
    fn a_letter_is_shown_with_all_there_is() {
        let shown = Shown { letter: letter(), text: None, encoded: vec![1, 0xab] };
        let text = show(&shown, Duration::from_secs(200));
        for part in ["letter 7 · shop.Order@1 · 3 bytes · 3m ago", "a call", "letter 5", "01ab…"]
        {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        let known = Shown { text: Some("shop.Order { id: 1 }".into()), ..shown };
        assert!(show(&known, Duration::ZERO).ends_with("\nshop.Order { id: 1 }\n"));
    }

    #[test]
    fn a_list_says_what_is_missing() {
        let letters =
            Letters { total: 2, bytes: 9, lost: 3, letters: vec![letter()], refused: Vec::new() };
        let text = list(&letters, Duration::from_secs(2));
        assert!(text.contains("newest 1 of 2") && text.contains("3 more were not kept"), "{text}");
    }
}

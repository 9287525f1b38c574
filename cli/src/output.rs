//! Results, on standard output; progress and errors, on standard error.

use std::io::Write as _;
use std::time::Duration;

use serde::Serialize;

use crate::error::Error;

/// Prints text, and sees to it that it is out.
pub(crate) fn text(text: &str) -> Result<(), Error> {
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    match written {
        // Who reads has read enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|source| Error::Output { source }),
    }
}

/// Says something to people, beside the result. Who does not listen misses it.
pub(crate) fn note(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Prints one JSON value.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Error> {
    let mut line = serde_json::to_string_pretty(value)
        .map_err(|error| Error::Output { source: error.into() })?;
    line.push('\n');
    text(&line)
}

/// Prints `value` as JSON, or the text for people.
pub(crate) fn either(
    as_json: bool,
    value: &impl Serialize,
    for_people: impl FnOnce() -> String,
) -> Result<(), Error> {
    if as_json { json(value) } else { text(&for_people()) }
}

/// A table with aligned columns; the first row is its head. Numbers stay left too: these are names.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<_> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The beginning of a text on one line, with `…` where something is missing.
pub(crate) fn cut(text: &str, chars: usize) -> String {
    let line = text.lines().next().unwrap_or_default();
    let short: String = line.chars().take(chars).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}

/// How long ago something was that happened so many milliseconds after the Unix epoch, roughly.
pub(crate) fn since(unix_millis: u64, now: Duration) -> String {
    let seconds = now.saturating_sub(Duration::from_millis(unix_millis)).as_secs();
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7_199 => format!("{}m", seconds / 60),
        7_200..=172_799 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// The beginning of a content address, enough for people.
pub(crate) fn short(address: &str) -> &str {
    address.get(..12).unwrap_or(address)
}

/// `text` as one word of a shell's command.
pub(crate) fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        let table = table(&[row(&["PID", "NAME"]), row(&["<1f.7.2>", "é"]), row(&["x"])]);
        assert_eq!(table, "PID       NAME\n<1f.7.2>  é\nx\n");
    }

    #[test]
    fn a_folder_is_one_word() {
        assert_eq!(shell_word("/home/a/certs"), "/home/a/certs");
        assert_eq!(shell_word("/a b/it's"), r"'/a b/it'\''s'");
    }
}

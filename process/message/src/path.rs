//! Where in a value something is, as people write it: `lines[].price`, `Add.amount`.

use std::fmt::{self, Display, Formatter};

/// The longest path that is reported, in bytes.
pub(crate) const MAX_PATH_BYTES: usize = 512;
/// The longest type or reason that is reported, in bytes.
pub(crate) const MAX_TEXT_BYTES: usize = 256;

/// One step into a value. Names are the writer's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Into a field or variant.
    Name(String),
    /// Into a part without a name.
    Index(usize),
    /// Into any element of a list.
    Element,
    /// Into any key of a map.
    Key,
    /// Into any value of a map.
    Value,
}

/// The steps from the outside in.
pub(crate) struct Path<'a>(pub(crate) &'a [Step]);

impl Display for Path<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            let dot = if index > 0 { "." } else { "" };
            match step {
                Step::Name(name) => write!(f, "{dot}{name}")?,
                Step::Index(number) => write!(f, "{dot}{number}")?,
                Step::Element => f.write_str("[]")?,
                Step::Key => f.write_str("{key}")?,
                Step::Value => f.write_str("{}")?,
            }
        }
        Ok(())
    }
}

impl Path<'_> {
    /// The text, cut where it is too long to report.
    pub(crate) fn text(&self) -> String {
        shorten(self.to_string(), MAX_PATH_BYTES)
    }
}

/// Cuts a text to so many bytes, and says so with an ellipsis.
pub(crate) fn shorten(mut text: String, bytes: usize) -> String {
    if text.len() > bytes {
        text.truncate(text.floor_char_boundary(bytes - '…'.len_utf8()));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Path, Step, shorten};

    #[test]
    fn reads_like_code() {
        let name = |name: &str| Step::Name(name.to_owned());
        let steps = [name("lines"), Step::Element, name("price"), Step::Index(0), Step::Value];
        assert_eq!(Path(&steps).text(), "lines[].price.0{}");
        assert_eq!(Path(&[]).text(), "");
    }

    #[test]
    fn long_texts_are_cut_between_letters() {
        assert_eq!(shorten("short".to_owned(), 5), "short");
        assert_eq!(shorten("ääää".to_owned(), 6), "ä…");
        assert!(shorten("ä".repeat(500), 256).len() <= 256);
    }
}

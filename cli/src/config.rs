//! Flags from a file. There is one precedence: what the command line says, then the environment, then the file
//! named with `--config`, then the defaults.

use std::ffi::OsString;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{ArgMatches, Command, CommandFactory as _, FromArgMatches as _};
use toml::{Table, Value};

use crate::args::Cli;
use crate::error::Error;
use crate::output::note;

/// The longest file that is read.
const BYTES_MAX: u64 = 64 * 1024;
/// The flag that names the file.
const CONFIG: &str = "config";

/// What was typed, with what a file says beside. Ends the program where it makes no sense, as clap does.
pub(crate) fn parse(mut typed: Vec<OsString>) -> Result<Cli, Error> {
    let command = Cli::command();
    let first = command.clone().try_get_matches_from(&typed).unwrap_or_else(|error| error.exit());
    let matches = match from_file(&command, &first)? {
        None => first,
        Some((path, more)) => {
            typed.extend(more.into_iter().map(OsString::from));
            command.try_get_matches_from(&typed).unwrap_or_else(|error| {
                // What was typed makes sense by itself: what does not now is the file's.
                note(&format!("with what is in {}:", path.display()));
                error.exit()
            })
        }
    };
    Ok(Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()))
}

/// The flags that a file adds to what was typed, and the file; none where none is named.
fn from_file(
    command: &Command,
    matches: &ArgMatches,
) -> Result<Option<(PathBuf, Vec<String>)>, Error> {
    let Some((name, matches)) = matches.subcommand() else { return Ok(None) };
    let Some(command) = command.find_subcommand(name) else { return Ok(None) };
    let Ok(Some(path)) = matches.try_get_one::<PathBuf>(CONFIG) else { return Ok(None) };
    let text = read(path).map_err(|source| Error::File { file: path.clone(), source })?;
    let wrong = |why: String| Error::Usage(format!("{}: {why}", path.display()));
    let table = text.parse::<Table>().map_err(|error| wrong(error.to_string()))?;
    let flags = flags(command, matches, &table).map_err(wrong)?;
    Ok(Some((path.clone(), flags)))
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > BYTES_MAX {
        return Err(std::io::ErrorKind::FileTooLarge.into());
    }
    Ok(text)
}

/// A file's settings as flags, without those that were typed or are in the environment.
fn flags(command: &Command, matches: &ArgMatches, table: &Table) -> Result<Vec<String>, String> {
    let mut flags = Vec::new();
    for (key, value) in table {
        let mut known = command.get_arguments().filter(|flag| !flag.is_hide_set());
        let flag = known.find(|flag| flag.get_long() == Some(key) && key != CONFIG);
        let flag = flag.ok_or_else(|| {
            format!(
                "`{key}` is no setting: they are named as the flags of `midflight {}`, without \
                 the dashes before them",
                command.get_name()
            )
        })?;
        let source = matches.value_source(flag.get_id().as_str());
        if matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable)) {
            continue;
        }
        let several = flag.get_num_args().is_some_and(|range| range.max_values() > 1);
        match value {
            Value::Boolean(set) if !flag.get_action().takes_values() => {
                flags.extend(set.then(|| format!("--{key}")));
            }
            Value::Array(values) if several => {
                for value in values {
                    flags.push(format!("--{key}={}", scalar(key, value)?));
                }
            }
            value if flag.get_action().takes_values() => {
                flags.push(format!("--{key}={}", scalar(key, value)?));
            }
            _ => return Err(format!("`{key}` is set by true or false")),
        }
    }
    Ok(flags)
}

fn scalar(key: &str, value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Float(number) => Ok(number.to_string()),
        other => Err(format!("`{key}` cannot be {}: give text or a number", other.type_str())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(typed: &[&str], file: &str) -> Result<Vec<String>, String> {
        let command = Cli::command();
        let matches = command.clone().try_get_matches_from(typed).unwrap();
        let (name, matches) = matches.subcommand().unwrap();
        flags(command.find_subcommand(name).unwrap(), matches, &file.parse().unwrap())
    }

    #[test]
    fn a_file_says_what_was_not_typed() {
        let file = "name = 'b'\njoin = ['c:1', 'd:2']\ndrain = 3\ntrust-loopback = true";
        let typed = ["midflight", "node", "--name", "a"];
        let mut flags = added(&typed, file).unwrap();
        flags.sort();
        assert_eq!(flags, ["--drain=3", "--join=c:1", "--join=d:2", "--trust-loopback"]);
        assert_eq!(added(&typed, "trust-loopback = false").unwrap(), [""; 0]);
    }

    #[test]
    fn what_is_no_setting_is_named() {
        let wrong = |file: &str| added(&["midflight", "node"], file).unwrap_err();
        for file in ["nmae = 'b'", "config = 'b'", "until-stdin-ends = true", "help = true"] {
            let key = file.split(' ').next().unwrap();
            assert!(wrong(file).contains(&format!("`{key}`")), "{}", wrong(file));
        }
        assert!(wrong("trust-loopback = 'yes'").contains("true or false"));
        assert!(wrong("name = ['a', 'b']").contains("`name` cannot be array"));
        assert!(wrong("drain = true").contains("`drain` cannot be boolean"));
    }
}

//! Long flags as typed, with one dash or two.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// A long flag, with its value if that is joined to it with an equals sign.
pub(crate) struct LongFlag<'a> {
    pub(crate) name: &'a OsStr,
    pub(crate) value: Option<&'a OsStr>,
}

impl<'a> LongFlag<'a> {
    /// Parses two dashes and a name, or one dash and a name of two letters or more.
    pub(crate) fn parse(argument: &'a OsStr) -> Option<Self> {
        let bytes = argument.as_bytes();
        let (dashed, min_length) = match bytes.strip_prefix(b"--") {
            Some(rest) => (rest, 1),
            None => (bytes.strip_prefix(b"-")?, 2),
        };
        let end = dashed.iter().position(|byte| *byte == b'=').unwrap_or(dashed.len());
        let (name, value) = dashed.split_at(end);
        let letters = name.first().is_some_and(u8::is_ascii_alphabetic)
            && name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        (letters && name.len() >= min_length).then(|| Self {
            name: OsStr::from_bytes(name),
            value: value.strip_prefix(b"=").map(OsStr::from_bytes),
        })
    }
}

/// Splits `--flag=value` into `--flag` and `value`; `None` without a value.
pub(crate) fn split_value(argument: &OsStr) -> Option<(&OsStr, &OsStr)> {
    let flag = LongFlag::parse(argument)?;
    let value = flag.value?;
    let end = argument.len() - value.len() - 1;
    Some((OsStr::from_bytes(&argument.as_bytes()[..end]), value))
}

/// Joins `flag` and `value` to `flag=value`.
pub(crate) fn join_value(flag: &OsStr, value: &OsStr) -> OsString {
    OsString::from_vec([flag.as_bytes(), b"=", value.as_bytes()].concat())
}

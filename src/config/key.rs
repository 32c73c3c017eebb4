//! The key file: the 512 bytes that encrypt the passwords in the configuration of both products.
//!
//! The format is that of the products' own tool (`rstudio/rskey`): hexadecimal digits or base64.
//! Each byte is XORed with a fixed cycle. The first 32 bytes of the result are the cipher key.

use crate::config::secret::Secret;
use crate::error::{Error, Result};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine, alphabet};
use sha2::{Digest, Sha256};
use std::fmt::{self, Write as _};
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use zeroize::Zeroizing;

/// The length of a key in bytes.
const LENGTH: usize = 512;
/// The bytes of the XOR cycle.
const CYCLE: [u8; 10] = [223, 99, 111, 160, 122, 212, 223, 105, 37, 190];
/// The length of the cipher key in bytes.
pub(crate) const CIPHER_KEY: usize = 32;

/// Base64 as the products write and read it: the standard alphabet, padded.
pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical)
        .with_decode_allow_trailing_bits(true),
);

/// A key. It is never shown, and its memory is zeroed on drop.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Key(Zeroizing<Vec<u8>>);

impl Key {
    /// Generates a key from the system's random source.
    pub(crate) fn generate() -> Result<Self> {
        let mut key = Zeroizing::new(vec![0; LENGTH]);
        getrandom::fill(&mut key)
            .map_err(|cause| Error::failed("cannot generate a key").caused_by(cause))?;
        Ok(Self(key))
    }

    /// Parses a key's text: 1,024 hexadecimal digits or base64. White space is ignored.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let mut digits = Zeroizing::new(String::with_capacity(text.len()));
        digits.extend(text.chars().filter(|c| !c.is_ascii_whitespace()));
        let bytes = match unhex(&digits) {
            Some(bytes) => bytes,
            None => Zeroizing::new(
                BASE64
                    .decode(digits.as_bytes())
                    .map_err(|_| "it is neither hexadecimal nor base64")?,
            ),
        };
        if bytes.len() != LENGTH {
            return Err("it does not contain 512 bytes");
        }
        Ok(Self(rotated(&bytes)))
    }

    /// Reads the key file at `path`. `allowed` is the widest mode that the file may have. Refused
    /// if the file cannot be read or does not hold a key, or if group or others have more
    /// permissions than `allowed`.
    pub(crate) fn read(path: &Path, allowed: u32) -> Result<Self> {
        let shown = path.display();
        let unreadable = |cause: std::io::Error| {
            Error::refused(format!("cannot read the key file {shown}"))
                .caused_by(cause)
                .hint("check its path and permissions, or name another file with --key-file FILE")
        };
        let mode = fs::metadata(path).map_err(unreadable)?.permissions().mode();
        if mode & 0o777 & !allowed & 0o077 != 0 {
            return Err(Error::refused(format!("the key file {shown} is open to other users"))
                .hint(format!("chmod {allowed:o} {shown}")));
        }
        let text = fs::read_to_string(path).map(Zeroizing::new).map_err(unreadable)?;
        Self::parse(&text).map_err(|why| {
            Error::refused(format!("{shown} is not a key file"))
                .caused_by(why)
                .hint("a key file contains 512 bytes as 1,024 hexadecimal digits or as base64")
        })
    }

    /// Writes the key to a new file that only its owner can read. Refused if the file already
    /// exists; failed if it cannot be written.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let shown = path.display();
        let unwritable = |cause: std::io::Error| match cause.kind() {
            std::io::ErrorKind::AlreadyExists => {
                Error::refused(format!("the file {shown} already exists and is unchanged"))
                    .hint("name another file; values that the old key encrypted need it")
            }
            _ => Error::failed(format!("cannot write the key file {shown}")).caused_by(cause),
        };
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(unwritable)?;
        let text = self.to_text();
        file.write_all(text.reveal().as_bytes()).and_then(|()| file.sync_all()).map_err(unwritable)
    }

    /// The content of a key file: hexadecimal digits and a newline.
    pub(crate) fn to_text(&self) -> Secret {
        let mut text = String::with_capacity(LENGTH * 2 + 1);
        hex(&rotated(&self.0), &mut text);
        text.push('\n');
        Secret::new(text)
    }

    /// The SHA-256 of all bytes, in hexadecimal. It identifies a key without showing it.
    pub(crate) fn fingerprint(&self) -> String {
        let mut text = String::new();
        hex(&Sha256::digest(&*self.0), &mut text);
        text
    }

    pub(crate) fn cipher_key(&self) -> &[u8] {
        &self.0[..CIPHER_KEY]
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(***)")
    }
}

fn rotated(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(bytes.iter().zip(CYCLE.iter().cycle()).map(|(byte, x)| byte ^ x).collect())
}

fn hex(bytes: &[u8], text: &mut String) {
    for byte in bytes {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
}

fn unhex(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() / 2));
    for pair in text.as_bytes().chunks(2) {
        let &[high, low] = pair else { return None };
        bytes.push(u8::try_from(digit(high)? * 16 + digit(low)?).ok()?);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_in_both_forms_whatever_the_white_space() {
        let key = Key::generate().unwrap();
        let text = key.to_text();
        assert_eq!(text.reveal().len(), 1025);
        assert_eq!(Key::parse(text.reveal()), Ok(key.clone()));
        assert_eq!(Key::parse(text.reveal().trim_end()), Ok(key.clone()));
        assert_eq!(Key::parse(&text.reveal().to_uppercase()), Ok(key.clone()));
        let mut base64 = BASE64.encode(rotated(&key.0));
        assert_eq!(Key::parse(&base64), Ok(key.clone()));
        base64.insert_str(64, "\r\n");
        base64.insert(30, '\n');
        assert_eq!(Key::parse(&base64), Ok(key));
    }

    #[test]
    fn an_invalid_key_is_refused_without_being_shown() {
        let error = |text: &str| Key::parse(text).unwrap_err();
        assert_eq!(error(""), "it does not contain 512 bytes");
        assert_eq!(error(&"ab".repeat(511)), "it does not contain 512 bytes");
        assert_eq!(error("not a key!"), "it is neither hexadecimal nor base64");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret.key");
        fs::write(&path, "tr0ub4dor!").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let error = Key::read(&path, 0o600).unwrap_err();
        assert!(!format!("{error:?}").contains("tr0ub4dor"), "{error:?}");
    }

    #[test]
    fn a_key_file_that_others_can_read_is_refused_with_the_command_that_fixes_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret.key");
        Key::generate().unwrap().write(&path).unwrap();
        assert!(Key::read(&path, 0o600).is_ok());
        for (mode, allowed, fine) in [
            (0o640, 0o600, false),
            (0o640, 0o640, true),
            (0o400, 0o600, true),
            (0o604, 0o640, false),
            (0o644, 0o640, false),
            (0o660, 0o640, false),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let read = Key::read(&path, allowed);
            assert_eq!(read.is_ok(), fine, "{mode:o} {allowed:o}");
            if let Err(error) = read {
                assert_eq!(error.hints(), [format!("chmod {allowed:o} {}", path.display())]);
            }
        }
    }

    #[test]
    fn a_key_file_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret.key");
        let key = Key::generate().unwrap();
        key.write(&path).unwrap();
        let error = Key::generate().unwrap().write(&path).unwrap_err();
        assert_eq!(error.kind(), crate::error::Kind::Refused);
        assert_eq!(Key::read(&path, 0o600).unwrap(), key);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

//! Encrypted values: the passwords in the configuration of both products.
//!
//! The value has one of three formats of `rstudio/rskey`, all in base64:
//!
//! - plain: `nonce[24]` and a NaCl secretbox, at least 40 bytes
//! - versioned: the byte 1, then the plain format
//! - FIPS: the byte 2, then `nonce[12]` and AES-256-GCM, at least 29 bytes
//!
//! The nonce of a plain value may also begin with 1 or 2. A value that cannot be decrypted by its
//! first byte is therefore also tried as plain.

use crate::config::key::{BASE64, Key};
use crate::config::secret::Secret;
use crate::error::{Error, Result};
use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{Aead, KeyInit, Nonce};
use base64::Engine;
use crypto_secretbox::XSalsa20Poly1305;
use zeroize::Zeroizing;

/// The first byte of the versioned format.
const VERSIONED: u8 = 1;
/// The first byte of the FIPS format.
const FIPS: u8 = 2;
/// The length of a secretbox nonce in bytes.
const SECRETBOX_NONCE: usize = 24;
/// The length of an AES-GCM nonce in bytes.
const GCM_NONCE: usize = 12;
/// The length of the authentication tag of both ciphers in bytes.
const TAG: usize = 16;

/// The format of a new encrypted value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CipherFormat {
    /// XSalsa20-Poly1305. All versions of both products read it.
    Plain,
    /// AES-256-GCM, for systems that must comply with FIPS 140.
    Fips,
}

/// Encrypts `value` for a configuration file.
pub(crate) fn encrypt(value: &Secret, key: &Key, form: CipherFormat) -> Result<String> {
    let failed = || Error::failed("cannot encrypt the value");
    let (mut bytes, nonce_length) = match form {
        CipherFormat::Plain => (Vec::new(), SECRETBOX_NONCE),
        CipherFormat::Fips => (vec![FIPS], GCM_NONCE),
    };
    let mut nonce = vec![0; nonce_length];
    getrandom::fill(&mut nonce).map_err(|cause| failed().caused_by(cause))?;
    let plain = value.reveal().as_bytes();
    let sealed = match form {
        CipherFormat::Plain => seal::<XSalsa20Poly1305>(plain, &nonce, key),
        CipherFormat::Fips => seal::<Aes256Gcm>(plain, &nonce, key),
    };
    bytes.extend(nonce);
    bytes.extend(sealed.ok_or_else(failed)?);
    Ok(BASE64.encode(bytes))
}

fn seal<C: Aead + KeyInit>(plain: &[u8], nonce: &[u8], key: &Key) -> Option<Vec<u8>> {
    C::new_from_slice(key.cipher_key()).ok()?.encrypt(Nonce::<C>::from_slice(nonce), plain).ok()
}

/// The reason why a value cannot be decrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DecryptError {
    /// The value is not base64.
    NotBase64,
    /// The value is shorter than the shortest encrypted value.
    TooShort,
    /// The value was encrypted with another key, or a part of it is missing or was changed.
    WrongKey,
}

impl DecryptError {
    /// The reason as text.
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::NotBase64 => "it looks encrypted but is not valid base64; a part may be missing",
            Self::TooShort => "it is too short for an encrypted value; a part may be missing",
            Self::WrongKey => {
                "it was encrypted with another key, or a part of it is missing or was changed"
            }
        }
    }
}

/// Whether a configuration value looks encrypted: it is base64, and long enough. A shorter value
/// or one with other characters is plain text.
pub(crate) fn looks_encrypted(value: &str) -> bool {
    const MIN_PLAIN: usize = (SECRETBOX_NONCE + TAG) * 4 / 3;
    let digits = value.trim_end_matches('=');
    let is_base64 = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/');
    if digits.is_empty() || !digits.bytes().all(is_base64) {
        return false;
    }
    let is_fips = || {
        BASE64
            .decode(value)
            .is_ok_and(|bytes| bytes.first() == Some(&FIPS) && bytes.len() > GCM_NONCE + TAG)
    };
    digits.len() >= MIN_PLAIN || is_fips()
}

/// Decrypts a value in any of the three formats.
pub(crate) fn decrypt(value: &str, key: &Key) -> Result<Secret, DecryptError> {
    let bytes = BASE64.decode(value.trim()).map_err(|_| DecryptError::NotBase64)?;
    let by_version = match bytes.split_first() {
        Some((&VERSIONED, rest)) => open::<XSalsa20Poly1305>(rest, SECRETBOX_NONCE, key),
        Some((&FIPS, rest)) => open::<Aes256Gcm>(rest, GCM_NONCE, key),
        _ => Err(DecryptError::TooShort),
    };
    let opened = by_version.or_else(|first| {
        open::<XSalsa20Poly1305>(&bytes, SECRETBOX_NONCE, key).map_err(|second| {
            match (first, second) {
                (DecryptError::TooShort, DecryptError::TooShort) => DecryptError::TooShort,
                _ => DecryptError::WrongKey,
            }
        })
    })?;
    let text = std::str::from_utf8(&opened).map_err(|_| DecryptError::WrongKey)?;
    Ok(Secret::new(text.to_owned()))
}

/// Decrypts `bytes`: the nonce, and the text with its tag.
fn open<C: Aead + KeyInit>(
    bytes: &[u8],
    nonce_length: usize,
    key: &Key,
) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
    if bytes.len() < nonce_length + TAG {
        return Err(DecryptError::TooShort);
    }
    let (nonce, sealed) = bytes.split_at(nonce_length);
    let cipher = C::new_from_slice(key.cipher_key()).ok();
    let text = cipher.and_then(|cipher| cipher.decrypt(Nonce::<C>::from_slice(nonce), sealed).ok());
    text.map(Zeroizing::new).ok_or(DecryptError::WrongKey)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[test]
    fn a_value_comes_back_in_every_form() {
        let key = Key::generate().unwrap();
        for text in ["", "a", "pa#ss \"word\"", "pässwörd 表", &"long".repeat(300)] {
            for form in [CipherFormat::Plain, CipherFormat::Fips] {
                let encrypted = encrypt(&secret(text), &key, form).unwrap();
                assert_eq!(decrypt(&encrypted, &key), Ok(secret(text)), "{form:?}");
                assert_ne!(encrypted, encrypt(&secret(text), &key, form).unwrap(), "a new nonce");
            }
            let plain = encrypt(&secret(text), &key, CipherFormat::Plain).unwrap();
            let versioned = [&[VERSIONED][..], &BASE64.decode(plain).unwrap()].concat();
            assert_eq!(decrypt(&BASE64.encode(versioned), &key), Ok(secret(text)));
        }
    }

    #[test]
    fn a_nonce_that_looks_like_a_version_is_decrypted() {
        let key = Key::generate().unwrap();
        let mut seen = [false; 2];
        while seen != [true; 2] {
            let encrypted = encrypt(&secret("x"), &key, CipherFormat::Plain).unwrap();
            if let version @ (VERSIONED | FIPS) = BASE64.decode(&encrypted).unwrap()[0] {
                seen[usize::from(version) - 1] = true;
                assert_eq!(decrypt(&encrypted, &key), Ok(secret("x")));
            }
        }
    }

    #[test]
    fn a_wrong_key_and_a_damaged_value_are_distinguished_from_a_short_one() {
        let (key, other) = (Key::generate().unwrap(), Key::generate().unwrap());
        for form in [CipherFormat::Plain, CipherFormat::Fips] {
            let encrypted = encrypt(&secret("some secret"), &key, form).unwrap();
            assert_eq!(decrypt(&encrypted, &other), Err(DecryptError::WrongKey));
            let cut = &encrypted[..encrypted.len() - 4];
            assert_eq!(decrypt(cut, &key), Err(DecryptError::WrongKey));
            assert_eq!(decrypt(&cut[..cut.len() - 1], &key), Err(DecryptError::NotBase64));
            assert_eq!(decrypt(&encrypted[..20], &key), Err(DecryptError::TooShort));
        }
    }

    #[test]
    fn only_base64_of_a_fitting_length_looks_encrypted() {
        let key = Key::generate().unwrap();
        let plain = encrypt(&secret(""), &key, CipherFormat::Plain).unwrap();
        let fips = encrypt(&secret("x"), &key, CipherFormat::Fips).unwrap();
        for text in [&plain[..], &plain[..plain.len() - 1], &fips, &"ab12".repeat(20)] {
            assert!(looks_encrypted(text), "{text}");
        }
        for text in [
            "",
            "hunter2",
            "cGFzc3dvcmQ=",
            "a plain sentence that is longer than fifty-six letters are",
            &"a".repeat(40),
        ] {
            assert!(!looks_encrypted(text), "{text}");
        }
    }

    #[test]
    fn values_that_other_implementations_encrypted_are_read() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../fixtures/encrypted_values.json")).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let key = Key::parse(&text(&vectors["key_hex"])).unwrap();
        assert_eq!(Key::parse(&text(&vectors["key_base64"])), Ok(key.clone()));
        assert_eq!(key.fingerprint(), text(&vectors["fingerprint"]));
        let values = vectors["values"].as_array().unwrap();
        assert_eq!(values.len(), 12);
        for value in values {
            let decrypted = decrypt(&text(&value["encrypted"]), &key);
            assert_eq!(decrypted, Ok(secret(&text(&value["text"]))), "{value}");
        }
    }
}

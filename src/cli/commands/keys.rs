//! `migrate encrypt-config-value`, `generate-key` and `fingerprint`: encrypted passwords in a
//! configuration. The value comes from standard input or a prompt, never from an argument.

use crate::cli::args::posit::{ConfigArgs, EncryptArgs, FingerprintArgs, GenerateKeyArgs};
use crate::cli::output::console::Console;
use crate::cli::request::product;
use crate::config::cipher::{self, CipherFormat};
use crate::config::key::Key;
use crate::config::secret::Secret;
use crate::error::{Error, Result};
use crate::product::passwords::Keys;
use std::io::{IsTerminal, Read};
use zeroize::Zeroizing;

/// The longest value that is read, far longer than any password.
const MAX_VALUE_BYTES: u64 = 1 << 20;

/// Encrypts a value and prints it in the form of the configuration file.
pub(crate) fn encrypt(args: &EncryptArgs, console: &mut Console) -> Result<()> {
    let key = key(&args.config)?;
    let value = value()?;
    let format = if args.fips { CipherFormat::Fips } else { CipherFormat::Plain };
    console.say(&cipher::encrypt(&value, &key, format)?)
}

/// Creates a key file.
pub(crate) fn generate(args: &GenerateKeyArgs, console: &mut Console) -> Result<()> {
    let key = Key::generate()?;
    key.write(&args.key_file)?;
    console.say(&key.fingerprint())
}

/// Prints the fingerprint of a key file.
pub(crate) fn fingerprint(args: &FingerprintArgs, console: &mut Console) -> Result<()> {
    console.say(&key(&args.config)?.fingerprint())
}

/// Reads the key of --key-file, which needs no configuration, or else the product's key.
fn key(args: &ConfigArgs) -> Result<Key> {
    // The product decides who may read a key file. Package Manager allows more.
    const MAX_MODE: u32 = 0o640;
    if let (Some(path), None, None) = (&args.key_file, args.product, &args.config) {
        return Key::read(path, MAX_MODE);
    }
    let settings = product::settings(args)?;
    Ok(Keys::new(&settings, args.key_file.as_deref()).key()?.key.clone())
}

/// Reads the value to encrypt, without its line ending.
fn value() -> Result<Secret> {
    let unreadable =
        |cause: std::io::Error| Error::failed("cannot read the value to encrypt").caused_by(cause);
    let input = std::io::stdin();
    let value = if input.is_terminal() {
        Zeroizing::new(rpassword::prompt_password("value: ").map_err(unreadable)?)
    } else {
        let mut text = Zeroizing::new(String::new());
        input.lock().take(MAX_VALUE_BYTES).read_to_string(&mut text).map_err(unreadable)?;
        text
    };
    let line = value.strip_suffix('\n').unwrap_or(&value);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        return Err(Error::refused("the value to encrypt is empty")
            .hint("pass the value on standard input, or type it at the prompt"));
    }
    Ok(Secret::new(line.to_owned()))
}

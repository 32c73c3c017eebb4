//! `migrate encrypt-config-value`, `generate-key` and `fingerprint`: what passwords in a
//! configuration need. The value comes from standard input or a prompt, never from an argument.

use crate::cli::args::{ConfigArguments, EncryptArguments, GenerateKeyArguments};
use crate::cli::output::console::Console;
use crate::cli::request::product;
use crate::config::cipher;
use crate::config::cipher::CipherFormat;
use crate::config::key::Key;
use crate::config::secret::Secret;
use crate::error::{Error, Result};
use crate::product::passwords::Keys;
use std::io::{IsTerminal, Read};
use zeroize::Zeroizing;

/// The longest value that is read: no password is as long.
const MAX_VALUE_BYTES: u64 = 1 << 20;

/// Encrypts a value and prints it as a configuration holds it.
pub(crate) fn encrypt(args: &EncryptArguments, console: &mut Console) -> Result<()> {
    let key = key(&args.config)?;
    let value = value()?;
    let form = if args.fips { CipherFormat::Fips } else { CipherFormat::Plain };
    say(console, &cipher::encrypt(&value, &key, form)?)
}

/// Makes a key file.
pub(crate) fn generate(args: &GenerateKeyArguments, console: &mut Console) -> Result<()> {
    let key = Key::generate()?;
    key.write(&args.key_file)?;
    say(console, &key.fingerprint())
}

/// Prints a key's fingerprint.
pub(crate) fn fingerprint(args: &ConfigArguments, console: &mut Console) -> Result<()> {
    say(console, &key(args)?.fingerprint())
}

/// The key of the file that was named, for which no configuration is needed, or the product's.
fn key(args: &ConfigArguments) -> Result<Key> {
    // Whose key it is decides on who may read it; Package Manager's rule is the wider one.
    const MAX_MODE: u32 = 0o640;
    if let (Some(path), None, None) = (&args.key_file, args.product, &args.config) {
        return Key::read(path, MAX_MODE);
    }
    let settings = product::settings(args)?;
    Ok(Keys::new(&settings, args.key_file.as_deref()).key()?.key.clone())
}

/// The value to encrypt, without the end of its line.
fn value() -> Result<Secret> {
    let unreadable = |cause: std::io::Error| {
        Error::failed("the value to encrypt cannot be read").caused_by(cause)
    };
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
        return Err(Error::refused("there is no value to encrypt")
            .hint("give it on standard input, or type it at the prompt"));
    }
    Ok(Secret::new(line.to_owned()))
}

fn say(console: &mut Console, line: &str) -> Result<()> {
    writeln!(console.out, "{line}")
        .and_then(|()| console.out.flush())
        .map_err(|cause| Error::failed("standard output cannot be written").caused_by(cause))
}

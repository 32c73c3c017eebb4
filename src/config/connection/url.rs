//! The parser of URLs: `postgres://user:password@host:port,host:port/dbname?key=value&key=value`.
//!
//! No error shows a part of the text, because any part can belong to a badly quoted password.

use crate::config::connection::settings::{Origin, Settings};
use crate::error::{Error, Result};
use zeroize::Zeroizing;

/// The text after `postgres://` or `postgresql://`; `None` if `text` has another form.
pub(crate) fn after_scheme(text: &str) -> Option<&str> {
    ["postgres://", "postgresql://"].into_iter().find_map(|scheme| {
        let start = text.get(..scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then(|| &text[scheme.len()..])
    })
}

/// Whether `text` is a URL with any scheme.
pub(crate) fn is_url(text: &str) -> bool {
    let end = text.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(text.len());
    text[..end].contains("://")
}

/// The error of a URL with another scheme.
pub(crate) fn unknown_scheme() -> Error {
    Error::refused("invalid PostgreSQL URL")
        .caused_by("the scheme is neither postgres:// nor postgresql://")
}

/// Parses the text after the scheme into `settings`.
pub(crate) fn read(rest: &str, settings: &mut Settings) -> Result<()> {
    let (before_query, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, dbname) = before_query.split_once('/').unwrap_or((before_query, ""));
    // A host never contains an '@', so the last '@' ends the credentials. An '@' after the first
    // slash means that the slash belongs to a password.
    if dbname.contains('@') {
        return Err(malformed());
    }
    let hosts = match authority.rsplit_once('@') {
        Some((credentials, hosts)) => {
            let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
            put_decoded(settings, "user", user)?;
            put_decoded(settings, "password", password)?;
            hosts
        }
        None => authority,
    };
    read_hosts(hosts, settings)?;
    put_decoded(settings, "dbname", dbname)?;
    read_query(query, settings)
}

/// Parses `host:port,[ipv6]:port,...` into the lists of the keys `host` and `port`.
fn read_hosts(text: &str, settings: &mut Settings) -> Result<()> {
    let mut hosts = Vec::new();
    let mut ports = Vec::new();
    for one in text.split(',') {
        let (host, port) = match one.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']').ok_or_else(malformed)?;
                match rest.strip_prefix(':') {
                    Some(port) => (host, port),
                    None if rest.is_empty() => (host, ""),
                    None => return Err(malformed()),
                }
            }
            None => one.split_once(':').unwrap_or((one, "")),
        };
        // The port is checked here because the error has a hint about passwords.
        if !port.is_empty() && port.parse::<u16>().is_err() {
            return Err(malformed());
        }
        hosts.push(decode(host).ok_or_else(malformed)?.to_string());
        ports.push(port);
    }
    if hosts.iter().any(|host| !host.is_empty()) {
        settings.put("host", &hosts.join(","), Origin::Text)?;
    }
    if ports.iter().any(|port| !port.is_empty()) {
        settings.put("port", &ports.join(","), Origin::Text)?;
    }
    Ok(())
}

/// Parses `key=value&key=value`. A key ends at the first `=`, so `options=-csearch_path=x` is one
/// pair. An unknown key is a setting of the server, as in `pgx`.
fn read_query(query: &str, settings: &mut Settings) -> Result<()> {
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, raw) = pair.split_once('=').ok_or_else(malformed)?;
        let key = decode(key).ok_or_else(malformed)?;
        let value = decode(raw).ok_or_else(malformed)?;
        // JDBC URLs use this setting, and libpq accepts it.
        if *key == "ssl" && *value == "true" {
            settings.put("sslmode", "require", Origin::Text)?;
            continue;
        }
        if settings.put(&key, &value, Origin::Text)? {
            continue;
        }
        if !is_setting_name(&key) || raw.contains('@') || value.contains('\0') {
            return Err(malformed());
        }
        settings.parameters.push((key.to_string(), value.to_string()));
    }
    Ok(())
}

/// Whether `name` is a valid name of a server setting.
fn is_setting_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$'))
}

fn put_decoded(settings: &mut Settings, key: &str, text: &str) -> Result<()> {
    if !text.is_empty() {
        settings.put(key, &decode(text).ok_or_else(malformed)?, Origin::Text)?;
    }
    Ok(())
}

/// Decodes percent-encoding; `None` if a `%` has no two hex digits or the result is not UTF-8.
fn decode(text: &str) -> Option<Zeroizing<String>> {
    // The full capacity is allocated at once. A buffer that grows would leave a part of a
    // password in freed memory.
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == b'%' {
            let [high, low, after @ ..] = after else { return None };
            let digit = |byte: u8| char::from(byte).to_digit(16);
            bytes.push(u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?);
            rest = after;
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok().map(Zeroizing::new)
}

/// Percent-encodes all characters of `text` that are not unreserved.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn malformed() -> Error {
    Error::refused("invalid PostgreSQL URL")
        .caused_by("expected postgres://user:password@host:port/dbname?key=value")
        .hint(
            "in user names, passwords and values write %2F for /, %3F for ?, %23 for #, %40 for @, \
             %3A for :, %25 for % and %26 for &; or put the password into PGPASSWORD or the password \
             file",
        )
}

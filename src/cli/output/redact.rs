//! Removal of passwords from a text before it is shown.
//!
//! The text was typed and may be malformed. In doubt, a part of it counts as password.

use crate::config::connection::settings::{is_key, is_similar};

/// The parameters whose values are secrets. A similar word also counts, as a mistyped one.
const SECRET_PARAMETERS: [&str; 2] = ["password", "sslpassword"];

/// The names of secrets in the connection strings of other programs.
const OTHER_SECRETS: [&str; 5] = ["pass", "passwd", "pw", "pwd", "pgpassword"];

/// Whether the value of the parameter `key` is a secret.
pub(crate) fn is_secret(key: &str) -> bool {
    let key = key.trim().to_ascii_lowercase();
    OTHER_SECRETS.contains(&key.as_str())
        || SECRET_PARAMETERS.iter().any(|secret| is_similar(&key, secret))
}

/// `text` without its passwords: in the user part of a URL, in its parameters, or in a `key=value`
/// string. `None` if there is no password.
pub(crate) fn without_password(text: &str) -> Option<String> {
    let shown = match text.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{}", url_without_password(rest)),
        None => pairs_without_password(text),
    };
    (shown != text).then_some(shown)
}

/// Redacts the part of a URL after `://`. The user part ends at the last `@` before the parameters:
/// an unescaped `/` or `@` in a password is a frequent mistake.
fn url_without_password(rest: &str) -> String {
    let question = rest.find('?').unwrap_or(rest.len());
    let at = rest[..question].rfind('@').or_else(|| {
        // An unescaped `?` in a password: the text after the colon is not a port.
        let hosts = rest[..question].split('/').next().unwrap_or_default();
        let is_host = hosts.split(',').all(|host| {
            let port = host.rsplit_once(':').map_or("", |(_, port)| port);
            host.ends_with(']') || port.bytes().all(|byte| byte.is_ascii_digit())
        });
        if is_host { None } else { rest.rfind('@') }
    });
    let (user, tail) = at.map_or(("", rest), |at| (&rest[..at], &rest[at..]));
    let user = user.split(':').next().unwrap_or_default();
    let Some((location, parameters)) = tail.split_once('?') else { return format!("{user}{tail}") };
    let shown = |pair: &str| {
        let key = pair.split('=').next().unwrap_or_default();
        // An unknown key may be the name of a secret, too.
        let is_known = is_key(key) || pair == "ssl=true";
        let shown = if is_known { pair.to_owned() } else { format!("{key}=VALUE") };
        (!is_secret(key)).then_some(shown)
    };
    let kept: Vec<_> = parameters.split('&').filter_map(shown).collect();
    let question = if kept.is_empty() { "" } else { "?" };
    format!("{user}{location}{question}{}", kept.join("&"))
}

/// Redacts a `key = value` string as libpq reads it: spaces around `=`, values in single quotes,
/// backslash escapes.
fn pairs_without_password(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = find_secret(rest) {
        kept.push_str(&rest[..start]);
        let value = &rest[start..];
        let value = value.find('=').map_or("", |equals| value[equals + 1..].trim_start());
        rest = value[value_length(value)..].trim_start();
    }
    kept.push_str(rest);
    if kept.len() < text.len() { kept.trim_end().to_owned() } else { kept }
}

/// The start of the next secret parameter: a whole word, with `=` after it.
fn find_secret(text: &str) -> Option<usize> {
    text.match_indices('=').find_map(|(at, _)| {
        let before = text[..at].trim_end();
        let start = before.trim_end_matches(is_word).len();
        is_secret(&before[start..]).then_some(start)
    })
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The length of the value at the start of `text`. An unclosed quote reaches to the end.
fn value_length(text: &str) -> usize {
    let quoted = text.starts_with('\'');
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(usize::from(quoted)) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '\'' if quoted => return at + 1,
            c if !quoted && c.is_whitespace() => return at,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        without_password(text).unwrap_or_else(|| "unchanged".to_owned())
    }

    #[test]
    fn a_url_loses_its_password_and_stays_a_url() {
        for (text, expected) in [
            ("postgres://u:hunter2@h:5432/db", "postgres://u@h:5432/db"),
            ("postgresql://u:@h/db?sslmode=require", "postgresql://u@h/db?sslmode=require"),
            ("postgres://:pw@h/db", "postgres://@h/db"),
            ("postgres://h/db?password=p%20w&user=b&sslpassword=x", "postgres://h/db?user=b"),
            (
                "postgres://h/db?pin=x&ssl=true&ssl=x",
                "postgres://h/db?pin=VALUE&ssl=true&ssl=VALUE",
            ),
            ("postgres://h/db?password=x", "postgres://h/db"),
            ("to=postgres://u:pw@h/db", "to=postgres://u@h/db"),
        ] {
            assert_eq!(shown(text), expected);
        }
        for password in ["pa/ss", "p@ss", "p@ss/w", "p?ss", "p:ss", "p#ss", "a b"] {
            assert_eq!(shown(&format!("postgres://u:{password}@h/db")), "postgres://u@h/db");
        }
    }

    #[test]
    fn a_key_value_string_loses_its_password() {
        for (text, expected) in [
            ("host=h password=pw dbname=d", "host=h dbname=d"),
            ("host=h password = 'p w\\' x' dbname=d", "host=h dbname=d"),
            ("password=a\\ b user=u", "user=u"),
            ("host=h sslpassword=x", "host=h"),
            ("host=h password='unclosed dbname=d", "host=h"),
            ("PASSWORD=x host=h", "host=h"),
            ("host=h pasword=x dbname=d", "host=h dbname=d"),
            ("host=h passwd = 'x y' dbname=d", "host=h dbname=d"),
        ] {
            assert_eq!(shown(text), expected);
        }
    }

    #[test]
    fn a_text_without_a_password_is_unchanged() {
        for text in [
            "app.db",
            "my_password=x.db",
            "user.password",
            "host=h dbname=d ",
            "",
            "postgres://user@host/dbname",
            "postgres://h:5432/db",
            "postgres://[::1]:5432/db?options=-csearch_path=a@b",
            "postgres://a:1,b:2/db?user=me@here",
            "postgres:///db?host=/var/run/postgresql",
        ] {
            assert_eq!(without_password(text), None, "{text}");
        }
    }
}

//! The `createdb` command line for hints.

use crate::config::connection::{Connection, Host, HostAddr};

/// The command that creates the connection's database as a migration needs it. The locale C.UTF-8
/// works with UTF-8 in every cluster.
pub(crate) fn createdb_command(connection: &Connection) -> String {
    let mut words = vec!["createdb".to_owned()];
    if let Some(Host { addr, port, .. }) = connection.hosts.first() {
        let host = match addr {
            HostAddr::Socket(folder) => folder.display().to_string(),
            HostAddr::Tcp { name: Some(name), .. } => name.clone(),
            HostAddr::Tcp { address, .. } => {
                address.map(|address| address.to_string()).unwrap_or_default()
            }
        };
        words.extend(["-h".to_owned(), host, "-p".to_owned(), port.to_string()]);
    }
    words.extend(["-U".to_owned(), connection.user.clone()]);
    words.extend(["-E", "UTF8", "-T", "template0", "--locale=C.UTF-8"].map(str::to_owned));
    words.push(connection.dbname.clone());
    words.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" ")
}

fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

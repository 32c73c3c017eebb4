//! The flags of the hidden commands, which the project's own scripts use.

use crate::bench::generate::Rows;
use std::ffi::OsString;
use std::path::PathBuf;

/// The flags of `generate`.
#[derive(Debug, clap::Args)]
pub(crate) struct GenerateArgs {
    /// The SQLite file to create. It must not exist.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The number of rows, over all tables: 100000, 250k, 12.5M.
    #[arg(long, value_name = "N", default_value = "1M")]
    pub(crate) rows: Rows,
    /// The seed. The same seed and number of rows give the same data.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
}

/// The flags of `private-server`.
#[derive(Debug, clap::Args)]
pub(crate) struct PrivateServerArgs {
    /// A setting for postgresql.conf. Repeatable.
    #[arg(long = "setting", value_name = "NAME=VALUE", value_parser = setting)]
    pub(crate) settings: Vec<(String, String)>,
    /// Run without fsync: faster, for data that may be lost.
    #[arg(long)]
    pub(crate) volatile: bool,
    /// The command. It finds the server by PGHOST, PGPORT, PGUSER, PGDATABASE and DATABASE_URL.
    /// Without it, the server runs until standard input ends.
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a setting has the form NAME=VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

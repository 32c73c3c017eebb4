//! The flags about Posit's products.

use crate::cli::args::choices::provider_parser;
use crate::cli::args::product_flags::{SqliteFiles, config_help, data_help, product_parser};
use crate::product::Provider;
use crate::product::spec::ProductSpec;
use clap::Args;
use std::path::PathBuf;

/// The product and its configuration.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// The product. Without it: detected from the configuration file, this program's folder or the
    /// installed product.
    #[arg(long, value_name = "PRODUCT", value_parser = product_parser())]
    pub(crate) product: Option<&'static ProductSpec>,
    #[arg(long, value_name = "FILE", help = config_help())]
    pub(crate) config: Option<PathBuf>,
    /// The file with the key of encrypted passwords. Without it: where the product finds it.
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// The folder that replaces / in the absolute paths of defaults and configurations.
    #[arg(long, value_name = "DIR", hide = true)]
    pub(crate) root: Option<PathBuf>,
}

/// The product's data sets, and consent to what is refused otherwise.
#[derive(Debug, Args)]
pub(crate) struct DataSetArgs {
    #[arg(long, value_name = "NAME", help = data_help())]
    pub(crate) data: Option<String>,
    #[command(flatten)]
    pub(crate) sqlite_files: SqliteFiles,
    /// Run although the service or another program uses a database. Verification may then fail.
    #[arg(long, help_heading = "Safety")]
    pub(crate) allow_running: bool,
    /// Move Connect back to SQLite, which Connect does not support.
    #[arg(long)]
    pub(crate) allow_back: bool,
}

/// The flags of `provider`.
#[derive(Debug, Args)]
pub(crate) struct ProviderArgs {
    /// The database that the service is to use.
    #[arg(value_parser = provider_parser())]
    pub(crate) provider: Provider,
    /// Set it although the databases were not verified as equal.
    #[arg(long, help_heading = "Safety")]
    pub(crate) allow_unverified: bool,
    #[command(flatten, next_help_heading = "Posit products")]
    pub(crate) config: ConfigArgs,
}

/// The flags of `encrypt-config-value`.
#[derive(Debug, Args)]
pub(crate) struct EncryptArgs {
    #[command(flatten, next_help_heading = "Posit products")]
    pub(crate) config: ConfigArgs,
    /// Encrypt with AES-256-GCM. Without it: XSalsa20-Poly1305, which every version reads.
    #[arg(long, help_heading = "Posit products")]
    pub(crate) fips: bool,
}

/// The flags of `fingerprint`.
#[derive(Debug, Args)]
pub(crate) struct FingerprintArgs {
    #[command(flatten, next_help_heading = "Posit products")]
    pub(crate) config: ConfigArgs,
}

/// The flags of `generate-key`.
#[derive(Debug, Args)]
pub(crate) struct GenerateKeyArgs {
    /// The new key file. It must not exist.
    #[arg(long, value_name = "FILE", help_heading = "Posit products")]
    pub(crate) key_file: PathBuf,
}

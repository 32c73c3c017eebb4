//! The values of flags that take one of a few words.

use crate::options::run_options::Depth;
use crate::product::Provider;
use clap::ValueEnum;

/// The argument of `provider`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProviderArg {
    #[value(alias = "pgx")]
    Postgres,
    #[value(alias = "sqlite3")]
    Sqlite,
}

impl From<ProviderArg> for Provider {
    fn from(provider: ProviderArg) -> Self {
        match provider {
            ProviderArg::Postgres => Self::Postgres,
            ProviderArg::Sqlite => Self::Sqlite,
        }
    }
}

/// A value of --on-misfit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MisfitArg {
    Refuse,
    Widen,
    Reject,
}

/// A value of --depth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DepthArg {
    Rows,
    Full,
}

impl From<DepthArg> for Depth {
    fn from(depth: DepthArg) -> Self {
        match depth {
            DepthArg::Rows => Self::Rows,
            DepthArg::Full => Self::Full,
        }
    }
}

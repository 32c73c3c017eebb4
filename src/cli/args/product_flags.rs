//! The flags that the table of products defines.

use crate::error::{Error, Result};
use crate::product::products::PRODUCTS;
use crate::product::spec::ProductSpec;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, value_parser};
use std::path::{Path, PathBuf};

/// The parser of `--product`.
pub(crate) fn product_parser() -> impl TypedValueParser<Value = &'static ProductSpec> {
    let words = PossibleValuesParser::new(PRODUCTS.map(|product| product.word));
    words.try_map(|word| {
        let product = PRODUCTS.into_iter().find(|product| product.word == word);
        product.ok_or("unknown product")
    })
}

/// The help of `--config`, with the files of all products.
pub(crate) fn config_help() -> String {
    let files = PRODUCTS.map(|product| product.config).join(" or ");
    format!("The product's configuration file. Without it: {files}")
}

/// The help of `--data`, with the data sets of all products.
pub(crate) fn data_help() -> String {
    let data_sets = PRODUCTS.map(|product| {
        let names: Vec<_> = product.data_sets.iter().map(|data_set| data_set.name).collect();
        format!("{} of {product}", names.join(" or "))
    });
    format!("Only this data set: {}", data_sets.join(", "))
}

/// The values of the flags that name SQLite files of data sets.
#[derive(Debug, Default)]
pub(crate) struct SqliteFiles(Vec<(&'static str, PathBuf)>);

/// The flags that name SQLite files, each with its data sets.
fn flags() -> Vec<(&'static str, Vec<&'static str>)> {
    let mut flags: Vec<(&str, Vec<&str>)> = Vec::new();
    for data_set in PRODUCTS.iter().flat_map(|product| product.data_sets) {
        match flags.iter_mut().find(|(flag, _)| *flag == data_set.flag) {
            Some((_, names)) => names.push(data_set.name),
            None => flags.push((data_set.flag, vec![data_set.name])),
        }
    }
    flags
}

fn id(flag: &'static str) -> &'static str {
    flag.trim_start_matches('-')
}

impl SqliteFiles {
    /// The first flag that was given.
    pub(crate) fn first_flag(&self) -> Option<&'static str> {
        self.0.first().map(|(flag, _)| *flag)
    }

    /// The files by the names of the data sets of `product`. Errors: a usage error for a flag of
    /// another product.
    pub(crate) fn by_data_set<'a>(
        &'a self,
        product: &'static ProductSpec,
    ) -> Result<Vec<(&'static str, &'a Path)>> {
        let file = |(flag, path): &'a (&'static str, PathBuf)| {
            let data_set = product.data_sets.iter().find(|data_set| data_set.flag == *flag);
            let unusable = || Error::usage(format!("{flag} cannot be used with {product}"));
            Ok((data_set.ok_or_else(unusable)?.name, path.as_path()))
        };
        self.0.iter().map(file).collect()
    }
}

impl Args for SqliteFiles {
    fn augment_args(command: Command) -> Command {
        flags().into_iter().fold(command, |command, (flag, names)| {
            let names = names.join(" or ");
            let help = format!("The SQLite file of {names}, instead of the configured one");
            let arg = Arg::new(id(flag)).long(id(flag)).value_name("FILE");
            command.arg(arg.value_parser(value_parser!(PathBuf)).help(help))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SqliteFiles {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = flags()
            .into_iter()
            .filter_map(|(flag, _)| Some((flag, matches.get_one::<PathBuf>(id(flag))?.clone())));
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

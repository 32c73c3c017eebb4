//! The help and the manual page, both made from the definitions of the arguments.

use crate::cli::args::Arguments;
use crate::error::{Error, Result};
use clap::CommandFactory;
use clap::builder::StyledStr;
use std::io::{self, Write};

/// Every command and flag with its default.
pub(crate) fn all() -> StyledStr {
    Arguments::command().render_long_help()
}

/// The flags of one command.
pub(crate) fn of(command: &str) -> Result<StyledStr> {
    let mut all = Arguments::command();
    all.build();
    if let Some(known) = all.find_subcommand_mut(command) {
        return Ok(known.render_long_help());
    }
    let names = all.get_subcommands().filter(|known| !known.is_hide_set());
    let names: Vec<_> = names.map(clap::Command::get_name).collect();
    Err(Error::usage(format!("there is no command \"{command}\""))
        .hint(format!("the commands are {}", names.join(", "))))
}

/// Writes the manual page, in roff: one page with the flags of every command.
pub(crate) fn manual(out: &mut dyn Write) -> io::Result<()> {
    let mut all = Arguments::command();
    all.build();
    let page = clap_mangen::Man::new(all.clone());
    page.render_title(out)?;
    page.render_name_section(out)?;
    page.render_synopsis_section(out)?;
    page.render_description_section(out)?;
    for command in all.get_subcommands().filter(|command| !command.is_hide_set()) {
        let mut section = Vec::new();
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let page = clap_mangen::Man::new(command.clone());
        page.render_options_section(&mut section)?;
        let flags = String::from_utf8_lossy(&section);
        // The library's own heading, after which ours would have no text.
        let flags = flags.replacen(".SH OPTIONS\n", "", 1);
        writeln!(out, ".SH \"THE COMMAND {}\"", command.get_name().to_uppercase())?;
        writeln!(out, "{about}\n{flags}")?;
    }
    page.render_extra_section(out)?;
    page.render_version_section(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The commands that people are told of; the others serve the project's own scripts.
    fn told(all: &clap::Command) -> impl Iterator<Item = &clap::Command> {
        all.get_subcommands().filter(|command| !command.is_hide_set())
    }

    /// The long flags of all commands that people are told of.
    fn flags() -> Vec<String> {
        let all = Arguments::command();
        let arguments = told(&all).flat_map(clap::Command::get_arguments);
        let arguments = arguments.filter(|argument| !argument.is_hide_set());
        arguments.filter_map(|argument| Some(format!("--{}", argument.get_long()?))).collect()
    }

    #[test]
    fn the_help_tells_every_flag_with_its_default() {
        let help = all().to_string();
        for flag in flags() {
            assert!(help.contains(&flag), "{flag}");
        }
        let command = Arguments::command();
        for sub in told(&command) {
            let shown = sub.get_arguments().filter(|argument| !argument.is_hide_set());
            for argument in shown.filter(|argument| argument.get_long().is_some()) {
                let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                let told = help.contains("[default: ") || !argument.get_default_values().is_empty();
                assert!(told, "{:?}", argument.get_long());
            }
        }
    }

    #[test]
    fn the_help_of_one_command_goes_by_its_names() {
        let by_name = of("database").unwrap().to_string();
        assert_eq!(of("db").unwrap().to_string(), by_name);
        assert!(by_name.contains("--drop-all") && !by_name.contains("--write-casts <FILE>"));
        let error = of("datbase").unwrap_err();
        let names = "database, plan, provider, encrypt-config-value, generate-key, fingerprint, bench, help";
        assert_eq!(error.hints(), [format!("the commands are {names}")]);
    }

    #[test]
    fn the_manual_page_tells_every_flag() {
        let mut page = Vec::new();
        manual(&mut page).unwrap();
        let page = String::from_utf8(page).unwrap().replace("\\-", "-");
        assert!(page.contains(".TH migrate 1"), "{page}");
        for flag in flags() {
            assert!(page.contains(&flag), "{flag}");
        }
        assert!(page.contains("Exit codes") && !page.contains(".SH OPTIONS"));
    }
}

//! The help and the man page, both generated from the definitions of the arguments.

use crate::cli::args::command::Arguments;
use crate::error::{Error, Result};
use clap::CommandFactory;
use clap::builder::StyledStr;
use std::io::{self, Write};

/// The help of `migrate` itself: the commands.
pub(crate) fn overview() -> StyledStr {
    Arguments::command().render_help()
}

/// The help of one command: its flags. Errors: a usage error if the command does not exist.
pub(crate) fn of_command(name: &str) -> Result<StyledStr> {
    let mut program = Arguments::command();
    program.build();
    match program.find_subcommand_mut(name) {
        Some(command) => Ok(command.render_help()),
        None => Err(Error::usage(format!("there is no command \"{name}\""))
            .hint("list the commands: migrate help")),
    }
}

/// Writes the man page, in roff: every command with all of its flags.
pub(crate) fn man_page(out: &mut dyn Write) -> io::Result<()> {
    let mut program = Arguments::command();
    program.build();
    let page = clap_mangen::Man::new(program.clone());
    page.render_title(out)?;
    page.render_name_section(out)?;
    writeln!(out, ".SH SYNOPSIS\n\\fBmigrate\\fR \\fICOMMAND\\fR [\\fIFLAGS\\fR]")?;
    page.render_description_section(out)?;
    for command in program.get_subcommands().filter(|command| !command.is_hide_set()) {
        let mut section = Vec::new();
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        clap_mangen::Man::new(command.clone()).render_options_section(&mut section)?;
        // A section of the page becomes a subsection of the command.
        let flags = String::from_utf8_lossy(&section).replace("\n.SH ", "\n.SS ");
        writeln!(out, ".SH \"THE COMMAND {}\"", command.get_name().to_uppercase())?;
        writeln!(out, "{about}\n{flags}")?;
    }
    page.render_extra_section(out)?;
    page.render_version_section(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The visible flags of a command.
    fn flags(command: &clap::Command) -> impl Iterator<Item = &clap::Arg> {
        command.get_arguments().filter(|arg| !arg.is_hide_set() && arg.get_long().is_some())
    }

    #[test]
    fn the_help_of_a_command_has_every_flag_with_its_default() {
        let program = Arguments::command();
        for command in program.get_subcommands() {
            let help = of_command(command.get_name()).unwrap().to_string();
            for flag in flags(command) {
                let name = format!("--{}", flag.get_long().unwrap());
                assert!(help.contains(&name), "{name}");
                assert!(flag.get_help_heading().is_some() || command.is_hide_set(), "{name}");
                for default in flag.get_default_values() {
                    let default = format!("[default: {}]", default.display());
                    assert!(!flag.get_action().takes_values() || help.contains(&default), "{name}");
                }
            }
        }
    }

    #[test]
    fn a_command_has_help_by_each_of_its_names() {
        let by_name = of_command("database").unwrap().to_string();
        assert_eq!(of_command("db").unwrap().to_string(), by_name);
        assert!(by_name.contains("--drop-all") && !by_name.contains("--write-casts <FILE>"));
        let error = of_command("datbase").unwrap_err();
        assert_eq!(error.hints(), ["list the commands: migrate help"]);
    }

    #[test]
    fn the_man_page_has_every_flag() {
        let mut page = Vec::new();
        man_page(&mut page).unwrap();
        let page = String::from_utf8(page).unwrap().replace("\\-", "-");
        assert!(page.contains(".TH migrate 1"), "{page}");
        let program = Arguments::command();
        for command in program.get_subcommands().filter(|command| !command.is_hide_set()) {
            for flag in flags(command) {
                assert!(page.contains(&format!("--{}", flag.get_long().unwrap())), "{flag:?}");
            }
        }
        assert!(page.contains("Exit codes") && !page.contains(".SH OPTIONS"));
    }
}

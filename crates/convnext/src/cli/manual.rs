//! `convnext completions` and `convnext man`: made from the definitions of the arguments, so that they are
//! never behind.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::Shell;

use super::output::print_text;
use super::part_file::cannot_write;

/// Print what a shell needs to complete this program's commands and flags
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  convnext completions bash > ~/.local/share/bash-completion/completions/convnext
  convnext completions zsh > ~/.zfunc/_convnext
  convnext completions fish > ~/.config/fish/completions/convnext.fish")]
pub(crate) struct CompletionsArguments {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Write man pages of the program and its commands
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  convnext man --out ~/.local/share/man/man1 && man convnext-pretrain")]
pub(crate) struct ManArguments {
    /// Folder for the pages; made if it does not exist
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Prints the completions of a program.
pub(crate) fn print_completions(
    arguments: &CompletionsArguments,
    mut program: Command,
) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut program, "convnext", &mut script);
    Ok(io::stdout().lock().write_all(&script)?)
}

/// Writes the pages of a program.
pub(crate) fn write_man_pages(arguments: &ManArguments, program: Command) -> anyhow::Result<()> {
    let out = &arguments.out;
    let failed = |error: io::Error| cannot_write(out, error);
    fs::create_dir_all(out).map_err(failed)?;
    let mut program = program.disable_help_subcommand(true);
    program.build();
    let pages = write_page(&program, out).map_err(failed)?;
    print_text(&format!("wrote {pages} pages into {}", out.display()))
}

/// Writes the pages of a command and of those below it; tells how many.
fn write_page(command: &Command, out: &std::path::Path) -> io::Result<usize> {
    let mut pages = 1;
    clap_mangen::Man::new(command.clone()).generate_to(out)?;
    for below in command.get_subcommands() {
        pages += write_page(below, out)?;
    }
    Ok(pages)
}

//! The command line of convnext. All printing and every exit code is decided here and in `cli`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the binary is the only place that prints")]

mod allocator;
mod cli;

use std::panic;
use std::process::ExitCode;

use clap::Parser;
use convnext::data::panic_is_caught;

fn main() -> ExitCode {
    let trace = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        // A decoder's panic becomes an error that names the file.
        if !panic_is_caught() {
            trace(panic);
        }
    }));
    // Unknown commands, flags, models and single values out of range end in `parse_from` with code 2.
    let arguments = cli::with_recorded(std::env::args_os().collect()).map(cli::Arguments::parse_from);
    match arguments.and_then(cli::run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if cli::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) if cli::is_interrupted(&error) => {
            eprintln!("{error}");
            ExitCode::from(cli::EXIT_INTERRUPTED)
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(1)
        }
    }
}

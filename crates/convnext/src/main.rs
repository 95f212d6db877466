//! The command line of convnext. All printing and every exit code is decided here and in `cli`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the binary is the only place that prints")]

mod allocator;
mod cli;

use std::panic;
use std::process::ExitCode;

use convnext::data::panic_is_caught;
use convnext::distributed::Launch;

fn main() -> ExitCode {
    let launch = Launch::of_this_process();
    set_panic_hook(launch.clone());
    let code = match cli::Launched::start(launch.clone()) {
        // The other ranks are waited for when this one is done with it.
        Ok(launched) => cli::run(&launched, std::env::args_os().collect()),
        Err(error) => cli::start_failed(launch.as_ref(), &error),
    };
    ExitCode::from(code)
}

/// A decoder's panic becomes an error that names the file. Any other one ends the job of a launcher at once: unwinding would come
/// to the end of MPI, which waits for ranks that wait for this one.
fn set_panic_hook(launch: Option<Launch>) {
    let trace = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if panic_is_caught() {
            return;
        }
        if let Some(launch) = &launch {
            eprintln!("rank {} ends the job:", launch.rank);
        }
        trace(panic);
        if launch.is_some() {
            std::process::abort();
        }
    }));
}

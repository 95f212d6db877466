//! `convnext finetune`

mod arguments;
mod finished;
pub(super) mod images;
pub(super) mod masks;
pub(super) mod objects;
pub(super) mod share;

pub(crate) use self::arguments::FinetuneArguments;
use self::arguments::TaskName;
use super::launched::Launched;
use super::shared::SharedMachine;

pub(crate) fn run(arguments: FinetuneArguments, launched: &Launched, quiet: bool) -> anyhow::Result<()> {
    let training = &arguments.training;
    let shared =
        SharedMachine::set_up(&training.machine, &training.ranks, launched, quiet)?.for_training()?;
    match arguments.task {
        TaskName::Classification | TaskName::MultiLabel => images::run(arguments, &shared),
        TaskName::Segment => masks::run(arguments, &shared),
        TaskName::Detect => objects::run(arguments, &shared),
    }
}

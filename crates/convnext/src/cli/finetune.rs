//! `convnext finetune`

mod arguments;
mod finished;
pub(super) mod images;
pub(super) mod masks;
pub(super) mod objects;
pub(super) mod share;

pub(crate) use self::arguments::FinetuneArguments;
use self::arguments::TaskName;
use super::machine::set_up;

pub(crate) fn run(arguments: FinetuneArguments, quiet: bool) -> anyhow::Result<()> {
    let machine = set_up(&arguments.training.machine)?;
    match arguments.task {
        TaskName::Classification | TaskName::MultiLabel => images::run(arguments, &machine, quiet),
        TaskName::Segment => masks::run(arguments, &machine, quiet),
        TaskName::Detect => objects::run(arguments, &machine, quiet),
    }
}

//! The tasks that the program knows: what its commands ask about weights of any kind.

use convnext_core::{CORE_TASKS, TaskKind};
use convnext_multilabel::MultiLabelTask;

/// Every kind of task whose weights the program can describe.
pub const TASKS: &[TaskKind] =
    &[CORE_TASKS[0], CORE_TASKS[1], CORE_TASKS[2], CORE_TASKS[3], TaskKind::of::<MultiLabelTask>()];

//! Studies: a question, the trainings that answer it for several seeds, and the table of their results.
//!
//! - [`Study`] is a file; [`read_study`] reads one, and [`STUDIES`] has those of the paper's tables and figures;
//! - [`plan()`] makes commands of the program of it, as one would type them;
//! - [`StudyFolder`] holds what was begun and what has ended; [`reuse()`] takes over what another study has, and says where
//!   that was made on another [`Machine`]; [`run_study`] runs the rest;
//! - [`StudyOutcome`] has the table and what there is to draw.
//!
//! **Invariant:** no argument parsing, no printing and no processes: whoever runs a study passes a [`Runner`].

mod begun;
mod budget;
mod built_in;
mod checks;
mod conditions;
mod costs;
mod data_record;
mod error;
mod execution;
mod image_sizes;
mod legend;
mod lengths;
mod machine;
mod model_names;
mod number;
mod option_checks;
mod options;
mod origin;
mod outcome;
mod plan;
mod planned_lengths;
mod planned_sizes;
mod plots;
mod ranks;
mod results;
mod reuse;
mod run;
mod runner;
mod schedule;
mod spread;
mod stage;
mod study;
mod study_folder;
mod table;

pub use begun::STUDY_FILE;
pub use built_in::{STUDIES, read_study, study_text};
pub use error::StudyError;
pub use machine::Machine;
pub use options::{RecipeChoice, StageOptions, StudyOptions, TimingConditions};
pub use outcome::StudyOutcome;
pub use plan::{PlannedRun, plan};
pub use plots::StudyPlot;
pub use ranks::deciding_launcher;
pub use results::{Ending, RunResult};
pub use reuse::{FinishedRuns, reuse};
pub use run::{TABLE_FILE, check_parallel, run_study};
pub use runner::{CommandEnd, Runner, StudyObserver};
pub use spread::Spread;
pub use stage::Stage;
pub use study::{Compare, PRETRAINING_HOURS, PaperValue, Row, Run, ShownMetric, Sources, Study};
pub use study_folder::{RESULTS_FILE, StudyFolder};
pub use table::StudyTable;

//! Arguments of `convnext study run`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use convnext::core::{ImageSize, ModelSize};
use convnext::data::{TrainingPlace, training_place};
use convnext::study::{RecipeChoice, Stage, StageOptions, Study, StudyOptions};

use crate::cli::length::time;
use crate::cli::out_folder::absolute;
use crate::cli::values::{count, image_size, model, stem_stride, threads};

/// Run a study, or go on with it
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
Each seed has a pre-training of its own, which all fine-tunings of the seed share. Lengths are the epochs of the paper \
unless they are named; all rows get the same, or keep the paper's ratio to each other.

Examples:
  convnext study run table2a --data photos --model atto --pretraining-epochs 100 --finetuning-epochs 30 --out studies/grn
  convnext study run table2a --data photos --model atto --labels 10,100 --out studies/labels --dry-run
  convnext study run mine.toml --data photos --budget 8h --out studies/mine --resume"
)]
pub(crate) struct RunArguments {
    /// Name of the study, or a TOML file
    #[arg(value_name = "NAME|FILE")]
    pub(super) name: String,
    /// Images with labels: for fine-tuning, and without their labels for pre-training
    #[arg(long, value_name = "PATH")]
    pub(super) data: Option<PathBuf>,
    /// Images to pre-train on [default: those of --data that fine-tuning trains on, where they have a folder of their
    /// own, or all of them]
    #[arg(long, value_name = "PATH")]
    pub(super) pretraining_data: Option<PathBuf>,
    /// Images with labels of many classes, between pre-training and fine-tuning: ImageNet-22K in the paper
    #[arg(long, value_name = "PATH")]
    pub(super) intermediate_data: Option<PathBuf>,
    /// Images with masks or objects, for segmentation and detection
    #[arg(long, value_name = "PATH")]
    pub(super) downstream_data: Option<PathBuf>,
    /// Folder of the study
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// Models in place of those of the study, in its order; rows of further ones are left out
    #[arg(long, value_name = "NAME", value_parser = model, value_delimiter = ',')]
    pub(super) model: Vec<&'static ModelSize>,
    /// Recipes of the trainings: made for model and images, or those of the paper with its lengths
    #[arg(long, value_name = "WHICH", default_value = "auto")]
    pub(super) recipe: RecipesName,
    /// Number of seeds
    #[arg(long, value_name = "N", value_parser = count, default_value = "3")]
    pub(super) seeds: usize,
    /// Labelled images of each class that fine-tunings use, a column for each number [default: all]
    #[arg(long, value_name = "N", value_parser = count, value_delimiter = ',', visible_alias = "labels-per-class")]
    pub(super) labels: Vec<usize>,
    /// Run only this row and what it needs; may be repeated
    #[arg(long, value_name = "ROW")]
    pub(super) only: Vec<String>,
    /// Size of the images in pixels, but for segmentation and detection; runs of another size in the study keep its
    /// ratio to 224
    #[arg(long, value_name = "N|HxW", value_parser = image_size)]
    pub(super) image_size: Option<ImageSize>,
    /// Size of the images for segmentation and detection; runs of another size in the study keep its ratio to 512
    #[arg(long, value_name = "N|HxW", value_parser = image_size)]
    pub(super) downstream_image_size: Option<ImageSize>,
    /// Side of the stem's patches: 4, or 2 or 1 for small images
    #[arg(long, value_name = "N", value_parser = stem_stride)]
    pub(super) stem_stride: Option<usize>,
    /// Batch size, but for segmentation and detection [default: that of the recipe]
    #[arg(long, value_name = "N", value_parser = count)]
    pub(super) batch_size: Option<usize>,
    /// Batch size for segmentation and detection
    #[arg(long, value_name = "N", value_parser = count)]
    pub(super) downstream_batch_size: Option<usize>,
    /// Epochs of pre-training, of the longest where the paper has several; the others keep its ratio
    #[arg(long, value_name = "N", value_parser = count)]
    pub(super) pretraining_epochs: Option<usize>,
    /// Epochs on the many classes between pre-training and fine-tuning
    #[arg(long, value_name = "N", value_parser = count)]
    pub(super) intermediate_epochs: Option<usize>,
    /// Epochs of fine-tuning, of the longest likewise
    #[arg(long, value_name = "N", value_parser = count)]
    pub(super) finetuning_epochs: Option<usize>,
    /// Epochs of segmentation and detection
    #[arg(long, value_name = "N", value_parser = count)]
    pub(super) downstream_epochs: Option<usize>,
    /// About the time that the whole study may take, such as 20m or 8h: the first steps of each run are timed, and all lengths
    /// are scaled by one factor
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) budget: Option<Duration>,
    /// Further arguments of the commands of a stage: pretraining, intermediate, finetuning, downstream, analysis or bench, as
    /// in finetuning="--val-fraction 0.3"; may be repeated
    #[arg(long, value_name = "STAGE=WORDS", value_parser = stage_arguments)]
    pub(super) arguments: Vec<(Stage, Vec<String>)>,
    /// Commands that run at once; they share the threads. A bench runs alone, and a study of speeds or times takes one
    #[arg(long, value_name = "N", value_parser = count, default_value = "1")]
    pub(super) parallel: usize,
    /// Threads of each command [default: all cores, divided by --parallel]
    #[arg(long, value_name = "N", value_parser = threads)]
    pub(super) threads: Option<usize>,
    /// Share the trainings among the ranks that this command starts, such as "mpirun -n 4"; results do not change. Each rank needs
    /// a batch of every step, and steps of --recipe auto have one: give --arguments STAGE="--accumulate 4" for each stage that
    /// trains, and a fourth of the batch size for steps of as many images
    #[arg(long, value_name = "COMMAND", value_parser = launcher)]
    pub(super) launcher: Option<ShellWords>,
    /// Take over what the study in this folder has finished with the same commands, images and version; may be repeated
    #[arg(long, value_name = "DIR", conflicts_with_all = ["budget", "dry_run"])]
    pub(super) reuse: Vec<PathBuf>,
    /// Go on with the study in --out where it was stopped
    #[arg(long)]
    pub(super) resume: bool,
    /// Print the commands in order; run nothing
    #[arg(long, conflicts_with = "resume")]
    pub(super) dry_run: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum RecipesName {
    /// Made for the model and the images
    Auto,
    /// Those of the paper, with its lengths
    Paper,
}

/// The folder of the images to train on, where there is one of these alone; where others cannot be told from them,
/// `is_needed` says whether to warn of it.
fn training_folder(data: &Path, is_needed: bool) -> Option<PathBuf> {
    let why = match training_place(data) {
        Ok(TrainingPlace::Folder(folder)) => return Some(folder),
        Ok(TrainingPlace::Everywhere) => return None,
        Ok(TrainingPlace::AmongOthers) => {
            format!("{}: the images to train on have no folder of their own", data.display())
        }
        Err(error) => error.to_string(),
    };
    if is_needed {
        log::warn!(
            "{why}; so pre-trainings take all images, those for validation among them, unless --pretraining-data names others"
        );
    }
    None
}

/// A stage and words of a command line, as a shell would divide them.
fn stage_arguments(text: &str) -> Result<(Stage, Vec<String>), String> {
    let (name, words) = text.split_once('=').ok_or("expected STAGE=WORDS, such as bench=\"--steps 20\"")?;
    let words = shlex::split(words).ok_or("a quotation mark has no second one")?;
    let stage = Stage::ALL.into_iter().find(|stage| stage.name() == name);
    let stage = stage.ok_or_else(|| {
        format!("there is no stage '{name}'; it is one of: {}", Stage::ALL.map(Stage::name).join(", "))
    })?;
    Ok((stage, words))
}

/// Words of a command, as a shell would divide them.
#[derive(Debug, Clone)]
pub(super) struct ShellWords(pub(super) Vec<String>);

/// The command that starts ranks.
fn launcher(text: &str) -> Result<ShellWords, String> {
    let words = shlex::split(text).ok_or("a quotation mark has no second one")?;
    if words.is_empty() {
        Err("expected a command, such as \"mpirun -n 4\"".into())
    } else {
        Ok(ShellWords(words))
    }
}

impl RunArguments {
    /// The options that decide the results of a study. Paths are whole, so that they are the same when it goes on from elsewhere.
    ///
    /// # Errors
    /// When a path is none.
    pub(super) fn options(&self, study: &Study) -> anyhow::Result<StudyOptions> {
        let mut stages = self.stages(study);
        for data in stages.values_mut().filter_map(|stage| stage.data.as_mut()) {
            *data = absolute(data)?;
        }
        Ok(StudyOptions {
            models: self.model.iter().map(|model| model.name.to_owned()).collect(),
            recipes: match self.recipe {
                RecipesName::Auto => RecipeChoice::Auto,
                RecipesName::Paper => RecipeChoice::Paper,
            },
            seeds: self.seeds as u64,
            labels: self.labels.clone(),
            only: self.only.clone(),
            stem_stride: self.stem_stride,
            budget: self.budget.map(|budget| budget.as_secs().max(1)),
            launcher: None,
            timing: None,
            stages,
        })
    }

    /// Images that are validated on are left out where a folder keeps them apart.
    fn images_to_pretrain_on(&self, study: &Study) -> Option<PathBuf> {
        let is_needed = study.runs.iter().any(|run| run.stage == Stage::Pretraining);
        // The commands that are shown may be for another machine.
        let data = self.data.as_deref().filter(|data| data.exists());
        self.pretraining_data.clone().or_else(|| training_folder(data?, is_needed))
    }

    fn stages(&self, study: &Study) -> BTreeMap<Stage, StageOptions> {
        let [all, downstream] =
            [self.image_size, self.downstream_image_size].map(|size| size.map(|size| size.to_string()));
        let of = |data: &Option<PathBuf>, epochs| StageOptions {
            data: data.clone(),
            epochs,
            image_size: all.clone(),
            batch_size: self.batch_size,
            arguments: Vec::new(),
        };
        let of_downstream = of(&self.downstream_data, self.downstream_epochs);
        let mut stages = BTreeMap::from([
            (Stage::Pretraining, of(&self.images_to_pretrain_on(study), self.pretraining_epochs)),
            (Stage::Intermediate, of(&self.intermediate_data, self.intermediate_epochs)),
            (Stage::Finetuning, of(&self.data, self.finetuning_epochs)),
            (
                Stage::Downstream,
                StageOptions {
                    image_size: downstream,
                    batch_size: self.downstream_batch_size,
                    ..of_downstream
                },
            ),
            (Stage::Bench, of(&None, None)),
        ]);
        for (stage, words) in &self.arguments {
            stages.entry(*stage).or_default().arguments.extend(words.iter().cloned());
        }
        stages.retain(|_, options| *options != StageOptions::default());
        stages
    }
}

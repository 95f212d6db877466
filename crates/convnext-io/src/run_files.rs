//! Names of what stands in the folder of a run.

/// The weights of a finished run.
pub const WEIGHTS_FILE: &str = "weights.safetensors";

/// Their moving average.
pub const AVERAGED_WEIGHTS_FILE: &str = "weights-ema.safetensors";

/// The weights, averaged or not, that validated best of all.
pub const BEST_WEIGHTS_FILE: &str = "weights-best.safetensors";

/// The resolved settings of the run.
pub const CONFIG_FILE: &str = "config.toml";

/// The folder of its checkpoints.
pub const CHECKPOINTS_FOLDER: &str = "checkpoints";

/// A line for each step and each epoch.
pub const METRICS_FILE: &str = "metrics.jsonl";

/// The last validation.
pub const EVALUATION_FILE: &str = "evaluation.json";

/// The summary of a finished run.
pub const SUMMARY_FILE: &str = "summary.json";

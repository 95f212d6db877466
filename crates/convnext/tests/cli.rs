//! The command line as people and scripts meet it: the program is run, nothing is called directly.
//!
//! Commands stand in the tests as one would type them, in a fresh folder for each test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test helpers fail the test")]

mod cli {
    mod bench;
    mod cells;
    mod colours;
    mod images;
    mod streets;
    mod weights;

    mod analyzing;
    mod bad_data;
    mod bad_masks;
    mod bad_outputs;
    mod bad_sizes;
    mod bad_values;
    mod bad_weights;
    mod budgets;
    mod budgets_checked;
    mod catalogue;
    mod channels;
    mod checking_masks;
    mod checking_objects;
    mod class_names;
    mod classifying;
    mod converting;
    mod data;
    mod decoders;
    mod detecting;
    mod detection_outputs;
    mod detectors_of_others;
    mod devices;
    mod dividing;
    mod downloading;
    mod embedding;
    mod evaluating;
    mod exporting;
    mod failing_checkpoints;
    mod files;
    mod finetuning;
    mod folder_contents;
    mod found_late;
    mod freezing;
    mod inspecting;
    mod labels;
    mod launching;
    mod measuring;
    mod mistyping;
    mod multi_label;
    mod old_files;
    mod origins;
    mod precedence;
    mod precision;
    mod preprocessing;
    mod pretraining;
    mod quickstarting;
    mod ranges;
    mod recipes;
    mod reconstructing;
    mod repeating;
    mod repeating_otherwise;
    mod reports;
    mod response_norms;
    mod resuming;
    mod segmentation_of_others;
    mod segmenting;
    mod shapes;
    mod shard_parts;
    mod sorting;
    mod splits;
    mod stopping_early;
    mod stopping_early_extended;
    mod studying;
    mod studying_images;
    mod studying_speeds;
    mod talking;
    mod validating;
    mod weight_folders;
    mod whole_job;
}

use std::collections::BTreeMap;

use convnext_io::METRICS_FILE;

use super::*;

fn step(step: usize) -> StepReport {
    StepReport {
        step,
        total_steps: 9,
        epoch: 0,
        loss: 0.5,
        parts: BTreeMap::new(),
        learning_rate: 0.1,
        images_per_second: 2.0,
    }
}

fn open(path: &Path, seed: i32, how: ResumeMode) -> Result<RunFolder, TrainError> {
    match RunFolder::open(path, &BTreeMap::from([("seed", seed)]), how)? {
        Opened::Unfinished(run) => Ok(run),
        Opened::Finished(_) => unreachable!("the run is not finished"),
    }
}

#[test]
fn a_used_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = open(folder.path(), 1, ResumeMode::New).unwrap();
    run.record_step(&step(1)).unwrap();
    let metrics = fs::read_to_string(folder.path().join(METRICS_FILE)).unwrap();
    assert!(metrics.starts_with("{\"step\":1,") && metrics.ends_with("}\n"), "{metrics}");
    let error = open(folder.path(), 1, ResumeMode::New).unwrap_err();
    assert!(matches!(error, TrainError::OutputUsed(_)), "{error}");
    drop(run);
    let error = open(folder.path(), 2, ResumeMode::Resumed).unwrap_err().to_string();
    assert!(error.contains("seed was 1, is 2"), "{error}");
}

#[test]
fn a_folder_of_something_else_is_not_resumed() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["thesis.txt", ".draft.tmp"] {
        fs::write(folder.path().join(name), "precious").unwrap();
        let error = open(folder.path(), 1, ResumeMode::Resumed).unwrap_err();
        assert!(matches!(error, TrainError::NoRun(_)), "{error}");
        assert!(folder.path().join(name).exists());
    }
}

#[test]
fn two_processes_cannot_work_in_one_folder() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path(), 1, ResumeMode::New).unwrap();
    let error = open(folder.path(), 1, ResumeMode::Resumed).unwrap_err();
    assert!(matches!(error, TrainError::InUse(_)), "{error}");
    drop(first);
    open(folder.path(), 1, ResumeMode::Resumed).unwrap();
}

/// Bug: a second process took away what the first one was writing, and its summary, before it was refused.
#[test]
fn a_second_process_that_is_refused_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let config = |epochs: f64| -> Table {
        toml::from_str(&format!("[recipe.training]\nepochs = {epochs:?}")).unwrap()
    };
    let open = |epochs, how| RunFolder::open(folder.path(), &config(epochs), how);
    let Opened::Unfinished(first) = open(1.0, ResumeMode::New).unwrap() else { unreachable!("it is new") };
    let last = r#"{"epoch": 0, "step": 1, "train_loss": 0.5}"#;
    let summary = format!(
        r#"{{"steps": 1, "epochs": 1, "images": 2, "seconds": 0.5, "last": {last}, "best": null, "corrupt": []}}"#
    );
    fs::write(folder.path().join(SUMMARY_FILE), summary).unwrap();
    let half_written = [".weights.safetensors.x1.tmp", "checkpoints/.step-00000001.safetensors.x1.tmp"];
    for name in half_written {
        fs::write(folder.path().join(name), "half").unwrap();
    }
    let files = half_written.into_iter().chain([SUMMARY_FILE, CONFIG_FILE]);
    let read = || files.clone().map(|name| fs::read(folder.path().join(name)).unwrap()).collect::<Vec<_>>();
    let before = read();
    let error = open(2.0, ResumeMode::Extended).unwrap_err();
    assert!(matches!(error, TrainError::InUse(_)), "{error}");
    assert_eq!(read(), before);
    drop(first);
    assert!(matches!(open(2.0, ResumeMode::Extended), Ok(Opened::Unfinished(_))));
    assert!(half_written.iter().all(|name| !folder.path().join(name).exists()));
}

/// A process may be killed between its logs and its configuration.
#[test]
fn a_run_without_a_configuration_yet_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(METRICS_FILE), "").unwrap();
    drop(open(folder.path(), 1, ResumeMode::Resumed).unwrap());
    fs::remove_file(folder.path().join(CONFIG_FILE)).unwrap();
    fs::write(folder.path().join(METRICS_FILE), "{}\n").unwrap();
    let error = open(folder.path(), 1, ResumeMode::Resumed).unwrap_err();
    assert!(matches!(error, TrainError::NoRun(_)), "{error}");
}

#[test]
fn resuming_without_a_checkpoint_starts_from_the_beginning() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(".config.toml.x1.tmp"), "half").unwrap();
    let mut run = open(folder.path(), 1, ResumeMode::Resumed).unwrap();
    run.record_step(&step(1)).unwrap();
    drop(run);
    let mut run = open(folder.path(), 1, ResumeMode::Resumed).unwrap();
    assert!(run.newest_checkpoint().unwrap().is_none());
    run.record_step(&step(1)).unwrap();
    let metrics = fs::read_to_string(folder.path().join(METRICS_FILE)).unwrap();
    assert_eq!(metrics.lines().count(), 1);
    assert!(!folder.path().join(".config.toml.x1.tmp").exists());
}

#[test]
fn a_file_in_the_place_of_the_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("taken");
    fs::write(&file, "").unwrap();
    let error = open(&file, 1, ResumeMode::New).unwrap_err().to_string();
    assert!(error.contains("taken"), "{error}");
}

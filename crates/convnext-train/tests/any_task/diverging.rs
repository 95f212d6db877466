//! What a run's metrics say of a training that diverged.

use burn::prelude::*;
use convnext_train::{Divergence, NoopObserver, ResumeMode, TrainError};

use crate::toy::Agreement;
use crate::toy::runs::{StopAfter, images, metrics, run_task, setup};

/// Bug: a run that had diverged looked like one in progress.
#[test]
fn a_divergence_is_noted_until_the_run_goes_on() {
    let (images, runs) = (images(), tempfile::tempdir().unwrap());
    let (setup, out) = (setup(images.path(), 1), runs.path().join("run"));
    let device = Device::flex().autodiff();
    let whole = Agreement::new(device.clone());
    let broken = Agreement { broken: true, ..Agreement::new(device) };

    run_task(&whole, &setup, &out, ResumeMode::New, &mut StopAfter(3, 0)).unwrap_err();
    for _ in 0..2 {
        let error = run_task(&broken, &setup, &out, ResumeMode::Resumed, &mut NoopObserver).unwrap_err();
        assert!(matches!(error, TrainError::Diverged { step: 4, .. }), "{error}");
        let noted = metrics(&out, "diverged", true);
        assert_eq!(noted.len(), 1, "{noted:?}");
        let noted: Divergence = serde_json::from_value(noted[0].clone()).unwrap();
        let words = "diverged at step 4: the part size of the loss (NaN) is not finite";
        assert_eq!(noted.to_string(), words);
    }
    run_task(&whole, &setup, &out, ResumeMode::Resumed, &mut NoopObserver).unwrap();
    assert!(metrics(&out, "diverged", true).is_empty());
}

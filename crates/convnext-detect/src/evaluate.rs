//! Evaluation of a detector.

use std::path::Path;

use burn::prelude::*;
use convnext_data::{Image, Loader};
use convnext_train::TrainError;

use crate::detection::Detection;
use crate::evaluation::DetectionEvaluation;
use crate::evaluation_source::DetectionEvaluationSource;
use crate::inference::{DetectOptions, detect};
use crate::mask_rcnn::MaskRcnn;

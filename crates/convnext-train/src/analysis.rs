//! Analyses of a backbone: measures of its layers on images (paper Figures 3, 4 and 7).

pub(crate) mod activation_maps;
pub(crate) mod backbone_analysis;
pub(crate) mod feature_watch;
pub(crate) mod layer_statistics;

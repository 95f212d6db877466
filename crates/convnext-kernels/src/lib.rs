//! CPU kernels and site geometry for sparse and dense ConvNeXt V2: slices in, slices out.

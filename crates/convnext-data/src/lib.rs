//! Image decoding, transforms, data sets and loaders for ConvNeXt V2: files in, plain buffers out.

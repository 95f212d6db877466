//! Weight files of ConvNeXt V2: named arrays, safetensors, and their metadata.
